//! Groups: aggregates, pivots, the first row of each, and descriptions of columns.

use super::{At, PLACE, known_column, pivot};
use crate::lambda::Found;
use crate::node::IndexMode;
use crate::plan::Builder;
use crate::plan::sql::{self, Names, built, checked_sum};
use crate::udf::lists::array_agg;
use crate::udf::moments;
use azora_spec::{AggregateFunction, AggregateWord, Aggregated, Code, Expression, Failure, Function, Grouping, Pivot};
use datafusion::arrow::datatypes::DataType;
use datafusion::functions_aggregate::approx_percentile_cont::approx_percentile_cont;
use datafusion::functions_aggregate::expr_fn;
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::logical_expr::{Expr, ExprFunctionExt, ExprSchemable, LogicalPlanBuilder, cast, ident, lit, when};
use serde_json::Value;

/// What `describe` says of a column.
pub(super) const DESCRIBED: [&str; 5] = ["count", "mean", "stddev", "min", "max"];
/// What `summary` says.
pub(super) const SUMMARIZED: [&str; 8] = ["count", "mean", "stddev", "min", "25%", "50%", "75%", "max"];

impl Builder<'_> {
    pub(super) fn group(&mut self, at: &At<'_>, grouping: &Grouping) -> Result<(), Failure> {
        let mut keys = Vec::with_capacity(grouping.keys.len());
        for (place, key) in grouping.keys.iter().enumerate() {
            keys.push(match &key.expression {
                Expression::Sql(text) => {
                    let expr = self.sql_expr(at, text)?;
                    self.with_name(expr, key.name.as_deref())
                }
                Expression::Function(function) => {
                    let name = key.name.clone().unwrap_or_else(|| format!("key{}", place + 1));
                    self.computed_column(at, &name, function)?;
                    ident(name)
                }
            });
        }
        let mut made = Vec::new();
        let mut needs_place = false;
        match &grouping.pivot {
            None => {
                for aggregated in &grouping.aggregates {
                    made.push(self.one_aggregate(at, aggregated, None, &mut needs_place)?.alias(&aggregated.name));
                }
            }
            Some(pivot) => {
                self.known(&pivot.column)?;
                let of = self.rows.schema.field_with_name(&pivot.column).map_or(DataType::Null, |field| field.data_type().clone());
                for value in &self.pivot_values(at, pivot, &of)? {
                    let is_value = pivot::is_value(&pivot.column, value, &of);
                    let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    for aggregated in &grouping.aggregates {
                        let name = if grouping.aggregates.len() == 1 { word.clone() } else { format!("{word}_{}", aggregated.name) };
                        made.push(self.one_aggregate(at, aggregated, Some(is_value.clone()), &mut needs_place)?.alias(name));
                    }
                }
            }
        }
        if needs_place {
            self.rows.index(IndexMode::Ordinal, PLACE)?;
        }
        self.change(|frame| frame.aggregate(keys, made))
    }

    /// The values of a pivot: those that are named, or those that a pass over the rows found.
    fn pivot_values(&self, at: &At<'_>, pivot: &Pivot, of: &DataType) -> Result<Vec<Value>, Failure> {
        if let Some(values) = &pivot.values {
            return Ok(values.clone());
        }
        if !pivot::is_plain(of) {
            return Err(at.invalid(format!("the values of '{}' are {of}, which cannot name columns", pivot.column)));
        }
        let key = format!("pivot of {}", at.pointer);
        if let Some(Found::Values(values)) = self.ctx.notes.found(&key) {
            return Ok(values);
        }
        let (plan, column, pointer) = (self.rows.plan.clone(), pivot.column.clone(), at.pointer.clone());
        self.ctx.notes.want_values(pivot::ValuesWanted { key, plan, column, pointer });
        Err(at.invalid("the values of a pivot are not known yet"))
    }

    /// One aggregate, of the rows for which a condition holds.
    fn one_aggregate(&self, at: &At<'_>, of: &Aggregated, condition: Option<Expr>, needs_place: &mut bool) -> Result<Expr, Failure> {
        let word = match &of.function {
            AggregateFunction::Word(word) => *word,
            AggregateFunction::Plugin { name, function } => return self.plugin_aggregate(at, (name, function), &of.arguments, condition),
        };
        let argument = match of.arguments.first() {
            Some(text) if text != "*" => self.sql_expr(at, text)?.unalias(),
            _ => lit(1_i64),
        };
        let argument = match condition {
            None => argument,
            Some(condition) => built(when(condition, argument).end())?,
        };
        let by_place = || vec![ident(PLACE).sort(true, false)];
        let made = match word {
            AggregateWord::Sum => checked_sum().call(vec![argument]),
            AggregateWord::Mean => moments::avg().call(vec![argument]),
            AggregateWord::Min => expr_fn::min(argument),
            AggregateWord::Max => expr_fn::max(argument),
            AggregateWord::Count => expr_fn::count(argument),
            AggregateWord::CountDistinct => expr_fn::count_distinct(argument),
            AggregateWord::Stddev => moments::deviation().call(vec![argument]),
            AggregateWord::StddevPopulation => moments::deviation_of_all().call(vec![argument]),
            AggregateWord::Variance => moments::variance().call(vec![argument]),
            AggregateWord::VariancePopulation => moments::variance_of_all().call(vec![argument]),
            AggregateWord::Median => expr_fn::median(cast(argument, DataType::Float64)),
            AggregateWord::ApproxMedian => expr_fn::approx_median(argument),
            AggregateWord::Percentile => {
                expr_fn::percentile_cont(cast(argument, DataType::Float64).sort(true, false), lit(of.fraction.unwrap_or_default()))
            }
            AggregateWord::ApproxPercentile => {
                let sorted = cast(argument, DataType::Float64).sort(true, false);
                approx_percentile_cont(sorted, lit(of.fraction.unwrap_or_default()), None)
            }
            AggregateWord::SumDistinct => built(checked_sum().call(vec![argument]).distinct().build())?,
            AggregateWord::ApproxDistinct => expr_fn::approx_distinct(argument),
            AggregateWord::First => {
                *needs_place = true;
                built(first_value_udaf().call(vec![argument]).order_by(by_place()).build())?
            }
            AggregateWord::Last => {
                *needs_place = true;
                built(last_value_udaf().call(vec![argument]).order_by(by_place()).build())?
            }
            AggregateWord::CollectList => {
                *needs_place = true;
                let is_there = argument.clone().is_not_null();
                built(array_agg().call(vec![argument]).filter(is_there).order_by(by_place()).build())?
            }
            AggregateWord::CollectSet => {
                let is_there = argument.clone().is_not_null();
                built(
                    array_agg().call(vec![argument.clone()]).filter(is_there).distinct().order_by(vec![argument.sort(true, false)]).build(),
                )?
            }
        };
        if let Some(text) = of.arguments.first()
            && let Err(error) = ExprSchemable::get_type(&made, self.rows.plan.schema())
        {
            let failure = sql::of_sql(error, text, &[]);
            let message = format!("{}, which '{}' is", failure.message, text.escape_debug());
            return Err(Failure { message, ..failure });
        }
        Ok(made)
    }

    /// A plugin's aggregate, of the rows for which a condition holds: it decides itself what nulls are to it.
    fn plugin_aggregate(
        &self,
        at: &At<'_>,
        (name, function): (&str, &Function),
        arguments: &[String],
        condition: Option<Expr>,
    ) -> Result<Expr, Failure> {
        let names = Names::new(self.ctx, &at.frame.functions, &at.pointer);
        let aggregate = names.plugin_aggregate(name, function).map_err(|failure| failure.at(&at.pointer))?;
        let arguments = if arguments.is_empty() { names.params(function)? } else { arguments.to_vec() };
        let arguments = arguments.iter().map(|text| Ok(self.sql_expr(at, text)?.unalias())).collect::<Result<Vec<_>, Failure>>()?;
        let call = aggregate.call(arguments);
        match condition {
            None => Ok(call),
            Some(condition) => built(call.filter(condition).build()),
        }
    }

    /// Of the rows with equal values in some columns the first.
    pub(super) fn first_of_each(&mut self, columns: &[String]) -> Result<(), Failure> {
        let names = self.rows.names();
        let keys: Vec<Expr> = columns.iter().map(ident).collect();
        let mut firsts = Vec::new();
        for name in names.iter().filter(|name| !columns.contains(name)) {
            let first = first_value_udaf().call(vec![ident(name)]).order_by(vec![ident(PLACE).sort(true, false)]).build();
            firsts.push(built(first)?.alias(name));
        }
        if firsts.is_empty() {
            return self.rows.distinct();
        }
        let all: Vec<Expr> = names.iter().map(ident).collect();
        self.rows.index(IndexMode::Ordinal, PLACE)?;
        self.change(|frame| frame.aggregate(keys, firsts)?.select(all))
    }

    /// Such words about columns, as texts, one row each.
    pub(super) fn describe(&mut self, columns: &[String], words: &[&'static str]) -> Result<(), Failure> {
        const WORD: &str = "summary";
        let names = self.rows.names();
        for column in columns {
            known_column(&names, column)?;
        }
        let is_plain = |of: &DataType| {
            of.is_numeric()
                || matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Boolean | DataType::Date32 | DataType::Timestamp(..))
        };
        let fields = self.rows.schema.fields().iter().filter(|field| match columns {
            [] => is_plain(field.data_type()),
            named => named.contains(field.name()),
        });
        let fields: Vec<(String, bool)> = fields.map(|field| (field.name().clone(), field.data_type().is_numeric())).collect();
        if fields.is_empty() {
            return Err(Failure::new(Code::OperationInvalid, "there is no column that can be described"));
        }
        let (mut aggregates, mut shown) = (Vec::new(), vec![ident(WORD)]);
        for (name, is_number) in &fields {
            let column = || ident(name);
            let mut cases = Vec::new();
            for (at, word) in words.iter().enumerate() {
                let value = match (*word, is_number) {
                    ("count", _) => expr_fn::count(column()),
                    ("mean", true) => moments::avg().call(vec![column()]),
                    ("stddev", true) => moments::deviation().call(vec![column()]),
                    ("25%", true) => quartile(column(), 0.25),
                    ("50%", true) => quartile(column(), 0.5),
                    ("75%", true) => quartile(column(), 0.75),
                    ("min", _) => expr_fn::min(column()),
                    ("max", _) => expr_fn::max(column()),
                    _ => continue,
                };
                let hidden = format!("{name}.{at}");
                aggregates.push(value.alias(&hidden));
                cases.push((*word, cast(ident(hidden), DataType::Utf8)));
            }
            let mut cases = cases.into_iter();
            let Some((word, value)) = cases.next() else { continue };
            let mut case = when(ident(WORD).eq(lit(word)), value);
            for (word, value) in cases {
                case = case.when(ident(WORD).eq(lit(word)), value);
            }
            shown.push(built(case.end())?.alias(name));
        }
        let rows = (0_i64..).zip(words).map(|(at, word)| vec![lit(*word), lit(at)]).collect();
        let words = built(
            LogicalPlanBuilder::values(rows).and_then(|plan| plan.project([ident("column1").alias(WORD), ident("column2").alias(PLACE)])),
        )?;
        let words = built(words.build())?;
        self.change(|frame| {
            let (state, plan) = frame.aggregate(Vec::new(), aggregates)?.into_parts();
            let crossed = LogicalPlanBuilder::from(words).cross_join(plan)?.build()?;
            datafusion::dataframe::DataFrame::new(state, crossed).sort(vec![ident(PLACE).sort(true, false)])?.select(shown)
        })
    }
}

/// About the value below which a part of the values lies.
fn quartile(of: Expr, fraction: f64) -> Expr {
    approx_percentile_cont(cast(of, DataType::Float64).sort(true, false), lit(fraction), None)
}
