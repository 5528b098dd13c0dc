//! Where a job's rows come from: `data`, `dataset` or `source`, at the top of a request or inside `input`.

use crate::wire::fields::{Fields, Unknown, expected, shown};
use crate::{Code, DatasetName, Failure, FileFormat, Input};
use serde_json::{Map, Value};

/// Names of the file connector in requests; the first is ours.
const FILE_TYPES: &[&str] = &["file", "files", "filesystem", "file-system", "fs"];

/// Reads the input. None of the fields means the dataset that was written last.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Input, Failure> {
    let given: Vec<&'static str> = ["input", "data", "dataset", "source"].into_iter().filter(|name| fields.has(name)).collect();
    let value = |fields: &mut Fields<'_>, name: &'static str| fields.value(name).cloned().unwrap_or_default();
    for name in ["input", "data", "dataset", "source"] {
        let _is_known = fields.value(name);
    }
    match given.as_slice() {
        [] => Ok(Input::LastDataset),
        ["input"] => inside(&value(fields, "input"), fields.pointer("input")),
        ["data"] => rows(fields),
        ["dataset"] => dataset(fields),
        ["source"] => source(&value(fields, "source"), fields.pointer("source")),
        [first, second, ..] => Err(Failure::new(Code::RequestField, format!("'{first}' and '{second}' both say where the rows come from"))
            .at(fields.pointer(second))),
        [_] => Ok(Input::LastDataset),
    }
}

/// `input` as an object: one of the three fields, or a source's own `type`.
/// An input that stands alone: `{"data"}`, `{"dataset"}`, `{"source"}`, or a source itself.
pub(super) fn inside(value: &Value, pointer: String) -> Result<Input, Failure> {
    let mut fields = Fields::of(value, pointer.clone())?;
    if fields.has("data") {
        one_of(&mut fields, &["inline", "data"])?;
        let input = rows(&mut fields)?;
        fields.finish(Unknown::Refuse)?;
        return Ok(input);
    }
    if fields.has("dataset") {
        one_of(&mut fields, &["dataset"])?;
        let input = dataset(&mut fields)?;
        fields.finish(Unknown::Refuse)?;
        return Ok(input);
    }
    if fields.has("source") {
        let inner = fields.value("source").cloned().unwrap_or_default();
        let input = source(&inner, fields.pointer("source"))?;
        fields.finish(Unknown::Refuse)?;
        return Ok(input);
    }
    if fields.text("type")? == Some("dataset") {
        let name = parse_name(fields.required_text("name")?, fields.pointer("name"))?;
        fields.finish(Unknown::Refuse)?;
        return Ok(Input::Dataset(name));
    }
    source(value, pointer)
}

fn one_of(fields: &mut Fields<'_>, allowed: &[&'static str]) -> Result<(), Failure> {
    match fields.text("type")? {
        Some(text) if !allowed.contains(&text) => {
            let message = format!(
                "type '{}' does not fit the other fields, which say '{}'",
                shown(text),
                allowed.first().copied().unwrap_or_default()
            );
            Err(Failure::new(Code::RequestField, message).at(fields.pointer("type")))
        }
        _ => Ok(()),
    }
}

fn rows(fields: &mut Fields<'_>) -> Result<Input, Failure> {
    Ok(Input::Inline(fields.array("data")?.unwrap_or_default().to_vec()))
}

fn dataset(fields: &mut Fields<'_>) -> Result<Input, Failure> {
    let pointer = fields.pointer("dataset");
    parse_name(fields.required_text("dataset")?, pointer).map(Input::Dataset)
}

/// A dataset's name that stands at a pointer.
pub(super) fn parse_name(text: &str, pointer: String) -> Result<DatasetName, Failure> {
    text.parse().map_err(|failure: Failure| failure.at(pointer))
}

/// A connector and its configuration: `{"type": name, "config": {…}}`, or with the configuration's members beside `type`.
/// A file format may stand for the type: `{"type": "parquet", "path": …}` is a file source of that format.
pub(super) fn source(value: &Value, pointer: String) -> Result<Input, Failure> {
    if let Value::String(_) = value {
        return Err(expected("an object with 'type'", value).at(pointer).hint(r#"for example {"type":"file","path":"orders.csv"}"#));
    }
    if let Some(config) = of_plugin(value) {
        return Ok(Input::Source { connector: PLUGIN.to_owned(), config });
    }
    let mut fields = Fields::of(value, pointer)?;
    let kind = fields.required_text("type")?;
    let nested = fields.object("config")?;
    let rest = fields.rest();
    let config = match nested {
        None => rest,
        Some(mut config) => {
            config.extend(rest);
            config
        }
    };
    let (connector, config) = connector(kind, config);
    Ok(Input::Source { connector, config })
}

/// The type of connectors that are a plugin's.
const PLUGIN: &str = "plugin";

/// `{"plugin": "name@1.0.0", "connector": "c", "config": {…}}`, with `"type": "plugin"` or without a type: all of it is what
/// says which connector is meant.
pub(super) fn of_plugin(value: &Value) -> Option<Map<String, Value>> {
    let members = value.as_object().filter(|members| members.contains_key("plugin"))?;
    let is_plugin = members.get("type").is_none_or(|kind| kind == PLUGIN);
    is_plugin.then(|| members.iter().filter(|(name, _)| *name != "type").map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The connector of a type and the configuration with what the type says beside the name.
pub(super) fn connector(kind: &str, mut config: Map<String, Value>) -> (String, Map<String, Value>) {
    if FILE_TYPES.iter().any(|name| name.eq_ignore_ascii_case(kind)) {
        return ("file".to_owned(), config);
    }
    match FileFormat::parse(kind) {
        Ok(format) => {
            config.entry("format").or_insert_with(|| Value::from(format.as_str()));
            ("file".to_owned(), config)
        }
        Err(_) => (kind.to_lowercase(), config),
    }
}
