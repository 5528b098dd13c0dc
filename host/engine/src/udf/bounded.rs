//! Functions whose answer is as large as an argument says (`repeat`, `lpad`, `range`, …), with a bound: DataFusion allocates
//! without asking anybody, and a number with ten digits would take the machine's memory. What they compute stays DataFusion's.

use crate::node::external;
use azora_spec::limits::{CONSTANT_BYTES_MAX, LIST_BYTES_MAX, VALUES_BYTES_MAX};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

/// Bytes of the longest character.
const CHARACTER_BYTES: i128 = 4;
/// Bytes of a number or a time in a list.
const NUMBER_BYTES: i128 = 8;
const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// The function with a bound, where its answer can be larger than its arguments by more than a factor in the text.
pub(crate) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let measure = match function.name() {
        "repeat" => Measure::Repeated,
        "lpad" | "rpad" => Measure::Padded,
        "range" | "generate_series" => Measure::Series,
        "array_repeat" => Measure::Copies,
        "array_resize" => Measure::Resized,
        _ => return function,
    };
    Arc::new(ScalarUDF::new_from_impl(Bounded { function, measure }))
}

/// Refuses large constant lists that stand beside many rows, each of which would get a copy.
pub(crate) fn check_constants(plan: &LogicalPlan) -> std::result::Result<(), Failure> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        let is_of_many = node.inputs().iter().any(|input| input.max_rows().is_none_or(|rows| rows > 1));
        if is_of_many {
            node.apply_expressions(|expr| {
                expr.apply(|part| {
                    if let Expr::Literal(value, _) = part
                        && matches!(value, ScalarValue::List(_) | ScalarValue::LargeList(_) | ScalarValue::FixedSizeList(_))
                        && value.size() > LIST_BYTES_MAX
                    {
                        found = Some(value.size());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })?;
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(crate::failure_of)?;
    match found {
        None => Ok(()),
        Some(bytes) => Err(Failure::new(
            Code::DataInvalid,
            format!("a constant list of {bytes} bytes stands beside many rows, and at most {LIST_BYTES_MAX} may"),
        )
        .hint("make rows of it, FROM generate_series(1, n) or unnest(list), and join with them")),
    }
}

/// How large an answer will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Measure {
    /// A text so many times.
    Repeated,
    /// A text of so many characters.
    Padded,
    /// From, to and by.
    Series,
    /// A value so many times.
    Copies,
    /// A list of so many.
    Resized,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    measure: Measure,
}

/// An argument: one value for each row, or one for all.
struct Argument {
    values: ArrayRef,
    is_constant: bool,
}

impl Argument {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(values) => Self { values: Arc::clone(values), is_constant: false },
            ColumnarValue::Scalar(value) => Self { values: value.to_array()?, is_constant: true },
        })
    }

    fn at(&self, row: usize) -> usize {
        if self.is_constant { 0 } else { row }
    }

    /// Its integers; days, nanoseconds and lengths of time count in nanoseconds.
    fn integers(&self) -> Option<Integers> {
        let nanoseconds = |values: &ArrayRef| {
            let at = cast(values, &DataType::Timestamp(TimeUnit::Nanosecond, None)).ok()?;
            cast(&at, &DataType::Int64).ok()
        };
        let values = match self.values.data_type() {
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let values = self.values.as_primitive::<IntervalMonthDayNanoType>();
                let length = |value| {
                    let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(value);
                    // A month has 28 days at least.
                    let all = (i128::from(months) * 28 + i128::from(days)) * DAY_NANOSECONDS + i128::from(nanoseconds);
                    i64::try_from(all).unwrap_or(i64::MAX)
                };
                Arc::new(values.unary::<_, Int64Type>(length)) as ArrayRef
            }
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => nanoseconds(&self.values)?,
            of if of.is_integer() => cast(&self.values, &DataType::Int64).ok()?,
            _ => return None,
        };
        Some(Integers { values: values.as_primitive::<Int64Type>().clone(), is_constant: self.is_constant })
    }

    /// Bytes of one row's value.
    fn bytes(&self, row: usize) -> i128 {
        fn wide(bytes: usize) -> i128 {
            i128::try_from(bytes).unwrap_or(i128::MAX)
        }
        let at = self.at(row);
        match self.values.data_type() {
            DataType::Utf8 => wide(self.values.as_string::<i32>().value(at).len()),
            DataType::LargeUtf8 => wide(self.values.as_string::<i64>().value(at).len()),
            DataType::Utf8View => wide(self.values.as_string_view().value(at).len()),
            // About: a value of its array.
            _ => wide(self.values.get_array_memory_size() / self.values.len().max(1)),
        }
    }
}

struct Integers {
    values: Int64Array,
    is_constant: bool,
}

impl Integers {
    fn at(&self, row: usize) -> Option<i128> {
        let at = if self.is_constant { 0 } else { row };
        self.values.is_valid(at).then(|| i128::from(self.values.value(at)))
    }
}

impl Measure {
    /// Bytes of all answers; none where that cannot be told, for arguments that the function will refuse.
    fn bytes(self, arguments: &[Argument], rows: usize) -> Option<i128> {
        let integers = |at: usize| arguments.get(at).and_then(Argument::integers);
        let first = arguments.first()?;
        let one: Box<dyn Fn(usize) -> Option<i128> + '_> = match self {
            Self::Repeated => {
                let times = integers(1)?;
                Box::new(move |row| Some(times.at(row)?.max(0).saturating_mul(first.bytes(row))))
            }
            Self::Padded => {
                let characters = integers(1)?;
                Box::new(move |row| Some(characters.at(row)?.max(0).saturating_mul(CHARACTER_BYTES)))
            }
            Self::Copies => {
                let times = integers(1)?;
                Box::new(move |row| Some(times.at(row)?.max(0).saturating_mul(first.bytes(row).max(NUMBER_BYTES))))
            }
            Self::Resized => {
                let items = integers(1)?;
                let value = arguments.get(2);
                Box::new(move |row| Some(items.at(row)?.max(0).saturating_mul(value.map_or(0, |value| value.bytes(row)).max(NUMBER_BYTES))))
            }
            Self::Series => {
                let (from, to, by) = match arguments {
                    [_] => (None, integers(0)?, None),
                    [_, _] => (integers(0), integers(1)?, None),
                    _ => (integers(0), integers(1)?, integers(2)),
                };
                let one_step = if first.values.data_type().is_integer() { 1 } else { DAY_NANOSECONDS };
                Box::new(move |row| {
                    let from = from.as_ref().map_or(Some(0), |from| from.at(row))?;
                    let by = by.as_ref().map_or(Some(one_step), |by| by.at(row))?;
                    let steps = to.at(row)?.saturating_sub(from).checked_div(by)?;
                    Some(steps.max(0).saturating_add(1).saturating_mul(NUMBER_BYTES))
                })
            }
        };
        Some((0..rows).filter_map(one).fold(0, i128::saturating_add))
    }
}

impl Bounded {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let arguments = args.args.iter().map(Argument::of).collect::<Result<Vec<_>>>()?;
        // A constant is repeated for every row that it stands beside.
        let is_constant = arguments.iter().all(|argument| argument.is_constant);
        let (rows, bytes_max) = if is_constant { (1, CONSTANT_BYTES_MAX) } else { (args.number_rows, VALUES_BYTES_MAX) };
        let bytes = self.measure.bytes(&arguments, rows).unwrap_or_default();
        if bytes <= i128::try_from(bytes_max).unwrap_or(i128::MAX) {
            return Ok(());
        }
        let what = if is_constant { "one value" } else { "the values of one batch" };
        let message = format!("{what} of {}() would take {bytes} bytes, more than {bytes_max}", self.function.name());
        Err(external(Failure::new(Code::DataInvalid, message).hint("ask for less; rows by number come from FROM generate_series(1, n)")))
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.function.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.simplify(args, context)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

#[cfg(test)]
mod tests {
    use super::{Argument, Measure, NUMBER_BYTES, ScalarValue};
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::arrow::datatypes::IntervalMonthDayNano;
    use datafusion::logical_expr::ColumnarValue;
    use std::sync::Arc;

    #[test]
    fn answers_are_measured_before_they_are_made() {
        let column = |values: ArrayRef| ColumnarValue::Array(values);
        let numbers = |values: Vec<Option<i64>>| column(Arc::new(Int64Array::from(values)));
        let number = |value: i64| ColumnarValue::Scalar(ScalarValue::Int64(Some(value)));
        let text = |value: &str| ColumnarValue::Scalar(ScalarValue::from(value));
        let bytes = |measure: Measure, arguments: &[ColumnarValue], rows| {
            let arguments: Vec<Argument> = arguments.iter().map(|argument| Argument::of(argument).unwrap()).collect();
            measure.bytes(&arguments, rows)
        };
        assert_eq!(bytes(Measure::Repeated, &[text("ab"), number(1_000_000_000)], 1), Some(2_000_000_000));
        assert_eq!(bytes(Measure::Repeated, &[text("ab"), numbers(vec![Some(3), None, Some(-1), Some(4)])], 4), Some(14));
        let texts = column(Arc::new(StringArray::from(vec![Some("a"), None, Some("äöü")])));
        assert_eq!(bytes(Measure::Repeated, &[texts, number(10)], 3), Some(70));
        assert_eq!(bytes(Measure::Padded, &[text("x"), number(10)], 1), Some(40));
        assert_eq!(bytes(Measure::Series, &[number(1), number(i64::MAX)], 1), Some(i128::from(i64::MAX) * NUMBER_BYTES));
        assert_eq!(bytes(Measure::Series, &[number(i64::MAX), number(i64::MIN), number(-1)], 1), Some((1 << 64) * NUMBER_BYTES));
        assert_eq!(bytes(Measure::Series, &[number(5), number(1)], 1), Some(NUMBER_BYTES));
        assert_eq!(bytes(Measure::Series, &[number(1), number(5), number(0)], 1), Some(0), "the function refuses it");
        let (day, other) = (ScalarValue::Date32(Some(0)), ScalarValue::Date32(Some(9)));
        let month = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 1, 0)));
        let dates = [ColumnarValue::Scalar(day), ColumnarValue::Scalar(other), ColumnarValue::Scalar(month)];
        assert_eq!(bytes(Measure::Series, &dates, 1), Some(10 * NUMBER_BYTES));
        assert!(bytes(Measure::Copies, &[text("x"), number(1 << 40)], 1) > Some(1 << 40));
        assert!(bytes(Measure::Resized, &[numbers(vec![Some(1)]), number(1 << 40)], 1) > Some(1 << 40));
    }
}
