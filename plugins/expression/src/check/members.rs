//! Properties, elements by number, and the reach of `?.`.

use super::convert::{float, is_nil, present};
use super::{Check, Checker, fault, nearest};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Nulls, Ty};
use crate::syntax::{Ast, Syntax};
use crate::tree::{Expr, Node};

/// What is done with the value at the end of a chain.
type Next<'n, 'p> = Box<dyn FnOnce(&mut Checker<'p>, Expr) -> Check<Expr> + 'n>;

impl<'p> Checker<'p> {
    /// Evaluates links of a chain from the left; a null link before `?.` makes the whole chain undefined, the rest of it
    /// included, which is why the rest is passed along.
    pub(super) fn link<'n>(&mut self, ast: &'n Ast, next: Next<'n, 'p>) -> Check<Expr> {
        let span = ast.span;
        match &ast.node {
            Syntax::Member { object, name, optional } => {
                if let Some(constant) = self.global_constant(object, name)? {
                    return next(self, constant);
                }
                if name == "size"
                    && let Some(set) = self.set_of(object)?
                {
                    let list = self.list_of(set, span)?;
                    return next(self, super::lists::length(list));
                }
                self.base(
                    object,
                    *optional,
                    Box::new(move |me, base| {
                        let value = me.member(base, name, span)?;
                        next(me, value)
                    }),
                )
            }
            Syntax::Index { object, index, optional } => self.base(
                object,
                *optional,
                Box::new(move |me, base| {
                    let base = me.require(base, span, "cannot read an element of null")?;
                    let mut out = Vec::new();
                    let base = if me.names.is_impure { me.keep(base, &mut out) } else { base };
                    let index = me.expression(index)?;
                    let base = Checker::done(out, base);
                    let value = me.element(base, index, span)?;
                    next(me, value)
                }),
            ),
            Syntax::Call { callee, arguments, optional } => match &callee.node {
                Syntax::Member { object, name, optional: is_optional } => {
                    if let Some(answer) = self.global_call(object, name, arguments, span)? {
                        return next(self, answer);
                    }
                    if let (Some(n), "fill", [value]) = (self.array_of_holes(object), name.as_str(), arguments.as_slice()) {
                        let n = self.expression(n)?;
                        let value = self.expression(value)?;
                        let mut out = Vec::new();
                        let value = self.keep(value, &mut out);
                        let list = self.made_list(n, None, value, span)?;
                        return next(self, Checker::done(out, list));
                    }
                    if let Some(answer) = self.changed(object, name, arguments, span)? {
                        return next(self, answer);
                    }
                    if name == "has"
                        && let Some(set) = self.set_of(object)?
                    {
                        let wanted = match arguments.first() {
                            Some(argument) => self.expression(argument)?,
                            None => Expr::undefined(),
                        };
                        let list = self.list_of(set, span)?;
                        let answer = self.includes(list, wanted, span)?;
                        return next(self, answer);
                    }
                    if *optional {
                        return fault(DiagnosticKind::Unsupported, span, "`?.(` cannot be compiled yet", "call the method with `.`");
                    }
                    self.base(
                        object,
                        *is_optional,
                        Box::new(move |me, base| {
                            let base = me.require(base, span, "cannot call a method of null")?;
                            let value = me.method(base, object, name, arguments, span)?;
                            next(me, value)
                        }),
                    )
                }
                Syntax::Name(name) => {
                    let value = self.call_name(name, arguments, span)?;
                    next(self, value)
                }
                Syntax::Function(function) => {
                    let value = self.call_own(function, self.scopes.len(), arguments, span)?;
                    next(self, value)
                }
                _ => fault(DiagnosticKind::Unsupported, span, "calling this cannot be compiled yet", "call a method or a global function"),
            },
            // A bracketed chain ends there.
            Syntax::Chain(_) => {
                let value = self.expression(ast)?;
                next(self, value)
            }
            _ => {
                let value = self.expression(ast)?;
                next(self, value)
            }
        }
    }

    fn base<'n>(&mut self, object: &'n Ast, is_optional: bool, next: Next<'n, 'p>) -> Check<Expr> {
        let span = object.span;
        if is_optional && !matches!(object.node, Syntax::Call { .. }) {
            let base = self.optional(object)?;
            return self.unless_nil(base, span, next);
        }
        self.link(
            object,
            Box::new(move |me, base| {
                if !is_optional {
                    return next(me, base);
                }
                me.unless_nil(base, span, next)
            }),
        )
    }

    fn unless_nil<'n>(&mut self, base: Expr, span: Span, next: Next<'n, 'p>) -> Check<Expr> {
        if base.kind.is_sure() {
            return next(self, base);
        }
        if base.kind.ty == Ty::Nil {
            return Ok(Expr::undefined());
        }
        self.with(base, |me, base| {
            let nil = is_nil(base.clone(), base.kind.nulls);
            let value = super::doubted(next(me, present(base)))?;
            me.choose(nil, Expr::undefined(), value, span)
        })
    }

    fn member(&mut self, base: Expr, name: &str, span: Span) -> Check<Expr> {
        let base = self.require(base, span, "cannot read a property of null")?;
        self.property(base, name, span)
    }

    /// A property of a value that is there.
    pub(super) fn property(&mut self, base: Expr, name: &str, span: Span) -> Check<Expr> {
        match (&base.kind.ty, name) {
            // The element of a list that has none so far: this is never reached.
            (Ty::Nil, _) if base.kind.is_sure() => Ok(base),
            (Ty::Struct(parts), _) => match parts.iter().position(|part| part.name == name) {
                Some(at) => Ok(self.part(base, at)),
                None => {
                    if name == "constructor" || name == "__proto__" {
                        return fault(DiagnosticKind::Unsupported, span, format!("`{name}` cannot be compiled yet"), "name a property");
                    }
                    let known: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
                    Err(lacking(name, &known, span).into())
                }
            },
            (Ty::Str, "length") => {
                let length = Expr::call(Ty::Bool, "str_len", vec![base]);
                Ok(Expr::new(Ty::Int.sure(), Node::Extend(length.boxed())))
            }
            (Ty::List(_), "length") => Ok(Expr::new(Ty::Int.sure(), Node::ListLen(base.boxed()))),
            (Ty::Tuple(parts), "length") => Ok(Expr::int(i64::try_from(parts.len()).unwrap_or(i64::MAX))),
            (_, _) => {
                if super::methods::is_method(name) {
                    let message = format!("the method `{name}` as a value cannot be compiled yet");
                    return fault(DiagnosticKind::Unsupported, span, message, "call it");
                }
                let fault = Fault::lacking(name, span, format!("{} has no property `{name}`", base.kind));
                Err(match &base.kind.ty {
                    Ty::Tuple(_) => fault.hint("read its parts by number: `x[0]`, or destructure: `([a, b]) =>`"),
                    Ty::Str | Ty::List(_) => fault.hint("did you mean `length`?"),
                    _ => fault.hint("the element is no object; use it as it is"),
                }
                .into())
            }
        }
    }

    /// The n-th part of a struct or tuple that is there.
    pub(super) fn part(&mut self, base: Expr, at: usize) -> Expr {
        let kind = base.kind.ty.parts().get(at).map_or(Kind::UNDEFINED, |kind| (*kind).clone());
        match base.node {
            Node::Parts(mut parts) if at < parts.len() => parts.swap_remove(at),
            Node::Column(mut path) => {
                path.push(at);
                Expr::new(kind, Node::Column(path))
            }
            Node::Value(inner) if matches!(inner.node, Node::Column(_)) => match inner.node {
                Node::Column(mut path) => {
                    path.push(at);
                    Expr::new(kind, Node::Column(path))
                }
                node => Expr::new(kind, Node::Part(Expr::new(inner.kind, node).boxed(), at)),
            },
            Node::Require(test, message, value) => {
                let value = self.part(*value, at);
                Expr::new(kind, Node::Require(test, message, value.boxed()))
            }
            Node::Let(slot, value, body) => {
                let body = self.part(*body, at);
                Expr::new(kind, Node::Let(slot, value, body.boxed()))
            }
            node => Expr::new(kind, Node::Part(Expr::new(base.kind, node).boxed(), at)),
        }
    }

    /// `base[index]` of a value that is there.
    pub(super) fn element(&mut self, base: Expr, index: Expr, span: Span) -> Check<Expr> {
        if base.kind.ty == Ty::Str {
            let position = self.float_of(index, span)?;
            return Ok(Expr::new(Ty::Str.sure().with(Nulls::UNDEFINED), Node::CallOrUndefined("str_index", vec![base, position])));
        }
        match (&base.kind.ty, &index.node) {
            (Ty::Nil, _) if base.kind.is_sure() => Ok(base),
            (Ty::Tuple(parts), Node::Int(at)) => match usize::try_from(*at) {
                Ok(at) if at < parts.len() => Ok(self.part(base, at)),
                _ => Ok(Expr::undefined()),
            },
            (Ty::Struct(_), Node::Str(name)) => {
                let name = name.clone();
                self.property(base, &name, span)
            }
            (Ty::List(_) | Ty::Tuple(_), _) if index.kind.ty.is_number() && index.kind.is_sure() => {
                let list = self.list_of(base, span)?;
                Ok(list_get(list, index))
            }
            (Ty::Struct(parts), _) if index.kind == Ty::Str.sure() => {
                let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
                self.computed(base, index, &names, span)
            }
            (Ty::Struct(_), _) => {
                fault(DiagnosticKind::Unsupported, span, "a property whose name is computed cannot be compiled yet", "write the name out")
            }
            _ => fault(
                DiagnosticKind::Unsupported,
                span,
                format!("{} has no elements by {}", base.kind, index.kind),
                "index a list by a number",
            ),
        }
    }

    /// A property whose name is known at run time only: all properties have to have one type.
    fn computed(&mut self, base: Expr, name: Expr, names: &[String], span: Span) -> Check<Expr> {
        self.with(base, |me, base| {
            me.with(name, |me, name| {
                let mut all = Expr::undefined();
                for (at, known) in names.iter().enumerate().rev() {
                    let test = me.equal(name.clone(), Expr::str(known.clone()), false, span)?;
                    let part = me.part(base.clone(), at);
                    all = me.choose(test, part, all, span)?;
                }
                Ok(all)
            })
        })
    }

    /// The names of an object's properties, in JavaScript's order: whole numbers first.
    pub(super) fn property_names(&self, kind: &Kind, span: Span) -> Check<Vec<String>> {
        let Ty::Struct(parts) = &kind.ty else { return Ok(Vec::new()) };
        if parts.iter().any(|part| part.kind.nulls.has(Nulls::UNDEFINED)) {
            let message = "an object that may lack properties cannot be listed yet";
            return fault(DiagnosticKind::Unsupported, span, message, "name the properties");
        }
        let number = |name: &str| name.parse::<u32>().ok().filter(|number| number.to_string() == name && *number != u32::MAX);
        let mut names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
        names.sort_by_key(|name| (number(name).is_none(), number(name)));
        Ok(names)
    }

    /// Whether no part of a chain stands between two names: for `Math.PI` and the like.
    pub(super) fn global_object<'n>(&self, ast: &'n Ast) -> Option<&'n str> {
        match &ast.node {
            Syntax::Name(name) if self.find(name).is_none() => Some(name),
            _ => None,
        }
    }
}

/// A number as the number of an element, -1 where it is none.
pub(super) fn whole_index(index: Expr) -> Expr {
    match index.kind.ty {
        Ty::Int => index,
        _ => Expr::new(Ty::Int.sure(), Node::FloatToIndex(float(index).boxed())),
    }
}

pub(super) fn list_get(list: Expr, index: Expr) -> Expr {
    let index = whole_index(index);
    let element = match &list.kind.ty {
        Ty::List(element) => element.with(Nulls::UNDEFINED),
        _ => Kind::UNDEFINED,
    };
    Expr::new(element, Node::ListGet(list.boxed(), index.boxed()))
}

/// A property that objects with other ones do not have.
pub(crate) fn lacking(name: &str, known: &[&str], span: Span) -> Fault {
    let fault = Fault::lacking(name, span, format!("there is no property `{name}`"));
    match nearest(name, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(properties(known)),
    }
}

fn properties(known: &[&str]) -> String {
    const SHOWN_MAX: usize = 12;
    if known.is_empty() {
        return "the element has no properties".to_owned();
    }
    let shown = known.iter().take(SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
    format!("it has {shown}{}", if known.len() > SHOWN_MAX { ", …" } else { "" })
}
