//! Numbers about the elements, by the engine's own aggregates: mean, stats, histogram, and lists of aggregates.

use super::{Answer, Builder, HIDDEN, OperationAt};
use crate::failure_of;
use crate::node::{Histogram, Total, external};
use crate::plan::sql::checked_sum;
use crate::udf::moments;
use azora_connect::element::{self, Element};
use azora_expression::{End, Step};
use azora_spec::{Buckets, Failure, Function, NamedAggregate};
use datafusion::arrow::array::{AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field};
use datafusion::common::{Result as PlanResult, ScalarValue, internal_err};
use datafusion::functions_aggregate::expr_fn::{bit_xor, count, count_distinct, max, min, sum};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast, lit, when};
use std::hash::Hash;
use std::sync::Arc;

impl Builder<'_> {
    pub(super) fn mean(&mut self, step: &OperationAt<'_>) -> Result<Answer, Failure> {
        let number = self.number(step)?;
        self.rows
            .build(Element::Scalar, |plan| plan.aggregate(Vec::<Expr>::new(), [moments::avg().call(vec![number]).alias(element::VALUE)]))?;
        Ok(Answer::single())
    }

    pub(super) fn stats(&mut self, step: &OperationAt<'_>) -> Result<Answer, Failure> {
        let number = self.number(step)?;
        let aggregates = [
            count(number.clone()).alias("count"),
            checked_sum().call(vec![number.clone()]).alias("sum"),
            moments::avg().call(vec![number.clone()]).alias("mean"),
            min(number.clone()).alias("min"),
            max(number.clone()).alias("max"),
            moments::variance_of_all().call(vec![number.clone()]).alias("variance"),
            moments::deviation_of_all().call(vec![number]).alias("stdev"),
        ];
        self.rows.build(Element::Object, |plan| plan.aggregate(Vec::<Expr>::new(), aggregates))?;
        let names = self.rows.names();
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = self.rows.column(&name)?;
            columns.push(if name == "sum" { or(column, lit(0_f64))?.alias(name) } else { column });
        }
        self.rows.build(Element::Object, |plan| plan.project(columns))?;
        Ok(Answer::single())
    }

    pub(super) fn histogram(&mut self, step: &OperationAt<'_>, buckets: &Buckets) -> Result<Answer, Failure> {
        let number = self.number(step)?;
        self.rows.build(Element::Scalar, |plan| plan.project([number.alias(element::VALUE)]))?;
        let list = |data_type| DataType::List(Arc::new(Field::new("item", data_type, false)));
        let parts = [Field::new("_1", list(DataType::Float64), false), Field::new("_2", list(DataType::Int64), false)];
        let histogram = Histogram { buckets: buckets.clone(), pointer: step.pointer.clone() };
        self.rows.replace(histogram, element::tuple(&parts))?;
        Ok(Answer::single())
    }

    /// `aggregate` with a list: over scalars, or over the values of pairs.
    pub(super) fn aggregates(&mut self, step: &OperationAt<'_>, list: &[NamedAggregate]) -> Result<Answer, Failure> {
        let conditions: Vec<(usize, &Function)> = list
            .iter()
            .enumerate()
            .filter_map(|(at, aggregate)| if let NamedAggregate::CountIf(function) = aggregate { Some((at, function)) } else { None })
            .collect();
        let (value, flags) = match conditions.as_slice() {
            [(at, Function::Lambda(text))] if !self.chain.is_empty() => self.fused_condition(step, *at, text)?,
            _ => {
                self.flush()?;
                let value = self.value_column();
                let mut flags = Vec::new();
                for (at, function) in conditions {
                    let field = format!("aggregates/{at}/countIf");
                    let computed = self.computed(step, function, &field, &format!("{HIDDEN}if{at}x"))?;
                    flags.push((at, computed));
                }
                (value, flags)
            }
        };
        let mut aggregates = Vec::with_capacity(list.len());
        for (at, aggregate) in list.iter().enumerate() {
            let pointer = format!("{}/aggregates/{at}", step.pointer);
            let flag = flags.iter().find(|(of, _)| *of == at).map(|(_, columns)| columns.as_slice());
            aggregates.push(self.aggregate(step, aggregate, value.as_deref(), flag, &pointer)?);
        }
        let partials: Vec<Expr> = aggregates.iter().enumerate().flat_map(|(at, aggregate)| aggregate.partials(at)).collect();
        self.rows.build(Element::Tuple, |plan| plan.aggregate(Vec::<Expr>::new(), partials))?;
        let mut results = Vec::with_capacity(aggregates.len());
        for (at, aggregate) in aggregates.iter().enumerate() {
            let partial = |n: usize| self.rows.column(&partial_name(at, n));
            results.push(aggregate.result(partial)?.alias(element::part(at)));
        }
        self.rows.build(Element::Tuple, |plan| plan.project(results))?;
        Ok(Answer::single())
    }

    /// One condition joins the kernel that waits: it makes `[condition, value]` in one go.
    fn fused_condition(&mut self, step: &OperationAt<'_>, at: usize, text: &str) -> Result<(Option<String>, Flags), Failure> {
        self.chain.push_step(Step::KeyBy, text, &step.pointer, &format!("aggregates/{at}/countIf"));
        self.end(End::Rows, crate::node::Meeting::Apart)?;
        Ok((Some(element::part(1)), vec![(at, vec![element::part(0)])]))
    }

    /// The column that aggregates are about, where there is one.
    fn value_column(&self) -> Option<String> {
        match (Element::of(&self.rows.schema), self.rows.schema.fields().len()) {
            (Element::Scalar, _) => Some(element::VALUE.to_owned()),
            (Element::Tuple, 2) => Some(element::part(1)),
            _ => None,
        }
    }

    fn aggregate(
        &self,
        step: &OperationAt<'_>,
        aggregate: &NamedAggregate,
        value: Option<&str>,
        flag: Option<&[String]>,
        pointer: &str,
    ) -> Result<Aggregate, Failure> {
        match aggregate {
            NamedAggregate::Count => return Ok(Aggregate::Plain(count(lit(1)))),
            NamedAggregate::CountIf(_) => {
                return match flag {
                    Some([column]) => Ok(Aggregate::Plain(count(when(self.truthy(column)?, lit(1)).end().map_err(failure_of)?))),
                    // A list of parts is an object, and every object is truthy.
                    _ => Ok(Aggregate::Plain(count(lit(1)))),
                };
            }
            _ => {}
        }
        let wrong = |wanted: &str| {
            let what = self.described();
            step.invalid(format!("'{}' works on {wanted}, and elements are {what} here", aggregate_name(aggregate))).at(pointer)
        };
        let Some(name) = value else { return Err(wrong("scalars and pairs")) };
        let column = self.rows.column(name)?;
        let field = self.rows.plan.schema().as_arrow().field_with_name(name).map_err(|error| failure_of(error.into()))?.clone();
        let is_null = field.data_type() == &DataType::Null;
        let is_number = field.data_type().is_numeric() || is_null;
        Ok(match aggregate {
            NamedAggregate::Sum if is_number => Aggregate::Sum(ExactSum::new(column, field.data_type(), pointer)),
            NamedAggregate::Mean if is_number => Aggregate::Plain(moments::avg().call(vec![cast(column, DataType::Float64)])),
            NamedAggregate::Sum | NamedAggregate::Mean => return Err(wrong("numbers")),
            NamedAggregate::Min if !field.data_type().is_nested() => Aggregate::Plain(min(column)),
            NamedAggregate::Max if !field.data_type().is_nested() => Aggregate::Plain(max(column)),
            NamedAggregate::Min | NamedAggregate::Max => return Err(wrong("numbers, strings and dates")),
            NamedAggregate::BitXor if field.data_type().is_integer() || is_null => Aggregate::Xor(bit_xor(cast(column, DataType::Int64))),
            NamedAggregate::BitXor => return Err(wrong("integers")),
            NamedAggregate::CountDistinct => {
                let nulls = count(when(column.clone().is_null(), lit(1)).end().map_err(failure_of)?);
                Aggregate::Distinct { values: count_distinct(column), nulls }
            }
            NamedAggregate::Count | NamedAggregate::CountIf(_) => Aggregate::Plain(count(lit(1))),
        })
    }

    /// A condition that is true where JavaScript takes the column for true.
    fn truthy(&self, name: &str) -> Result<Expr, Failure> {
        let column = self.rows.column(name)?;
        let field = self.rows.plan.schema().as_arrow().field_with_name(name).map_err(|error| failure_of(error.into()))?.clone();
        Ok(match field.data_type() {
            DataType::Boolean => column,
            DataType::Null => lit(false),
            DataType::Utf8 => column.not_eq(lit("")),
            DataType::Float64 => {
                let number = ScalarValue::Float64(Some(f64::NAN));
                // DataFusion's NaN equals itself, and -0 does not equal 0.
                column.clone().not_eq(lit(number)).and(column.clone().not_eq(lit(0_f64))).and(column.not_eq(lit(-0_f64)))
            }
            data_type if data_type.is_integer() => column.not_eq(lit(0_i64)),
            _ => column.is_not_null(),
        })
    }

    /// The one column of numbers, as Float64.
    fn number(&self, step: &OperationAt<'_>) -> Result<Expr, Failure> {
        match self.rows.schema.fields().first().map(|field| field.data_type()) {
            Some(data_type)
                if Element::of(&self.rows.schema) == Element::Scalar && (data_type.is_numeric() || data_type == &DataType::Null) =>
            {
                Ok(cast(self.rows.column(element::VALUE)?, DataType::Float64))
            }
            _ => {
                let what = self.described();
                Err(step.invalid(format!("'{}' works on numbers, and elements are {what} here", step.operation.name())))
            }
        }
    }
}

/// For each aggregate that has a condition, the columns that its lambda made.
type Flags = Vec<(usize, Vec<String>)>;

fn aggregate_name(aggregate: &NamedAggregate) -> &'static str {
    match aggregate {
        NamedAggregate::Count => "count",
        NamedAggregate::Sum => "sum",
        NamedAggregate::Mean => "mean",
        NamedAggregate::Min => "min",
        NamedAggregate::Max => "max",
        NamedAggregate::CountDistinct => "countDistinct",
        NamedAggregate::BitXor => "bitXor",
        NamedAggregate::CountIf(_) => "countIf",
    }
}

/// An expression, or another where it is null.
fn or(value: Expr, other: Expr) -> Result<Expr, Failure> {
    when(value.clone().is_null(), other).otherwise(value).map_err(failure_of)
}

/// One entry of a list of aggregates: what is aggregated, and what is answered from it.
enum Aggregate {
    Plain(Expr),
    Sum(ExactSum),
    Xor(Expr),
    Distinct { values: Expr, nulls: Expr },
}

fn partial_name(at: usize, n: usize) -> String {
    format!("{HIDDEN}partial{at}x{n}")
}

impl Aggregate {
    fn partials(&self, at: usize) -> Vec<Expr> {
        let named = |(n, partial): (usize, Expr)| partial.alias(partial_name(at, n));
        let partials = match self {
            Self::Plain(partial) | Self::Xor(partial) => vec![partial.clone()],
            Self::Sum(sum) => vec![sum.aggregate()],
            Self::Distinct { values, nulls } => vec![values.clone(), nulls.clone()],
        };
        partials.into_iter().enumerate().map(named).collect()
    }

    fn result(&self, partial: impl Fn(usize) -> Result<Expr, Failure>) -> Result<Expr, Failure> {
        match self {
            Self::Plain(_) => partial(0),
            Self::Xor(_) => or(partial(0)?, lit(0_i64)),
            Self::Sum(sum) => or(sum.result(partial(0)?), sum.zero()),
            // null is an element as any other.
            Self::Distinct { .. } => {
                Ok(partial(0)? + when(partial(1)?.gt(lit(0_i64)), lit(1_i64)).otherwise(lit(0_i64)).map_err(failure_of)?)
            }
        }
    }
}

/// A sum that does not wrap: integers are added as decimals of 29 digits, and the total must be an Int64 again.
pub(super) struct ExactSum {
    column: Expr,
    is_integer: bool,
    pointer: String,
}

impl ExactSum {
    pub(super) fn new(column: Expr, data_type: &DataType, pointer: &str) -> Self {
        Self { column, is_integer: data_type.is_integer() || data_type == &DataType::Null, pointer: pointer.to_owned() }
    }

    pub(super) fn aggregate(&self) -> Expr {
        match self.is_integer {
            true => sum(cast(self.column.clone(), DataType::Decimal128(20, 0))),
            false => checked_sum().call(vec![cast(self.column.clone(), DataType::Float64)]),
        }
    }

    /// The answer from what [`Self::aggregate`] gave.
    pub(super) fn result(&self, total: Expr) -> Expr {
        if self.is_integer { ScalarUDF::from(Narrow::new(&self.pointer)).call(vec![total]) } else { total }
    }

    fn zero(&self) -> Expr {
        if self.is_integer { lit(0_i64) } else { lit(0_f64) }
    }
}

/// Decimals to Int64, or the failure of leaving its range.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Narrow {
    signature: Signature,
    pointer: String,
}

impl Narrow {
    fn new(pointer: &str) -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable), pointer: pointer.to_owned() }
    }
}

impl ScalarUDFImpl for Narrow {
    fn name(&self) -> &str {
        "azora_narrow"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(totals) = arrays.first().and_then(|array| array.as_primitive_opt::<Decimal128Type>()) else {
            return internal_err!("a total of integers is a decimal");
        };
        let mut narrow = Int64Array::builder(totals.len());
        for total in totals {
            narrow.append_option(total.map(|total| Total::narrow(total, &self.pointer)).transpose().map_err(external)?);
        }
        Ok(ColumnarValue::Array(Arc::new(narrow.finish())))
    }
}
