//! Functions that are called: those of the lambda's own, which are written where they are called, callbacks, and
//! arguments with `...`.

use super::{Binding, Check, Checker, Variable, Want, doubted, fault, tuple};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Nulls, Ty};
use crate::syntax::{Ast, Function, Logical, Pattern, Syntax};
use crate::tree::{Expr, Node, Stmt};
use std::rc::Rc;

/// Functions inside one another; a function that calls itself gets there.
const CALLS_MAX: usize = 24;

/// What a list's method is given to call.
#[derive(Debug, Clone)]
pub(super) enum Callback {
    /// With the number of scopes that it sees.
    Function(Rc<Function>, usize),
    /// `Number`, `String` and the like, or a function of `Math`.
    Global(Option<String>, String),
}

/// A function that is written in place.
pub(super) struct Inlined<'a> {
    pub(super) function: &'a Function,
    /// How many scopes it sees.
    pub(super) depth: usize,
    /// The variable of the caller's that is its first parameter, where it is one.
    pub(super) first: Option<&'a Variable>,
}

impl Callback {
    /// Whether it looks at its n-th argument.
    pub(super) fn takes(&self, n: usize) -> bool {
        match self {
            Self::Function(function, _) => function.params.len() > n || function.rest.is_some(),
            Self::Global(None, name) => n == 0 || name == "parseInt" && n == 1,
            Self::Global(Some(_), _) => n == 0,
        }
    }
}

impl Checker<'_> {
    pub(super) fn callback_of(&mut self, ast: Option<&Ast>, span: Span) -> Check<Callback> {
        match ast.map(|ast| &ast.node) {
            Some(Syntax::Function(function)) => Ok(Callback::Function(Rc::new((**function).clone()), self.scopes.len())),
            Some(Syntax::Name(name)) => match self.find(name) {
                Some(Binding::Function(function, depth)) => Ok(Callback::Function(Rc::clone(function), *depth)),
                Some(_) => fault(DiagnosticKind::Type, span, format!("`{name}` is not a function"), "give a function"),
                None if matches!(name.as_str(), "Number" | "String" | "Boolean" | "parseInt" | "parseFloat") => {
                    Ok(Callback::Global(None, name.clone()))
                }
                None => self.unknown_name(name, span),
            },
            Some(Syntax::Member { object, name, .. }) => match self.global_object(object) {
                Some(global @ ("Math" | "Number")) if !matches!(name.as_str(), "min" | "max" | "pow" | "atan2" | "hypot" | "parseInt") => {
                    Ok(Callback::Global(Some(global.to_owned()), name.clone()))
                }
                _ => fault(DiagnosticKind::Unsupported, span, "this callback cannot be compiled yet", "write a function in place"),
            },
            Some(_) => fault(DiagnosticKind::Unsupported, span, "this callback cannot be compiled yet", "write a function in place"),
            None => fault(DiagnosticKind::Type, span, "undefined is not a function", "give a function"),
        }
    }

    /// Calls it; statements that its answer needs go to `out`.
    pub(super) fn invoke(&mut self, callback: &Callback, arguments: Vec<Expr>, want: Want, span: Span, out: &mut Vec<Stmt>) -> Check<Expr> {
        match callback {
            Callback::Function(function, depth) => self.inline(&Inlined { function, depth: *depth, first: None }, arguments, want, out),
            Callback::Global(object, name) => {
                let given = arguments.into_iter().enumerate().filter(|(n, _)| callback.takes(*n)).map(|(_, value)| (value, span)).collect();
                let value = match object {
                    Some(object) => self.global_function(object, name, given, span)?,
                    None => self.plain_function(name, given, span)?,
                };
                match want {
                    Want::Value => Ok(value),
                    Want::Truth => self.truth_of(value),
                }
            }
        }
    }

    /// As [`Self::invoke`], as one expression.
    pub(super) fn invoked(&mut self, callback: &Callback, arguments: Vec<Expr>, want: Want, span: Span) -> Check<Expr> {
        let mut out = Vec::new();
        let value = doubted(self.invoke(callback, arguments, want, span, &mut out))?;
        Ok(Self::done(out, value))
    }

    /// Writes a function's body in place.
    pub(super) fn inline(&mut self, inlined: &Inlined<'_>, arguments: Vec<Expr>, want: Want, out: &mut Vec<Stmt>) -> Check<Expr> {
        let Inlined { function, depth, first } = *inlined;
        if self.n_calls >= CALLS_MAX {
            let message = "a function that calls itself cannot be compiled yet";
            return fault(DiagnosticKind::Unsupported, function.span, message, "use a loop");
        }
        self.n_calls += 1;
        let hidden = self.scopes.split_off(depth.min(self.scopes.len()));
        let frames = std::mem::take(&mut self.frames);
        let kept = self.scopes.len();
        let answer = match (first, function.params.first()) {
            (Some(variable), Some(Pattern::Name(name, _))) => {
                self.scopes.push(vec![(name.clone(), Binding::Variable(variable.clone()))]);
                let rest = Function { params: function.params.get(1..).unwrap_or_default().to_vec(), ..function.clone() };
                let arguments = arguments.into_iter().skip(1).collect();
                self.apply(&rest, arguments, want, out)
            }
            _ => self.apply(function, arguments, want, out),
        };
        self.scopes.truncate(kept);
        self.scopes.extend(hidden);
        self.frames = frames;
        self.n_calls -= 1;
        answer
    }

    /// A call of a function that the lambda declares.
    pub(super) fn call_own(&mut self, function: &Function, depth: usize, arguments: &[Ast], span: Span) -> Check<Expr> {
        let mut out = Vec::new();
        let (mut values, spread) = self.given(arguments, &mut out)?;
        match spread.map(|spread| spread.node) {
            None => {}
            Some(Node::Parts(parts)) => values.extend(parts),
            Some(_) => return fault(DiagnosticKind::Unsupported, span, "`...` cannot be compiled here yet", "list the arguments"),
        }
        let values = values.into_iter().map(|value| self.keep(value, &mut out)).collect();
        let value = self.inline(&Inlined { function, depth, first: None }, values, Want::Value, &mut out)?;
        Ok(Self::done(out, value))
    }

    /// Arguments: values, and what `...` at the end adds to them as a list or tuple.
    pub(super) fn given(&mut self, arguments: &[Ast], out: &mut Vec<Stmt>) -> Check<(Vec<Expr>, Option<Expr>)> {
        let mut values = Vec::new();
        for (at, argument) in arguments.iter().enumerate() {
            let Syntax::Spread(inner) = &argument.node else {
                let value = self.expression(argument)?;
                values.push(if self.names.is_impure { self.keep(value, out) } else { value });
                continue;
            };
            let more = self.iterable(inner)?;
            match more.node {
                Node::Parts(parts) => values.extend(parts),
                node => {
                    let more = Expr::new(more.kind, node);
                    let (behind, last) = self.given(arguments.get(at + 1..).unwrap_or_default(), out)?;
                    let mut all = self.joined_of(more, tuple(behind), argument.span)?;
                    if let Some(last) = last {
                        all = self.joined_of(all, last, argument.span)?;
                    }
                    return Ok((values, Some(all)));
                }
            }
        }
        Ok((values, None))
    }

    /// The elements of an array literal.
    pub(super) fn array(&mut self, items: &[Ast], span: Span) -> Check<Expr> {
        let mut out = Vec::new();
        let mut all: Vec<Expr> = Vec::new();
        let mut front: Option<Expr> = None;
        for item in items {
            if let Syntax::Spread(inner) = &item.node {
                let more = self.iterable(inner)?;
                match more.kind.ty.clone() {
                    Ty::Tuple(parts) => {
                        let more = self.keep(more, &mut out);
                        all.extend((0..parts.len()).map(|at| self.part(more.clone(), at)));
                    }
                    _ => {
                        let before = tuple(std::mem::take(&mut all));
                        let before = match front.take() {
                            Some(front) => self.joined_of(front, before, span)?,
                            None => before,
                        };
                        let joined = self.joined_of(before, more, span)?;
                        front = Some(self.keep(joined, &mut out));
                    }
                }
                continue;
            }
            let value = self.expression(item)?;
            let value = if matches!(value.kind.ty, Ty::Nil) && value.kind.is_sure() { Expr::undefined() } else { value };
            all.push(if self.names.is_impure { self.keep(value, &mut out) } else { value });
        }
        let value = match front {
            None => tuple(all),
            Some(front) => self.joined_of(front, tuple(all), span)?,
        };
        Ok(Self::done(out, value))
    }

    /// What a spread object adds: names and values. `cond && {…}` adds nothing where the condition is false.
    pub(super) fn spread_object(&mut self, ast: &Ast, out: &mut Vec<Stmt>) -> Check<Vec<(String, Expr)>> {
        let base = match &ast.node {
            Syntax::Logical(Logical::And, test, value) => {
                let test = self.condition(test)?;
                let value = doubted(self.expression(value))?;
                let nothing = Expr::new(Ty::Struct(Vec::new()).sure(), Node::Parts(Vec::new()));
                self.choose(test, value, nothing, ast.span)?
            }
            _ => self.expression(ast)?,
        };
        let base = self.keep(base, out);
        let nulls = base.kind.nulls;
        match base.kind.ty.clone() {
            Ty::Struct(parts) => {
                let nil = super::is_nil(base.clone(), Nulls::BOTH);
                let is_sure = nulls.is_none();
                let there = super::present(base);
                let mut all = Vec::with_capacity(parts.len());
                for (at, part) in parts.into_iter().enumerate() {
                    let value = self.part(there.clone(), at);
                    let value = if is_sure { value } else { self.choose(nil.clone(), Expr::undefined(), value, ast.span)? };
                    all.push((part.name, value));
                }
                Ok(all)
            }
            Ty::Nil | Ty::Bool | Ty::Int | Ty::Float | Ty::Time | Ty::Date => Ok(Vec::new()),
            Ty::Str | Ty::List(_) | Ty::Tuple(_) => {
                let message = format!("spreading {} in an object cannot be compiled yet", base.kind);
                fault(DiagnosticKind::Unsupported, ast.span, message, "name the properties")
            }
        }
    }
}
