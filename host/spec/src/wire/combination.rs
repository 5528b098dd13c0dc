//! The second input of an operation: `"other": {"data" | "dataset" | "source": …, "operations": […]}`.

use crate::limits::OPERATIONS_MAX;
use crate::wire::fields::{Fields, Unknown, child};
use crate::wire::{input, operation};
use crate::{Code, Failure, Input, Operation, OtherInput};

/// Reads it from the operation that needs it.
pub(super) fn other(fields: &mut Fields<'_>) -> Result<OtherInput, Failure> {
    let pointer = fields.pointer("other");
    let example = r#"for example "other": {"data": [["a", 1]]} or "other": {"dataset": "orders"}"#;
    let Some(value) = fields.value("other") else { return Err(fields.missing("other").hint(example)) };
    let mut inner = Fields::of(value, pointer.clone())?;
    let input = input::read(&mut inner)?;
    if input == Input::LastDataset {
        let message = "the second input says nothing about where its rows come from";
        return Err(Failure::new(Code::RequestField, message).at(pointer).hint(example));
    }
    let operations = operations(&mut inner)?;
    inner.finish(Unknown::Refuse)?;
    Ok(OtherInput { input, operations })
}

fn operations(fields: &mut Fields<'_>) -> Result<Vec<Operation>, Failure> {
    let pointer = fields.pointer("operations");
    let values = fields.array("operations")?.unwrap_or_default();
    if values.len() > OPERATIONS_MAX {
        let message = format!("{} operations, at most {OPERATIONS_MAX} are allowed", values.len());
        return Err(Failure::new(Code::RequestField, message).at(pointer));
    }
    let mut operations = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        let pointer = child(&pointer, &at.to_string());
        // Told by its name before it is read: reading would go down into its second input, and that one's, without an end.
        let name = value.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
        if crate::Combination::parse(name).is_some() {
            let message = format!("'{name}' cannot stand inside of a second input");
            return Err(Failure::new(Code::OperationInvalid, message)
                .at(pointer)
                .hint("combine one after the other, or write one part to a dataset first"));
        }
        let (operation, _) = operation::read(value, pointer.clone())?;
        if operation.is_action() {
            let message = format!("'{}' ends a job, and a second input goes on", operation.name());
            return Err(Failure::new(Code::OperationInvalid, message).at(pointer));
        }
        operations.push(operation);
    }
    Ok(operations)
}
