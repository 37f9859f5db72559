//! Timestamps: from text and numbers to microseconds since 1970 UTC, and back to RFC 3339.

use super::number::Decimal;
use super::span::Shape;
use crate::config::TimestampUnit;

/// 0001-01-01T00:00:00Z, the first moment that RFC 3339 and Elasticsearch can both spell without ado.
pub(super) const MICROS_MIN: i64 = -62_135_596_800_000_000;
/// The last microsecond of the year 9999.
pub(super) const MICROS_MAX: i64 = 253_402_300_799_999_999;

const MICROS_IN_SECOND: i64 = 1_000_000;
const SECONDS_IN_DAY: i64 = 86_400;

/// Whether it lies in the years 1 to 9999: what is outside can be neither read nor written.
pub(super) fn in_calendar(micros: i64) -> bool {
    (MICROS_MIN..=MICROS_MAX).contains(&micros)
}

/// A number of units since 1970. What is finer than a microsecond is cut off, towards the past.
///
/// Without a declared unit the size tells: below 10¹¹ seconds (until the year 5138), below 10¹⁴ milliseconds, below 10¹⁷
/// microseconds, else nanoseconds; negative numbers alike.
pub(super) fn of_number(raw: &[u8], shape: Shape, unit: TimestampUnit) -> Option<i64> {
    let whole = if shape == Shape::Integer { super::number::integer(raw, shape) } else { None };
    let number = match whole {
        Some(whole) => {
            Decimal { negative: whole < 0, mantissa: u128::from(whole.unsigned_abs()), exponent: 0, exact: true }
        }
        None => Decimal::parse(raw),
    };
    let shift = match unit {
        TimestampUnit::Seconds => 6,
        TimestampUnit::Milliseconds => 3,
        TimestampUnit::Microseconds => 0,
        TimestampUnit::Nanoseconds => -3,
        TimestampUnit::Auto => {
            let size = Decimal { negative: false, ..number }.floor(0)?;
            match size {
                ..=99_999_999_999 => 6,
                100_000_000_000..=99_999_999_999_999 => 3,
                100_000_000_000_000..=99_999_999_999_999_999 => 0,
                _ => -3,
            }
        }
    };
    let micros = i64::try_from(number.floor(shift)?).ok()?;
    in_calendar(micros).then_some(micros)
}

/// `2024-05-06T07:08:09.123456Z`, with an offset in place of the `Z`, or with a blank in place of the `T`; without an
/// offset it is UTC. What is finer than a microsecond is cut off.
pub(super) fn of_text(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    // All at once, without a branch for each: nearly all text that comes here is right.
    let mut wrong = head[4] != b'-' || head[7] != b'-' || head[13] != b':' || head[16] != b':';
    wrong |= !matches!(head[10], b'T' | b't' | b' ');
    let digit = head.map(|byte| byte.wrapping_sub(b'0'));
    for place in [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18] {
        wrong |= digit[place] > 9;
    }
    if wrong {
        return None;
    }
    let two = |place: usize| i32::from(digit[place]) * 10 + i32::from(digit[place + 1]);
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    // Second 60 is a leap second: the first of the next minute, as clocks have it.
    if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = match tail {
        [b'.' | b',', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            let (taken, rest) = (&rest[..digits.min(6)], &rest[digits..]);
            let fraction = taken.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
            (fraction * 10_i64.pow(6 - taken.len() as u32), rest)
        }
        _ => (0, tail),
    };
    let offset = match zone {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    let days = i64::from(days_since_1970(year, month, day));
    let seconds = days * SECONDS_IN_DAY + i64::from(hour * 3600 + minute * 60 + second) - offset;
    let micros = seconds * MICROS_IN_SECOND + fraction;
    in_calendar(micros).then_some(micros)
}

#[inline(always)]
fn pair(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Appends RFC 3339 in UTC, with as many fraction digits as needed; nothing for times outside the years 1 to 9999.
pub(super) fn write(micros: i64, text: &mut Vec<u8>) {
    if !in_calendar(micros) {
        return;
    }
    let (seconds, fraction) = (micros.div_euclid(MICROS_IN_SECOND), micros.rem_euclid(MICROS_IN_SECOND) as u32);
    let (days, second) = (seconds.div_euclid(SECONDS_IN_DAY) as i32, seconds.rem_euclid(SECONDS_IN_DAY) as u32);
    let (year, month, day) = date(days);
    let digit = |value: u32| b'0' + (value % 10) as u8;
    let two = |value: u32| [digit(value / 10), digit(value)];
    let ([y1, y2], [y3, y4], [m1, m2], [d1, d2]) = (two(year / 100), two(year), two(month), two(day));
    let ([h1, h2], [n1, n2], [s1, s2]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
    text.extend_from_slice(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2]);
    if fraction != 0 {
        text.push(b'.');
        let ([a, b], [c, d], [e, f]) = (two(fraction / 10_000), two(fraction / 100), two(fraction));
        text.extend_from_slice(&[a, b, c, d, e, f]);
        while text.last() == Some(&b'0') {
            text.pop();
        }
    }
    text.push(b'Z');
}

fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`, for the years 1 to 9999: the year begins in March, so that the leap day is its last.
fn days_since_1970(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Its inverse.
fn date(days_since_1970: i32) -> (u32, u32, u32) {
    let days = (days_since_1970 + 719_468) as u32;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(micros: i64) -> String {
        let mut text = Vec::new();
        write(micros, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn text_is_read_in_its_usual_spellings() {
        let may = 1_714_979_289_000_000;
        for (spelling, micros) in [
            ("2024-05-06T07:08:09Z", may),
            ("2024-05-06t07:08:09z", may),
            ("2024-05-06 07:08:09", may),
            ("2024-05-06T07:08:09", may),
            ("2024-05-06T09:08:09+02:00", may),
            ("2024-05-06T01:38:09-05:30", may),
            ("2024-05-06 07:08:09.5", may + 500_000),
            ("2024-05-06T07:08:09.123456789Z", may + 123_456),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("0001-01-01T00:00:00Z", MICROS_MIN),
            ("9999-12-31T23:59:59.999999Z", MICROS_MAX),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ] {
            assert_eq!(of_text(spelling.as_bytes()), Some(micros), "{spelling}");
        }
    }

    #[test]
    fn what_no_calendar_has_is_not_read() {
        for spelling in [
            "",
            "NaN",
            "now",
            "2024-05-06",
            "1700000000",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-05-06T24:00:00Z",
            "2024-05-06T07:60:00Z",
            "2024-05-06T07:08:61Z",
            "2024-05-06T07:08:09.Z",
            "2024-05-06T07:08:09Z ",
            "2024-05-06T07:08:09+0200",
            "2024-05-06T07:08:09+24:00",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:60Z",
            "+12024-05-06T07:08:09Z",
        ] {
            assert_eq!(of_text(spelling.as_bytes()), None, "{spelling}");
        }
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        let check = |raw: &str, unit| {
            let shape = if raw.contains(['.', 'e']) { Shape::Decimal } else { Shape::Integer };
            of_number(raw.as_bytes(), shape, unit)
        };
        for raw in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000", "1.7e9", "17e17"] {
            assert_eq!(check(raw, TimestampUnit::Auto), Some(1_700_000_000_000_000), "{raw}");
        }
        assert_eq!(check("1700000000.1234567", TimestampUnit::Auto), Some(1_700_000_000_123_456));
        assert_eq!(check("-1.5", TimestampUnit::Auto), Some(-1_500_000));
        assert_eq!(check("5", TimestampUnit::Milliseconds), Some(5_000));
        assert_eq!(check("-1", TimestampUnit::Nanoseconds), Some(-1));
        assert_eq!(check("253402300799", TimestampUnit::Seconds), Some(253_402_300_799_000_000));
        assert_eq!(check("253402300799000000000", TimestampUnit::Nanoseconds), Some(253_402_300_799_000_000));
        for raw in ["1e300", "-1e300", "1e999", "99999999999999999999999999999999999999999999", "253402300800"] {
            assert_eq!(check(raw, TimestampUnit::Seconds), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn times_read_back_as_they_were_written(micros in MICROS_MIN..=MICROS_MAX) {
            prop_assert_eq!(of_text(text(micros).as_bytes()), Some(micros));
            if let Ok(timestamp) = jiff::Timestamp::from_microsecond(micros) {
                prop_assert_eq!(text(micros), timestamp.to_string());
            }
        }

        #[test]
        fn any_text_is_judged(text in "[0-9TZ:. +-]{0,40}") {
            of_text(text.as_bytes());
        }
    }
}
