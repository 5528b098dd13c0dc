//! What is said of a lambda that the compiler objects to and that runs all the same: why it is interpreted, and where it
//! means what was probably not meant.

use super::interpret::Scripted;
use crate::notes::Warning;
use azora_connect::element;
use azora_expression::Diagnostic;
use azora_spec::Code;
use datafusion::arrow::datatypes::Schema;

/// Why the compiler does not take a lambda.
pub(crate) fn reason(diagnostic: &Diagnostic) -> String {
    let Diagnostic { message, line, column, .. } = diagnostic;
    format!("{message} (line {line}, column {column})")
}

/// What a valid lambda means, and was probably not meant to; `pointers` says where each numbered lambda stands, and `schema`
/// what the elements are.
pub(crate) fn warning(diagnostic: &Diagnostic, pointers: &[String], schema: &Schema) -> Option<Warning> {
    let name = diagnostic.property.as_deref()?;
    let hint = match schema.field_with_name(name) {
        // Only the compiler does not see it.
        Ok(field) if element::holds_json(field) => return None,
        Ok(field) => Some(format!("the column holds {}, which has no meaning in JavaScript: cast it, or use a plugin", field.data_type())),
        Err(_) => diagnostic.hint.clone(),
    };
    Some(of(Diagnostic { hint, ..diagnostic.clone() }, pointers))
}

/// What interpreted lambdas read of objects that do not have it, in their places.
pub(crate) fn missing(chain: &Scripted, pointers: &[String], schema: &Schema) -> Vec<Warning> {
    if element::Element::of(schema) != element::Element::Object {
        return Vec::new();
    }
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let missing = chain.readers.iter().flat_map(|(lambda, reads)| azora_expression::missing(lambda, reads, &known));
    missing.map(|diagnostic| of(diagnostic, pointers)).collect()
}

fn of(diagnostic: Diagnostic, pointers: &[String]) -> Warning {
    Warning {
        code: Code::LambdaUnknownName.as_str().to_owned(),
        message: format!("{}, so it is undefined", diagnostic.message),
        hint: diagnostic.hint,
        pointer: pointers.get(diagnostic.operation).cloned(),
        line: Some(diagnostic.line),
        column: Some(diagnostic.column),
        excerpt: Some(diagnostic.excerpt),
    }
}

#[cfg(test)]
mod tests {
    use super::warning;
    use azora_connect::element::json_field;
    use azora_expression::{Diagnostic, DiagnosticKind};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn only_missing_properties_are_warned_of() {
        let of = |kind, message: &str| Diagnostic {
            kind,
            message: message.to_owned(),
            property: message.strip_prefix("there is no property `").and_then(|rest| rest.strip_suffix('`')).map(str::to_owned),
            undefined: None,
            hint: Some("did you mean `name`?".to_owned()),
            operation: 1,
            line: 2,
            column: 7,
            excerpt: "r => r.nmae\n      ^".to_owned(),
        };
        let pointers = ["/a".to_owned(), "/b".to_owned()];
        let schema = Schema::new(vec![json_field("mixed"), Field::new("raw", DataType::Binary, true)]);
        let warned = |kind, message: &str| warning(&of(kind, message), &pointers, &schema);
        let made = warned(DiagnosticKind::UnknownName, "there is no property `nmae`").unwrap();
        assert_eq!(
            (made.code.as_str(), made.pointer.as_deref(), made.line, made.column),
            ("lambda.unknown_name", Some("/b"), Some(2), Some(7))
        );
        assert_eq!(made.message, "there is no property `nmae`, so it is undefined");
        assert_eq!(made.hint.as_deref(), Some("did you mean `name`?"));
        assert_eq!(warned(DiagnosticKind::UnknownName, "`x` is not defined"), None);
        assert_eq!(warned(DiagnosticKind::Unsupported, "there is no property"), None);
        assert_eq!(warned(DiagnosticKind::UnknownName, "there is no property `mixed`"), None, "it is there, as JSON");
        let made = warned(DiagnosticKind::UnknownName, "there is no property `raw`").unwrap();
        assert!(made.hint.is_some_and(|hint| hint.contains("Binary")));
    }
}
