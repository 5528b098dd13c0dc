//! Calls in expressions whose answers have no type yet: where they stand in a plan, and what they are called with. A sample
//! of that tells the type, see `lambda::sample`.
//!
//! Calls inside of others come first, and those of inputs before those of what reads them: their types are needed there.
//!
//! In a subquery that uses columns of the query around it a sample is of more rows than the call will see: conditions on
//! outer columns are left out, and arguments that are outer columns come from the rows around it.

use super::scalar::{Probe, probe_of};
use crate::lambda::Wanted;
use crate::notes::Notes;
use crate::plan::sql::built;
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction};
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
    /// The inputs of the nodes around the one in hand, the innermost last.
    around: Vec<Vec<LogicalPlan>>,
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
            Ok(Some(probe)) => match arguments(call, inputs, &self.around, &probe.kernel.bound)? {
                Arguments::Rows(plan) => self.found = Some((probe, *plan)),
                Arguments::Unknown => {}
                Arguments::Outside => self.failure = Some(outside(call)),
            },
            Ok(None) => {}
            Err(failure) => self.failure = Some(failure),
        }
        Ok(())
    }
}

impl<'n> TreeNodeVisitor<'n> for Survey {
    type Node = LogicalPlan;

    fn f_down(&mut self, node: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        self.around.push(node.inputs().into_iter().cloned().collect());
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, node: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        self.around.pop();
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

/// What a call is called with.
enum Arguments {
    /// These rows.
    Rows(Box<LogicalPlan>),
    /// Elements of lists, which are no rows.
    Unknown,
    /// What depends on the query around it in a way that no sample shows.
    Outside,
}

fn outside(call: &ScalarFunction) -> Failure {
    let name = call.func.name();
    let message = format!("what {name}() answers cannot be found out where it is called with what the query around it has");
    Failure::new(Code::SqlUnsupported, message).hint(format!("say it: CREATE FUNCTION {name} … RETURNS BIGINT …"))
}

/// The rows of a call's arguments, under the names of a probe's columns.
fn arguments(call: &ScalarFunction, inputs: &[&LogicalPlan], around: &[Vec<LogicalPlan>], columns: &Schema) -> Result<Arguments> {
    let has = |expr: &Expr, is_meant: fn(&Expr) -> bool| expr.exists(|part| Ok(is_meant(part)));
    let (mut outer, mut is_inner) = (Vec::new(), false);
    for arg in &call.args {
        if has(arg, |part| matches!(part, Expr::LambdaVariable(_)))? || inputs.is_empty() && !arg.column_refs().is_empty() {
            return Ok(Arguments::Unknown);
        }
        is_inner |= !arg.column_refs().is_empty();
        arg.apply(|part| {
            if let Expr::OuterReferenceColumn(_, column) = part {
                outer.push(column.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let mut sides: Vec<&LogicalPlan> = if is_inner || outer.is_empty() { inputs.to_vec() } else { Vec::new() };
    if !outer.is_empty() {
        let holds = |plans: &&Vec<LogicalPlan>| {
            let schema = merge_schema(&plans.iter().collect::<Vec<_>>());
            outer.iter().all(|column| schema.has_column(column))
        };
        let Some(plans) = around.iter().rev().find(holds) else { return Ok(Arguments::Outside) };
        sides.extend(plans);
    }
    let mut rows: Option<LogicalPlanBuilder> = None;
    for side in sides {
        let Some(side) = alone(side)? else { return Ok(Arguments::Outside) };
        rows = Some(match rows {
            None => LogicalPlanBuilder::from(side),
            Some(before) => match before.cross_join(side) {
                Ok(both) => both,
                // Tables of one name, inside and outside.
                Err(_) => return Ok(Arguments::Outside),
            },
        });
    }
    let rows = rows.unwrap_or_else(|| LogicalPlanBuilder::empty(true));
    let inside = |arg: &Expr| {
        let plain = |part| match part {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            part => Transformed::no(part),
        };
        arg.clone().transform(|part| Ok(plain(part))).data()
    };
    let mut named = Vec::with_capacity(call.args.len());
    for (arg, field) in call.args.iter().zip(columns.fields()) {
        named.push(inside(arg)?.unalias().alias(field.name()));
    }
    rows.project(named)?.build().map(|plan| Arguments::Rows(Box::new(plan)))
}

/// The rows of a plan without conditions on columns of the query around it; none where it uses them in another way.
fn alone(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let loose = plan.clone().transform_up(|node| {
        let LogicalPlan::Filter(filter) = &node else { return Ok(Transformed::no(node)) };
        let parts = split_conjunction(&filter.predicate);
        let kept = parts.iter().filter(|part| !depends(part)).map(|part| (*part).clone()).collect::<Vec<_>>();
        if kept.len() == parts.len() {
            return Ok(Transformed::no(node));
        }
        let input = filter.input.as_ref().clone();
        Ok(Transformed::yes(match conjunction(kept) {
            Some(predicate) => LogicalPlanBuilder::from(input).filter(predicate)?.build()?,
            None => input,
        }))
    });
    let loose = loose.data()?;
    let mut is_outside = false;
    loose.apply(|node| {
        node.apply_expressions(|expr| {
            is_outside |= depends(expr);
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok((!is_outside).then_some(loose))
}

/// Whether an expression uses columns of the query around its own.
fn depends(expr: &Expr) -> bool {
    expr.contains_outer()
}
