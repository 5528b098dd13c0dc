//! Numbers of several words, and what is counted and added in them.
//!
//! The sum of two fractions is a fraction and an error that is a fraction, too (Knuth), as is their product (Dekker): what
//! is rounded off one word goes into the next. Sums have two words, some 106 bits. Squares have three, since a variance is
//! the difference of two large numbers, and equal values must have none.

use std::fmt::Debug;

/// A state: words that rows are added to.
pub(crate) trait Words: Copy + Debug + Send + Sync + 'static {
    /// Names of the words.
    const NAMES: &'static [&'static str];
    /// No row.
    const NONE: Self;

    /// Whether there was no row.
    fn is_none(&self) -> bool;
    /// One row more.
    fn add(&mut self, value: f64);
    /// One row less, of those that were added.
    fn remove(&mut self, value: f64);
    /// The rows of another state, which has some.
    fn merge(&mut self, other: &Self);
    /// The words.
    fn words(&self) -> &[f64];
    /// A state of such words.
    fn of(word: impl Fn(usize) -> f64) -> Self;
}

/// A sum, and the error of adding it.
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// A product, and the error of it.
pub(super) fn two_product(a: f64, b: f64) -> (f64, f64) {
    /// 2^27 + 1 parts a fraction into halves.
    const SPLITTER: f64 = 134_217_729.0;
    let halves = |x: f64| {
        let scaled = SPLITTER * x;
        let high = scaled - (scaled - x);
        (high, x - high)
    };
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (halves(a), halves(b));
    (product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

/// Adds to a sum of two words.
pub(super) fn add_two(words: &mut [f64; 2], value: f64) {
    let (high, error) = two_sum(words[0], value);
    *words = [high, words[1] + error];
}

/// Adds to a sum of three words.
pub(super) fn add_three(words: &mut [f64; 3], value: f64) {
    let (high, error) = two_sum(words[0], value);
    let (middle, error) = two_sum(words[1], error);
    *words = [high, middle, words[2] + error];
}

/// The value of words. Where the first is no finite number, the others are none at all.
pub(super) fn value(words: &[f64]) -> f64 {
    match words.split_first() {
        Some((high, rest)) if high.is_finite() => high + rest.iter().rev().sum::<f64>(),
        Some((high, _)) => *high,
        None => 0.0,
    }
}

/// A sum without a count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sum([f64; 2]);

impl Words for Sum {
    const NAMES: &'static [&'static str] = &["sum", "error"];
    // Errors are never -0 once something was added, so it marks a sum of nothing.
    const NONE: Self = Self([0.0, -0.0]);

    fn is_none(&self) -> bool {
        self.0[1].to_bits() == (-0.0_f64).to_bits()
    }

    fn add(&mut self, value: f64) {
        add_two(&mut self.0, value);
    }

    fn remove(&mut self, value: f64) {
        add_two(&mut self.0, -value);
    }

    fn merge(&mut self, other: &Self) {
        add_two(&mut self.0, other.0[0]);
        self.0[1] += other.0[1];
    }

    fn words(&self) -> &[f64] {
        &self.0
    }

    fn of(word: impl Fn(usize) -> f64) -> Self {
        Self([word(0), word(1)])
    }
}

/// A sum and how many values it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    words: [f64; 3],
}

impl Counted {
    fn change(&mut self, value: f64, rows: f64) {
        let [count, high, low] = self.words;
        let mut sum = [high, low];
        add_two(&mut sum, value);
        self.words = [count + rows, sum[0], sum[1]];
    }
}

impl Words for Counted {
    const NAMES: &'static [&'static str] = &["count", "sum", "error"];
    const NONE: Self = Self { words: [0.0; 3] };

    fn is_none(&self) -> bool {
        self.words[0] == 0.0
    }

    fn add(&mut self, value: f64) {
        self.change(value, 1.0);
    }

    fn remove(&mut self, value: f64) {
        self.change(-value, -1.0);
    }

    fn merge(&mut self, other: &Self) {
        self.change(other.words[1], other.words[0]);
        self.words[2] += other.words[2];
    }

    fn words(&self) -> &[f64] {
        &self.words
    }

    fn of(word: impl Fn(usize) -> f64) -> Self {
        Self { words: [word(0), word(1), word(2)] }
    }
}

/// A count, a sum, and a sum of squares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    words: [f64; 6],
}

impl Spread {
    fn change(&mut self, (sum, squares): ([f64; 2], [f64; 3]), rows: f64) {
        let [count, sum_high, sum_low, a, b, c] = self.words;
        let mut sums = [sum_high, sum_low];
        add_two(&mut sums, sum[0]);
        let mut all = [a, b, c];
        add_three(&mut all, squares[0]);
        let (middle, error) = two_sum(all[1], squares[1]);
        self.words = [count + rows, sums[0], sums[1] + sum[1], all[0], middle, all[2] + error + squares[2]];
    }
}

impl Words for Spread {
    const NAMES: &'static [&'static str] = &["count", "sum", "sum_error", "squares", "squares_error", "squares_rest"];
    const NONE: Self = Self { words: [0.0; 6] };

    fn is_none(&self) -> bool {
        self.words[0] == 0.0
    }

    fn add(&mut self, value: f64) {
        let (square, error) = two_product(value, value);
        self.change(([value, 0.0], [square, error, 0.0]), 1.0);
    }

    fn remove(&mut self, value: f64) {
        let (square, error) = two_product(value, value);
        self.change(([-value, 0.0], [-square, -error, 0.0]), -1.0);
    }

    fn merge(&mut self, other: &Self) {
        let [count, sum, sum_low, a, b, c] = other.words;
        self.change(([sum, sum_low], [a, b, c]), count);
    }

    fn words(&self) -> &[f64] {
        &self.words
    }

    fn of(word: impl Fn(usize) -> f64) -> Self {
        Self { words: std::array::from_fn(word) }
    }
}

/// The sum; none of nothing.
pub(crate) fn total(of: &Sum) -> Option<f64> {
    (!of.is_none()).then(|| value(&of.0))
}

/// The same of a state that counts.
pub(crate) fn total_of_counted(of: &Counted) -> Option<f64> {
    (!of.is_none()).then(|| value(&of.words[1..]))
}

/// The mean; none of nothing.
pub(crate) fn mean(of: &Counted) -> Option<f64> {
    total_of_counted(of).map(|total| total / of.words[0])
}

/// The variance, of a sample or of all there is; none of too few.
pub(crate) fn spread(of: &Spread, is_sample: bool) -> Option<f64> {
    let [count, sum, sum_low, a, b, c] = of.words;
    let divisor = if is_sample { count - 1.0 } else { count };
    if of.is_none() || divisor <= 0.0 {
        return None;
    }
    if count == 1.0 {
        return Some(if sum.is_finite() { 0.0 } else { f64::NAN });
    }
    if !sum.is_finite() || !a.is_finite() {
        return Some(if sum.is_finite() { a } else { f64::NAN });
    }
    // count · Σx² − (Σx)², to the last bit where it is small.
    let (sum, sum_low) = two_sum(sum, sum_low);
    let (a, rest) = two_sum(a, b);
    let (b, c) = two_sum(rest, c);
    let mut difference = [0.0; 3];
    let products = [(count, a), (-sum, sum), (count, b), (-2.0 * sum, sum_low), (count, c), (-sum_low, sum_low)];
    for (left, right) in products {
        let (product, error) = two_product(left, right);
        add_three(&mut difference, product);
        add_three(&mut difference, error);
    }
    Some(value(&difference).max(0.0) / count / divisor)
}

#[cfg(test)]
mod tests {
    use super::{Counted, Spread, Sum, Words, mean, spread, total};

    fn state<W: Words>(values: &[f64]) -> W {
        let mut state = W::NONE;
        values.iter().for_each(|value| state.add(*value));
        state
    }

    /// A few hundred fractions of very different sizes, the same in every run.
    fn fractions() -> Vec<f64> {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 11
        };
        (0..700).map(|_| (next() as f64 / (1_u64 << 52) as f64 - 1.0) * 10_f64.powi((next() % 13) as i32 - 6)).collect()
    }

    #[test]
    fn no_order_and_no_parting_changes_a_digit() {
        let values = fractions();
        let bits = |values: &[f64], parts: usize| {
            let (mut sum, mut all) = (Sum::NONE, Spread::NONE);
            for part in values.chunks(values.len().div_ceil(parts)) {
                sum.merge(&state(part));
                all.merge(&state(part));
            }
            (total(&sum).map(f64::to_bits), spread(&all, true).map(f64::to_bits))
        };
        let expect = bits(&values, 1);
        let (mut sorted, mut turned) = (values.clone(), values.clone());
        sorted.sort_by(f64::total_cmp);
        turned.rotate_left(311);
        for order in [&values, &sorted, &turned] {
            for parts in [1, 2, 7, 100, 700] {
                assert_eq!(bits(order, parts), expect, "{parts} parts");
            }
        }
    }

    #[test]
    fn what_cancels_leaves_what_is_left() {
        assert_eq!(total(&state(&[1e16, 1.0, -1e16])), Some(1.0));
        assert_eq!(total(&state(&[])), None);
        assert_eq!(total(&state(&[-0.0])), Some(0.0));
        assert_eq!(mean(&state(&[1.0, 2.0, 4.5])), Some(2.5));
        assert_eq!(total(&state(&[1.0, f64::INFINITY])), Some(f64::INFINITY));
        assert!(total(&state(&[f64::NEG_INFINITY, f64::INFINITY])).is_some_and(f64::is_nan));
        let mut window: Counted = state(&[0.1, 0.2, 0.3]);
        [0.1, 0.2, 0.3].into_iter().for_each(|value| window.remove(value));
        assert_eq!(mean(&window), None);
    }

    #[test]
    fn spreads_are_exact_where_values_are_close() {
        for n in [2, 3, 10, 1000] {
            assert_eq!(spread(&state(&vec![0.1; n]), true), Some(0.0), "{n} equal values");
        }
        assert_eq!(spread(&state(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]), true), Some(1.0));
        assert_eq!(spread(&state(&[1e15 + 1.0, 1e15 + 3.0]), false), Some(1.0));
        assert_eq!(spread(&state(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), false), Some(4.0));
        assert_eq!(spread(&state(&[3.5]), true), None);
        assert_eq!(spread(&state(&[3.5]), false), Some(0.0));
        assert_eq!(spread(&state(&[]), false), None);
        assert!(spread(&state(&[1.0, f64::NAN]), true).is_some_and(f64::is_nan));
    }
}
