//! What says that a text is JSON, or a struct a tuple, through operations on columns. DataFusion's plans do not carry it
//! everywhere, so it is kept beside the plan, by the names of columns: a column that gets another name takes it along.

use azora_connect::element::{JSON_KEY, TUPLE_KEY};
use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::collections::HashMap;
use std::sync::Arc;

/// What a field says of itself.
pub(super) fn of(field: &Field) -> HashMap<String, String> {
    let ours = field.metadata().iter().filter(|(key, _)| matches!(key.as_str(), JSON_KEY | TUPLE_KEY));
    ours.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What the columns of a selection have of the columns before it that they are under another name.
pub(super) fn moved(plan: &LogicalPlan, before: &Schema) -> Vec<(String, HashMap<String, String>)> {
    let LogicalPlan::Projection(selected) = plan else { return Vec::new() };
    let one = |(expr, field): (&Expr, &FieldRef)| {
        let mut inner = expr;
        while let Expr::Alias(alias) = inner {
            inner = &alias.expr;
        }
        let Expr::Column(column) = inner else { return None };
        let known = before.field_with_name(&column.name).ok()?;
        (known.data_type() == field.data_type()).then(|| (field.name().clone(), known.metadata().clone()))
    };
    selected.expr.iter().zip(selected.schema.fields()).filter_map(one).collect()
}

/// A schema whose columns have that metadata.
pub(super) fn put(schema: &SchemaRef, marks: &[(String, HashMap<String, String>)]) -> SchemaRef {
    let dressed = |field: &FieldRef| match marks.iter().find(|(name, _)| name == field.name()) {
        Some((_, metadata)) => Arc::new(field.as_ref().clone().with_metadata(metadata.clone())),
        None => Arc::clone(field),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(dressed).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

#[cfg(test)]
mod tests {
    use super::{moved, put};
    use azora_connect::element::{Element, is_json, json_field};
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::{LogicalPlanBuilder, ident, lit};

    #[test]
    fn what_a_column_says_of_itself_goes_where_it_goes() {
        let before = Element::Object.schema(vec![json_field("a"), Field::new("b", DataType::Utf8, true)]);
        let rows = LogicalPlanBuilder::values(vec![vec![lit("1"), lit("x")]]).unwrap();
        let rows = rows.project([ident("column1").alias("a"), ident("column2").alias("b")]).unwrap();
        // The names change places.
        let plan = rows.project([ident("a").alias("b"), ident("b").alias("a"), ident("a").alias("c")]).unwrap().build().unwrap();
        let after = Element::Object.schema(plan.schema().fields().clone());
        let after = put(&after, &moved(&plan, &before));
        let marked: Vec<&str> = after.fields().iter().filter(|field| is_json(field)).map(|field| field.name().as_str()).collect();
        assert_eq!(marked, ["b", "c"]);
    }
}
