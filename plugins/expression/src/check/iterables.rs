//! What can be gone through: lists, strings, sets, tuples, and lists that are made by counting.

use super::calls::Callback;
use super::lists::as_list;
use super::{Check, Checker, Want, doubted, fault, tuple};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Nulls, Ty, unify_all};
use crate::syntax::{Ast, Syntax};
use crate::tree::{Expr, Node};

/// What is gone through: a list, or values of types of their own.
pub(super) enum Source {
    List(Expr),
    Parts(Vec<Expr>),
}

impl Checker<'_> {
    /// What `for … of` and `...` go through, as a list or tuple.
    pub(super) fn iterable(&mut self, ast: &Ast) -> Check<Expr> {
        let span = ast.span;
        if let Some(list) = self.set_of(ast)? {
            return Ok(list);
        }
        if let Syntax::Call { callee, arguments, .. } = &ast.node
            && let Syntax::Member { object, name, .. } = &callee.node
            && arguments.is_empty()
            && matches!(name.as_str(), "entries" | "keys" | "values")
            && self.global_object(object).is_none()
        {
            if let Some(list) = self.set_of(object)? {
                return self.numbered(list, if name == "keys" { "values" } else { name }, span);
            }
            if let (Some(n), "keys") = (self.array_of_holes(object), name.as_str()) {
                let n = self.expression(n)?;
                let n = self.float_of(n, span)?;
                return Ok(Expr::call(Ty::List(Box::new(Ty::Int.sure())), "list_count", vec![n]));
            }
            let base = self.expression(object)?;
            if matches!(base.kind.ty, Ty::List(_) | Ty::Tuple(_)) {
                return self.numbered(base, name, span);
            }
        }
        let value = self.expression(ast)?;
        let value = self.require(value, span, "null is not iterable")?;
        match value.kind.ty {
            Ty::Str => Ok(as_list(value)),
            Ty::List(_) | Ty::Tuple(_) => Ok(value),
            _ => fault(DiagnosticKind::Type, span, format!("{} is not iterable", value.kind), "give a list or a string"),
        }
    }

    fn numbered(&mut self, list: Expr, name: &str, span: Span) -> Check<Expr> {
        let list = self.require(list, span, "null is not iterable")?;
        let list = self.list_of(list, span)?;
        let Ty::List(element) = list.kind.ty.clone() else { return Ok(list) };
        if name == "values" {
            return Ok(list);
        }
        let (slot, index) = (self.slot(&element), self.slot(&Ty::Int.sure()));
        let number = self.local(index);
        let body = if name == "keys" { number } else { tuple(vec![number, self.local(slot)]) };
        let kind = Ty::List(Box::new(body.kind.clone())).sure();
        Ok(Expr::new(kind, Node::ListMap(slot, Some(index), list.boxed(), body.boxed())))
    }

    /// `new Set(list)` as the list of its elements.
    pub(super) fn set_of(&mut self, ast: &Ast) -> Check<Option<Expr>> {
        let Syntax::New { callee, arguments } = &ast.node else { return Ok(None) };
        if self.global_object(callee) != Some("Set") {
            return Ok(None);
        }
        let Some(argument) = arguments.first() else { return Ok(Some(tuple(Vec::new()))) };
        let list = self.iterable(argument)?;
        let list = self.list_of(list, ast.span)?;
        let Ty::List(element) = &list.kind.ty else { return Ok(None) };
        let function = match (&element.ty, element.is_sure()) {
            (Ty::Str, true) => "list_unique_str",
            (Ty::Int | Ty::Time, true) => "list_unique_int",
            (Ty::Float, true) => "list_unique_num",
            (Ty::Nil, _) if element.nulls != Nulls::BOTH => {
                let kept = Node::ListCall("list_slice", vec![list.clone(), Expr::float(0.0), Expr::float(1.0)]);
                return Ok(Some(Expr::new(list.kind, kept)));
            }
            _ => {
                let message = format!("a set of {element} cannot be compiled yet");
                return fault(DiagnosticKind::Unsupported, ast.span, message, "use a set of numbers or strings");
            }
        };
        Ok(Some(Expr::new(list.kind.clone(), Node::Call(function, vec![list]))))
    }

    /// What to go through: parts of several types, or names that are known, one by one.
    pub(super) fn source(&mut self, value: Expr, span: Span) -> Check<Source> {
        let Ty::Tuple(parts) = &value.kind.ty else { return Ok(Source::List(self.list_of(value, span)?)) };
        let n = parts.len();
        let has_one_type = unify_all(parts).is_some();
        let are_known = matches!(&value.node, Node::Parts(parts) if parts.iter().all(is_known));
        if n <= super::loops::WRITTEN_OUT_MAX && (!has_one_type || are_known && n > 0) {
            let mut out = Vec::new();
            let held = self.keep(value, &mut out);
            if out.is_empty() || !has_one_type {
                let parts = (0..n).map(|at| self.part(held.clone(), at)).collect::<Vec<_>>();
                let parts = match (out.is_empty(), parts.split_first()) {
                    (false, Some((first, rest))) => {
                        let first = Self::done(out, first.clone());
                        std::iter::once(first).chain(rest.iter().cloned()).collect()
                    }
                    _ => parts,
                };
                return Ok(Source::Parts(parts));
            }
            return Ok(Source::List(self.list_of(Self::done(out, held), span)?));
        }
        Ok(Source::List(self.list_of(value, span)?))
    }

    /// `Array.from({length: n}, (_, i) => …)` and `Array(n).fill(value)`.
    pub(super) fn made_list(&mut self, n: Expr, callback: Option<&Callback>, item: Expr, span: Span) -> Check<Expr> {
        let n = self.float_of(n, span)?;
        let numbers = Expr::call(Ty::List(Box::new(Ty::Int.sure())), "list_count", vec![n]);
        let (slot, index) = (self.slot(&Ty::Int.sure()), self.slot(&Ty::Int.sure()));
        let body = match callback {
            Some(callback) => {
                let number = self.local(index);
                doubted(self.invoked(callback, vec![item, number], Want::Value, span))?
            }
            None => item,
        };
        let kind = Ty::List(Box::new(body.kind.clone())).sure();
        Ok(Expr::new(kind, Node::ListMap(slot, Some(index), numbers.boxed(), body.boxed())))
    }
}

/// A value that is the same whenever it is computed.
fn is_known(part: &Expr) -> bool {
    matches!(part.node, Node::Str(_))
        || matches!(&part.node, Node::Parts(parts) if matches!(parts.first(), Some(Expr { node: Node::Str(_), .. })))
}
