//! Loops and `switch`, as blocks that are left and begun again.

use super::iterables::Source;
use super::lists::length;
use super::{Check, Checker, Frame, compare, doubted, fault, not};
use crate::error::{DiagnosticKind, Span};
use crate::kind::Ty;
use crate::syntax::{Ast, Head, Loop, Statement, Target, Word};
use crate::tree::{Compare, Exit, Expr, IntMath, Node, Stmt};

/// Iterations that are written out one by one, each with types of its own.
pub(super) const WRITTEN_OUT_MAX: usize = 24;

/// What `for … of` and `for … in` have in common.
pub(super) struct Each<'a> {
    pub(super) label: Option<&'a str>,
    pub(super) head: &'a Head,
    pub(super) body: &'a [Statement],
    pub(super) span: Span,
}

/// Writes what is done with an element and its number.
pub(super) type Visit<'v, 'p> = dyn FnMut(&mut Checker<'p>, Expr, Expr, &mut Vec<Stmt>) -> Check<()> + 'v;

impl<'p> Checker<'p> {
    /// A body with the places that `break` and `continue` lead to.
    fn framed(&mut self, label: Option<&str>, leave: Exit, body: impl FnOnce(&mut Self) -> Check<Vec<Stmt>>) -> Check<Stmt> {
        let again = self.exit();
        self.frames.push(Frame { label: label.map(ToOwned::to_owned), leave, again: Some(again), is_plain: true });
        let inner = body(self)?;
        self.frames.pop();
        Ok(Stmt::Labeled(again, inner))
    }

    /// `while`, `do … while`, `for (;;)`.
    pub(super) fn repeat(&mut self, one: &Loop, out: &mut Vec<Stmt>) -> Check<()> {
        let leave = self.exit();
        let mut all = Vec::new();
        if !one.is_do {
            self.stop_unless(one.test.as_ref(), leave, &mut all)?;
        }
        let body = self.framed(one.label.as_deref(), leave, |me| {
            let inner = me.scoped(&one.body);
            if one.is_do { inner } else { doubted(inner) }
        })?;
        all.push(body);
        if let Some(update) = &one.update {
            doubted(self.effect(update, &mut all))?;
        }
        if one.is_do {
            self.stop_unless(one.test.as_ref(), leave, &mut all)?;
        }
        out.push(Stmt::Labeled(leave, vec![Stmt::Loop(all)]));
        Ok(())
    }

    fn stop_unless(&mut self, test: Option<&Ast>, leave: Exit, out: &mut Vec<Stmt>) -> Check<()> {
        let Some(test) = test else { return Ok(()) };
        let test = self.condition(test)?;
        match not(test) {
            Expr { node: Node::Bool(false), .. } => {}
            is_over => out.push(Stmt::If(is_over, vec![Stmt::Leave(leave)], Vec::new())),
        }
        Ok(())
    }

    pub(super) fn for_of(&mut self, each: &Each<'_>, iterable: &Ast, out: &mut Vec<Stmt>) -> Check<()> {
        let source = self.iterable(iterable)?;
        let source = self.source(source, each.span)?;
        let leave = self.exit();
        let mut all = Vec::new();
        self.walk(source, false, leave, &mut all, &mut |me, item, _, inner| {
            let statement = me.framed(each.label, leave, |me| me.body_of(each, item))?;
            inner.push(statement);
            Ok(())
        })?;
        out.push(Stmt::Labeled(leave, all));
        Ok(())
    }

    fn body_of(&mut self, each: &Each<'_>, item: Expr) -> Check<Vec<Stmt>> {
        let mut inner = Vec::new();
        self.scopes.push(Vec::new());
        match each.head {
            Head::Declare { pattern, word } => self.bind(pattern, item, *word == Word::Const, &mut inner)?,
            Head::Assign(target) => self.assign_item(target, item, each.span, &mut inner)?,
        }
        self.scopes.push(Vec::new());
        doubted(self.statements(each.body, &mut inner))?;
        self.scopes.pop();
        self.scopes.pop();
        Ok(inner)
    }

    fn assign_item(&mut self, target: &Target, item: Expr, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        self.assign_value(target, item, span, false, out)?;
        Ok(())
    }

    /// `for … in` over an object whose properties are known: once for each of them.
    pub(super) fn for_in(&mut self, each: &Each<'_>, object: &Ast, out: &mut Vec<Stmt>) -> Check<()> {
        let span = each.span;
        let object = self.expression(object)?;
        let names = match &object.kind.ty {
            Ty::Struct(parts) if object.kind.is_sure() && parts.len() <= WRITTEN_OUT_MAX => self.property_names(&object.kind, span)?,
            _ => {
                let message = format!("`for … in` over {} cannot be compiled yet", object.kind);
                return fault(DiagnosticKind::Unsupported, span, message, "use `for … of`");
            }
        };
        self.hold(object, out);
        let leave = self.exit();
        let mut all = Vec::new();
        for name in names {
            let statement = self.framed(each.label, leave, |me| me.body_of(each, Expr::str(name)))?;
            all.push(statement);
        }
        out.push(Stmt::Labeled(leave, all));
        Ok(())
    }

    /// Runs statements for every element, the first to the last or the other way round. They may leave by `leave`, which
    /// the caller puts around what is written here.
    pub(super) fn walk(&mut self, source: Source, from_end: bool, leave: Exit, out: &mut Vec<Stmt>, body: &mut Visit<'_, 'p>) -> Check<()> {
        let list = match source {
            Source::List(list) => list,
            Source::Parts(parts) => {
                let held: Vec<Expr> = parts.into_iter().map(|part| self.keep(part, out)).collect();
                let mut numbered: Vec<(usize, Expr)> = held.into_iter().enumerate().collect();
                if from_end {
                    numbered.reverse();
                }
                for (at, part) in numbered {
                    body(self, part, Expr::int(i64::try_from(at).unwrap_or(i64::MAX)), out)?;
                }
                return Ok(());
            }
        };
        let list = self.keep(list, out);
        let Ty::List(element) = list.kind.ty.clone() else {
            return fault(DiagnosticKind::Unsupported, Span::default(), "not a list", "give a list");
        };
        let n = self.keep(length(list.clone()), out);
        let start = if from_end { n.clone() } else { Expr::int(0) };
        let counter = self.variable(start, out);
        let at = self.local(counter);
        let by = |n: i64| Expr::new(Ty::Int.sure(), Node::IntMath(IntMath::Count, at.clone().boxed(), Expr::int(n).boxed()));
        let mut inner = Vec::new();
        let is_over =
            if from_end { compare(Compare::LessEqual, at.clone(), Expr::int(0)) } else { compare(Compare::GreaterEqual, at.clone(), n) };
        inner.push(Stmt::If(is_over, vec![Stmt::Leave(leave)], Vec::new()));
        if from_end {
            inner.push(Stmt::Set(counter, by(-1)));
        }
        let index = self.keep(at.clone(), &mut inner);
        let slot = self.slot(&element);
        inner.push(Stmt::Let(slot, Expr::new((*element).clone(), Node::ListAt(list.boxed(), index.clone().boxed()))));
        let item = self.local(slot);
        let item = if item.kind.width() == 0 { Expr::new(item.kind, Node::Nil) } else { item };
        doubted(body(self, item, index, &mut inner))?;
        if !from_end {
            inner.push(Stmt::Set(counter, by(1)));
        }
        out.push(Stmt::Loop(inner));
        Ok(())
    }

    /// A block for each case, one inside the other: what is chosen leaves the blocks of all cases before it.
    pub(super) fn switch(
        &mut self,
        label: Option<&str>,
        value: &Ast,
        cases: &[(Option<Ast>, Vec<Statement>)],
        span: Span,
        out: &mut Vec<Stmt>,
    ) -> Check<()> {
        let value = self.expression(value)?;
        let value = self.keep(value, out);
        let leave = self.exit();
        let exits: Vec<Exit> = cases.iter().map(|_| self.exit()).collect();
        let mut inner = Vec::new();
        let mut otherwise = leave;
        for ((test, _), exit) in cases.iter().zip(&exits) {
            let Some(test) = test else {
                otherwise = *exit;
                continue;
            };
            let test = self.expression(test)?;
            let is_it = self.equal(value.clone(), test, false, span)?;
            inner.push(Stmt::If(is_it, vec![Stmt::Leave(*exit)], Vec::new()));
        }
        inner.push(Stmt::Leave(otherwise));
        self.scopes.push(Vec::new());
        self.frames.push(Frame { label: label.map(ToOwned::to_owned), leave, again: None, is_plain: true });
        for ((_, body), exit) in cases.iter().zip(&exits) {
            let mut around = vec![Stmt::Labeled(*exit, inner)];
            doubted(self.statements(body, &mut around))?;
            inner = around;
        }
        self.frames.pop();
        self.scopes.pop();
        out.push(Stmt::Labeled(leave, inner));
        Ok(())
    }
}
