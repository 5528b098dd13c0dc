//! `groupBy`, `pivot` and `agg`, in one operation or one after the other, and the names of what they make: Spark's.

use super::{Functions, columns, named, projections, required_columns, texts};
use crate::wire::fields::{Fields, Unknown, child, expected, shown};
use crate::wire::suggest::meant;
use crate::wire::{function, sql};
use crate::{AggregateFunction, AggregateWord, Aggregated, Code, Failure, Function, Grouping, PIVOT_VALUES_MAX, Pivot};
use serde_json::Value;

/// Names of the field that holds aggregates.
const FIELD: &[&str] = &["agg", "aggs", "aggregates", "aggregations", "exprs"];

/// What an operation behind a `groupBy` makes of it.
pub(super) enum Next {
    Waiting(Grouping),
    Done(Grouping),
}

/// `groupBy` with its keys, and with aggregates where they stand in it.
pub(super) fn begun(fields: &mut Fields<'_>, functions: &Functions) -> Result<Grouping, Failure> {
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
    let aggregates = if FIELD.iter().any(|name| fields.has(name)) { listed(fields, functions)? } else { Vec::new() };
    for name in FIELD {
        let _is_known = fields.value(name);
    }
    Ok(Grouping { keys, aggregates, pivot })
}

/// The operation behind a `groupBy` that has no aggregates yet.
pub(super) fn continued(fields: &mut Fields<'_>, name: &str, mut grouping: Grouping, functions: &Functions) -> Result<Next, Failure> {
    match name {
        "pivot" if grouping.pivot.is_none() => {
            grouping.pivot = Some(pivot(fields)?);
            return Ok(Next::Waiting(grouping));
        }
        "agg" | "aggregate" => grouping.aggregates = listed(fields, functions)?,
        "count" => {
            let function = AggregateFunction::Word(AggregateWord::Count);
            grouping.aggregates = vec![Aggregated { function, arguments: vec!["*".to_owned()], fraction: None, name: "count".to_owned() }];
        }
        "sum" | "avg" | "mean" | "min" | "max" => {
            let word = AggregateWord::parse(name).unwrap_or(AggregateWord::Sum);
            let pointer = fields.pointer("columns");
            let one = |column: &String| aggregated(AggregateFunction::Word(word), vec![column.clone()], (None, None), &pointer);
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
pub(super) fn whole(fields: &mut Fields<'_>, functions: &Functions) -> Result<Grouping, Failure> {
    let _none = columns(fields)?;
    Ok(Grouping { keys: Vec::new(), aggregates: listed(fields, functions)?, pivot: None })
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

/// `{column: function | [functions] | {name: function}}`, or `[{"column", "function", "as"}]`. A function is a word, the name
/// of one of the request's functions, `plugin.function`, or an object with `plugin`.
fn listed(fields: &mut Fields<'_>, functions: &Functions) -> Result<Vec<Aggregated>, Failure> {
    let name = fields.name_of(FIELD)?;
    let pointer = fields.pointer(name);
    let mut aggregates = Vec::new();
    match fields.value(name) {
        Some(Value::Object(named)) if !named.is_empty() => {
            for (column, value) in named {
                by_column(column, value, &child(&pointer, column), functions, &mut aggregates)?;
            }
        }
        Some(Value::Array(list)) if !list.is_empty() => {
            for (at, value) in list.iter().enumerate() {
                aggregates.push(entry(value, child(&pointer, &at.to_string()), functions)?);
            }
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
            return Err(expected("an object or a list", other).at(pointer));
        }
        _ => return Err(fields.missing(name).hint(r#"for example "agg": {"amount": "sum"}"#)),
    }
    Ok(aggregates)
}

fn by_column(column: &str, value: &Value, pointer: &str, functions: &Functions, into: &mut Vec<Aggregated>) -> Result<(), Failure> {
    let mut push = |value: &Value, name: Option<&String>, pointer: &str| {
        let (function, own_name) = match value {
            Value::String(text) => (callee(text, functions, pointer)?, None),
            Value::Object(_) => whole_callee(value, pointer)?,
            other => return Err(expected("an aggregate's name", other).at(pointer)),
        };
        into.push(aggregated(function, vec![column.to_owned()], (None, name.cloned().or(own_name)), pointer)?);
        Ok(())
    };
    match value {
        Value::String(_) => push(value, None, pointer),
        Value::Object(named) if is_plugin(named) => push(value, None, pointer),
        Value::Array(list) if !list.is_empty() => {
            list.iter().enumerate().try_for_each(|(at, value)| push(value, None, &child(pointer, &at.to_string())))
        }
        Value::Object(named) if !named.is_empty() => {
            named.iter().try_for_each(|(name, value)| push(value, Some(name), &child(pointer, name)))
        }
        other => Err(expected("an aggregate's name, a list of them, or an object of names and aggregates", other).at(pointer)),
    }
}

/// Whether an object says which plugin, and does not call what an aggregate makes `plugin`.
fn is_plugin(named: &serde_json::Map<String, Value>) -> bool {
    named.get("plugin").and_then(Value::as_str).is_some_and(|text| named.len() > 1 || AggregateWord::parse(text).is_none())
}

/// A plugin's aggregate that says which its arguments are, at the most.
fn whole_callee(value: &Value, pointer: &str) -> Result<(AggregateFunction, Option<String>), Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let (function, name, columns) = plugin_callee(&mut fields)?;
    if columns.is_some() {
        return Err(Failure::new(Code::RequestField, "'columns' and the column before it both say what is aggregated")
            .at(fields.pointer("columns"))
            .hint(r#"for several arguments: "agg": [{"plugin": "p", "function": "f", "columns": ["a", "b"], "as": "c"}]"#));
    }
    fields.finish(Unknown::Refuse)?;
    Ok((function, name))
}

/// The members of a plugin's function: the aggregate, `as`, and `columns`.
type PluginCallee = (AggregateFunction, Option<String>, Option<Vec<String>>);

fn plugin_callee(fields: &mut Fields<'_>) -> Result<PluginCallee, Failure> {
    let Function::Plugin { plugin, function, config, columns, keep_as } = function::required(fields, "aggregate", &["function"])? else {
        return Err(fields.missing("plugin"));
    };
    let name = match &function {
        Some(function) => format!("{plugin}.{function}"),
        None => plugin.to_string(),
    };
    let function = Function::Plugin { plugin, function, config, columns: None, keep_as: None };
    Ok((AggregateFunction::Plugin { name, function }, keep_as, columns))
}

fn entry(value: &Value, pointer: String, functions: &Functions) -> Result<Aggregated, Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let (function, own_name, columns) = if fields.has("plugin") {
        plugin_callee(&mut fields)?
    } else {
        let name = fields.name_of(&["function", "agg", "fn"])?;
        (callee(fields.required_text(name)?, functions, &fields.pointer(name))?, None, texts(&mut fields, &["columns"])?)
    };
    let name = fields.name_of(&["column", "expr", "expression"])?;
    let place = fields.pointer(name);
    let arguments = match (fields.text(name)?, columns, &function) {
        (Some(_), Some(_), _) => {
            let message = format!("'{name}' and 'columns' both say what is aggregated");
            return Err(Failure::new(Code::RequestField, message).at(place));
        }
        (Some(text), None, _) => vec![text.to_owned()],
        (None, Some(columns), AggregateFunction::Plugin { .. }) => columns,
        (None, Some(columns), AggregateFunction::Word(word)) if columns.len() != 1 => {
            let message = format!("'{}' aggregates one column, and {} were named", word.as_str(), columns.len());
            return Err(Failure::new(Code::RequestField, message).at(fields.pointer("columns")));
        }
        (None, Some(columns), AggregateFunction::Word(_)) => columns,
        (None, None, AggregateFunction::Word(AggregateWord::Count)) => vec!["*".to_owned()],
        (None, None, AggregateFunction::Word(_)) => return Err(fields.missing(name)),
        (None, None, AggregateFunction::Plugin { .. }) => Vec::new(),
    };
    let name = named(&mut fields, &["as", "name", "alias"])?.or(own_name);
    let part = fields.name_of(&["fraction", "percentage", "p"])?;
    let part_pointer = fields.pointer(part);
    let fraction = fields.number(part)?;
    if fraction.is_some_and(|fraction| !(0.0..=1.0).contains(&fraction)) {
        return Err(Failure::new(Code::RequestField, "a fraction is a number from 0 to 1").at(part_pointer));
    }
    if fraction.is_some() && !is_percentile(&function) {
        return Err(Failure::new(Code::RequestField, format!("'{}' takes no fraction", called(&function))).at(part_pointer));
    }
    fields.finish(Unknown::Refuse)?;
    aggregated(function, arguments, (fraction, name), &place)
}

/// What a text calls: a function of the request's own, a word, or `plugin.function`.
fn callee(text: &str, functions: &Functions, pointer: &str) -> Result<AggregateFunction, Failure> {
    let function = match (functions.get(text), AggregateWord::parse(text)) {
        (Some(function), _) => Some(function.clone()),
        (None, Some(word)) => return Ok(AggregateFunction::Word(word)),
        (None, None) => function::plugin_function(text),
    };
    match function {
        Some(Function::Lambda(_) | Function::Declared { .. }) => Err(Failure::new(
            Code::OperationInvalid,
            format!("'{}' is a lambda, and aggregates are the engine's or a plugin's", shown(text)),
        )
        .at(pointer)
        .hint("a lambda may compute what is aggregated: \"column\": \"f(amount)\"")),
        Some(function) => Ok(AggregateFunction::Plugin { name: text.to_owned(), function }),
        None => {
            let failure = Failure::new(Code::FunctionUnknown, format!("unknown aggregate '{}'", shown(text))).at(pointer);
            let known = AggregateWord::WORDS.iter().copied().chain(functions.keys().map(String::as_str));
            let all = || format!("aggregates are {}, and those of plugins: plugin.function", AggregateWord::WORDS.join(", "));
            Err(failure.hint(meant(text, known).unwrap_or_else(all)))
        }
    }
}

fn called(function: &AggregateFunction) -> &str {
    match function {
        AggregateFunction::Word(word) => word.as_str(),
        AggregateFunction::Plugin { name, .. } => name,
    }
}

const fn is_percentile(function: &AggregateFunction) -> bool {
    matches!(function, AggregateFunction::Word(AggregateWord::Percentile | AggregateWord::ApproxPercentile))
}

fn aggregated(
    function: AggregateFunction,
    arguments: Vec<String>,
    (fraction, name): (Option<f64>, Option<String>),
    pointer: &str,
) -> Result<Aggregated, Failure> {
    if fraction.is_none() && is_percentile(&function) {
        let word = called(&function);
        let hint = format!(r#"for example [{{"function":"{word}","column":"amount","fraction":0.95,"as":"p95"}}]"#);
        return Err(Failure::new(Code::RequestField, format!("'{word}' needs a fraction")).at(pointer).hint(hint));
    }
    for argument in &arguments {
        if argument != "*" {
            sql::expression(argument, pointer)?;
        } else if function != AggregateFunction::Word(AggregateWord::Count) {
            return Err(Failure::new(Code::RequestField, "only 'count' takes all columns").at(pointer));
        }
    }
    let name = name.unwrap_or_else(|| default_name(&function, &arguments.join(", "), fraction));
    Ok(Aggregated { function, arguments, fraction, name })
}

/// The name of what an aggregate makes where the request gives none.
fn default_name(function: &AggregateFunction, argument: &str, fraction: Option<f64>) -> String {
    let word = match function {
        AggregateFunction::Word(word) => *word,
        AggregateFunction::Plugin { name, .. } => return format!("{name}({argument})"),
    };
    match word {
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
    }
}
