//! Methods of lists that collect something on the way: `reduce`, `flatMap`, `flat`.

use super::calls::{Callback, Inlined};
use super::convert::compare;
use super::iterables::Source;
use super::lists::length;
use super::operators::int_math;
use super::{Check, Checker, Variable, Want, fault, tuple};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Ty, unify};
use crate::syntax::{Ast, Pattern, Syntax};
use crate::tree::{Compare, Expr, IntMath, Node, Slot, Stmt};

impl Checker<'_> {
    pub(super) fn fold(&mut self, base: Expr, callback: &Callback, init: Option<Expr>, from_end: bool, span: Span) -> Check<Expr> {
        let mut out = Vec::new();
        let base = self.keep(base, &mut out);
        let mut source = self.source(base.clone(), span)?;
        let mut shift = 0;
        let init = match init {
            Some(init) => init,
            None => {
                if !from_end {
                    shift = 1;
                }
                let (first, rest) = self.first_of(source, from_end, span, &mut out)?;
                source = rest;
                first
            }
        };
        let name = match callback {
            Callback::Function(function, _) => match function.params.first() {
                Some(Pattern::Name(name, _)) => Some(name.clone()),
                _ => None,
            },
            Callback::Global(..) => None,
        };
        let is_changed = name.as_ref().is_some_and(|name| self.names.mutated.contains(name));
        let is_grown = name.as_ref().is_some_and(|name| self.names.grown.contains(name));
        if let (true, Some(name)) = (is_changed, &name)
            && self.names.is_shared(name)
        {
            let message = format!("`{name}` is changed in place and may be seen under another name");
            return fault(DiagnosticKind::Unsupported, span, message, "start from a new list or object");
        }
        let init = if is_grown { super::patterns::listed(init) } else { init };
        // A place that no declaration has.
        let at = span.end.wrapping_add(1 << 31);
        let kind = match self.wide.get(&at) {
            Some(wide) => unify(wide, &init.kind).unwrap_or_else(|| wide.clone()),
            None => init.kind.clone(),
        };
        let slot = self.variable(init.widen(&kind), &mut out);
        let room = if is_changed && matches!(kind.ty, Ty::List(_)) { Some(self.variable(Expr::int(0), &mut out)) } else { None };
        let variable = Variable { slot, kind, at, is_const: false, room };
        let leave = self.exit();
        let mut all = Vec::new();
        self.walk(source, from_end, leave, &mut all, &mut |me, item, index, inner| {
            let index = if shift == 0 { index } else { int_math(IntMath::Count, index, Expr::int(shift)) };
            me.fold_one(callback, &variable, vec![item, index, base.clone()], span, inner)
        })?;
        out.push(Stmt::Labeled(leave, all));
        let value = self.local(slot);
        let value = self.keep(value, &mut out);
        Ok(Self::done(out, value))
    }

    fn fold_one(&mut self, callback: &Callback, variable: &Variable, rest: Vec<Expr>, span: Span, inner: &mut Vec<Stmt>) -> Check<()> {
        let old = Expr::new(variable.kind.clone(), Node::Local(variable.slot));
        let arguments: Vec<Expr> = std::iter::once(old).chain(rest).collect();
        let value = match callback {
            Callback::Function(function, depth) => {
                self.inline(&Inlined { function, depth: *depth, first: Some(variable) }, arguments, Want::Value, inner)?
            }
            Callback::Global(..) => self.invoke(callback, arguments, Want::Value, span, inner)?,
        };
        let is_itself = |value: &Expr| matches!(value.node, Node::Local(slot) if slot == variable.slot);
        if is_itself(&value) || matches!(&value.node, Node::Fresh(inner) if is_itself(inner)) {
            return Ok(());
        }
        self.store(variable, "the first parameter", value, span, inner)
    }

    /// The first element (or the last), which must be there, and the others.
    fn first_of(&mut self, source: Source, from_end: bool, span: Span, out: &mut Vec<Stmt>) -> Check<(Expr, Source)> {
        let list = match source {
            Source::Parts(mut parts) if !parts.is_empty() => {
                let first = if from_end { parts.pop() } else { Some(parts.remove(0)) };
                return Ok((first.unwrap_or_else(Expr::undefined), Source::Parts(parts)));
            }
            Source::Parts(parts) => self.list_of(tuple(parts), span)?,
            Source::List(list) => list,
        };
        let list = self.keep(list, out);
        let n = self.keep(length(list.clone()), out);
        let is_empty = compare(Compare::Equal, n.clone(), Expr::int(0));
        out.push(Stmt::If(is_empty, vec![Stmt::Throw(Expr::str("Reduce of empty array with no initial value"))], Vec::new()));
        let index = if from_end { int_math(IntMath::Sub, n, Expr::int(1)) } else { Expr::int(0) };
        let Ty::List(element) = list.kind.ty.clone() else { return Ok((Expr::undefined(), Source::List(list))) };
        let first = Expr::new((*element).clone(), Node::ListAt(list.clone().boxed(), index.boxed()));
        let first = self.keep(first, out);
        let (from, to) = if from_end { (0.0, -1.0) } else { (1.0, f64::INFINITY) };
        let rest = Expr::new(list.kind.clone(), Node::ListCall("list_slice", vec![list, Expr::float(from), Expr::float(to)]));
        Ok((first, Source::List(rest)))
    }

    pub(super) fn flat_map(&mut self, source: Source, callback: &Callback, span: Span, out: &mut Vec<Stmt>) -> Check<Expr> {
        let whole = self.third(&source, callback, out);
        let source = match whole.clone() {
            Some(whole) => self.source(whole, span)?,
            None => source,
        };
        let at = span.end.wrapping_add(1 << 30);
        let kind = self.wide.get(&at).cloned().unwrap_or_else(|| Ty::List(Box::new(Ty::Nil.sure())).sure());
        let empty = tuple(Vec::new()).widen(&kind);
        let slot = self.variable(empty, out);
        let room = self.variable(Expr::int(0), out);
        let collected = Variable { slot, kind, at, is_const: false, room: Some(room) };
        let leave = self.exit();
        let mut all = Vec::new();
        self.walk(source, false, leave, &mut all, &mut |me, item, index, inner| {
            let mut arguments = vec![item, index];
            arguments.extend(whole.clone());
            let value = me.invoke(callback, arguments, Want::Value, span, inner)?;
            me.collect(&collected, room, value, span, inner)
        })?;
        out.push(Stmt::Labeled(leave, all));
        let value = self.local(slot);
        Ok(self.keep(value, out))
    }

    /// Appends a value to a list, or its elements where it is a list itself.
    fn collect(&mut self, to: &Variable, room: Slot, value: Expr, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let is_list = matches!(value.kind.ty, Ty::List(_) | Ty::Tuple(_));
        if is_list && !value.kind.is_sure() {
            return fault(DiagnosticKind::Unsupported, span, "a list that may be null is flattened", "put `?? []` behind it");
        }
        if !is_list {
            return self.append(to, room, value, span, out);
        }
        let leave = self.exit();
        let source = self.source(value, span)?;
        let mut all = Vec::new();
        self.walk(source, false, leave, &mut all, &mut |me, item, _, inner| me.append(to, room, item, span, inner))?;
        out.push(Stmt::Labeled(leave, all));
        Ok(())
    }

    fn append(&mut self, to: &Variable, room: Slot, value: Expr, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let Ty::List(element) = &to.kind.ty else {
            return fault(DiagnosticKind::Unsupported, span, "no list", "give a list");
        };
        let Some(wide) = unify(element, &value.kind) else {
            let message = format!("a list of {element} cannot take {}", value.kind);
            return fault(DiagnosticKind::Unsupported, span, message, "convert the elements to one type");
        };
        self.settle(to, Ty::List(Box::new(wide.clone())).sure())?;
        out.push(Stmt::Put { list: to.slot, room, index: None, value: value.widen(&wide) });
        Ok(())
    }

    pub(super) fn flat(&mut self, base: Expr, depth: Option<&Ast>, span: Span) -> Check<Expr> {
        if !matches!(depth.map(|depth| &depth.node), None | Some(Syntax::Number(1.0))) {
            return fault(DiagnosticKind::Unsupported, span, "`flat` by more than one level cannot be compiled yet", "flatten twice");
        }
        let mut out = Vec::new();
        let source = self.source(base, span)?;
        let at = span.end.wrapping_add(1 << 30);
        let kind = self.wide.get(&at).cloned().unwrap_or_else(|| Ty::List(Box::new(Ty::Nil.sure())).sure());
        let slot = self.variable(tuple(Vec::new()).widen(&kind), &mut out);
        let room = self.variable(Expr::int(0), &mut out);
        let collected = Variable { slot, kind, at, is_const: false, room: Some(room) };
        let leave = self.exit();
        let mut all = Vec::new();
        self.walk(source, false, leave, &mut all, &mut |me, item, _, inner| me.collect(&collected, room, item, span, inner))?;
        out.push(Stmt::Labeled(leave, all));
        let value = self.local(slot);
        let value = self.keep(value, &mut out);
        Ok(Self::done(out, value))
    }
}
