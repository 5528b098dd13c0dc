//! `sum` of integers that fails where it leaves their range: DataFusion's wraps. Sums of fractions are `udf::moments`', those
//! of other types DataFusion's.
//!
//! Groups are summed in 128 bits, which no number of 64-bit rows can leave, and looked at when they are answered.

use super::checked::overflow;
use crate::udf::distinct::Distinct;
use crate::udf::moments::{self, Counted, Sum};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use std::sync::Arc;

const STATE: DataType = DataType::Decimal128(38, 0);

/// The aggregate, by the name `sum`.
pub(in crate::plan) fn checked_sum() -> AggregateUDF {
    AggregateUDF::new_from_impl(CheckedSum { inner: sum_udaf(), signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

fn is_whole(of: &DataType) -> bool {
    matches!(of, DataType::Int64 | DataType::UInt64)
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        moments::coerced(&self.inner, types, DataType::Int64)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let of = args.return_field.data_type().clone();
        let is_fraction = moments::is_of_fractions(args.expr_fields, false);
        match args.is_distinct {
            false if is_whole(&of) => Ok(Box::new(One { of, sum: 0, count: 0 })),
            false if is_fraction => Ok(Box::new(moments::One::<Sum>::new(moments::total))),
            true if is_whole(&of) => Ok(Box::new(Distinct::new(self.inner.accumulator(args)?, move |values| distinct_whole(values, &of)))),
            true if is_fraction => Ok(Box::new(moments::distinct(self.inner.accumulator(args)?, moments::total))),
            _ => self.inner.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match args.is_distinct {
            false if is_whole(args.return_field.data_type()) => self.accumulator(args),
            // A window that has lost all of its values has to know.
            false if moments::is_of_fractions(args.expr_fields, false) => {
                Ok(Box::new(moments::One::<Counted>::new(moments::total_of_counted)))
            }
            _ => self.inner.create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if is_whole(args.return_field.data_type()) && !args.is_distinct {
            let count = Field::new(format_state_name(args.name, "count"), DataType::Int64, false);
            return Ok(vec![Field::new(format_state_name(args.name, "sum"), STATE, true).into(), count.into()]);
        }
        if moments::is_of_fractions(args.input_fields, args.is_distinct) {
            return Ok(moments::state_fields::<Sum>(args.name));
        }
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        (is_whole(args.return_field.data_type()) && !args.is_distinct)
            || moments::is_of_fractions(args.expr_fields, args.is_distinct)
            || self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        if is_whole(args.return_field.data_type()) && !args.is_distinct {
            return Ok(Box::new(Groups { of: args.return_field.data_type().clone(), sums: Vec::new(), counts: Vec::new() }));
        }
        if moments::is_of_fractions(args.expr_fields, args.is_distinct) {
            return Ok(Box::new(moments::Groups::<Sum>::new(moments::total)));
        }
        self.inner.create_groups_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
        datafusion::logical_expr::utils::AggregateOrderSensitivity::Insensitive
    }
}

/// Rows of an integer column, each with whether it counts.
fn each(values: &ArrayRef, mut add: impl FnMut(usize, i128)) -> Result<()> {
    fn walk<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, mut add: impl FnMut(usize, i128))
    where
        T::Native: Into<i128>,
    {
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => array.values().iter().enumerate().for_each(|(row, value)| add(row, (*value).into())),
            Some(nulls) => nulls.valid_indices().for_each(|row| add(row, array.value(row).into())),
        }
    }
    match values.data_type() {
        DataType::Int64 => walk(values.as_primitive::<Int64Type>(), add),
        DataType::UInt64 => walk(values.as_primitive::<UInt64Type>(), add),
        DataType::Decimal128(..) => walk(values.as_primitive::<Decimal128Type>(), add),
        DataType::Null => {}
        other if other.is_signed_integer() => walk(cast(values, &DataType::Int64)?.as_primitive::<Int64Type>(), &mut add),
        other if other.is_unsigned_integer() => walk(cast(values, &DataType::UInt64)?.as_primitive::<UInt64Type>(), &mut add),
        other => return internal_err!("a sum of integers got {other}"),
    }
    Ok(())
}

fn out_of_range() -> DataFusionError {
    overflow(ArrowError::ArithmeticOverflow("a sum".to_owned()).into())
}

/// A sum within the range of its type.
fn within(sum: i128, of: &DataType) -> Result<ScalarValue> {
    match of {
        DataType::UInt64 => u64::try_from(sum).map(|sum| ScalarValue::UInt64(Some(sum))).map_err(|_| out_of_range()),
        _ => i64::try_from(sum).map(|sum| ScalarValue::Int64(Some(sum))).map_err(|_| out_of_range()),
    }
}

/// Distinct integers, which DataFusion would add with wrapping.
fn distinct_whole(values: &ArrayRef, of: &DataType) -> Result<ScalarValue> {
    if values.len() == values.null_count() {
        return ScalarValue::try_from(of);
    }
    let mut sum = 0;
    each(values, |_, value| sum += value)?;
    within(sum, of)
}

/// One group.
#[derive(Debug)]
struct One {
    of: DataType,
    sum: i128,
    count: i64,
}

impl One {
    fn add(&mut self, values: &ArrayRef, sign: i128) -> Result<()> {
        let (sum, count) = (&mut self.sum, &mut self.count);
        each(values, |_, value| *sum += sign * value)?;
        let rows = i64::try_from(values.len() - values.null_count()).unwrap_or(i64::MAX);
        *count += if sign < 0 { -rows } else { rows };
        Ok(())
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |values| self.add(values, 1))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |values| self.add(values, -1))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&self.of);
        }
        within(self.sum, &self.of)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128(Some(self.sum), 38, 0), ScalarValue::Int64(Some(self.count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [sums, counts] = states else { return internal_err!("a sum has two states") };
        let (sum, count) = (&mut self.sum, &mut self.count);
        each(sums, |_, value| *sum += value)?;
        each(counts, |_, value| *count = count.saturating_add(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

/// Many groups.
#[derive(Debug)]
struct Groups {
    of: DataType,
    sums: Vec<i128>,
    /// Values in each group: a sum of none is null.
    counts: Vec<i64>,
}

impl Groups {
    fn grow(&mut self, groups: usize) {
        self.sums.resize(groups.max(self.sums.len()), 0);
        self.counts.resize(groups.max(self.counts.len()), 0);
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.grow(total);
        let Some(values) = values.first() else { return Ok(()) };
        let (sums, counts) = (&mut self.sums, &mut self.counts);
        each(values, |row, value| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                sums[groups[row]] += value;
                counts[groups[row]] += 1;
            }
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, counts) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts));
        let values = sums.into_iter().zip(counts).map(|(sum, count)| (count > 0).then_some(sum));
        Ok(match self.of {
            DataType::UInt64 => {
                let exact = values.map(|sum| sum.map(|sum| u64::try_from(sum).map_err(|_| out_of_range())).transpose());
                Arc::new(UInt64Array::from_iter(exact.collect::<Result<Vec<_>>>()?))
            }
            _ => {
                let exact = values.map(|sum| sum.map(|sum| i64::try_from(sum).map_err(|_| out_of_range())).transpose());
                Arc::new(Int64Array::from_iter(exact.collect::<Result<Vec<_>>>()?))
            }
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts));
        let sums = Decimal128Array::from(sums).with_precision_and_scale(38, 0)?;
        Ok(vec![Arc::new(sums), Arc::new(Int64Array::from(counts))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        let [sums, counts] = states else { return internal_err!("a sum has two states") };
        let (into, times) = (&mut self.sums, &mut self.counts);
        each(sums, |row, value| into[groups[row]] += value)?;
        each(counts, |row, value| times[groups[row]] += i64::try_from(value).unwrap_or_default())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |values| values.len());
        let mut alone = Self { of: self.of.clone(), sums: Vec::new(), counts: Vec::new() };
        let groups: Vec<usize> = (0..rows).collect();
        alone.update_batch(values, &groups, filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<i64>()
    }
}
