//! An aggregate: many rows to one answer per group, computed in parts that meet.

use azora_guest::prelude::*;

/// Where a product is brought back near 1, long before it would leave the range of a float.
const LARGE: f64 = 1e150;

/// What is known of some numbers: their product as `product * 2^exponent`, and how many there were.
#[derive(Row)]
pub struct GeometricMean {
    product: f64,
    exponent: i64,
    count: i64,
}

impl Default for GeometricMean {
    fn default() -> Self {
        Self { product: 1.0, exponent: 0, count: 0 }
    }
}

impl GeometricMean {
    fn multiply(&mut self, factor: f64) {
        self.product *= factor;
        if !(1.0 / LARGE..LARGE).contains(&self.product) {
            self.normalise();
        }
    }

    /// Most rows need none of it: apart, it keeps what they do short.
    #[cold]
    fn normalise(&mut self) {
        let exponent = self.product.log2().floor();
        self.product /= exponent.exp2();
        self.exponent += exponent as i64;
    }

    /// Far from 1 the logarithm of a factor is taken apart first, so that a product of two never leaves the range.
    #[cold]
    fn multiply_far(&mut self, x: f64) -> Result<(), Failure> {
        if !(x > 0.0 && x.is_finite()) {
            return Err(Failure::user(format!("a geometric mean is of positive numbers, and {x} is none")));
        }
        let exponent = x.log2().floor();
        self.multiply(x / (exponent / 2.0).exp2() / (exponent / 2.0).exp2());
        self.exponent += exponent as i64;
        Ok(())
    }
}

/// The geometric mean of positive numbers; null where there are none.
#[aggregate]
impl GeometricMean {
    fn update(&mut self, x: f64) -> Result<(), Failure> {
        // One look for most numbers; which of the others is wrong is found out in a function of its own.
        match (1.0 / LARGE..LARGE).contains(&x) {
            true => self.multiply(x),
            false => self.multiply_far(x)?,
        }
        self.count += 1;
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.multiply(other.product);
        self.exponent += other.exponent;
        self.count += other.count;
    }

    fn finish(self) -> Option<f64> {
        (self.count > 0).then(|| ((self.product.log2() + self.exponent as f64) / self.count as f64).exp2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[f64]) -> Option<f64> {
        let mut mean = GeometricMean::default();
        for x in numbers {
            mean.update(*x).expect("a positive number");
        }
        mean.finish()
    }

    #[test]
    fn parts_that_meet_are_the_whole() {
        assert_eq!(of(&[]), None);
        assert!((of(&[2.0, 8.0]).expect("a mean") - 4.0).abs() < 1e-12);
        assert!((of(&[1e300, 1e300, 1e-300, 1e-300]).expect("a mean") - 1.0).abs() < 1e-9);
        assert!((of(&[f64::MAX, f64::MIN_POSITIVE / 4.0]).expect("a mean") - 1.0).abs() < 1e-9);
        assert!(GeometricMean::default().update(0.0).is_err());
        let (mut left, mut right) = (GeometricMean::default(), GeometricMean::default());
        left.update(3.0).expect("a positive number");
        right.update(27.0).expect("a positive number");
        left.merge(right);
        assert!((left.finish().expect("a mean") - 9.0).abs() < 1e-12);
    }
}
