//! Numbers from their JSON spelling, exactly: a number is only taken as what it is.

use super::span::Shape;

/// A number as `mantissa × 10^exponent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Decimal {
    pub(super) negative: bool,
    pub(super) mantissa: u128,
    pub(super) exponent: i64,
    /// False when digits beyond the 38th had to be left out.
    pub(super) exact: bool,
}

const DIGITS_MAX: u32 = 38;

impl Decimal {
    /// Of a checked JSON number.
    pub(super) fn parse(raw: &[u8]) -> Decimal {
        let (negative, digits) = match raw {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let mut number = Decimal { negative, mantissa: 0, exponent: 0, exact: true };
        let (mut taken, mut in_fraction) = (0, false);
        for (at, byte) in digits.iter().enumerate() {
            match byte {
                b'.' => in_fraction = true,
                b'e' | b'E' => {
                    number.exponent = number.exponent.saturating_add(exponent(&digits[at + 1..]));
                    break;
                }
                digit => {
                    let digit = u128::from(digit.wrapping_sub(b'0'));
                    if taken < DIGITS_MAX {
                        number.mantissa = number.mantissa * 10 + digit;
                        taken += u32::from(number.mantissa != 0);
                        number.exponent -= i64::from(in_fraction);
                    } else {
                        number.exact &= digit == 0;
                        number.exponent += i64::from(!in_fraction);
                    }
                }
            }
        }
        number
    }

    /// The largest integer not above the number times ten to the `shift`; none where it is far out of range.
    pub(super) fn floor(self, shift: i64) -> Option<i128> {
        let places = self.exponent.saturating_add(shift);
        let magnitude = if self.mantissa == 0 {
            0
        } else if places >= 0 {
            let factor = 10_u128.checked_pow(u32::try_from(places).ok()?)?;
            i128::try_from(self.mantissa.checked_mul(factor)?).ok()?
        } else {
            let divisor = u32::try_from(places.unsigned_abs()).ok().and_then(|places| 10_u128.checked_pow(places));
            let (whole, rest) = match divisor {
                Some(divisor) => (self.mantissa / divisor, self.mantissa % divisor),
                None => (0, self.mantissa),
            };
            i128::try_from(whole).ok()? + i128::from(self.negative && rest != 0)
        };
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The number, where it is an integer.
    fn integer(self) -> Option<i128> {
        let mut number = self;
        if !number.exact {
            return None;
        }
        while number.exponent < 0 && number.mantissa != 0 && number.mantissa.is_multiple_of(10) {
            number.mantissa /= 10;
            number.exponent += 1;
        }
        (number.exponent >= 0 || number.mantissa == 0).then(|| number.floor(0)).flatten()
    }
}

/// What follows the `e`.
fn exponent(spelling: &[u8]) -> i64 {
    let (negative, digits) = match spelling {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude = digits.iter().fold(0_i64, |value, digit| {
        // Far beyond what anything can use; kept well inside the type so that sums do not overflow.
        (value * 10 + i64::from(digit.wrapping_sub(b'0'))).min(1_000_000_000_000)
    });
    if negative { -magnitude } else { magnitude }
}

/// A number that is an integer, however it is spelled: `3`, `3.0`, `3e0`.
pub(super) fn integer(raw: &[u8], shape: Shape) -> Option<i64> {
    // 18 digits always fit.
    if shape == Shape::Integer && raw.len() <= 18 {
        let (negative, digits) = match raw {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let magnitude = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit.wrapping_sub(b'0')));
        return Some(if negative { -magnitude } else { magnitude });
    }
    i64::try_from(Decimal::parse(raw).integer()?).ok()
}

/// A number as a float: one with a fraction or an exponent is the nearest float, as everywhere; an integer must be exact.
pub(super) fn float(raw: &[u8], shape: Shape) -> Option<f64> {
    let float: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
    if !float.is_finite() {
        return None;
    }
    // Up to 15 digits are exact in any case.
    if shape == Shape::Integer && raw.len() > 15 {
        let integer = Decimal::parse(raw).integer()?;
        // A float at the very top of the type becomes its maximum, which is no float.
        return (float as i128 == integer && integer != i128::MAX).then_some(float);
    }
    Some(float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_taken_however_they_are_spelled() {
        let check = |raw: &str| {
            let shape = if raw.contains(['.', 'e', 'E']) { Shape::Decimal } else { Shape::Integer };
            integer(raw.as_bytes(), shape)
        };
        for (raw, value) in [
            ("0", 0),
            ("-0", 0),
            ("3.0", 3),
            ("3.000e0", 3),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("1500e-2", 15),
            ("-12", -12),
            ("0.0", 0),
            ("0e99999999999999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807.0", i64::MAX),
        ] {
            assert_eq!(check(raw), Some(value), "{raw}");
        }
        for raw in [
            "3.5",
            "1e-1",
            "9223372036854775808",
            "1e300",
            "1e99999999999999999999999",
            "1e-99999999999999999999999",
            "1000000000000000000000000000000000000000000000000000000",
            "0.00000000000000000000000000000000000000000000000000001",
            "1.00000000000000000000000000000000000000000000000000001",
        ] {
            assert_eq!(check(raw), None, "{raw}");
        }
    }

    #[test]
    fn an_integer_becomes_a_float_only_when_it_is_one() {
        let check = |raw: &str| float(raw.as_bytes(), Shape::Integer);
        assert_eq!(check("9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(check("9007199254740993"), None);
        assert_eq!(check("-9007199254740993"), None);
        assert_eq!(check("10000000000000000000000"), Some(1e22));
        assert_eq!(check("100000000000000000000000"), None);
        assert_eq!(check(&"9".repeat(400)), None);
        assert_eq!(float(b"0.1", Shape::Decimal), Some(0.1));
        assert_eq!(float(b"1e999", Shape::Decimal), None);
    }

    #[test]
    fn fractions_are_cut_towards_the_past() {
        let floor = |raw: &str, shift| Decimal::parse(raw.as_bytes()).floor(shift);
        assert_eq!(floor("1.2345678", 6), Some(1_234_567));
        assert_eq!(floor("-1.2345678", 6), Some(-1_234_568));
        assert_eq!(floor("1234", -3), Some(1));
        assert_eq!(floor("-1e-300", 0), Some(-1));
        assert_eq!(floor("1e300", 0), None);
    }
}
