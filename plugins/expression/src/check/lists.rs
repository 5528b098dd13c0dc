//! Methods of lists.

use super::assign::reversed;
use super::calls::Callback;
use super::convert::{compare, float, is_nil, not, or};
use super::iterables::Source;
use super::members::list_get;
use super::operators::int_math;
use super::{Check, Checker, Want, fault, names, present, tuple};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Kind, Nulls, Ty, unify, unify_all};
use crate::syntax::{Ast, Syntax};
use crate::tree::{Compare, Expr, IntMath, Node, Stmt};

pub(super) const METHODS: [&str; 29] = [
    "includes",
    "indexOf",
    "lastIndexOf",
    "join",
    "at",
    "map",
    "filter",
    "some",
    "every",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "forEach",
    "reduce",
    "reduceRight",
    "flatMap",
    "flat",
    "slice",
    "concat",
    "sort",
    "toSorted",
    "reverse",
    "toReversed",
    "push",
    "pop",
    "shift",
    "toString",
    "fill",
];

pub(super) fn length(list: Expr) -> Expr {
    Expr::new(Ty::Int.sure(), Node::ListLen(list.boxed()))
}

/// A string as the list of its characters.
pub(super) fn as_list(text: Expr) -> Expr {
    Expr::call(Ty::List(Box::new(Ty::Str.sure())), "str_code_points", vec![text])
}

impl Checker<'_> {
    pub(super) fn list_method(&mut self, base: Expr, object: &Ast, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        let first = arguments.first();
        match name {
            "map" | "forEach" | "some" | "every" | "find" | "findIndex" | "findLast" | "findLastIndex" | "filter" | "flatMap" => {
                let callback = self.callback_of(first, span)?;
                return self.with_callback(base, name, &callback, span);
            }
            "reduce" | "reduceRight" => {
                let callback = self.callback_of(first, span)?;
                let init = arguments.get(1).map(|init| self.expression(init)).transpose()?;
                return self.fold(base, &callback, init, name == "reduceRight", span);
            }
            "sort" | "toSorted" => {
                self.fresh_enough(object, name, span)?;
                let list = self.list_of(base, span)?;
                return self.sorted(list, first, span);
            }
            "reverse" | "toReversed" => {
                self.fresh_enough(object, name, span)?;
                return Ok(match base.kind.ty.clone() {
                    Ty::Tuple(parts) => {
                        self.with(base, |me, base| Ok(tuple((0..parts.len()).rev().map(|at| me.part(base.clone(), at)).collect())))?
                    }
                    _ => reversed(base),
                });
            }
            "pop" | "shift" if names::is_fresh(object) => {
                let list = self.list_of(base, span)?;
                if name == "shift" {
                    return Ok(list_get(list, Expr::int(0)));
                }
                return self.with(list, |_, list| {
                    let last = int_math(IntMath::Sub, length(list.clone()), Expr::int(1));
                    Ok(list_get(list, last))
                });
            }
            "fill" if let ([one], true) = (arguments, names::is_fresh(object)) => {
                let value = self.expression(one)?;
                let mut out = Vec::new();
                let value = self.keep(value, &mut out);
                let list = self.list_of(base, span)?;
                let slot = match &list.kind.ty {
                    Ty::List(element) => self.slot(&element.clone()),
                    _ => return Ok(list),
                };
                let kind = Ty::List(Box::new(value.kind.clone())).sure();
                return Ok(Self::done(out, Expr::new(kind, Node::ListMap(slot, None, list.boxed(), value.boxed()))));
            }
            "push" | "pop" | "shift" | "unshift" | "splice" | "fill" | "copyWithin" => {
                let message = format!("`{name}` changes a list here that cannot be followed");
                return fault(DiagnosticKind::Unsupported, span, message, "collect into a list of its own, as in `const out = []`");
            }
            "flat" => return self.flat(base, first, span),
            _ => {}
        }
        self.plain_method(base, name, arguments, span)
    }

    /// A list that changes must not be seen by anybody but who gets the answer.
    fn fresh_enough(&mut self, object: &Ast, name: &str, span: Span) -> Check<()> {
        let mut inner = object;
        let is_path = loop {
            match &inner.node {
                Syntax::Member { object, .. } => inner = object,
                Syntax::Chain(object) => inner = object,
                Syntax::Name(_) => break true,
                _ => break false,
            }
        };
        if matches!(name, "toSorted" | "toReversed") || is_path || names::is_fresh(object) {
            return Ok(());
        }
        let message = format!("`{name}` changes a list here that cannot be followed");
        fault(DiagnosticKind::Unsupported, span, message, "sort a copy: `[...list].sort()`")
    }

    fn plain_method(&mut self, base: Expr, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        if name == "concat" {
            return self.concat_lists(base, arguments, span);
        }
        if !METHODS.contains(&name) {
            return super::methods::unknown_method(&base.kind, name, &METHODS, span);
        }
        if matches!(name, "join" | "toString") && matches!(base.kind.ty, Ty::Tuple(_)) {
            let separator = self.separator(arguments)?;
            return self.join_parts(base, separator, span);
        }
        let list = self.list_of(base, span)?;
        let mut given = self.arguments(arguments)?.into_iter();
        match (name, given.next()) {
            ("toString", _) | ("join", None) => self.join(list, Expr::str(","), span),
            ("join", Some((separator, span))) => {
                let separator = if separator.kind == Kind::UNDEFINED { Expr::str(",") } else { self.text_of(separator, span)? };
                self.join(list, separator, span)
            }
            ("slice", first) => {
                let from = match first {
                    Some((from, span)) if from.kind != Kind::UNDEFINED => self.float_of(from, span)?,
                    _ => Expr::float(0.0),
                };
                let to = match given.next() {
                    Some((to, span)) if to.kind != Kind::UNDEFINED => self.float_of(to, span)?,
                    _ => Expr::float(f64::INFINITY),
                };
                Ok(Expr::new(list.kind.clone(), Node::ListCall("list_slice", vec![list, from, to])))
            }
            ("at", first) => {
                let index = match first {
                    Some((index, span)) => self.int_of(index, span)?,
                    None => Expr::int(0),
                };
                self.with(list, |me, list| {
                    me.with(index, |me, index| {
                        let is_behind = compare(Compare::Less, index.clone(), Expr::int(0));
                        let from_end = int_math(IntMath::Add, length(list.clone()), index.clone());
                        let index = me.choose(is_behind, from_end, index, span)?;
                        Ok(list_get(list, index))
                    })
                })
            }
            ("includes", Some((wanted, span))) if given.len() == 0 => self.includes(list, wanted, span),
            ("indexOf", Some((wanted, span))) if given.len() == 0 => self.index_of(list, wanted, false, span),
            ("lastIndexOf", Some((wanted, span))) if given.len() == 0 => self.index_of(list, wanted, true, span),
            _ => fault(
                DiagnosticKind::Unsupported,
                span,
                format!("`{name}` with these arguments cannot be compiled yet"),
                "write the callback in place, as in `list.map(x => x + 1)`",
            ),
        }
    }

    fn separator(&mut self, arguments: &[Ast]) -> Check<Expr> {
        match arguments.first() {
            Some(argument) => {
                let value = self.expression(argument)?;
                if value.kind == Kind::UNDEFINED { Ok(Expr::str(",")) } else { self.text_of(value, argument.span) }
            }
            None => Ok(Expr::str(",")),
        }
    }

    pub(super) fn includes(&mut self, list: Expr, wanted: Expr, span: Span) -> Check<Expr> {
        let is_float = wanted.kind.ty == Ty::Float;
        if !is_float {
            let at = self.index_of(list, wanted, false, span)?;
            return Ok(compare(Compare::GreaterEqual, at, Expr::int(0)));
        }
        // The only search that finds NaN.
        let mut out = Vec::new();
        let wanted = self.keep(wanted, &mut out);
        let is_nan = {
            let number = self.number_of(wanted.clone(), span)?;
            self.number_test("isNaN", number)?
        };
        let at = self.search(list, false, span, &mut out, &mut |me, item| {
            let same = me.equal(item.clone(), wanted.clone(), false, span)?;
            let other = me.number_test("isNaN", item)?;
            let is_wanted_there = not(is_nil(wanted.clone(), Nulls::BOTH));
            Ok(or(same, super::convert::and(super::convert::and(is_nan.clone(), is_wanted_there), other)))
        })?;
        Ok(Self::done(out, compare(Compare::GreaterEqual, at, Expr::int(0))))
    }

    fn index_of(&mut self, list: Expr, wanted: Expr, from_end: bool, span: Span) -> Check<Expr> {
        let Ty::List(element) = &list.kind.ty else {
            return fault(DiagnosticKind::Type, span, "not a list", "give a list");
        };
        let are_sure = element.is_sure() && wanted.kind.is_sure() && !from_end;
        let (function, list, wanted) = match (&element.ty, &wanted.kind.ty) {
            (Ty::Nil, _) if element.is_sure() => return Ok(Expr::int(-1)),
            (Ty::Str, Ty::Str) if are_sure => ("list_index_of_str", list, wanted),
            (Ty::Int, Ty::Int) if are_sure => ("list_index_of_int", list, wanted),
            (Ty::Float, Ty::Int | Ty::Float) if are_sure => ("list_index_of_num", list, float(wanted)),
            _ => {
                let mut out = Vec::new();
                let wanted = self.keep(wanted, &mut out);
                let at = self.search(list, from_end, span, &mut out, &mut |me, item| me.equal(item, wanted.clone(), false, span))?;
                return Ok(Self::done(out, at));
            }
        };
        let found = Expr::call(Ty::Float, function, vec![list, wanted]);
        Ok(Expr::new(Ty::Int.sure(), Node::FloatToInt(found.boxed())))
    }

    /// The number of the first (or last) element for which the test is true; -1 where there is none.
    fn search(
        &mut self,
        list: Expr,
        from_end: bool,
        span: Span,
        out: &mut Vec<Stmt>,
        test: &mut dyn FnMut(&mut Self, Expr) -> Check<Expr>,
    ) -> Check<Expr> {
        let found = self.variable(Expr::int(-1), out);
        let leave = self.exit();
        let source = self.source(list, span)?;
        let mut all = Vec::new();
        self.walk(source, from_end, leave, &mut all, &mut |me, item, index, inner| {
            let test = test(me, item)?;
            inner.push(Stmt::If(test, vec![Stmt::Set(found, index), Stmt::Leave(leave)], Vec::new()));
            Ok(())
        })?;
        out.push(Stmt::Labeled(leave, all));
        Ok(self.local(found))
    }

    /// `list.join(separator)`: null and undefined elements are empty.
    pub(super) fn join(&mut self, list: Expr, separator: Expr, span: Span) -> Check<Expr> {
        let Ty::List(element) = list.kind.ty.clone() else {
            return fault(DiagnosticKind::Type, span, "not a list", "give a list");
        };
        let texts = if *element == Ty::Str.sure() {
            list
        } else {
            let slot = self.slot(&element);
            let item = self.item(slot, &element);
            let text = self.joined_text(item, span)?;
            let kind = Ty::List(Box::new(Ty::Str.sure())).sure();
            Expr::new(kind, Node::ListMap(slot, None, list.boxed(), text.boxed()))
        };
        Ok(Expr::call(Ty::Str, "list_join", vec![texts, separator]))
    }

    fn item(&self, slot: crate::tree::Slot, element: &Kind) -> Expr {
        if element.width() == 0 { Expr::new(element.clone(), Node::Nil) } else { self.local(slot) }
    }

    fn joined_text(&mut self, item: Expr, span: Span) -> Check<Expr> {
        if item.kind.is_sure() && item.kind.ty != Ty::Nil {
            return self.text_of(item, span);
        }
        if item.kind.ty == Ty::Nil {
            return Ok(Expr::str(""));
        }
        self.with(item, |me, item| {
            let nil = is_nil(item.clone(), Nulls::BOTH);
            let text = me.text_of(present(item), span)?;
            me.choose(nil, Expr::str(""), text, span)
        })
    }

    /// Parts of a tuple, whatever their types, as one string.
    pub(super) fn join_parts(&mut self, base: Expr, separator: Expr, span: Span) -> Check<Expr> {
        let Ty::Tuple(parts) = base.kind.ty.clone() else { return self.join(base, separator, span) };
        self.with(base, |me, base| {
            me.with(separator, |me, separator| {
                let mut pieces = Vec::new();
                for at in 0..parts.len() {
                    if at > 0 {
                        pieces.push(separator.clone());
                    }
                    let part = me.part(base.clone(), at);
                    pieces.push(me.joined_text(part, span)?);
                }
                Ok(super::concat(pieces))
            })
        })
    }

    pub(super) fn with_callback(&mut self, base: Expr, name: &str, callback: &Callback, span: Span) -> Check<Expr> {
        let source = self.source(base, span)?;
        let mut out = Vec::new();
        let value = match (name, source) {
            ("map", Source::Parts(parts)) => {
                let parts: Vec<Expr> = parts.into_iter().map(|part| self.keep(part, &mut out)).collect();
                let whole = tuple(parts.clone());
                let mut made = Vec::new();
                for (at, part) in parts.into_iter().enumerate() {
                    let index = Expr::int(i64::try_from(at).unwrap_or(i64::MAX));
                    let value = self.invoke(callback, vec![part, index, whole.clone()], Want::Value, span, &mut out)?;
                    made.push(self.keep(value, &mut out));
                }
                tuple(made)
            }
            ("map" | "filter", source) => {
                let list = self.whole(source, span)?;
                let list = if callback.takes(2) { self.keep(list, &mut out) } else { list };
                let Ty::List(element) = list.kind.ty.clone() else {
                    return fault(DiagnosticKind::Type, span, "not a list", "give a list");
                };
                let slot = self.slot(&element);
                let index = callback.takes(1).then(|| self.slot(&Ty::Int.sure()));
                let mut arguments = vec![self.item(slot, &element)];
                arguments.extend(index.map(|index| self.local(index)));
                if callback.takes(2) {
                    arguments.push(list.clone());
                }
                let want = if name == "map" { Want::Value } else { Want::Truth };
                let body = self.invoked(callback, arguments, want, span)?;
                if name == "map" {
                    let kind = Ty::List(Box::new(body.kind.clone())).sure();
                    Expr::new(kind, Node::ListMap(slot, index, list.boxed(), body.boxed()))
                } else {
                    Expr::new(list.kind.clone(), Node::ListFilter(slot, index, list.boxed(), body.boxed()))
                }
            }
            ("flatMap", source) => self.flat_map(source, callback, span, &mut out)?,
            (_, source) => self.looked_for(source, name, callback, span, &mut out)?,
        };
        Ok(Self::done(out, value))
    }

    fn whole(&mut self, source: Source, span: Span) -> Check<Expr> {
        match source {
            Source::List(list) => Ok(list),
            Source::Parts(parts) => self.list_of(tuple(parts), span),
        }
    }

    /// `some`, `every`, `find` and its like, and `forEach`.
    fn looked_for(&mut self, source: Source, name: &str, callback: &Callback, span: Span, out: &mut Vec<Stmt>) -> Check<Expr> {
        let element = match &source {
            Source::List(Expr { kind: Kind { ty: Ty::List(element), .. }, .. }) => (**element).clone(),
            Source::List(_) => Kind::UNDEFINED,
            Source::Parts(parts) => match unify_all(parts.iter().map(|part| &part.kind)) {
                Some(kind) => kind,
                None if matches!(name, "find" | "findLast") => {
                    return fault(DiagnosticKind::Unsupported, span, "the elements have several types", "read them by number");
                }
                None => Kind::UNDEFINED,
            },
        };
        let whole = self.third(&source, callback, out);
        let source = match whole.clone() {
            Some(whole) => self.source(whole, span)?,
            None => source,
        };
        let none = match name {
            "some" => Expr::bool(false),
            "every" => Expr::bool(true),
            "find" | "findLast" => Expr::undefined().widen(&element.with(Nulls::UNDEFINED)),
            _ => Expr::int(-1),
        };
        let found = self.variable(none, out);
        let kind = self.local(found).kind;
        let leave = self.exit();
        let mut all = Vec::new();
        self.walk(source, matches!(name, "findLast" | "findLastIndex"), leave, &mut all, &mut |me, item, index, inner| {
            let mut arguments = vec![item.clone(), index.clone()];
            arguments.extend(whole.clone());
            if name == "forEach" {
                let value = me.invoke(callback, arguments, Want::Value, span, inner)?;
                me.dismiss(value, inner);
                return Ok(());
            }
            let test = me.invoke(callback, arguments, Want::Truth, span, inner)?;
            let (test, value) = match name {
                "some" => (test, Expr::bool(true)),
                "every" => (not(test), Expr::bool(false)),
                "find" | "findLast" => (test, item.widen(&kind)),
                _ => (test, index),
            };
            inner.push(Stmt::If(test, vec![Stmt::Set(found, value), Stmt::Leave(leave)], Vec::new()));
            Ok(())
        })?;
        out.push(Stmt::Labeled(leave, all));
        Ok(if name == "forEach" { Expr::undefined() } else { self.local(found) })
    }

    /// The list itself, where the callback looks at it.
    pub(super) fn third(&mut self, source: &Source, callback: &Callback, out: &mut Vec<Stmt>) -> Option<Expr> {
        if !callback.takes(2) {
            return None;
        }
        let whole = match source {
            Source::List(list) => list.clone(),
            Source::Parts(parts) => tuple(parts.clone()),
        };
        Some(self.keep(whole, out))
    }

    fn concat_lists(&mut self, base: Expr, arguments: &[Ast], span: Span) -> Check<Expr> {
        let mut out = Vec::new();
        let mut all = self.keep(base, &mut out);
        let (values, spread) = self.given(arguments, &mut out)?;
        for value in values {
            let more = match value.kind.ty {
                Ty::List(_) | Ty::Tuple(_) if value.kind.is_sure() => value,
                Ty::List(_) | Ty::Tuple(_) => {
                    return fault(DiagnosticKind::Unsupported, span, "a list that may be null is appended", "put `?? []` behind it");
                }
                _ => tuple(vec![value]),
            };
            all = self.joined_of(all, more, span)?;
        }
        if let Some(spread) = spread {
            match &spread.kind.ty {
                Ty::List(element) if matches!(element.ty, Ty::List(_) | Ty::Tuple(_)) => {
                    let more = self.flat(spread, None, span)?;
                    all = self.joined_of(all, more, span)?;
                }
                _ => all = self.joined_of(all, spread, span)?,
            }
        }
        Ok(Self::done(out, all))
    }

    /// Two lists or tuples as one. A tuple stays one as long as both are.
    pub(super) fn joined_of(&mut self, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        match (&a.kind.ty, &b.kind.ty) {
            (Ty::Tuple(x), Ty::Tuple(y)) => {
                let (n, m) = (x.len(), y.len());
                return self.with(a, |me, a| {
                    me.with(b, |me, b| {
                        let mut parts: Vec<Expr> = (0..n).map(|at| me.part(a.clone(), at)).collect();
                        parts.extend((0..m).map(|at| me.part(b.clone(), at)));
                        Ok(tuple(parts))
                    })
                });
            }
            (Ty::Tuple(x), _) if x.is_empty() => return Ok(b),
            (_, Ty::Tuple(y)) if y.is_empty() => return Ok(a),
            _ => {}
        }
        let (a, b) = (self.list_of(a, span)?, self.list_of(b, span)?);
        let Some(kind) = unify(&a.kind, &b.kind) else {
            let message = format!("{} and {} cannot be one list", a.kind, b.kind);
            return fault(DiagnosticKind::Unsupported, span, message, "convert the elements to one type");
        };
        Ok(self.joined(a.widen(&kind), b.widen(&kind)))
    }

    /// Two lists of one kind as one.
    pub(super) fn joined(&mut self, a: Expr, b: Expr) -> Expr {
        let kind = a.kind.clone();
        let b = b.widen(&kind);
        Expr::new(kind, Node::ListCall("list_concat", vec![a, b]))
    }
}
