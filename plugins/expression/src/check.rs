//! Syntax to typed tree: scopes, statements and the application of a function to typed arguments.
//!
//! Operators, conversions, members, methods and global functions are in the files below `check/`.

mod convert;
mod globals;
mod members;
mod methods;
mod operators;
mod patterns;
mod spelling;
mod statements;

pub(crate) use convert::{compare, float_math, is_nil, not, present};
pub(crate) use operators::int_math;

use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Ty, unify};
use crate::syntax::{Ast, Body, Function, Property, Syntax};
use crate::tree::{Expr, Node, Slot, Stmt};
use spelling::nearest;
use std::collections::{HashMap, HashSet};

pub(crate) type Check<T> = Result<T, Halt>;

/// Why checking stopped.
#[derive(Debug)]
pub(crate) enum Halt {
    Fault(Box<Fault>),
    /// A variable turned out to need a wider kind, which is remembered: check the function again.
    Again,
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// WebAssembly values that one JavaScript value may take.
const WIDTH_MAX: usize = 1_000;
/// Expressions in one function after inlining.
const NODES_MAX: usize = 20_000;
/// How often a function is checked again with wider variables.
const ROUNDS_MAX: usize = 16;

#[derive(Debug, Clone)]
enum Binding {
    Value(Expr),
    Variable { slot: Slot, kind: Kind, at: u32 },
}

/// Checks one function at a time; slots are shared by the whole pipeline.
#[derive(Debug)]
pub(crate) struct Checker<'p> {
    slots: &'p mut Vec<Kind>,
    scopes: Vec<Vec<(String, Binding)>>,
    /// Kinds that variables grew into, by the place of their declaration.
    wide: HashMap<u32, Kind>,
    assigned: HashSet<String>,
    returns: Vec<Vec<Kind>>,
    nodes: usize,
}

pub(crate) fn fault<T>(kind: DiagnosticKind, span: Span, message: impl Into<String>, hint: impl Into<String>) -> Check<T> {
    Err(Fault::new(kind, span, message).hint(hint).into())
}

/// What a function is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Value,
    /// Its truth alone, as a Bool.
    Truth,
}

/// Applies a function to arguments that are cheap to repeat; statements that its value needs go to `out`.
pub(crate) fn apply(
    slots: &mut Vec<Kind>,
    function: &Function,
    arguments: &[Expr],
    want: Want,
    out: &mut Vec<Stmt>,
) -> Result<Expr, Fault> {
    let mut wide = HashMap::new();
    let mark = (slots.len(), out.len());
    for _ in 0..ROUNDS_MAX {
        slots.truncate(mark.0);
        out.truncate(mark.1);
        let mut checker = Checker { slots, scopes: Vec::new(), wide, assigned: HashSet::new(), returns: Vec::new(), nodes: 0 };
        let applied = checker.apply(function, arguments.to_vec(), want, out);
        match applied {
            Ok(value) => return Ok(value),
            Err(Halt::Fault(fault)) => return Err(*fault),
            Err(Halt::Again) => wide = checker.wide,
        }
    }
    Err(Fault::new(DiagnosticKind::Unsupported, function.span, "the type of a variable never settles").hint("give the variable one type"))
}

/// `Number(value)` outside any function.
pub(crate) fn number(slots: &mut Vec<Kind>, value: Expr) -> Result<Expr, Fault> {
    let mut checker = Checker { slots, scopes: Vec::new(), wide: HashMap::new(), assigned: HashSet::new(), returns: Vec::new(), nodes: 0 };
    checker.number_of(value, Span::default()).map_err(outside)
}

/// A tuple or list as a list, outside any function.
pub(crate) fn list(slots: &mut Vec<Kind>, value: Expr, span: Span) -> Result<Expr, Fault> {
    let mut checker = Checker { slots, scopes: Vec::new(), wide: HashMap::new(), assigned: HashSet::new(), returns: Vec::new(), nodes: 0 };
    let value = checker.require(value, span, "flatMap got null for a list").map_err(outside)?;
    checker.list_of(value, span).map_err(outside)
}

/// The n-th part of a struct or tuple that is there.
pub(crate) fn part(slots: &mut Vec<Kind>, value: Expr, at: usize) -> Expr {
    let mut checker = Checker { slots, scopes: Vec::new(), wide: HashMap::new(), assigned: HashSet::new(), returns: Vec::new(), nodes: 0 };
    checker.part(value, at)
}

fn outside(halt: Halt) -> Fault {
    match halt {
        Halt::Fault(fault) => *fault,
        Halt::Again => Fault::new(DiagnosticKind::Unsupported, Span::default(), "the type of a variable never settles"),
    }
}

/// Gives a value a name that costs nothing to repeat.
pub(crate) fn hold(slots: &mut Vec<Kind>, value: Expr, out: &mut Vec<Stmt>) -> Expr {
    if value.is_atom() {
        return value;
    }
    if let Node::Parts(parts) = value.node {
        let parts = parts.into_iter().map(|part| hold(slots, part, out)).collect();
        return Expr::new(value.kind, Node::Parts(parts));
    }
    let slot = Slot(slots.len());
    slots.push(value.kind.clone());
    let kind = value.kind.clone();
    out.push(Stmt::Let(slot, value));
    Expr::new(kind, Node::Local(slot))
}

impl Checker<'_> {
    fn slot(&mut self, kind: &Kind) -> Slot {
        self.slots.push(kind.clone());
        Slot(self.slots.len() - 1)
    }

    fn hold(&mut self, value: Expr, out: &mut Vec<Stmt>) -> Expr {
        hold(self.slots, value, out)
    }

    /// Builds an expression that uses a value more than once.
    fn with(&mut self, value: Expr, build: impl FnOnce(&mut Self, Expr) -> Check<Expr>) -> Check<Expr> {
        let mut lets = Vec::new();
        let held = self.hold(value, &mut lets);
        let mut built = build(self, held)?;
        for stmt in lets.into_iter().rev() {
            if let Stmt::Let(slot, value) = stmt {
                built = Expr::new(built.kind.clone(), Node::Let(slot, value.boxed(), built.boxed()));
            }
        }
        Ok(built)
    }

    fn apply(&mut self, function: &Function, arguments: Vec<Expr>, want: Want, out: &mut Vec<Stmt>) -> Check<Expr> {
        statements::assigned_names(function, &mut self.assigned);
        self.scopes.push(Vec::new());
        let mut arguments = arguments.into_iter();
        for param in &function.params {
            let value = arguments.next().unwrap_or_else(Expr::undefined);
            let value = self.hold(value, out);
            self.bind(param, value, false, out)?;
        }
        let value = match (&function.body, want) {
            (Body::Expression(body), Want::Value) => self.expression(body)?,
            (Body::Expression(body), Want::Truth) => self.condition(body)?,
            (Body::Statements(statements), Want::Value) => self.body(statements, function.span, out)?,
            (Body::Statements(statements), Want::Truth) => {
                let value = self.body(statements, function.span, out)?;
                self.truth_of(value)?
            }
        };
        self.scopes.pop();
        Ok(value)
    }

    fn find(&self, name: &str) -> Option<&Binding> {
        self.scopes.iter().rev().find_map(|scope| scope.iter().rev().find(|(known, _)| known == name)).map(|(_, binding)| binding)
    }

    fn names(&self) -> Vec<&str> {
        self.scopes.iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    fn expression(&mut self, ast: &Ast) -> Check<Expr> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return fault(DiagnosticKind::TooLarge, ast.span, "the function is too large", "split it into several operations");
        }
        let expr = match &ast.node {
            Syntax::Number(value) => number_literal(*value),
            Syntax::String(text) => Expr::str(text),
            Syntax::Boolean(value) => Expr::bool(*value),
            Syntax::Null => Expr::null(),
            Syntax::Name(name) => self.name(name, ast.span)?,
            Syntax::Template { texts, parts } => self.template(texts, parts)?,
            Syntax::Array(items) => {
                let items = items.iter().map(|item| self.expression(item)).collect::<Check<Vec<_>>>()?;
                let kinds = items.iter().map(|item| item.kind.clone()).collect();
                Expr::new(Ty::Tuple(kinds).sure(), Node::Parts(items))
            }
            Syntax::Object(properties) => self.object(properties)?,
            Syntax::Unary(operator, value) => {
                let value = self.expression(value)?;
                self.unary(*operator, value, ast.span)?
            }
            Syntax::Binary(operator, left, right) => {
                let left = self.expression(left)?;
                let right = self.expression(right)?;
                self.binary(*operator, left, right, ast.span)?
            }
            Syntax::Logical(operator, left, right) => {
                let left = self.expression(left)?;
                let right = self.expression(right)?;
                self.logical(*operator, left, right, ast.span)?
            }
            Syntax::Conditional(test, then, otherwise) => {
                let test = self.condition(test)?;
                let then = self.expression(then)?;
                let otherwise = self.expression(otherwise)?;
                self.choose(test, then, otherwise, ast.span)?
            }
            Syntax::Chain(inner) => self.link(inner, Box::new(|_, value| Ok(value)))?,
            Syntax::Member { .. } | Syntax::Index { .. } | Syntax::Call { .. } => self.link(ast, Box::new(|_, value| Ok(value)))?,
            Syntax::Function(_) => {
                return fault(DiagnosticKind::Unsupported, ast.span, "a function value cannot be compiled yet", "write its body in place");
            }
            Syntax::Assign { .. } => {
                return fault(
                    DiagnosticKind::Unsupported,
                    ast.span,
                    "an assignment inside an expression cannot be compiled yet",
                    "assign in a statement of its own",
                );
            }
        };
        if expr.kind.width() > WIDTH_MAX {
            return fault(DiagnosticKind::TooLarge, ast.span, format!("a value has more than {WIDTH_MAX} parts"), "keep fewer properties");
        }
        Ok(expr)
    }

    fn name(&mut self, name: &str, span: Span) -> Check<Expr> {
        match self.find(name) {
            Some(Binding::Value(value)) => return Ok(value.clone()),
            Some(Binding::Variable { slot, kind, .. }) => return Ok(Expr::new(kind.clone(), Node::Local(*slot))),
            None => {}
        }
        match name {
            "undefined" => Ok(Expr::undefined()),
            "NaN" => Ok(Expr::float(f64::NAN)),
            "Infinity" => Ok(Expr::float(f64::INFINITY)),
            _ => self.unknown_name(name, span),
        }
    }

    fn unknown_name<T>(&self, name: &str, span: Span) -> Check<T> {
        let fault = Fault::new(DiagnosticKind::UnknownName, span, format!("`{name}` is not defined"));
        let known = self.names();
        Err(match nearest(name, known.iter().copied().chain(globals::NAMES.iter().copied())) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => fault.hint("a lambda sees its parameters only"),
            None => fault.hint(format!("names in reach: {}", known.join(", "))),
        }
        .into())
    }

    fn template(&mut self, texts: &[String], parts: &[Ast]) -> Check<Expr> {
        let mut pieces = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            if !text.is_empty() {
                pieces.push(Expr::str(text));
            }
            if let Some(part) = parts.get(at) {
                let value = self.expression(part)?;
                pieces.push(self.text_of(value, part.span)?);
            }
        }
        Ok(concat(pieces))
    }

    fn object(&mut self, properties: &[Property]) -> Check<Expr> {
        let mut kinds: Vec<crate::kind::Part> = Vec::new();
        let mut values: Vec<Expr> = Vec::new();
        let mut set = |name: &str, value: Expr| {
            let kind = value.kind.clone();
            match kinds.iter().position(|part| part.name == name) {
                Some(at) => {
                    if let (Some(part), Some(old)) = (kinds.get_mut(at), values.get_mut(at)) {
                        part.kind = kind;
                        *old = value;
                    }
                }
                None => {
                    kinds.push(crate::kind::Part { name: name.to_owned(), kind });
                    values.push(value);
                }
            }
        };
        for property in properties {
            match property {
                Property::Named(name, value) => set(name, self.expression(value)?),
                Property::Spread(value) => {
                    let base = self.expression(value)?;
                    let Ty::Struct(parts) = base.kind.ty.clone() else {
                        return fault(
                            DiagnosticKind::Type,
                            value.span,
                            format!("only an object can be spread here, not {}", base.kind),
                            "name the properties",
                        );
                    };
                    if !base.kind.is_sure() || !(base.is_atom() || matches!(base.node, Node::Parts(_))) {
                        return fault(
                            DiagnosticKind::Unsupported,
                            value.span,
                            "spreading a computed or nullable object cannot be compiled yet",
                            "give it a name with const first, or name the properties",
                        );
                    }
                    for (at, part) in parts.iter().enumerate() {
                        set(&part.name, self.part(base.clone(), at));
                    }
                }
            }
        }
        Ok(Expr::new(Ty::Struct(kinds).sure(), Node::Parts(values)))
    }

    /// `test ? then : otherwise` in the narrowest kind that holds both.
    fn choose(&mut self, test: Expr, then: Expr, otherwise: Expr, span: Span) -> Check<Expr> {
        let Some(kind) = unify(&then.kind, &otherwise.kind) else {
            return fault(
                DiagnosticKind::Unsupported,
                span,
                format!("one side is {}, the other {}; a column holds one type", then.kind, otherwise.kind),
                "convert one side, for example with String(…) or Number(…)",
            );
        };
        if let Node::Bool(test) = test.node {
            return Ok(if test { then.widen(&kind) } else { otherwise.widen(&kind) });
        }
        let (then, otherwise) = (then.widen(&kind), otherwise.widen(&kind));
        Ok(Expr::new(kind, Node::If(test.boxed(), then.boxed(), otherwise.boxed())))
    }
}

/// Numbers are integers as long as they are written without a fraction and JavaScript holds them exactly.
#[expect(clippy::cast_possible_truncation, reason = "checked to be an integer below 2^53")]
pub(crate) fn number_literal(value: f64) -> Expr {
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 { Expr::int(value as i64) } else { Expr::float(value) }
}

fn concat(pieces: Vec<Expr>) -> Expr {
    let mut pieces = pieces.into_iter();
    let Some(mut all) = pieces.next() else { return Expr::str("") };
    while let Some(second) = pieces.next() {
        all = match pieces.next() {
            Some(third) => Expr::call(Ty::Str, "str_concat3", vec![all, second, third]),
            None => Expr::call(Ty::Str, "str_concat", vec![all, second]),
        };
    }
    all
}
