//! Operations on rows and values: orders, samples, windows, lists, nulls, replacements.

use super::{columns, named, texts};
use crate::limits::PARTITIONS_MAX;
use crate::wire::fields::{Fields, Unknown, child, expected, shown};
use crate::wire::sql;
use crate::{Code, Failure, FrameStep, SortBy, SortOrder};
use serde_json::Value;

/// The seed of a sample that names none.
const SEED: u64 = 42;

/// Keys of an order: texts such as `"age desc nulls last"`, or objects. `ascending` is a flag, or one for each key.
pub(super) fn sort_keys(fields: &mut Fields<'_>, names: &[&'static str]) -> Result<Vec<SortBy>, Failure> {
    let name = fields.name_of(names)?;
    let pointer = fields.pointer(name);
    let mut keys = match fields.value(name) {
        Some(text @ Value::String(_)) => vec![sort_key(text, pointer)?],
        Some(Value::Array(list)) if !list.is_empty() => {
            list.iter().enumerate().map(|(at, value)| sort_key(value, child(&pointer, &at.to_string()))).collect::<Result<Vec<_>, _>>()?
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => {
            return Err(expected("a list of columns", other).at(pointer));
        }
        _ => return Err(fields.missing(name).hint(r#"for example "columns": ["age desc", "name"]"#)),
    };
    let direction = |is_ascending: bool| if is_ascending { SortOrder::Ascending } else { SortOrder::Descending };
    let pointer = fields.pointer("ascending");
    match fields.value("ascending") {
        None => {}
        Some(Value::Bool(flag)) => keys.iter_mut().for_each(|key| key.order = direction(*flag)),
        Some(Value::Array(flags)) if flags.len() == keys.len() && flags.iter().all(Value::is_boolean) => {
            for (key, flag) in keys.iter_mut().zip(flags) {
                key.order = direction(flag.as_bool().unwrap_or(true));
            }
        }
        Some(other) => return Err(expected("true, false, or one of them for each column", other).at(pointer)),
    }
    Ok(keys)
}

fn sort_key(value: &Value, pointer: String) -> Result<SortBy, Failure> {
    let Value::String(text) = value else {
        let mut fields = Fields::of(value, pointer)?;
        let name = fields.name_of(&["column", "expr", "expression"])?;
        let mut key = written_key(fields.required_text(name)?, &fields.pointer(name))?;
        if let Some(is_ascending) = fields.flag("ascending")? {
            key.order = if is_ascending { SortOrder::Ascending } else { SortOrder::Descending };
        }
        match fields.text("order")? {
            None => {}
            Some("asc" | "ascending") => key.order = SortOrder::Ascending,
            Some("desc" | "descending") => key.order = SortOrder::Descending,
            Some(other) => return Err(expected("'asc' or 'desc'", &Value::from(other)).at(fields.pointer("order"))),
        }
        match fields.text("nulls")? {
            None => {}
            Some(place @ ("first" | "last")) => key.nulls_first = Some(place == "first"),
            Some(other) => return Err(expected("'first' or 'last'", &Value::from(other)).at(fields.pointer("nulls"))),
        }
        fields.finish(Unknown::Refuse)?;
        return Ok(key);
    };
    written_key(text, &pointer)
}

fn written_key(text: &str, pointer: &str) -> Result<SortBy, Failure> {
    let without = |text: &str, words: &str| {
        let at = text.len().checked_sub(words.len())?;
        let is_end = text.get(at..)?.eq_ignore_ascii_case(words) && text.get(..at)?.ends_with(char::is_whitespace);
        is_end.then(|| text.get(..at).unwrap_or_default().trim_end().to_owned())
    };
    let mut key = SortBy { expression: text.trim().to_owned(), order: SortOrder::Ascending, nulls_first: None };
    for (words, is_first) in [("nulls first", true), ("nulls last", false)] {
        if let Some(rest) = without(&key.expression, words) {
            (key.expression, key.nulls_first) = (rest, Some(is_first));
        }
    }
    for (words, order) in [("desc", SortOrder::Descending), ("asc", SortOrder::Ascending)] {
        if let Some(rest) = without(&key.expression, words) {
            (key.expression, key.order) = (rest, order);
        }
    }
    key.expression = sql::expression(&key.expression, pointer)?;
    Ok(key)
}

pub(super) fn sample(fields: &mut Fields<'_>) -> Result<FrameStep, Failure> {
    let with_replacement = fields.flag("withReplacement")?.unwrap_or(false);
    let pointer = fields.pointer("fraction");
    let fraction = fields.number("fraction")?.ok_or_else(|| fields.missing("fraction"))?;
    if !(fraction >= 0.0 && (with_replacement || fraction <= 1.0) && fraction.is_finite()) {
        return Err(Failure::new(Code::RequestField, "a fraction is at least 0, and at most 1 without replacement").at(pointer));
    }
    Ok(FrameStep::Sample { fraction, with_replacement, seed: fields.integer("seed", 0..=u64::MAX)?.unwrap_or(SEED) })
}

pub(super) fn window(fields: &mut Fields<'_>) -> Result<FrameStep, Failure> {
    let name = named(fields, &["as", "name", "column"])?.ok_or_else(|| fields.missing("as"))?;
    let word = fields.name_of(&["function", "expr"])?;
    let function = sql::expression(fields.required_text(word)?, &fields.pointer(word))?;
    let pointer = fields.pointer("partitionBy");
    let partition_by = texts(fields, &["partitionBy"])?.unwrap_or_default();
    let partition_by = partition_by.iter().map(|text| sql::expression(text, &pointer)).collect::<Result<_, _>>()?;
    let order_by = if fields.has("orderBy") { sort_keys(fields, &["orderBy"])? } else { Vec::new() };
    let pointer = fields.pointer("frame");
    let frame = match fields.value("frame") {
        None => None,
        Some(Value::String(text)) => Some(sql::expression(text, &pointer)?),
        Some(value) => Some(bounds(value, pointer)?),
    };
    Ok(FrameStep::Window { name, function, partition_by, order_by, frame })
}

/// `{"type": "rows" | "range", "start": -2, "end": 0}`; bounds are offsets, or `unboundedPreceding`, `currentRow` and
/// `unboundedFollowing`.
fn bounds(value: &Value, pointer: String) -> Result<String, Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let unit = match fields.text("type")? {
        None | Some("rows" | "ROWS") => "ROWS",
        Some("range" | "RANGE") => "RANGE",
        Some(other) => return Err(expected("'rows' or 'range'", &Value::from(other)).at(fields.pointer("type"))),
    };
    let bound = |fields: &mut Fields<'_>, name: &'static str, default: &str| match fields.value(name) {
        None => Ok(default.to_owned()),
        Some(Value::String(text)) => match text.as_str() {
            "unboundedPreceding" => Ok("UNBOUNDED PRECEDING".to_owned()),
            "unboundedFollowing" => Ok("UNBOUNDED FOLLOWING".to_owned()),
            "currentRow" => Ok("CURRENT ROW".to_owned()),
            other => {
                let hint = "bounds are integers, unboundedPreceding, currentRow and unboundedFollowing";
                Err(Failure::new(Code::RequestField, format!("unknown bound '{}'", shown(other))).at(fields.pointer(name)).hint(hint))
            }
        },
        Some(value) => match value.as_i64() {
            Some(0) => Ok("CURRENT ROW".to_owned()),
            Some(offset) if offset < 0 => Ok(format!("{} PRECEDING", offset.unsigned_abs())),
            Some(offset) => Ok(format!("{offset} FOLLOWING")),
            None => Err(expected("an integer or a bound's name", value).at(fields.pointer(name))),
        },
    };
    let (start, end) = (bound(&mut fields, "start", "UNBOUNDED PRECEDING")?, bound(&mut fields, "end", "CURRENT ROW")?);
    let offset = |name: &str, default: i64| value.get(name).map_or(Some(default), Value::as_i64);
    if let (Some(from), Some(to)) = (offset("start", i64::MIN), offset("end", 0))
        && from > to
    {
        return Err(Failure::new(Code::RequestField, "a frame's start lies behind its end").at(fields.pointer("start")));
    }
    fields.finish(Unknown::Refuse)?;
    Ok(format!("{unit} BETWEEN {start} AND {end}"))
}

/// `{"n": 8}`.
pub(super) fn partitions(fields: &mut Fields<'_>, is_joined: bool) -> Result<FrameStep, Failure> {
    let name = fields.name_of(&["n", "numPartitions", "partitions"])?;
    let n = fields.size(name, 1..=PARTITIONS_MAX as u64)?.ok_or_else(|| fields.missing(name))?;
    Ok(FrameStep::Partitions { n, is_joined })
}

/// `{"ids": [], "values": [], "variable": "name", "value": "value"}`.
pub(super) fn unpivot(fields: &mut Fields<'_>) -> Result<FrameStep, Failure> {
    let ids = texts(fields, &["ids", "id", "idVars"])?.unwrap_or_default();
    let values = texts(fields, &["values", "valueVars"])?.filter(|values| !values.is_empty());
    let variable = named(fields, &["variable", "variableColumnName", "varName"])?.unwrap_or_else(|| "variable".to_owned());
    let value = named(fields, &["value", "valueColumnName", "valueName"])?.unwrap_or_else(|| "value".to_owned());
    Ok(FrameStep::Unpivot { ids, values, variable, value })
}

pub(super) fn explode(fields: &mut Fields<'_>, is_outer: bool) -> Result<FrameStep, Failure> {
    let column = fields.required_text("column")?.to_owned();
    let keeps_empty = fields.flag("outer")?.unwrap_or(is_outer);
    let name = named(fields, &["as", "name"])?.unwrap_or_else(|| column.clone());
    Ok(FrameStep::Explode { column, name, keeps_empty })
}

pub(super) fn fill(fields: &mut Fields<'_>) -> Result<FrameStep, Failure> {
    let name = fields.name_of(&["value", "values", "columns"])?;
    let pointer = fields.pointer(name);
    let is_scalar = |value: &Value| !(value.is_array() || value.is_object() || value.is_null());
    match fields.value(name) {
        Some(Value::Object(named)) => match named.iter().find(|(_, value)| !is_scalar(value)) {
            Some((column, value)) => Err(expected("a string, a number or a boolean", value).at(child(&pointer, column))),
            None => {
                let by_column = named.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                Ok(FrameStep::FillNull { all: None, subset: None, by_column })
            }
        },
        Some(value) if is_scalar(value) => {
            let all = Some(value.clone());
            Ok(FrameStep::FillNull { all, subset: texts(fields, &["subset"])?, by_column: Vec::new() })
        }
        Some(other) => Err(expected("a value, or an object of columns and values", other).at(pointer)),
        None => Err(fields.missing(name).hint(r#"for example "value": 0, or "value": {"age": 0, "name": "unknown"}"#)),
    }
}

pub(super) fn drop_null(fields: &mut Fields<'_>) -> Result<FrameStep, Failure> {
    let columns = columns(fields)?;
    let name = fields.name_of(&["thresh", "threshold"])?;
    let least = fields.size(name, 0..=u64::from(u32::MAX))?;
    let least = match (fields.text("how")?, least) {
        (_, Some(least)) => Some(least),
        (None | Some("any"), None) => None,
        (Some("all"), None) => Some(1),
        (Some(other), None) => return Err(expected("'any' or 'all'", &Value::from(other)).at(fields.pointer("how"))),
    };
    Ok(FrameStep::DropNull { columns, least })
}

/// `{"values": {"old": "new"}}`, `{"values": [[old, new]]}` or `{"from": old, "to": new}`, of some or all columns.
pub(super) fn replace(fields: &mut Fields<'_>) -> Result<FrameStep, Failure> {
    let columns = columns(fields)?;
    let pointer = fields.pointer("values");
    let pairs: Vec<(Value, Value)> = match fields.value("values") {
        Some(Value::Object(named)) => named.iter().map(|(old, new)| (Value::from(old.as_str()), new.clone())).collect(),
        Some(Value::Array(list)) => {
            let pair = |(at, value): (usize, &Value)| match value.as_array().map(Vec::as_slice) {
                Some([old, new]) => Ok((old.clone(), new.clone())),
                _ => Err(expected("[old, new]", value).at(child(&pointer, &at.to_string()))),
            };
            list.iter().enumerate().map(pair).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(expected("an object or a list of pairs", other).at(pointer)),
        None => {
            let old = fields.value("from").ok_or_else(|| fields.missing("values"))?;
            vec![(old.clone(), fields.present("to").cloned().unwrap_or_default())]
        }
    };
    match pairs.iter().any(|(old, new)| [old, new].iter().any(|value| value.is_array() || value.is_object()) || old.is_null())
        || pairs.is_empty()
    {
        true => {
            Err(Failure::new(Code::RequestField, "values to replace are strings, numbers and booleans, and null as a new one").at(pointer))
        }
        false => Ok(FrameStep::Replace { columns, pairs }),
    }
}
