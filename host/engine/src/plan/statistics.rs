//! What can be said of every column of a dataset: how many nulls, how many different values, and the extremes.

use super::{Answer, Builder, HIDDEN, OperationAt};
use crate::node::Source;
use azora_connect::element::Element;
use azora_spec::Failure;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::functions_aggregate::expr_fn::{approx_distinct, count, max, min};
use datafusion::logical_expr::{Expr, cast, lit};

/// Most columns that statistics are made of.
const COLUMNS_MAX: usize = 1_000;
/// How many rows there are, in a column of that name.
const ROWS: &str = "__azora_rows";

impl Builder<'_> {
    /// All rows become one object `{rows, columns: {name: {nulls, distinct?, min?, max?}}}`.
    pub(super) fn statistics(&mut self, step: &OperationAt<'_>) -> Result<Answer, Failure> {
        let columns: Vec<Field> = self.rows.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        if columns.len() > COLUMNS_MAX {
            return Err(step.invalid(format!("statistics are made of at most {COLUMNS_MAX} columns, and there are {}", columns.len())));
        }
        let mut aggregates = vec![count(lit(1)).alias(ROWS)];
        for (at, field) in columns.iter().enumerate() {
            let column = self.rows.column(field.name())?;
            aggregates.push(count(column.clone()).alias(name(at, "present")));
            if is_comparable(field.data_type()) {
                aggregates.push(min(column.clone()).alias(name(at, "min")));
                aggregates.push(max(column.clone()).alias(name(at, "max")));
                aggregates.push(approx_distinct(hashable(column, field.data_type())).alias(name(at, "distinct")));
            }
        }
        self.rows.build(Element::Object, |plan| plan.aggregate(Vec::<Expr>::new(), aggregates))?;
        let made = self.rows.names();
        let rows = self.rows.column(ROWS)?;
        let mut shown = Vec::with_capacity(made.len());
        for column in made {
            let expression = self.rows.column(&column)?;
            shown.push(match column.strip_suffix("present") {
                Some(stem) => (rows.clone() - expression).alias(format!("{stem}nulls")),
                None if column.ends_with("distinct") => cast(expression, DataType::Int64).alias(column),
                None => expression,
            });
        }
        self.rows.build(Element::Object, |plan| plan.project(shown))?;
        self.packed_statistics(&columns)?;
        Ok(Answer::single())
    }

    fn packed_statistics(&mut self, columns: &[Field]) -> Result<(), Failure> {
        let present: Schema = self.rows.schema.as_ref().clone();
        let (mut fields, mut sources) = (Vec::with_capacity(columns.len()), Vec::with_capacity(columns.len()));
        for (at, column) in columns.iter().enumerate() {
            let parts = ["nulls", "distinct", "min", "max"].into_iter().filter_map(|part| {
                let (_, field) = present.column_with_name(&name(at, part))?;
                Some((field.clone().with_name(part), Source::column(name(at, part))))
            });
            let (inner, from): (Vec<Field>, Vec<Source>) = parts.unzip();
            fields.push(Field::new(column.name(), DataType::Struct(inner.into()), false));
            sources.push(Source::Pack(from));
        }
        let all = [Field::new("rows", DataType::Int64, false), Field::new("columns", DataType::Struct(fields.into()), false)];
        self.rows.project(Element::Object.schema(all.to_vec()), vec![Source::column(ROWS), Source::Pack(sources)])
    }
}

fn name(at: usize, part: &str) -> String {
    format!("{HIDDEN}c{at}_{part}")
}

fn is_comparable(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Null | DataType::Dictionary(..))
}

/// What values are told apart by: decimals as their text, for there is no hash of them as numbers.
fn hashable(column: Expr, data_type: &DataType) -> Expr {
    if data_type.is_floating() { cast(column, DataType::Utf8) } else { column }
}
