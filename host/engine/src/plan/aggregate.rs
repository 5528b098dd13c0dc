//! Aggregates of plugins over all elements, and by key. The functions themselves are `udf::aggregate`'s.

use super::plugin::{Asked, arguments, check_config, chosen};
use super::{Answer, Builder, HIDDEN, OperationAt, Rows};
use crate::node::{Project, Source};
use crate::udf::aggregate::{aggregate_udf, bind_aggregate};
use azora_connect::element::{self, Element};
use azora_sandbox::FunctionKind;
use azora_spec::{Failure, Function};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{AggregateUDF, Expr};
use serde_json::Value;
use std::sync::Arc;

/// What an aggregate makes, in a column of that name.
const MADE: &str = "__azora_aggregate";

impl Builder<'_> {
    /// All elements to one.
    pub(super) fn aggregate_with(&mut self, step: &OperationAt<'_>, function: &Function) -> Result<Answer, Failure> {
        let schema = Arc::clone(&self.rows.schema);
        let names = self.rows.names();
        let (udf, columns, made) = self.bound_aggregate(step, function, &schema, &names)?;
        let arguments = columns.iter().map(|name| self.rows.column(name)).collect::<Result<Vec<_>, _>>()?;
        self.rows.build(Element::Object, |plan| plan.aggregate(Vec::<Expr>::new(), [udf.call(arguments).alias(MADE)]))?;
        let (schema, sources) = Rows::unpacked(&made, Source::column(MADE));
        self.rows.project(schema, sources)?;
        Ok(Answer::single())
    }

    /// The values of each key to one.
    pub(super) fn aggregate_by_key_with(&mut self, step: &OperationAt<'_>, function: &Function) -> Result<(), Failure> {
        self.pair(step)?;
        let (key, value) = (self.rows.schema.field(0).clone(), self.rows.schema.field(1).clone());
        let (values, sources) = Rows::unpacked(&value, Source::column(value.name()));
        // The value's columns come beside the key, under names of their own.
        let hidden: Vec<String> = (0..sources.len()).map(|at| format!("{HIDDEN}value{at}")).collect();
        let (udf, columns, made) = self.bound_aggregate(step, function, &values, &hidden)?;
        let renamed = values.fields().iter().zip(&hidden).map(|(field, name)| field.as_ref().clone().with_name(name));
        let mut all = vec![(key.clone(), Source::column(key.name()))];
        all.extend(renamed.zip(sources));
        self.rows.put(Arc::new(Project::new(all)))?;
        let group = self.rows.column(key.name())?;
        let arguments = columns.iter().map(|name| self.rows.column(name)).collect::<Result<Vec<_>, _>>()?;
        self.rows.build(Element::Object, |plan| plan.aggregate([group], [udf.call(arguments).alias(MADE)]))?;
        let sources = vec![Source::column(key.name()), Source::column(MADE)];
        self.rows.project(element::tuple(&[key, made]), sources)?;
        self.by_key_in_order(step)
    }

    /// The function, the columns of the plan that are its arguments, and what it makes.
    fn bound_aggregate(
        &self,
        step: &OperationAt<'_>,
        function: &Function,
        schema: &Schema,
        names: &[String],
    ) -> Result<(AggregateUDF, Vec<String>, Field), Failure> {
        let Some(asked) = Asked::of(function) else {
            let hint = r#"for example {"type":"aggregate","plugin":"name@1.0.0","function":"f"}; lambdas go into 'seq' and 'comb'"#;
            return Err(step.invalid("'function' names an aggregate of a plugin here").at(format!("{}/function", step.pointer)).hint(hint));
        };
        let entry = self.ctx.plugin(asked.plugin).map_err(|failure| failure.at(format!("{}/plugin", step.pointer)))?;
        let decl = chosen(step, &asked, &entry.manifest, FunctionKind::Aggregate)?;
        check_config(&step.pointer, asked.config, decl)?;
        let arguments = arguments(step, &asked, decl, schema, names)?;
        let (columns, fields): (Vec<String>, Vec<Field>) = arguments.into_iter().map(|argument| (argument.column, argument.field)).unzip();
        let bound: SchemaRef = Arc::new(Schema::new(fields));
        let config = Value::Object(asked.config.clone()).to_string();
        let located = |failure: Failure| if failure.pointer.is_none() { failure.at(&step.pointer) } else { failure };
        let aggregate = bind_aggregate(self.ctx, &entry, decl, &bound, &config).map_err(located)?;
        let made = match aggregate.plan().result.fields().as_ref() {
            [field] => field.as_ref().clone().with_nullable(true),
            fields => Field::new(MADE, DataType::Struct(fields.to_vec().into()), false),
        };
        let name = format!("{}.{}", entry.manifest.name, decl.name);
        Ok((aggregate_udf(&name, aggregate, bound, self.ctx, &step.pointer), columns, made))
    }
}
