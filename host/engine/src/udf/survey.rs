//! Calls in expressions whose answers have no type yet: where they stand in a plan, and what they are called with. A sample
//! of that tells the type, see `lambda::sample`.
//!
//! Calls inside of others come first, and those of inputs before those of what reads them: their types are needed there.

use super::scalar::{Probe, probe_of};
use crate::lambda::Wanted;
use crate::notes::Notes;
use crate::plan::sql::built;
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};

/// Says which sample planning cannot go on without, where a plan holds a call whose type is not known.
///
/// # Errors
/// The sample, as what planning ends with for now; or what is wrong with a function.
pub(crate) fn of_plan(notes: &Notes, plan: &LogicalPlan) -> std::result::Result<(), Failure> {
    if !notes.has_calls() {
        return Ok(());
    }
    let mut survey = Survey::default();
    built(plan.visit_with_subqueries(&mut survey))?;
    survey.wanted(notes)
}

/// The same for an expression over a plan's rows.
///
/// # Errors
/// As [`of_plan`].
pub(crate) fn of_expr(notes: &Notes, expr: &Expr, input: &LogicalPlan) -> std::result::Result<(), Failure> {
    if !notes.has_calls() {
        return Ok(());
    }
    let mut survey = Survey::default();
    built(survey.look(expr, &[input]))?;
    survey.wanted(notes)
}

/// What was found so far.
#[derive(Default)]
struct Survey {
    found: Option<(Probe, LogicalPlan)>,
    failure: Option<Failure>,
}

impl Survey {
    fn wanted(self, notes: &Notes) -> std::result::Result<(), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let Some((Probe { key, kernel, proof }, plan)) = self.found else { return Ok(()) };
        notes.want(Wanted { key, plan, kernel, proof, is_one: true });
        Err(Failure::new(Code::Internal, "a sample was not taken"))
    }

    const fn is_over(&self) -> bool {
        self.found.is_some() || self.failure.is_some()
    }

    fn look(&mut self, expr: &Expr, inputs: &[&LogicalPlan]) -> Result<TreeNodeRecursion> {
        let schema = merge_schema(inputs);
        let mut calls = Calls { survey: self, schema: &schema, inputs };
        expr.visit(&mut calls)
    }

    /// What a call is a call of.
    fn call(&mut self, call: &ScalarFunction, schema: &DFSchema, inputs: &[&LogicalPlan]) -> Result<()> {
        // What has no type here gets its own when the plan is built, and the function any.
        let Ok(fields) = call.args.iter().map(|arg| Ok(arg.to_field(schema)?.1)).collect::<Result<Vec<FieldRef>>>() else {
            return Ok(());
        };
        match probe_of(&call.func, &fields) {
            Ok(Some(probe)) => {
                if let Some(plan) = arguments(call, inputs, &probe.kernel.bound)? {
                    self.found = Some((probe, plan));
                }
            }
            Ok(None) => {}
            Err(failure) => self.failure = Some(failure),
        }
        Ok(())
    }
}

impl<'n> TreeNodeVisitor<'n> for Survey {
    type Node = LogicalPlan;

    fn f_up(&mut self, node: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        let inputs = node.inputs();
        node.apply_expressions(|expr| self.look(expr, &inputs))?;
        Ok(if self.is_over() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    }
}

/// The calls of one expression.
struct Calls<'a> {
    survey: &'a mut Survey,
    schema: &'a DFSchema,
    inputs: &'a [&'a LogicalPlan],
}

impl<'n> TreeNodeVisitor<'n> for Calls<'_> {
    type Node = Expr;

    fn f_up(&mut self, node: &'n Expr) -> Result<TreeNodeRecursion> {
        if let Expr::ScalarFunction(call) = node
            && !self.survey.is_over()
        {
            self.survey.call(call, self.schema, self.inputs)?;
        }
        Ok(if self.survey.is_over() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    }
}

/// The rows of a call's arguments, under the names of a probe's columns; none where they depend on what is outside.
fn arguments(call: &ScalarFunction, inputs: &[&LogicalPlan], columns: &Schema) -> Result<Option<LogicalPlan>> {
    for arg in &call.args {
        if depends(arg)? || inputs.is_empty() && !arg.column_refs().is_empty() {
            return Ok(None);
        }
    }
    let mut rows = match inputs.first() {
        Some(first) => LogicalPlanBuilder::from((*first).clone()),
        None => LogicalPlanBuilder::empty(true),
    };
    for other in inputs.iter().skip(1) {
        rows = rows.cross_join((*other).clone())?;
    }
    for input in inputs {
        let mut is_outside = false;
        input.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                is_outside |= depends(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if is_outside {
            return Ok(None);
        }
    }
    let named = call.args.iter().zip(columns.fields()).map(|(arg, field)| arg.clone().unalias().alias(field.name()));
    rows.project(named.collect::<Vec<_>>())?.build().map(Some)
}

fn depends(expr: &Expr) -> Result<bool> {
    expr.exists(|part| Ok(matches!(part, Expr::OuterReferenceColumn(..) | Expr::LambdaVariable(_))))
}
