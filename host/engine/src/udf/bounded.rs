//! Functions whose answer is as large as an argument says (`repeat`, `lpad`, `range`, …), or as many times as large as an
//! argument as another says (`replace`, …), with a bound: DataFusion allocates without asking anybody, and a number with ten
//! digits would take the machine's memory. What they compute stays DataFusion's.

use crate::node::external;
use azora_spec::limits::{BATCH_ROWS, CONSTANT_BYTES_MAX, VALUES_BYTES_MAX};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

/// Bytes of the longest character.
const CHARACTER_BYTES: i128 = 4;
/// Bytes of a number or a time in a list.
const NUMBER_BYTES: i128 = 8;
const DAY_NANOSECONDS: i128 = 86_400_000_000_000;
/// Pairs of characters that are compared for one batch, some ten seconds: while it is computed its job cannot be stopped.
const PAIRS_MAX: usize = 10_000_000_000;

/// The function with a bound, where its answer can be larger than its arguments by more than a factor in the text.
pub(crate) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let measure = match function.name() {
        "repeat" => Measure::Repeated,
        "lpad" | "rpad" => Measure::Padded,
        "range" | "generate_series" => Measure::Series,
        "array_repeat" => Measure::Copies,
        "array_resize" => Measure::Resized,
        "replace" => Measure::Replaced,
        "regexp_replace" => Measure::Matched,
        "array_to_string" => Measure::Joined,
        "levenshtein" => Measure::Compared,
        _ => return function,
    };
    Arc::new(ScalarUDF::new_from_impl(Bounded { function, measure }))
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
    /// A text with others in place of parts of it.
    Replaced,
    /// The same where a pattern says which; how many there are is known only when it is done.
    Matched,
    /// Items with a text between them.
    Joined,
    /// Two texts, character by character: what is bounded is the time. A batch is computed in one go, while which its job
    /// cannot be stopped.
    Compared,
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

    /// One row's text.
    fn text(&self, row: usize) -> Option<&str> {
        let at = self.at(row);
        Some(match self.values.data_type() {
            DataType::Utf8 => self.values.as_string::<i32>().value(at),
            DataType::LargeUtf8 => self.values.as_string::<i64>().value(at),
            DataType::Utf8View => self.values.as_string_view().value(at),
            _ => return None,
        })
    }

    /// Bytes of one row's value.
    fn bytes(&self, row: usize) -> i128 {
        match self.text(row) {
            Some(text) => wide(text.len()),
            // About: a value of its array.
            None => wide(self.values.get_array_memory_size() / self.values.len().max(1)),
        }
    }

    /// Items of one row's list.
    fn items(&self, row: usize) -> i128 {
        let at = self.at(row);
        match self.values.data_type() {
            DataType::List(_) => wide(usize::try_from(self.values.as_list::<i32>().value_length(at)).unwrap_or_default()),
            DataType::LargeList(_) => wide(usize::try_from(self.values.as_list::<i64>().value_length(at)).unwrap_or_default()),
            DataType::FixedSizeList(_, items) => i128::from(*items),
            _ => 0,
        }
    }
}

fn wide(size: usize) -> i128 {
    i128::try_from(size).unwrap_or(i128::MAX)
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

/// The size of a row's answer; none where that cannot be told.
type Size<'a> = Box<dyn Fn(usize) -> Option<i128> + 'a>;

impl Measure {
    /// Bytes of an answer, or by how many it may be larger than its text, or the pairs that are compared for it. None where
    /// that cannot be told, for arguments that the function will refuse.
    fn size<'a>(self, arguments: &'a [Argument]) -> Option<Size<'a>> {
        let integers = |at: usize| arguments.get(at).and_then(Argument::integers);
        let first = arguments.first()?;
        Some(match self {
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
            Self::Replaced => {
                let (from, to) = (arguments.get(1)?, arguments.get(2)?);
                Box::new(move |row| {
                    let (text, from) = (first.text(row)?, from.text(row)?);
                    // Looked for only where it could be too much.
                    let most = wide(text.len() / from.len().max(1) + 1).saturating_mul(grown(from, to.bytes(row)));
                    let times = match from {
                        _ if most <= wide(VALUES_BYTES_MAX / BATCH_ROWS) => return Some(most),
                        "" => text.chars().count() + 1,
                        from => text.matches(from).count(),
                    };
                    Some(wide(times).saturating_mul(grown(from, to.bytes(row))))
                })
            }
            Self::Matched => {
                let to = arguments.get(2)?;
                Box::new(move |row| Some((first.bytes(row) + 1).saturating_mul(to.bytes(row).saturating_add(1))))
            }
            Self::Joined => {
                let (between, missing) = (arguments.get(1)?, arguments.get(2));
                Box::new(move |row| {
                    let each = between.bytes(row).saturating_add(missing.map_or(0, |missing| missing.bytes(row)));
                    Some(first.items(row).saturating_mul(each))
                })
            }
            Self::Compared => {
                let other = arguments.get(1)?;
                Box::new(move |row| Some(first.bytes(row).saturating_mul(other.bytes(row))))
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
        })
    }
}

/// By how much a text is longer than what it stands in place of.
fn grown(from: &str, to: i128) -> i128 {
    to.saturating_sub(wide(from.len())).max(0)
}

impl Bounded {
    fn invoke(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arguments = args.args.iter().map(Argument::of).collect::<Result<Vec<_>>>()?;
        // A constant is repeated for every row that it stands beside.
        let is_constant = arguments.iter().all(|argument| argument.is_constant);
        let rows = if is_constant { 1 } else { args.number_rows };
        let most = wide(match self.measure {
            Measure::Compared => PAIRS_MAX,
            _ if is_constant => CONSTANT_BYTES_MAX,
            _ => VALUES_BYTES_MAX,
        });
        let Some(size) = self.measure.size(&arguments) else { return self.function.invoke_with_args(args) };
        let sum = (0..rows).filter_map(&size).fold(0, i128::saturating_add);
        if sum <= most {
            return self.function.invoke_with_args(args);
        }
        let sizes: Vec<i128> = (0..rows).map(|row| size(row).unwrap_or(0)).collect();
        if self.measure != Measure::Matched || is_constant || sizes.iter().any(|size| *size > most) {
            return Err(self.too_much(is_constant, sum, most));
        }
        self.in_pieces(&args, &arguments, &sizes, most)
    }

    /// For a size that is the largest possible one: pieces of the rows that cannot take more than they may.
    fn in_pieces(&self, args: &ScalarFunctionArgs, arguments: &[Argument], sizes: &[i128], most: i128) -> Result<ColumnarValue> {
        let (mut made, mut bytes, mut from): (Vec<ArrayRef>, i128, usize) = (Vec::new(), 0, 0);
        while from < sizes.len() {
            let mut room = most;
            let rows = sizes.iter().skip(from).take_while(|size| {
                room -= **size;
                room >= 0
            });
            let rows = rows.count();
            let slice = |value: &ColumnarValue| match value {
                ColumnarValue::Array(values) => ColumnarValue::Array(values.slice(from, rows)),
                ColumnarValue::Scalar(_) => value.clone(),
            };
            let piece = ScalarFunctionArgs {
                args: args.args.iter().map(slice).collect(),
                arg_fields: args.arg_fields.clone(),
                number_rows: rows,
                return_field: Arc::clone(&args.return_field),
                config_options: Arc::clone(&args.config_options),
            };
            let answers = self.function.invoke_with_args(piece)?.into_array(rows)?;
            let texts = arguments.first().map_or(0, |texts| (from..from + rows).map(|row| texts.bytes(row)).sum());
            bytes = bytes.saturating_add(wide(answers.get_array_memory_size()).saturating_sub(texts).max(0));
            if bytes > most {
                return Err(self.too_much(false, bytes, most));
            }
            made.push(answers);
            from += rows;
        }
        let made: Vec<&dyn Array> = made.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&made)?))
    }

    fn too_much(&self, is_constant: bool, size: i128, most: i128) -> DataFusionError {
        let name = self.function.name();
        let (message, hint) = if self.measure == Measure::Compared {
            let message = format!("{name}() would compare {size} pairs of characters at once, more than {most}");
            (message, "compare shorter texts, left(text, 1000) for example")
        } else {
            let what = if is_constant { "one value" } else { "the values of one batch" };
            let verb = if matches!(self.measure, Measure::Replaced | Measure::Matched | Measure::Joined) { "grow by" } else { "take" };
            let message = format!("{what} of {name}() would {verb} {size} bytes, more than {most}");
            (message, "ask for less; rows by number come from FROM generate_series(1, n)")
        };
        external(Failure::new(Code::DataInvalid, message).hint(hint))
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
        self.invoke(args)
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
    use super::{Argument, Measure, NUMBER_BYTES};
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::arrow::datatypes::IntervalMonthDayNano;
    use datafusion::common::ScalarValue;
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
            measure.size(&arguments).map(|size| (0..rows).filter_map(size).fold(0, i128::saturating_add))
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
        let long = "x".repeat(20_000);
        assert_eq!(bytes(Measure::Replaced, &[text("a--a"), text("a"), text(&long)], 1), Some(2 * 19_999));
        assert_eq!(bytes(Measure::Replaced, &[text("äb"), text(""), text(&long)], 1), Some(3 * 20_000));
        assert_eq!(bytes(Measure::Replaced, &[text(&long), text("xx"), text("y")], 1), Some(0), "it does not grow");
        assert!(bytes(Measure::Matched, &[text("a-a"), text("a"), text("xyz")], 1) >= Some(4 * 3));
        assert_eq!(bytes(Measure::Compared, &[text("abc"), text("de")], 1), Some(6));
        assert!(bytes(Measure::Copies, &[text("x"), number(1 << 40)], 1) > Some(1 << 40));
        assert!(bytes(Measure::Resized, &[numbers(vec![Some(1)]), number(1 << 40)], 1) > Some(1 << 40));
    }
}
