//! The function of an operation: a lambda's text, or a plugin's function in one of two spellings.
//!
//! `"function": "x => x * 2"`, or `"function": {"plugin": "geo@1.2.0", "function": "haversine", "config": {…}, "columns": […],
//! "as": "km"}`, or the same members beside `type`: `{"type": "map", "plugin": "geo@1.2.0", "function": "haversine"}`, where
//! `pluginFunction` may stand for `function`. A plugin without a function means its only one or, where it has several, the
//! one of the plugin's own name.

use crate::limits::LAMBDA_BYTES_MAX;
use crate::wire::fields::{Fields, Unknown, expected};
use crate::{Code, Failure, Function, PluginRef};
use serde_json::{Map, Value};

/// The operation's main function, which must be there; `names` are the spellings of its field.
pub(super) fn required(fields: &mut Fields<'_>, operation: &str, names: &[&'static str]) -> Result<Function, Failure> {
    match optional(fields, names)? {
        Some(function) => Ok(function),
        None => {
            let name = names.first().copied().unwrap_or("function");
            Err(fields.missing(name).hint(example(operation, name)))
        }
    }
}

/// The operation's main function, which may be absent.
pub(super) fn optional(fields: &mut Fields<'_>, names: &[&'static str]) -> Result<Option<Function>, Failure> {
    if fields.has("plugin") {
        return beside_type(fields).map(Some);
    }
    let name = fields.name_of(names)?;
    named(fields, name)
}

/// A function under one name, which may be absent.
pub(super) fn named(fields: &mut Fields<'_>, name: &'static str) -> Result<Option<Function>, Failure> {
    let Some(value) = fields.value(name) else { return Ok(None) };
    of(value, fields.pointer(name)).map(Some)
}

/// A plugin's function as texts call it: `plugin.function`, the parts quoted or not.
#[must_use]
pub fn plugin_function(name: &str) -> Option<Function> {
    let (plugin, function) = name.rsplit_once('.')?;
    let plain = |part: &str| part.trim_matches('"').to_owned();
    let plugin: PluginRef = plain(plugin).parse().ok()?;
    Some(Function::Plugin { plugin, function: Some(plain(function)), config: Map::new(), columns: None, keep_as: None })
}

/// A function from its JSON value.
pub(super) fn of(value: &Value, pointer: String) -> Result<Function, Failure> {
    match value {
        Value::String(text) => checked(text, pointer).map(Function::Lambda),
        Value::Object(_) => {
            let mut fields = Fields::of(value, pointer)?;
            let function = plugin(&mut fields, "function")?;
            fields.finish(Unknown::Refuse)?;
            Ok(function)
        }
        other => Err(expected("a function: a lambda such as 'x => x * 2', or an object with 'plugin'", other).at(pointer)),
    }
}

/// A function that SQL or a frame calls by its name: as [`of`], or `{"lambda": "x => x * 2", "returns": "DOUBLE"}`.
pub(super) fn callable(value: &Value, pointer: String) -> Result<Function, Failure> {
    if value.get("lambda").is_none() {
        return of(value, pointer);
    }
    let mut fields = Fields::of(value, pointer)?;
    let text = checked(fields.required_text("lambda")?, fields.pointer("lambda"))?;
    let returns = fields.text("returns")?.map(str::to_owned);
    fields.finish(Unknown::Refuse)?;
    Ok(match returns {
        Some(returns) => Function::Declared { text, returns },
        None => Function::Lambda(text),
    })
}

fn checked(text: &str, pointer: String) -> Result<String, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::new(Code::RequestField, "the lambda is empty")
            .at(pointer)
            .hint("write an arrow function, for example x => x * 2"));
    }
    if text.len() > LAMBDA_BYTES_MAX {
        let message = format!("the lambda has {} bytes, at most {LAMBDA_BYTES_MAX} are allowed", text.len());
        return Err(Failure::new(Code::LambdaTooLarge, message).at(pointer));
    }
    Ok(text.to_owned())
}

/// The spelling in which a plugin's members stand beside the operation's `type`.
fn beside_type(fields: &mut Fields<'_>) -> Result<Function, Failure> {
    let name = fields.name_of(&["function", "pluginFunction"])?;
    plugin(fields, name)
}

fn plugin(fields: &mut Fields<'_>, function_field: &'static str) -> Result<Function, Failure> {
    let reference = fields.required_text("plugin")?;
    let plugin: PluginRef = reference.parse().map_err(|failure: Failure| failure.at(fields.pointer("plugin")))?;
    let function = fields.text(function_field)?;
    if function.is_some_and(|text| text.contains("=>")) {
        let message = "a plugin's function is named, a lambda cannot stand beside 'plugin'";
        return Err(Failure::new(Code::RequestField, message).at(fields.pointer(function_field)));
    }
    Ok(Function::Plugin {
        plugin,
        function: function.filter(|name| !name.is_empty()).map(str::to_owned),
        config: fields.object("config")?.unwrap_or_else(Map::new),
        columns: fields.texts("columns")?,
        keep_as: fields.text("as")?.filter(|name| !name.is_empty()).map(str::to_owned),
    })
}

fn example(operation: &str, name: &str) -> String {
    let lambda = match operation {
        "filter" => "x => x > 5",
        "flatMap" => "x => [x, x]",
        "reduce" | "fold" | "reduceByKey" => "(a, b) => a + b",
        "keyBy" => "x => x % 10",
        "aggregate" | "aggregateByKey" => "(acc, x) => acc + x",
        "mapPartitions" => return format!(r#"for example {{"type":"{operation}","plugin":"name@1.0.0","function":"f"}}"#),
        _ => "x => x * 2",
    };
    format!(r#"for example {{"type":"{operation}","{name}":"{lambda}"}}"#)
}
