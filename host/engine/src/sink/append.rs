//! Rows that are appended to a dataset: its files are read as one table, so columns of one name have one type. What fits
//! without loss becomes that type, and the rest is refused before a row is written.

use crate::failure_of;
use crate::relation::{Applied, Relation};
use crate::udf::json::as_json;
use azora_connect::element::{self, Element};
use azora_spec::{Code, DatasetName, Failure};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::{Expr, cast, ident};

/// The rows with columns that fit a dataset's.
pub(super) fn fitted(applied: Applied, name: &DatasetName, there: &Schema) -> Result<Applied, Failure> {
    let Relation { frame, schema } = applied.relation;
    let (mut columns, mut fields, mut is_changed) = (Vec::new(), Vec::new(), false);
    for field in schema.fields() {
        match met(field, name, there)? {
            None => {
                columns.push(ident(field.name()));
                fields.push(field.as_ref().clone());
            }
            Some((expr, field)) => {
                is_changed = true;
                columns.push(expr.alias(field.name()));
                fields.push(field);
            }
        }
    }
    if !is_changed {
        return Ok(Applied { relation: Relation { frame, schema }, ..applied });
    }
    let relation = Relation { frame: frame.select(columns).map_err(failure_of)?, schema: Element::of(&schema).schema(fields) };
    Ok(Applied { relation, ..applied })
}

/// Whether rows that were written fit a dataset, which may have become another meanwhile.
pub(super) fn check(schema: &Schema, name: &DatasetName, there: &Schema) -> Result<(), Failure> {
    schema.fields().iter().try_for_each(|field| match met(field, name, there)? {
        None => Ok(()),
        Some((_, wanted)) => Err(unlike(field, name, &wanted)),
    })
}

/// How a column becomes what the dataset has under its name; none where nothing has to be done.
fn met(field: &Field, name: &DatasetName, there: &Schema) -> Result<Option<(Expr, Field)>, Failure> {
    let Ok(wanted) = there.field_with_name(field.name()) else { return Ok(None) };
    let (from, to) = (field.data_type(), wanted.data_type());
    let made = |expr| Ok(Some((expr, wanted.clone().with_nullable(true))));
    let is_text = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (element::is_json(field), element::is_json(wanted)) {
        (false, true) if from != &DataType::Null => return made(as_json(ident(field.name()), field)),
        (true, false) => return Err(unlike(field, name, wanted)),
        _ => {}
    }
    // A column of nulls has no type of its own, and files of both are read as the other.
    if to == &DataType::Null || from == to || is_text(from) && is_text(to) {
        return Ok(None);
    }
    let is_wider = from == &DataType::Null
        || from.is_integer() && matches!(to, DataType::Int64 | DataType::Float64)
        || from == &DataType::Float32 && to == &DataType::Float64
        || matches!((from, to), (DataType::Timestamp(_, a), DataType::Timestamp(_, b)) if a.is_some() == b.is_some());
    if is_wider {
        return made(cast(ident(field.name()), to.clone()));
    }
    let bare = |field: &Field| field.clone().with_nullable(true);
    let is_merged = from.is_nested() && Schema::try_merge([Schema::new(vec![bare(wanted)]), Schema::new(vec![bare(field)])]).is_ok();
    if is_merged { Ok(None) } else { Err(unlike(field, name, wanted)) }
}

fn unlike(field: &Field, name: &DatasetName, wanted: &Field) -> Failure {
    let what = |field: &Field| if element::is_json(field) { "of several types".to_owned() } else { field.data_type().to_string() };
    let message = format!("column '{}' of the dataset '{name}' is {}, and {} here", field.name().escape_debug(), what(wanted), what(field));
    Failure::new(Code::DataInvalid, message).hint("cast the column, give it another name, or overwrite the dataset").at("/sink/name")
}

#[cfg(test)]
mod tests {
    use super::{Code, DataType, Field, Schema, met};
    use azora_connect::element::json_field;

    #[test]
    fn what_loses_nothing_fits() {
        let name = "d".parse().unwrap();
        let there = Schema::new(vec![
            Field::new("i", DataType::Int64, true),
            Field::new("f", DataType::Float64, true),
            Field::new("t", DataType::Utf8, true),
            Field::new("n", DataType::Null, true),
            json_field("j"),
        ]);
        let check = |column: &str, of: DataType| met(&Field::new(column, of, true), &name, &there);
        let same = |column: &str, of: DataType| assert!(check(column, of).unwrap().is_none(), "{column}");
        same("i", DataType::Int64);
        same("t", DataType::Utf8View);
        same("n", DataType::Boolean);
        same("new", DataType::Boolean);
        let made = |column: &str, of: DataType| check(column, of).unwrap().map(|(_, field)| field.data_type().clone());
        assert_eq!(made("f", DataType::Int64), Some(DataType::Float64));
        assert_eq!(made("i", DataType::Null), Some(DataType::Int64));
        assert_eq!(made("j", DataType::Boolean), Some(DataType::Utf8));
        for (column, of) in [("i", DataType::Utf8), ("i", DataType::Float64), ("t", DataType::Int64), ("f", DataType::Boolean)] {
            assert_eq!(check(column, of).unwrap_err().code, Code::DataInvalid, "{column}");
        }
        assert!(met(&json_field("t"), &name, &there).is_err(), "JSON is no text");
    }
}
