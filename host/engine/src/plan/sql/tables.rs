//! Functions in FROM: a plugin's or a lambda's rows over the rows of a query, or over constants, and `generate_series`.
//!
//! `FROM textkit.tokens((SELECT line FROM poems))` gives every row of the query, its columns by their places, to the
//! function: one row for each (`map`), any number (`flatMap`), those that pass (`filter`), or whole batches
//! (`mapPartitions`). `FROM textkit.tokens('to be')` gives it one row of constants.

use super::names::Names;
use crate::plan::{Builder, OperationAt};
use crate::relation::Relation;
use crate::udf::survey;
use azora_connect::element::Element;
use azora_sandbox::FunctionKind;
use azora_spec::{Code, Failure, Function, Operation};
use datafusion::catalog::TableFunctionArgs;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, Result, plan_err};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableSource};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableFunctionArgs as SqlArgs};
use std::collections::HashSet;
use std::sync::Arc;

/// What the names of functions in FROM start with once they are rewritten, so that no table is meant.
pub(super) const CALL: &str = "__azora_call:";
/// Functions of DataFusion that may stand in FROM. What else it has there reads files.
const BUILT_IN: &[&str] = &["generate_series", "range"];

/// A call in FROM as the planner takes it: one name, and queries as conditions, which may have any number of columns.
pub(super) fn rewritten(name: &mut ObjectName, args: &mut SqlArgs) {
    let parts: Vec<&str> = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    *name = ObjectName::from(vec![Ident::new(format!("{CALL}{}", parts.join(".")))]);
    for arg in &mut args.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg
            && let SqlExpr::Subquery(subquery) = expr
        {
            *expr = SqlExpr::Exists { subquery: subquery.clone(), negated: false };
        }
    }
}

impl Names<'_> {
    /// The rows of a call.
    pub(super) fn called(&self, name: &str, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let name = name.trim_matches('"').trim_start_matches(CALL);
        let Some(function) = self.named_function(name) else {
            return match BUILT_IN.iter().find(|known| known.eq_ignore_ascii_case(name)) {
                Some(known) => self.built_in_table(known, &args),
                None => plan_err!("Invalid function '{name}'"),
            };
        };
        match self.rows_of(name, &function, args) {
            Ok(plan) => Ok(provider_as_source(Arc::new(ViewTable::new(plan, None)))),
            Err(failure) => {
                self.fail(name, failure.at(&self.pointer));
                plan_err!("Invalid function '{name}'")
            }
        }
    }

    fn built_in_table(&self, name: &str, args: &[Expr]) -> Result<Arc<dyn TableSource>> {
        match SessionStateDefaults::default_table_functions().into_iter().find(|function| function.name() == name) {
            Some(function) => {
                let table = function.create_table_provider_with_args(TableFunctionArgs::new(args, &self.ctx.state))?;
                Ok(provider_as_source(table))
            }
            None => plan_err!("Invalid function '{name}'"),
        }
    }

    fn rows_of(&self, name: &str, function: &Function, args: Vec<Expr>) -> std::result::Result<LogicalPlan, Failure> {
        let input = input(name, args)?;
        survey::of_plan(&self.ctx.notes, &input)?;
        let columns: Vec<String> = input.schema().fields().iter().map(|field| field.name().clone()).collect();
        let schema = Element::Object.schema(input.schema().fields().clone());
        let kind = self.kind(function)?;
        // Arguments go by their places, as in every call of SQL.
        let function = match function {
            Function::Plugin { plugin, function: of, config, .. } if kind.takes_arguments => Function::Plugin {
                plugin: plugin.clone(),
                function: of.clone(),
                config: config.clone(),
                columns: Some(columns),
                keep_as: None,
            },
            // Here it makes rows, whose type is found out as in an RDD's flatMap.
            Function::Declared { text, .. } => Function::Lambda(text.clone()),
            other => other.clone(),
        };
        let operation = match kind.kind {
            FunctionKind::Map => Operation::Map(function),
            FunctionKind::Filter => Operation::Filter(function),
            FunctionKind::FlatMap => Operation::FlatMap(function),
            FunctionKind::MapPartitions => Operation::MapPartitions(function),
            FunctionKind::Aggregate => {
                return Err(Failure::new(Code::SqlInvalid, format!("'{}' is an aggregate", name.escape_debug()))
                    .hint(format!("call it in a SELECT: SELECT {}(column) FROM table", name.escape_debug())));
            }
        };
        let relation = Relation { frame: DataFrame::new(self.ctx.state.clone(), input), schema };
        let mut builder = Builder::new(self.ctx, relation, Vec::new());
        builder.operation(&OperationAt { operation: &operation, pointer: self.pointer.clone(), is_order_seen: false })?;
        builder.flush()?;
        Ok(builder.rows.plan)
    }
}

/// The rows that a call is made over, under names without qualifiers.
fn input(name: &str, mut args: Vec<Expr>) -> std::result::Result<LogicalPlan, Failure> {
    let wrong = |message: &str| {
        Failure::new(Code::SqlInvalid, format!("'{}' in FROM {message}", name.escape_debug()))
            .hint("it takes one query in two brackets, FROM f((SELECT a FROM t)), or constants, FROM f('a', 1)")
    };
    let is_query = |arg: &Expr| matches!(arg, Expr::Exists(_));
    if args.iter().any(is_query) {
        let (Some(Expr::Exists(Exists { subquery, .. })), true) = (args.pop(), args.is_empty()) else {
            return Err(wrong("takes a query alone"));
        };
        if !subquery.outer_ref_columns.is_empty() {
            return Err(wrong("cannot see the tables beside it"));
        }
        let plan = Arc::unwrap_or_clone(subquery.subquery);
        let mut taken = HashSet::new();
        let mut columns = Vec::new();
        for (qualifier, field) in plan.schema().iter() {
            if !taken.insert(field.name().clone()) {
                return Err(Failure::new(Code::ColumnAmbiguous, format!("there are two columns '{}'", field.name().escape_debug()))
                    .hint("give one of them another name with AS"));
            }
            columns.push(Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(field.name()));
        }
        return super::built(LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build));
    }
    let is_constant = |arg: &Expr| !arg.exists(|part| Ok(matches!(part, Expr::Column(_) | Expr::OuterReferenceColumn(..)))).unwrap_or(true);
    if !args.iter().all(is_constant) {
        return Err(wrong("takes no columns"));
    }
    if args.is_empty() {
        return Err(wrong("takes something"));
    }
    super::built(LogicalPlanBuilder::values(vec![args]).and_then(LogicalPlanBuilder::build))
}
