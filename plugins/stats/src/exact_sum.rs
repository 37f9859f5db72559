//! A sum of floats without rounding, so that it does not depend on the order in which they came.

use serde::{Deserialize, Serialize};

/// Floats that do not overlap, small to large, whose exact sum is the sum: Shewchuk's expansion, as in Python's `fsum`.
/// There are one to three as a rule, and never more than forty.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ExactSum(Vec<f64>);

impl ExactSum {
    pub fn add(&mut self, value: f64) {
        let mut sum = value;
        let mut kept = 0;
        for index in 0..self.0.len() {
            let mut part = self.0[index];
            if sum.abs() < part.abs() {
                std::mem::swap(&mut sum, &mut part);
            }
            let high = sum + part;
            let low = part - (high - sum);
            if low != 0.0 {
                self.0[kept] = low;
                kept += 1;
            }
            sum = high;
        }
        self.0.truncate(kept);
        self.0.push(sum);
    }

    pub fn merge(&mut self, other: &Self) {
        for part in &other.0 {
            self.add(*part);
        }
    }

    /// The sum, rounded once; none where it is larger than floats are.
    pub fn value(&self) -> Option<f64> {
        let mut parts = self.0.iter().rev().copied();
        let mut sum = parts.next().unwrap_or(0.0);
        let mut rest = 0.0;
        for part in parts.by_ref() {
            let high = sum + part;
            rest = part - (high - sum);
            sum = high;
            if rest != 0.0 {
                break;
            }
        }
        // Where the rest is half of the last place, the next part says to which side it goes.
        let next = parts.next().unwrap_or(0.0);
        if (rest < 0.0 && next < 0.0) || (rest > 0.0 && next > 0.0) {
            let twice = rest * 2.0;
            let rounded = sum + twice;
            if twice == rounded - sum {
                sum = rounded;
            }
        }
        sum.is_finite().then_some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut sum = ExactSum::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum.value()
    }

    #[test]
    fn nothing_is_lost_to_rounding() {
        assert_eq!(sum([1e100, 1.0, -1e100]), Some(1.0));
        assert_eq!(sum(std::iter::repeat_n(0.1, 10)), Some(1.0));
        assert_eq!(sum([1e16, 1.0, 1e-16]), Some(10_000_000_000_000_002.0));
        assert_eq!(sum([]), Some(0.0));
        assert_eq!(sum([f64::MAX, f64::MAX]), None);
    }

    #[test]
    fn order_and_grouping_do_not_matter() {
        // A linear congruential generator: floats of many sizes and both signs.
        let mut seed = 7_u64;
        let mut values: Vec<f64> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let exponent = (seed >> 58) as i32 - 32;
            ((seed >> 8) as i32 as f64) * 2_f64.powi(exponent)
        })
        .take(1000)
        .collect();
        let expected = sum(values.iter().copied());
        let (mut left, mut right) = (ExactSum::default(), ExactSum::default());
        values[..300].iter().for_each(|value| left.add(*value));
        values[300..].iter().for_each(|value| right.add(*value));
        left.merge(&right);
        assert_eq!(left.value(), expected);
        assert!(left.0.len() < 10, "{}", left.0.len());
        values.sort_by(f64::total_cmp);
        assert_eq!(sum(values), expected);
    }
}
