//! A plugin's manifest as JSON in its record. Arrow schemas are kept as IPC messages, so nothing of a type is lost.

use crate::error::Error;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use azora_sandbox::{Capability, ConnectorDecl, FunctionDecl, FunctionKind, Inspection, Manifest, PluginConnectorKind};
use azora_spec::{Failure, Grants, wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;

/// Version of the encoding. A reader refuses larger ones.
const VERSION: u64 = 1;
/// Where a record holds what the operator granted; absent where that is nothing.
const GRANTS: &str = "grants";

/// What is kept of an inspection.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) manifest: Manifest,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) grants: Grants,
}

/// The record of an inspection.
pub(crate) fn encode(inspection: &Inspection) -> Result<Value, Failure> {
    let manifest = &inspection.manifest;
    let functions = manifest.functions.iter().map(encode_function).collect::<Result<Vec<_>, Failure>>()?;
    let connector = |connector: &ConnectorDecl| json!({"name": connector.name, "kind": connector.kind.as_str(), "doc": connector.doc, "config": connector.config_schema});
    Ok(json!({
        "version": VERSION,
        "name": manifest.name.as_str(),
        "semver": manifest.version.to_string(),
        "doc": manifest.doc,
        "functions": functions,
        "connectors": manifest.connectors.iter().map(connector).collect::<Vec<_>>(),
        "capabilities": manifest.capabilities.iter().map(|capability| capability.as_str()).collect::<Vec<_>>(),
        "imports": inspection.imports,
        "exports": inspection.exports,
    }))
}

/// A record with other grants.
pub(crate) fn with_grants(mut record: Value, grants: &Grants) -> Value {
    if let Some(members) = record.as_object_mut() {
        members.insert(GRANTS.to_owned(), wire::grants_json(grants));
    }
    record
}

/// Reads a record.
pub(crate) fn decode(value: &Value) -> Result<Kept, Failure> {
    read(value).ok_or_else(|| {
        tracing::error!("the record of a plugin's manifest cannot be read");
        Error::RecordDamaged.into()
    })
}

fn encode_function(function: &FunctionDecl) -> Result<Value, Failure> {
    Ok(json!({
        "name": function.name,
        "kind": function.kind.as_str(),
        "doc": function.doc,
        "params": encode_schema(&function.params)?,
        "output": encode_schema(&function.output)?,
        "config": function.config_schema,
    }))
}

fn encode_schema(schema: &Schema) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let written = StreamWriter::try_new(&mut bytes, schema).and_then(|mut writer| writer.finish());
    written.map_err(|error| {
        tracing::error!(%error, "a schema cannot be recorded");
        Failure::from(Error::RecordDamaged)
    })?;
    Ok(STANDARD.encode(bytes))
}

fn read(value: &Value) -> Option<Kept> {
    if value.get("version")?.as_u64()? > VERSION {
        return None;
    }
    let manifest = Manifest {
        name: text(value, "name")?.parse().ok()?,
        version: text(value, "semver")?.parse().ok()?,
        doc: text(value, "doc")?.to_owned(),
        functions: list(value, "functions")?.iter().map(read_function).collect::<Option<_>>()?,
        connectors: list(value, "connectors")?.iter().map(read_connector).collect::<Option<_>>()?,
        capabilities: list(value, "capabilities")?.iter().map(|word| Capability::parse(word.as_str()?)).collect::<Option<_>>()?,
    };
    let grants = match value.get(GRANTS) {
        Some(value) => wire::grants(value, "").ok()?,
        None => Grants::default(),
    };
    Some(Kept { manifest, imports: texts(value, "imports")?, exports: texts(value, "exports")?, grants })
}

fn read_function(value: &Value) -> Option<FunctionDecl> {
    Some(FunctionDecl {
        name: text(value, "name")?.to_owned(),
        kind: FunctionKind::parse(text(value, "kind")?)?,
        doc: text(value, "doc")?.to_owned(),
        params: read_schema(text(value, "params")?)?,
        output: read_schema(text(value, "output")?)?,
        config_schema: value.get("config").filter(|config| !config.is_null()).cloned(),
    })
}

fn read_connector(value: &Value) -> Option<ConnectorDecl> {
    Some(ConnectorDecl {
        name: text(value, "name")?.to_owned(),
        kind: PluginConnectorKind::parse(text(value, "kind")?)?,
        doc: text(value, "doc")?.to_owned(),
        config_schema: value.get("config").filter(|config| !config.is_null()).cloned(),
    })
}

/// The bytes are our own, under the journal's checksum.
fn read_schema(text: &str) -> Option<SchemaRef> {
    let bytes = STANDARD.decode(text).ok()?;
    let reader = StreamReader::try_new(bytes.as_slice(), None).ok()?;
    Some(Arc::clone(&reader.schema()))
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn list<'a>(value: &'a Value, name: &str) -> Option<&'a Vec<Value>> {
    value.get(name)?.as_array()
}

fn texts(value: &Value, name: &str) -> Option<Vec<String>> {
    list(value, name)?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, wire, with_grants};
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use azora_sandbox::{Capability, ConnectorDecl, FunctionDecl, FunctionKind, Inspection, Manifest, PluginConnectorKind};
    use azora_spec::Digest;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_manifest_survives_being_recorded() {
        let item = Field::new("item", DataType::Struct(vec![Field::new("a", DataType::Decimal128(20, 3), true)].into()), true);
        let params = Schema::new(vec![
            Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
            Field::new("rows", DataType::List(Arc::new(item)), true),
        ]);
        let manifest = Manifest {
            name: "geo".parse().unwrap(),
            version: "1.2.3-rc.1".parse().unwrap(),
            doc: "distances".to_owned(),
            functions: vec![FunctionDecl {
                name: "haversine".to_owned(),
                kind: FunctionKind::Map,
                doc: "km".to_owned(),
                params: Arc::new(params),
                output: Arc::new(Schema::empty()),
                config_schema: Some(json!({"type": "object"})),
            }],
            connectors: vec![ConnectorDecl {
                name: "feed".to_owned(),
                kind: PluginConnectorKind::Source,
                doc: String::new(),
                config_schema: None,
            }],
            capabilities: vec![Capability::Clock],
        };
        let inspection = Inspection {
            digest: Digest::of(b"x"),
            manifest: manifest.clone(),
            imports: vec!["i".to_owned()],
            exports: vec!["e".to_owned()],
            bytes: 1,
        };
        let grants = wire::grants(&json!({"clock": true, "secrets": ["A"]}), "").unwrap();
        let record = encode(&inspection).unwrap();
        assert!(decode(&record).unwrap().grants.is_empty());
        let text = with_grants(record, &grants).to_string();
        let kept = decode(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!((kept.manifest, kept.grants), (manifest, grants));
        assert_eq!((kept.imports, kept.exports), (inspection.imports, inspection.exports));
    }

    #[test]
    fn a_newer_record_is_refused() {
        assert!(decode(&json!({"version": 2})).is_err());
    }
}
