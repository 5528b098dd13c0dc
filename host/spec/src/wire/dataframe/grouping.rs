//! `groupBy`, `pivot` and `agg`, in one operation or one after the other, and the names of what they make: Spark's.

use super::{columns, named, projections, required_columns};
use crate::wire::fields::{Fields, Unknown, child, expected, shown};
use crate::wire::sql;
use crate::wire::suggest::closest;
use crate::{AggregateWord, Aggregated, Code, Failure, Grouping, PIVOT_VALUES_MAX, Pivot};
use serde_json::Value;

/// Names of the field that holds aggregates.
const FIELD: &[&str] = &["agg", "aggs", "aggregates", "aggregations", "exprs"];

/// What an operation behind a `groupBy` makes of it.
pub(super) enum Next {
    Waiting(Grouping),
    Done(Grouping),
}

/// `groupBy` with its keys, and with aggregates where they stand in it.
pub(super) fn begun(fields: &mut Fields<'_>) -> Result<Grouping, Failure> {
    let keys = projections(fields, &["columns", "by", "keys", "column", "cols"])?;
    let pivot = match fields.value("pivot") {
        None => None,
        Some(value) => {
            let mut inner = Fields::of(value, fields.pointer("pivot"))?;
            let pivot = pivot(&mut inner)?;
            inner.finish(Unknown::Refuse)?;
            Some(pivot)
        }
    };
    let aggregates = if FIELD.iter().any(|name| fields.has(name)) { listed(fields)? } else { Vec::new() };
    for name in FIELD {
        let _is_known = fields.value(name);
    }
    Ok(Grouping { keys, aggregates, pivot })
}

/// The operation behind a `groupBy` that has no aggregates yet.
pub(super) fn continued(fields: &mut Fields<'_>, name: &str, mut grouping: Grouping) -> Result<Next, Failure> {
    match name {
        "pivot" if grouping.pivot.is_none() => {
            grouping.pivot = Some(pivot(fields)?);
            return Ok(Next::Waiting(grouping));
        }
        "agg" | "aggregate" => grouping.aggregates = listed(fields)?,
        "count" => {
            grouping.aggregates =
                vec![Aggregated { function: AggregateWord::Count, argument: "*".to_owned(), fraction: None, name: "count".to_owned() }];
        }
        "sum" | "avg" | "mean" | "min" | "max" => {
            let word = AggregateWord::parse(name).unwrap_or(AggregateWord::Sum);
            let pointer = fields.pointer("columns");
            let one = |column: &String| aggregated(word, column, (None, None), &pointer);
            grouping.aggregates = required_columns(fields)?.iter().map(one).collect::<Result<_, _>>()?;
        }
        _ => {
            let message = format!("'{}' cannot follow 'groupBy', which waits for its aggregates", shown(name));
            return Err(Failure::new(Code::OperationInvalid, message)
                .at(fields.pointer("type"))
                .hint("agg, pivot, count, sum, avg, min or max follow a groupBy"));
        }
    }
    Ok(Next::Done(grouping))
}

/// `agg` over all rows.
pub(super) fn whole(fields: &mut Fields<'_>) -> Result<Grouping, Failure> {
    let _none = columns(fields)?;
    Ok(Grouping { keys: Vec::new(), aggregates: listed(fields)?, pivot: None })
}

fn pivot(fields: &mut Fields<'_>) -> Result<Pivot, Failure> {
    let column = fields.required_text("column")?.to_owned();
    let pointer = fields.pointer("values");
    let Some(values) = fields.array("values")? else { return Ok(Pivot { column, values: None }) };
    if values.is_empty() || values.len() > PIVOT_VALUES_MAX {
        return Err(Failure::new(Code::RequestField, format!("a pivot takes 1 to {PIVOT_VALUES_MAX} values")).at(pointer));
    }
    match values.iter().position(|value| value.is_array() || value.is_object() || value.is_null()) {
        Some(at) => {
            Err(Failure::new(Code::RequestField, "a pivot's value is a string, a number or a boolean").at(child(&pointer, &at.to_string())))
        }
        None => Ok(Pivot { column, values: Some(values.to_vec()) }),
    }
}

/// `{column: word | [words] | {name: word}}`, or `[{"column", "function", "as"}]`.
fn listed(fields: &mut Fields<'_>) -> Result<Vec<Aggregated>, Failure> {
    let name = fields.name_of(FIELD)?;
    let pointer = fields.pointer(name);
    let mut aggregates = Vec::new();
    match fields.value(name) {
        Some(Value::Object(named)) if !named.is_empty() => {
            for (column, value) in named {
                by_column(column, value, &child(&pointer, column), &mut aggregates)?;
            }
        }
        Some(Value::Array(list)) if !list.is_empty() => {
            for (at, value) in list.iter().enumerate() {
                aggregates.push(entry(value, child(&pointer, &at.to_string()))?);
            }
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
            return Err(expected("an object or a list", other).at(pointer));
        }
        _ => return Err(fields.missing(name).hint(r#"for example "agg": {"amount": "sum"}"#)),
    }
    Ok(aggregates)
}

fn by_column(column: &str, value: &Value, pointer: &str, into: &mut Vec<Aggregated>) -> Result<(), Failure> {
    match value {
        Value::String(text) => into.push(aggregated(word(text, pointer)?, column, (None, None), pointer)?),
        Value::Array(list) if !list.is_empty() => {
            for (at, value) in list.iter().enumerate() {
                let pointer = child(pointer, &at.to_string());
                let text = value.as_str().ok_or_else(|| expected("an aggregate's name", value).at(&pointer))?;
                into.push(aggregated(word(text, &pointer)?, column, (None, None), &pointer)?);
            }
        }
        Value::Object(named) if !named.is_empty() => {
            for (name, value) in named {
                let pointer = child(pointer, name);
                let text = value.as_str().ok_or_else(|| expected("an aggregate's name", value).at(&pointer))?;
                into.push(aggregated(word(text, &pointer)?, column, (None, Some(name.clone())), &pointer)?);
            }
        }
        other => return Err(expected("an aggregate's name, a list of them, or an object of names and aggregates", other).at(pointer)),
    }
    Ok(())
}

fn entry(value: &Value, pointer: String) -> Result<Aggregated, Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let name = fields.name_of(&["function", "agg", "fn"])?;
    let word = word(fields.required_text(name)?, &fields.pointer(name))?;
    let name = fields.name_of(&["column", "expr", "expression"])?;
    let pointer = fields.pointer(name);
    let argument = match (fields.text(name)?, word) {
        (Some(text), _) => text.to_owned(),
        (None, AggregateWord::Count) => "*".to_owned(),
        (None, _) => return Err(fields.missing(name)),
    };
    let name = named(&mut fields, &["as", "name", "alias"])?;
    let part = fields.name_of(&["fraction", "percentage", "p"])?;
    let part_pointer = fields.pointer(part);
    let fraction = fields.number(part)?;
    if fraction.is_some_and(|fraction| !(0.0..=1.0).contains(&fraction)) {
        return Err(Failure::new(Code::RequestField, "a fraction is a number from 0 to 1").at(part_pointer));
    }
    if fraction.is_some() && !is_percentile(word) {
        return Err(Failure::new(Code::RequestField, format!("'{}' takes no fraction", word.as_str())).at(part_pointer));
    }
    fields.finish(Unknown::Refuse)?;
    aggregated(word, &argument, (fraction, name), &pointer)
}

fn word(text: &str, pointer: &str) -> Result<AggregateWord, Failure> {
    AggregateWord::parse(text).ok_or_else(|| {
        let failure = Failure::new(Code::FunctionUnknown, format!("unknown aggregate '{}'", shown(text))).at(pointer);
        match closest(text, AggregateWord::WORDS.iter().copied()) {
            Some(known) => failure.hint(format!("did you mean '{known}'?")),
            None => failure.hint(format!("aggregates are {}", AggregateWord::WORDS.join(", "))),
        }
    })
}

const fn is_percentile(word: AggregateWord) -> bool {
    matches!(word, AggregateWord::Percentile | AggregateWord::ApproxPercentile)
}

fn aggregated(
    function: AggregateWord,
    argument: &str,
    (fraction, name): (Option<f64>, Option<String>),
    pointer: &str,
) -> Result<Aggregated, Failure> {
    if fraction.is_none() && is_percentile(function) {
        let hint = format!(r#"for example [{{"function":"{}","column":"amount","fraction":0.95,"as":"p95"}}]"#, function.as_str());
        return Err(Failure::new(Code::RequestField, format!("'{}' needs a fraction", function.as_str())).at(pointer).hint(hint));
    }
    let argument = if argument == "*" { argument.to_owned() } else { sql::expression(argument, pointer)? };
    if argument == "*" && function != AggregateWord::Count {
        return Err(Failure::new(Code::RequestField, "only 'count' takes all columns").at(pointer));
    }
    let name = name.unwrap_or_else(|| match function {
        AggregateWord::Count if argument == "*" => "count(1)".to_owned(),
        AggregateWord::CountDistinct => format!("count(DISTINCT {argument})"),
        AggregateWord::StddevPopulation => format!("stddev_pop({argument})"),
        AggregateWord::VariancePopulation => format!("var_pop({argument})"),
        AggregateWord::ApproxDistinct => format!("approx_count_distinct({argument})"),
        AggregateWord::SumDistinct => format!("sum(DISTINCT {argument})"),
        AggregateWord::ApproxMedian => format!("approx_median({argument})"),
        AggregateWord::Percentile => format!("percentile({argument}, {})", fraction.unwrap_or_default()),
        AggregateWord::ApproxPercentile => format!("approx_percentile({argument}, {})", fraction.unwrap_or_default()),
        AggregateWord::CollectList => format!("collect_list({argument})"),
        AggregateWord::CollectSet => format!("collect_set({argument})"),
        other => format!("{}({argument})", other.as_str()),
    });
    Ok(Aggregated { function, argument, fraction, name })
}
