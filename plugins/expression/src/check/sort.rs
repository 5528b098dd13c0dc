//! `sort`: a merge sort, written out with the comparison in its place. It is stable, as JavaScript's is.

use super::calls::Callback;
use super::convert::{and, compare, float, not};
use super::lists::length;
use super::operators::int_math;
use super::{Check, Checker, Want, fault};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Nulls, Ty};
use crate::syntax::Ast;
use crate::tree::{Compare, Expr, IntMath, Node, Slot, Stmt};

/// A sort: the two lists of it, and the order.
#[derive(Clone, Copy)]
struct Merge<'a> {
    from: Slot,
    to: Slot,
    comparison: Option<&'a Callback>,
    span: Span,
}

/// Two neighbouring runs: where the first begins, where the second does, and where that ends.
#[derive(Clone, Copy)]
struct Runs<'a> {
    low: Slot,
    middle: &'a Expr,
    high: &'a Expr,
}

fn plus(a: Expr, b: Expr) -> Expr {
    Expr::new(Ty::Int.sure(), Node::IntMath(IntMath::Count, a.boxed(), b.boxed()))
}

fn copied(list: Expr) -> Expr {
    Expr::new(list.kind.clone(), Node::ListCall("list_slice", vec![list, Expr::float(0.0), Expr::float(f64::INFINITY)]))
}

fn less(a: Expr, b: Expr) -> Expr {
    compare(Compare::Less, a, b)
}

impl Checker<'_> {
    /// A list in order, by a comparison or by what JavaScript does without one: as strings.
    pub(super) fn sorted(&mut self, list: Expr, comparison: Option<&Ast>, span: Span) -> Check<Expr> {
        let Ty::List(element) = list.kind.ty.clone() else {
            return fault(DiagnosticKind::Type, span, "not a list", "give a list");
        };
        if element.nulls.has(Nulls::UNDEFINED) || comparison.is_none() && !element.is_sure() {
            let message = format!("sorting a list of {element} cannot be compiled yet");
            return fault(DiagnosticKind::Unsupported, span, message, "filter out what is empty first");
        }
        if element.width() == 0 {
            return Ok(list);
        }
        let comparison = match comparison {
            Some(ast) => Some(self.callback_of(Some(ast), span)?),
            None => None,
        };
        let mut out = Vec::new();
        let list = self.keep(list, &mut out);
        let n = self.keep(length(list.clone()), &mut out);
        // Two lists of its own: one to read from, one to write to.
        let from = self.variable(copied(list.clone()), &mut out);
        let to = self.variable(copied(list), &mut out);
        self.merge_all(&Merge { from, to, comparison: comparison.as_ref(), span }, &n, &mut out)?;
        let value = self.local(from);
        let value = self.keep(value, &mut out);
        Ok(Self::done(out, value))
    }

    /// Merges runs of 1, then 2, then 4 … elements.
    fn merge_all(&mut self, merge: &Merge<'_>, n: &Expr, out: &mut Vec<Stmt>) -> Check<()> {
        let width = self.variable(Expr::int(1), out);
        let (all_done, pass_done) = (self.exit(), self.exit());
        let mut pass = vec![Stmt::If(not(less(self.local(width), n.clone())), vec![Stmt::Leave(all_done)], Vec::new())];
        let low = self.variable(Expr::int(0), &mut pass);
        let mut run = vec![Stmt::If(not(less(self.local(low), n.clone())), vec![Stmt::Leave(pass_done)], Vec::new())];
        let limit = |me: &Self, times: usize| {
            let reach = (0..times).fold(me.local(low), |sum, _| plus(sum, me.local(width)));
            int_math(IntMath::Min, reach, n.clone())
        };
        let (middle, high) = (limit(self, 1), limit(self, 2));
        let middle = self.keep(middle, &mut run);
        let high = self.keep(high, &mut run);
        self.merge(merge, &Runs { low, middle: &middle, high: &high }, &mut run)?;
        run.push(Stmt::Set(low, high));
        pass.push(Stmt::Labeled(pass_done, vec![Stmt::Loop(run)]));
        let swapped = self.keep(self.local(merge.from), &mut pass);
        pass.push(Stmt::Set(merge.from, self.local(merge.to)));
        pass.push(Stmt::Set(merge.to, swapped));
        pass.push(Stmt::Set(width, plus(self.local(width), self.local(width))));
        out.push(Stmt::Labeled(all_done, vec![Stmt::Loop(pass)]));
        Ok(())
    }

    /// Merges two runs that are in order.
    fn merge(&mut self, merge: &Merge<'_>, runs: &Runs<'_>, out: &mut Vec<Stmt>) -> Check<()> {
        let (Merge { from, to, .. }, Runs { low, middle, high }) = (*merge, *runs);
        let left = self.variable(self.local(low), out);
        let right = self.variable(middle.clone(), out);
        let at = self.variable(self.local(low), out);
        let done = self.exit();
        let mut step = vec![Stmt::If(not(less(self.local(at), high.clone())), vec![Stmt::Leave(done)], Vec::new())];
        let is_left = self.variable(less(self.local(left), middle.clone()), &mut step);
        let both = and(self.local(is_left), less(self.local(right), high.clone()));
        let mut look = Vec::new();
        let element = |me: &Self, index: Slot| {
            let kind = match me.local(from).kind.ty {
                Ty::List(element) => *element,
                _ => crate::kind::Kind::UNDEFINED,
            };
            Expr::new(kind, Node::ListAt(me.local(from).boxed(), me.local(index).boxed()))
        };
        let a = self.keep(element(self, left), &mut look);
        let b = self.keep(element(self, right), &mut look);
        let is_after = self.is_after(a, b, merge, &mut look)?;
        look.push(Stmt::Set(is_left, not(is_after)));
        step.push(Stmt::If(both, look, Vec::new()));
        let take = |me: &Self, index: Slot| {
            vec![
                Stmt::Write { list: to, index: me.local(at), value: element(me, index) },
                Stmt::Set(index, plus(me.local(index), Expr::int(1))),
            ]
        };
        let (yes, no) = (take(self, left), take(self, right));
        step.push(Stmt::If(self.local(is_left), yes, no));
        step.push(Stmt::Set(at, plus(self.local(at), Expr::int(1))));
        out.push(Stmt::Labeled(done, vec![Stmt::Loop(step)]));
        Ok(())
    }

    /// Whether `a` belongs behind `b`.
    fn is_after(&mut self, a: Expr, b: Expr, merge: &Merge<'_>, out: &mut Vec<Stmt>) -> Check<Expr> {
        let span = merge.span;
        let Some(callback) = merge.comparison else {
            let (a, b) = (self.text_of(a, span)?, self.text_of(b, span)?);
            return Ok(super::operators::compare_strings(Compare::Greater, a, b));
        };
        let order = self.invoke(callback, vec![a, b], Want::Value, span, out)?;
        if order.kind.ty == Ty::Bool {
            let message = "a comparison that answers true or false does not sort in JavaScript";
            return fault(DiagnosticKind::Unsupported, span, message, "answer a negative or positive number, as in `a - b`");
        }
        let order = self.number_of(order, span)?;
        if order.kind.ty == Ty::Int {
            return Ok(compare(Compare::Greater, order, Expr::int(0)));
        }
        Ok(compare(Compare::Greater, float(order), Expr::float(0.0)))
    }
}
