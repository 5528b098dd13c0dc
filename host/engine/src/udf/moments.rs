//! Sums, means and spreads of fractions that do not depend on the order in which partitions meet: two runs of a job, or a
//! run and its repetition after a crash, answer the same digits. DataFusion's add partial answers in the order in which
//! they happen to come.
//!
//! What is added is kept in several words (`wide`), so that what rounding takes away lies a hundred bits below the sum.
//! What DataFusion does with rows and groups is in `accumulate`. Other types than fractions are DataFusion's own.

mod accumulate;
mod pairs;
mod wide;

pub(crate) use accumulate::{Groups, One, distinct};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::stddev::{stddev_pop_udaf, stddev_udaf};
use datafusion::functions_aggregate::variance::{var_pop_udaf, var_samp_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility};
pub(crate) use pairs::of_pairs;
use std::sync::Arc;
pub(crate) use wide::{Counted, Sum, Words, total, total_of_counted};
use wide::{Spread, mean, spread};

/// The mean, by the name `avg`.
pub(crate) fn avg() -> AggregateUDF {
    steady(avg_udaf(), Moment::Mean)
}

/// The sample's variance, by the name `var`.
pub(crate) fn variance() -> AggregateUDF {
    steady(var_samp_udaf(), Moment::Variance)
}

/// The population's variance, by the name `var_pop`.
pub(crate) fn variance_of_all() -> AggregateUDF {
    steady(var_pop_udaf(), Moment::VarianceOfAll)
}

/// The sample's standard deviation, by the name `stddev`.
pub(crate) fn deviation() -> AggregateUDF {
    steady(stddev_udaf(), Moment::Deviation)
}

/// The population's standard deviation, by the name `stddev_pop`.
pub(crate) fn deviation_of_all() -> AggregateUDF {
    steady(stddev_pop_udaf(), Moment::DeviationOfAll)
}

fn steady(inner: Arc<AggregateUDF>, moment: Moment) -> AggregateUDF {
    AggregateUDF::new_from_impl(Steady { inner, moment, signature: Signature::user_defined(Volatility::Immutable) })
}

/// The types that an aggregate of DataFusion's takes in place of others. A column of nothing but null has no type, and is
/// as good as numbers.
pub(crate) fn coerced(inner: &AggregateUDF, types: &[DataType], number: DataType) -> Result<Vec<DataType>> {
    if types == [DataType::Null] {
        return Ok(vec![number]);
    }
    let fields: Vec<FieldRef> = types.iter().map(|of| Arc::new(Field::new("", of.clone(), true))).collect();
    Ok(fields_with_udf(&fields, inner)?.iter().map(|field| field.data_type().clone()).collect())
}

/// Whether the sum, mean or spread is of fractions, and of all of them.
pub(crate) fn is_of_fractions(inputs: &[FieldRef], is_distinct: bool) -> bool {
    !is_distinct && is_fraction(inputs)
}

fn is_fraction(inputs: &[FieldRef]) -> bool {
    matches!(inputs, [input] if input.data_type() == &DataType::Float64)
}

/// The columns of a state.
pub(crate) fn state_fields<W: Words>(name: &str) -> Vec<FieldRef> {
    W::NAMES.iter().map(|word| Arc::new(Field::new(format_state_name(name, word), DataType::Float64, true))).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Moment {
    Mean,
    Variance,
    VarianceOfAll,
    Deviation,
    DeviationOfAll,
}

impl Moment {
    /// What a state of a spread means.
    const fn of_spread(self) -> fn(&Spread) -> Option<f64> {
        match self {
            Self::Variance | Self::Mean => |words| spread(words, true),
            Self::VarianceOfAll => |words| spread(words, false),
            Self::Deviation => |words| spread(words, true).map(f64::sqrt),
            Self::DeviationOfAll => |words| spread(words, false).map(f64::sqrt),
        }
    }
}

/// One of DataFusion's aggregates, which is asked about names and types, and about other types than fractions.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Steady {
    inner: Arc<AggregateUDF>,
    moment: Moment,
    signature: Signature,
}

impl AggregateUDFImpl for Steady {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerced(&self.inner, types, DataType::Float64)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if !is_fraction(args.expr_fields) {
            return self.inner.accumulator(args);
        }
        match (self.moment, args.is_distinct) {
            (Moment::Mean, true) => Ok(Box::new(distinct(self.inner.accumulator(args)?, mean))),
            (moment, true) => Ok(Box::new(distinct(self.inner.accumulator(args)?, moment.of_spread()))),
            (Moment::Mean, false) => Ok(Box::new(One::<Counted>::new(mean))),
            (moment, false) => Ok(Box::new(One::<Spread>::new(moment.of_spread()))),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        match self.moment {
            _ if !is_of_fractions(args.input_fields, args.is_distinct) => self.inner.state_fields(args),
            Moment::Mean => Ok(state_fields::<Counted>(args.name)),
            _ => Ok(state_fields::<Spread>(args.name)),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        is_of_fractions(args.expr_fields, args.is_distinct) || self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match self.moment {
            _ if !is_of_fractions(args.expr_fields, args.is_distinct) => self.inner.create_groups_accumulator(args),
            Moment::Mean => Ok(Box::new(Groups::<Counted>::new(mean))),
            moment => Ok(Box::new(Groups::<Spread>::new(moment.of_spread()))),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
