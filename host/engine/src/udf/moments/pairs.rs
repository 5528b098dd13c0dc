//! Aggregates of pairs of fractions: `corr`, `covar_samp`, `covar_pop` and `regr_*` but `regr_count`, whose answers do not
//! depend on the order in which rows and partitions come, either.

use super::wide::{add_three, add_two, two_product, two_sum, value};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::correlation::corr_udaf;
use datafusion::functions_aggregate::covariance::{covar_pop_udaf, covar_samp_udaf};
use datafusion::functions_aggregate::regr::{
    regr_avgx_udaf, regr_avgy_udaf, regr_intercept_udaf, regr_r2_udaf, regr_slope_udaf, regr_sxx_udaf, regr_sxy_udaf, regr_syy_udaf,
};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature};
use std::sync::Arc;

/// All of them.
pub(crate) fn of_pairs() -> [AggregateUDF; 11] {
    let made = |inner, moment| AggregateUDF::new_from_impl(OfPairs { inner, moment });
    [
        made(corr_udaf(), Moment::Correlation),
        made(covar_samp_udaf(), Moment::Covariance),
        made(covar_pop_udaf(), Moment::CovarianceOfAll),
        made(regr_slope_udaf(), Moment::Slope),
        made(regr_intercept_udaf(), Moment::Intercept),
        made(regr_r2_udaf(), Moment::Determination),
        made(regr_avgx_udaf(), Moment::MeanX),
        made(regr_avgy_udaf(), Moment::MeanY),
        made(regr_sxx_udaf(), Moment::SquaresX),
        made(regr_syy_udaf(), Moment::SquaresY),
        made(regr_sxy_udaf(), Moment::Products),
    ]
}

/// Names of a state's words: a count, sums of two words, and sums of products of three.
const NAMES: [&str; 14] =
    ["count", "y", "y_error", "x", "x_error", "yy", "yy_error", "yy_rest", "xx", "xx_error", "xx_rest", "yx", "yx_error", "yx_rest"];

/// What is kept of pairs. The first of a pair is `y`, as SQL has it.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    count: f64,
    y: [f64; 2],
    x: [f64; 2],
    yy: [f64; 3],
    xx: [f64; 3],
    yx: [f64; 3],
}

/// A product and its error; none where that leaves the range of fractions.
fn product(a: f64, b: f64) -> [f64; 3] {
    let (product, error) = two_product(a, b);
    [product, if error.is_finite() { error } else { 0.0 }, 0.0]
}

fn add_words(into: &mut [f64; 3], words: [f64; 3]) {
    add_three(into, words[0]);
    let (middle, error) = two_sum(into[1], words[1]);
    *into = [into[0], middle, into[2] + error + words[2]];
}

impl Pairs {
    fn add(&mut self, y: f64, x: f64) {
        let (yy, xx, yx) = (product(y, y), product(x, x), product(y, x));
        self.merge(&Self { count: 1.0, y: [y, 0.0], x: [x, 0.0], yy, xx, yx });
    }

    fn remove(&mut self, y: f64, x: f64) {
        let minus = |words: [f64; 3]| words.map(|word| -word);
        let (yy, xx, yx) = (minus(product(y, y)), minus(product(x, x)), minus(product(y, x)));
        self.merge(&Self { count: -1.0, y: [-y, 0.0], x: [-x, 0.0], yy, xx, yx });
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (into, words) in [(&mut self.y, other.y), (&mut self.x, other.x)] {
            add_two(into, words[0]);
            into[1] += words[1];
        }
        for (into, words) in [(&mut self.yy, other.yy), (&mut self.xx, other.xx), (&mut self.yx, other.yx)] {
            add_words(into, words);
        }
    }

    fn words(&self) -> [f64; 14] {
        let Self { count, y, x, yy, xx, yx } = *self;
        [count, y[0], y[1], x[0], x[1], yy[0], yy[1], yy[2], xx[0], xx[1], xx[2], yx[0], yx[1], yx[2]]
    }

    fn of(word: impl Fn(usize) -> f64) -> Self {
        let three = |at: usize| [word(at), word(at + 1), word(at + 2)];
        Self { count: word(0), y: [word(1), word(2)], x: [word(3), word(4)], yy: three(5), xx: three(8), yx: three(11) }
    }

    /// count · Σab − Σa · Σb, to the last bit where it is small.
    fn difference(&self, products: [f64; 3], (a, b): ([f64; 2], [f64; 2])) -> f64 {
        if !a[0].is_finite() || !b[0].is_finite() || products[0].is_nan() {
            return f64::NAN;
        }
        if !products[0].is_finite() {
            return products[0];
        }
        let ((a, a_low), (b, b_low)) = (two_sum(a[0], a[1]), two_sum(b[0], b[1]));
        let (first, rest) = two_sum(products[0], products[1]);
        let (second, third) = two_sum(rest, products[2]);
        let mut difference = [0.0; 3];
        let all = [(self.count, first), (-a, b), (self.count, second), (-a, b_low), (-a_low, b), (self.count, third), (-a_low, b_low)];
        for (left, right) in all {
            add_words(&mut difference, product(left, right));
        }
        value(&difference)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Moment {
    Correlation,
    Covariance,
    CovarianceOfAll,
    Slope,
    Intercept,
    Determination,
    MeanX,
    MeanY,
    SquaresX,
    SquaresY,
    Products,
}

impl Moment {
    /// What a state means; none of too few pairs, and where a denominator is zero.
    fn answer(self, of: &Pairs) -> Option<f64> {
        let n = of.count;
        if n < 1.0 {
            return None;
        }
        let products = || of.difference(of.yx, (of.y, of.x));
        let squares_x = || of.difference(of.xx, (of.x, of.x)).max(0.0);
        let squares_y = || of.difference(of.yy, (of.y, of.y)).max(0.0);
        // A largest of nothing comparable would hide that there is none.
        let is_nan = [of.y[0], of.x[0]].iter().any(|sum| !sum.is_finite());
        let spread = |squares: f64| if is_nan { f64::NAN } else { squares };
        let (mean_y, mean_x) = (value(&of.y) / n, value(&of.x) / n);
        match self {
            Self::Covariance => (n > 1.0).then(|| products() / n / (n - 1.0)),
            Self::CovarianceOfAll => Some(products() / n / n),
            Self::MeanX => Some(mean_x),
            Self::MeanY => Some(mean_y),
            Self::SquaresX => Some(spread(squares_x()) / n),
            Self::SquaresY => Some(spread(squares_y()) / n),
            Self::Products => Some(products() / n),
            _ if n < 2.0 => None,
            Self::Slope | Self::Intercept => {
                let squares = spread(squares_x());
                let slope = products() / squares;
                (squares != 0.0).then(|| if self == Self::Slope { slope } else { mean_y - slope * mean_x })
            }
            Self::Correlation | Self::Determination => {
                let (x, y) = (spread(squares_x()), spread(squares_y()));
                let correlation = products() / x.sqrt() / y.sqrt();
                // Rounding may lead beyond the ends.
                let correlation = if correlation.is_nan() { correlation } else { correlation.clamp(-1.0, 1.0) };
                (x != 0.0 && y != 0.0).then(|| if self == Self::Correlation { correlation } else { correlation * correlation })
            }
        }
    }
}

/// One of DataFusion's aggregates, which is asked about names and types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfPairs {
    inner: Arc<AggregateUDF>,
    moment: Moment,
}

impl AggregateUDFImpl for OfPairs {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return self.inner.accumulator(args);
        }
        Ok(Box::new(One { state: Pairs::default(), moment: self.moment }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return self.inner.state_fields(args);
        }
        Ok(NAMES.iter().map(|word| Arc::new(Field::new(format_state_name(args.name, word), DataType::Float64, true))).collect())
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { states: Vec::new(), moment: self.moment }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The pairs in two columns, without those of which one is null.
fn each_pair(columns: &[ArrayRef], mut add: impl FnMut(usize, f64, f64)) -> Result<()> {
    let [y, x] = columns else { return internal_err!("an aggregate of pairs got {} columns", columns.len()) };
    let (y, x) = (cast(y, &DataType::Float64)?, cast(x, &DataType::Float64)?);
    let (y, x) = (y.as_primitive::<Float64Type>(), x.as_primitive::<Float64Type>());
    for row in (0..y.len()).filter(|row| y.is_valid(*row) && x.is_valid(*row)) {
        add(row, y.value(row), x.value(row));
    }
    Ok(())
}

/// The states in columns, with their rows.
fn each_state(columns: &[ArrayRef], mut merge: impl FnMut(usize, Pairs)) -> Result<()> {
    let words: Vec<&Float64Array> = columns.iter().filter_map(|column| column.as_primitive_opt::<Float64Type>()).collect();
    let Some(first) = words.first().filter(|_| words.len() == NAMES.len()) else {
        return internal_err!("an aggregate of pairs has {} columns of states, and got {}", NAMES.len(), words.len());
    };
    for row in (0..first.len()).filter(|row| first.is_valid(*row)) {
        merge(row, Pairs::of(|at| words[at].value(row)));
    }
    Ok(())
}

/// One group.
#[derive(Debug)]
struct One {
    state: Pairs,
    moment: Moment,
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each_pair(values, |_, y, x| self.state.add(y, x))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each_pair(values, |_, y, x| self.state.remove(y, x))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.moment.answer(&self.state)))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.state.words().iter().map(|word| ScalarValue::Float64(Some(*word))).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        each_state(states, |_, other| self.state.merge(&other))
    }
}

/// Many groups.
#[derive(Debug)]
struct Groups {
    states: Vec<Pairs>,
    moment: Moment,
}

impl Groups {
    fn grow(&mut self, groups: usize) {
        self.states.resize(groups.max(self.states.len()), Pairs::default());
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.grow(total);
        let states = &mut self.states;
        each_pair(values, |row, y, x| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                states[groups[row]].add(y, x);
            }
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = emit_to.take_needed(&mut self.states);
        Ok(Arc::new(states.iter().map(|state| self.moment.answer(state)).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states: Vec<_> = emit_to.take_needed(&mut self.states).iter().map(Pairs::words).collect();
        let column = |at: usize| Arc::new(Float64Array::from_iter_values(states.iter().map(|words| words[at]))) as ArrayRef;
        Ok((0..NAMES.len()).map(column).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        let into = &mut self.states;
        each_state(states, |row, other| into[groups[row]].merge(&other))
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let each: Vec<usize> = (0..rows).collect();
        let mut alone = Self { states: Vec::new(), moment: self.moment };
        alone.update_batch(values, &each, filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<Pairs>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Pairs};

    const ALL: [Moment; 11] = [
        Moment::Correlation,
        Moment::Covariance,
        Moment::CovarianceOfAll,
        Moment::Slope,
        Moment::Intercept,
        Moment::Determination,
        Moment::MeanX,
        Moment::MeanY,
        Moment::SquaresX,
        Moment::SquaresY,
        Moment::Products,
    ];

    fn of(pairs: &[(f64, f64)]) -> Pairs {
        let mut state = Pairs::default();
        pairs.iter().for_each(|(y, x)| state.add(*y, *x));
        state
    }

    #[test]
    fn no_order_and_no_parting_changes_a_digit() {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0) * 10_f64.powi((seed >> 60) as i32 - 8)
        };
        let pairs: Vec<(f64, f64)> = (0..500).map(|_| (next(), next())).collect();
        let bits = |pairs: &[(f64, f64)], parts: usize| {
            let mut all = Pairs::default();
            pairs.chunks(pairs.len().div_ceil(parts)).rev().for_each(|part| all.merge(&of(part)));
            ALL.map(|moment| moment.answer(&all).map(f64::to_bits))
        };
        let expect = bits(&pairs, 1);
        let mut sorted = pairs.clone();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        for order in [&pairs, &sorted] {
            for parts in [1, 2, 7, 100, 500] {
                assert_eq!(bits(order, parts), expect, "{parts} parts");
            }
        }
    }

    #[test]
    fn answers_are_those_of_the_formulas() {
        let line = of(&[(3.0, 1.0), (5.0, 2.0), (7.0, 3.0)]);
        let expect = [1.0, 2.0, 4.0 / 3.0, 2.0, 1.0, 1.0, 2.0, 5.0, 2.0, 8.0, 4.0];
        for (moment, wanted) in ALL.into_iter().zip(expect) {
            assert_eq!(moment.answer(&line), Some(wanted), "{moment:?}");
        }
        let far = of(&[(1e9 + 3.0, 1e9 + 1.0), (1e9 + 5.0, 1e9 + 2.0), (1e9 + 7.0, 1e9 + 3.0)]);
        assert_eq!(Moment::Slope.answer(&far), Some(2.0), "what cancels does not spoil it");
        assert!(ALL.iter().all(|moment| moment.answer(&of(&[])).is_none()));
        let one = of(&[(4.0, 2.0)]);
        assert_eq!([Moment::Correlation, Moment::Covariance, Moment::Slope].map(|moment| moment.answer(&one)), [None; 3]);
        assert_eq!(Moment::CovarianceOfAll.answer(&one), Some(0.0));
        assert_eq!(Moment::Correlation.answer(&of(&[(1.0, 2.0), (5.0, 2.0)])), None, "one of them does not vary");
        assert!(Moment::Covariance.answer(&of(&[(1.0, f64::NAN), (5.0, 2.0)])).is_some_and(f64::is_nan));
        let mut window = of(&[(1.0, 5.0), (3.0, 1.0), (5.0, 2.0), (7.0, 3.0)]);
        window.remove(1.0, 5.0);
        assert_eq!(Moment::Slope.answer(&window), Some(2.0));
    }
}
