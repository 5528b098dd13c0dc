//! Values: nulls that are filled or dropped, replacements, lists that become rows.

use super::At;
use crate::plan::Builder;
use crate::plan::sql::{built, scalar};
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::UnnestOptions;
use datafusion::functions::expr_fn::coalesce;
use datafusion::functions_nested::expr_fn::{cardinality, make_array};
use datafusion::logical_expr::{Expr, cast, ident, lit, when};
use serde_json::Value;

/// Whether a column of a type can take a value as it is meant.
fn takes(of: &DataType, value: &Value) -> bool {
    match value {
        Value::Number(_) => of.is_numeric(),
        Value::String(_) => matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        Value::Bool(_) => of == &DataType::Boolean,
        _ => false,
    }
}

impl Builder<'_> {
    /// Every column as it is, or as `change` makes it.
    fn each_column(&mut self, mut change: impl FnMut(&str, &DataType) -> Result<Option<Expr>, Failure>) -> Result<(), Failure> {
        let schema = std::sync::Arc::clone(&self.rows.schema);
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(match change(field.name(), field.data_type())? {
                Some(expr) => expr.alias(field.name()),
                None => ident(field.name()),
            });
        }
        self.change(|frame| frame.select(columns))
    }

    /// Columns become rows. Values of several types become what all of them are.
    pub(super) fn unpivot(
        &mut self,
        at: &At<'_>,
        (ids, values): (&[String], Option<&[String]>),
        (variable, value): (&str, &str),
    ) -> Result<(), Failure> {
        let names = self.rows.names();
        for column in ids.iter().chain(values.unwrap_or_default()) {
            self.known(column)?;
        }
        if ids.iter().any(|name| name == variable || name == value) || variable == value {
            return Err(at.invalid("a column of the answer would have the name of another one").hint("give 'variable' and 'value'"));
        }
        let values = values.map_or_else(|| names.iter().filter(|name| !ids.contains(name)).cloned().collect(), <[String]>::to_vec);
        if values.is_empty() {
            return Err(at.invalid("no column is left that could become rows"));
        }
        let words = make_array(values.iter().map(|name| lit(name.as_str())).collect()).alias(variable);
        let of = |name: &String| self.rows.schema.field_with_name(name).map_or(DataType::Null, |field| field.data_type().clone());
        let is_text = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        // Every value can be a text, and not every text a number.
        let has_texts = values.iter().any(|name| is_text(&of(name))) && !values.iter().all(|name| is_text(&of(name)));
        let one = |name: &String| if has_texts && !of(name).is_nested() { cast(ident(name), DataType::Utf8) } else { ident(name) };
        let numbers = make_array(values.iter().map(one).collect()).alias(value);
        let columns: Vec<Expr> = ids.iter().map(ident).chain([words, numbers]).collect();
        self.change(|frame| frame.select(columns)?.unnest_columns_with_options(&[variable, value], UnnestOptions::new()))
    }

    pub(super) fn fill_null(
        &mut self,
        at: &At<'_>,
        all: Option<&Value>,
        subset: Option<&[String]>,
        by_column: &[(String, Value)],
    ) -> Result<(), Failure> {
        for column in by_column.iter().map(|(name, _)| name).chain(subset.unwrap_or_default()) {
            self.known(column)?;
        }
        self.each_column(|name, of| {
            let own = by_column.iter().find(|(column, _)| column == name).map(|(_, value)| value);
            if let Some(value) = own
                && !takes(of, value)
                && !(value.is_string() && of.is_temporal())
                && of != &DataType::Null
            {
                let message = format!("column '{name}' is {of}, which {value} does not fill");
                return Err(Failure::new(Code::SqlType, message)
                    .at(&at.pointer)
                    .hint("give a value of the column's type, or cast the column first"));
            }
            let is_meant = |value: &&Value| (takes(of, value)) && subset.is_none_or(|names| names.iter().any(|column| column == name));
            let value = own.or(all.filter(is_meant));
            Ok(value.map(|value| {
                let of = if of == &DataType::Null { scalar(value).data_type() } else { of.clone() };
                coalesce(vec![cast(ident(name), of.clone()), cast(lit(scalar(value)), of)])
            }))
        })
    }

    pub(super) fn drop_null(&mut self, columns: Option<&[String]>, least: Option<usize>) -> Result<(), Failure> {
        let names = match columns {
            Some(columns) => columns.to_vec(),
            None => self.rows.names(),
        };
        for name in &names {
            self.known(name)?;
        }
        let condition = match least {
            None => names.iter().map(|name| ident(name).is_not_null()).reduce(Expr::and),
            Some(least) => {
                let one = |name: &String| cast(ident(name).is_not_null(), DataType::Int64);
                let wanted = lit(i64::try_from(least).unwrap_or(i64::MAX));
                names.iter().map(one).reduce(|a, b| a + b).map(|count| count.gt_eq(wanted))
            }
        };
        match condition {
            Some(condition) => self.change(|frame| frame.filter(condition)),
            None => Ok(()),
        }
    }

    pub(super) fn replace_values(&mut self, columns: Option<&[String]>, pairs: &[(Value, Value)]) -> Result<(), Failure> {
        for column in columns.unwrap_or_default() {
            self.known(column)?;
        }
        self.each_column(|name, of| {
            if columns.is_some_and(|columns| !columns.iter().any(|column| column == name)) {
                return Ok(None);
            }
            let fits = |(old, new): &&(Value, Value)| takes(of, old) && (new.is_null() || takes(of, new));
            let mut fitting = pairs.iter().filter(fits);
            let Some((old, new)) = fitting.next() else { return Ok(None) };
            let value = |value: &Value| cast(lit(scalar(value)), of.clone());
            let mut case = when(ident(name).eq(value(old)), value(new));
            for (old, new) in fitting {
                case = case.when(ident(name).eq(value(old)), value(new));
            }
            built(case.otherwise(ident(name))).map(Some)
        })
    }

    pub(super) fn explode(&mut self, at: &At<'_>, column: &str, name: &str, keeps_empty: bool) -> Result<(), Failure> {
        self.known(column)?;
        let of = self.rows.schema.field_with_name(column).map_or(DataType::Null, |field| field.data_type().clone());
        if !matches!(of, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)) {
            return Err(at.invalid(format!("column '{column}' is {of}, and only lists can be exploded")));
        }
        let list = ident(column);
        let list = if keeps_empty {
            // An empty list becomes one null, as no list does.
            built(when(cardinality(list.clone()).eq(lit(0_u64)), lit(datafusion::common::ScalarValue::Null)).otherwise(list))?
        } else {
            list
        };
        if keeps_empty || column != name {
            let list = cast(list, of);
            self.put_column(name, list)?;
        }
        let options = UnnestOptions::new().with_preserve_nulls(keeps_empty);
        self.change(|frame| frame.unnest_columns_with_options(&[name], options))
    }
}
