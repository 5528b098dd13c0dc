//! Syntax to typed tree: scopes, statements and the application of a function to typed arguments.
//!
//! Operators, conversions, members, methods and global functions are in the files below `check/`.

mod convert;
mod globals;
mod members;
mod methods;
mod operators;

pub(crate) use convert::{compare, float_math, is_nil, not, present};
pub(crate) use operators::int_math;

use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Nulls, Ty, unify, unify_all};
use crate::syntax::{Assign, Ast, Body, Function, Pattern, Property, Statement, Syntax};
use crate::tree::{Expr, Node, Slot, Stmt};
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
    checker.to_number(value, Span::default()).map_err(outside)
}

/// A tuple or list as a list, outside any function.
pub(crate) fn list(slots: &mut Vec<Kind>, value: Expr, span: Span) -> Result<Expr, Fault> {
    let mut checker = Checker { slots, scopes: Vec::new(), wide: HashMap::new(), assigned: HashSet::new(), returns: Vec::new(), nodes: 0 };
    let value = checker.require(value, span, "flatMap got null for a list").map_err(outside)?;
    checker.to_list(value, span).map_err(outside)
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
        assigned_names(function, &mut self.assigned);
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
                self.to_bool(value, function.span)?
            }
        };
        self.scopes.pop();
        Ok(value)
    }

    fn body(&mut self, statements: &[Statement], span: Span, out: &mut Vec<Stmt>) -> Check<Expr> {
        if let Some((Statement::Return(value), before)) = statements.split_last()
            && !before.iter().any(returns)
        {
            self.statements(before, out)?;
            return match value {
                Some(value) => self.expression(value),
                None => Ok(Expr::undefined()),
            };
        }
        self.returns.push(Vec::new());
        let mut inner = Vec::new();
        self.statements(statements, &mut inner)?;
        let mut kinds = self.returns.pop().unwrap_or_default();
        if completes(statements) {
            inner.push(Stmt::Return(Expr::undefined()));
            kinds.push(Kind::UNDEFINED);
        }
        let Some(kind) = unify_all(&kinds) else {
            let list = kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return fault(
                DiagnosticKind::Unsupported,
                span,
                format!("the function returns different types: {list}"),
                "return one type, for example with String(…) or Number(…)",
            );
        };
        widen_returns(&mut inner, &kind);
        Ok(Expr::new(kind, Node::Block(inner)))
    }

    fn statements(&mut self, statements: &[Statement], out: &mut Vec<Stmt>) -> Check<()> {
        for statement in statements {
            self.statement(statement, out)?;
            if !completes(std::slice::from_ref(statement)) {
                break;
            }
        }
        Ok(())
    }

    fn scoped(&mut self, statements: &[Statement]) -> Check<Vec<Stmt>> {
        let mut out = Vec::new();
        self.scopes.push(Vec::new());
        self.statements(statements, &mut out)?;
        self.scopes.pop();
        Ok(out)
    }

    fn statement(&mut self, statement: &Statement, out: &mut Vec<Stmt>) -> Check<()> {
        match statement {
            Statement::Declare { pattern, init, is_const, span } => {
                let value = match init {
                    Some(init) => self.expression(init)?,
                    None if *is_const => {
                        return Err(Fault::new(DiagnosticKind::Syntax, *span, "a const needs a value").into());
                    }
                    None => Expr::undefined(),
                };
                let value = if matches!(pattern, Pattern::Name(..)) { value } else { self.hold(value, out) };
                self.bind(pattern, value, *is_const, out)
            }
            Statement::Expression(Ast { node: Syntax::Assign { operator, name, value }, span }) => {
                self.assign(*operator, name, value, *span, out)
            }
            Statement::Expression(expression) => {
                let value = self.expression(expression)?;
                if !value.is_atom() {
                    let slot = self.slot(&value.kind);
                    out.push(Stmt::Let(slot, value));
                }
                Ok(())
            }
            Statement::If { test, then, otherwise } => {
                let test = self.condition(test)?;
                let then = self.scoped(then)?;
                let otherwise = self.scoped(otherwise)?;
                out.push(Stmt::If(test, then, otherwise));
                Ok(())
            }
            Statement::Return(value) => {
                let value = match value {
                    Some(value) => self.expression(value)?,
                    None => Expr::undefined(),
                };
                if let Some(kinds) = self.returns.last_mut() {
                    kinds.push(value.kind.clone());
                }
                out.push(Stmt::Return(value));
                Ok(())
            }
            Statement::Throw(message, span) => {
                let message = self.expression(message)?;
                let text = self.to_str(message, *span)?;
                out.push(Stmt::Throw(text));
                Ok(())
            }
            Statement::Block(statements) => {
                self.scopes.push(Vec::new());
                self.statements(statements, out)?;
                self.scopes.pop();
                Ok(())
            }
        }
    }

    fn bind(&mut self, pattern: &Pattern, value: Expr, is_const: bool, out: &mut Vec<Stmt>) -> Check<()> {
        match pattern {
            Pattern::Name(name, span) => self.bind_name(name, *span, value, is_const, out),
            Pattern::Default(inner, default) => {
                let value = if value.kind.nulls.has(Nulls::UNDEFINED) {
                    let default = self.expression(default)?;
                    self.with(value, |me, value| {
                        let test = Expr::new(Ty::Bool.sure(), Node::IsNil(value.clone().boxed(), Nulls::UNDEFINED));
                        let rest = without(value, Nulls::UNDEFINED);
                        me.choose(test, default, rest, Span::default())
                    })?
                } else {
                    value
                };
                let value = self.hold(value, out);
                self.bind(inner, value, is_const, out)
            }
            Pattern::Object { properties, rest, span } => {
                let base = self.require(value, *span, "cannot destructure null")?;
                let base = self.hold(base, out);
                for (name, inner) in properties {
                    let part = self.property(base.clone(), name, pattern_span(inner, *span))?;
                    let part = self.hold(part, out);
                    self.bind(inner, part, is_const, out)?;
                }
                if let Some(rest) = rest {
                    let taken: Vec<&str> = properties.iter().map(|(name, _)| name.as_str()).collect();
                    let value = self.remaining(&base, &taken, *span)?;
                    self.bind_name(rest, *span, value, is_const, out)?;
                }
                Ok(())
            }
            Pattern::Array { items, rest, span } => {
                if rest.is_some() {
                    return fault(
                        DiagnosticKind::Unsupported,
                        *span,
                        "a rest in an array pattern cannot be compiled yet",
                        "name the parts",
                    );
                }
                let base = self.require(value, *span, "cannot destructure null")?;
                if !matches!(base.kind.ty, Ty::Tuple(_) | Ty::List(_)) {
                    return fault(
                        DiagnosticKind::Type,
                        *span,
                        format!("an array pattern takes a tuple or a list, not {}", base.kind),
                        "destructure objects with `({a, b}) =>`",
                    );
                }
                let base = self.hold(base, out);
                for (at, item) in items.iter().enumerate() {
                    let Some(item) = item else { continue };
                    let index = Expr::int(i64::try_from(at).unwrap_or(i64::MAX));
                    let part = self.element(base.clone(), index, *span)?;
                    let part = self.hold(part, out);
                    self.bind(item, part, is_const, out)?;
                }
                Ok(())
            }
        }
    }

    fn bind_name(&mut self, name: &str, span: Span, value: Expr, is_const: bool, out: &mut Vec<Stmt>) -> Check<()> {
        let binding = if !is_const && self.assigned.contains(name) {
            let kind = match self.wide.get(&span.start) {
                Some(wide) => unify(wide, &value.kind).unwrap_or_else(|| wide.clone()),
                None => value.kind.clone(),
            };
            let slot = self.slot(&kind);
            out.push(Stmt::Var(slot, value.widen(&kind)));
            Binding::Variable { slot, kind, at: span.start }
        } else {
            let value = self.hold(value, out);
            if self.is_variable(&value) {
                // An alias of a variable would change with it.
                let slot = self.slot(&value.kind);
                let kind = value.kind.clone();
                out.push(Stmt::Let(slot, value));
                Binding::Value(Expr::new(kind, Node::Local(slot)))
            } else {
                Binding::Value(value)
            }
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((name.to_owned(), binding));
        }
        Ok(())
    }

    fn is_variable(&self, value: &Expr) -> bool {
        match &value.node {
            Node::Local(slot) => {
                self.scopes.iter().flatten().any(|(_, binding)| matches!(binding, Binding::Variable { slot: other, .. } if other == slot))
            }
            Node::Part(inner, _) | Node::Value(inner) => self.is_variable(inner),
            _ => false,
        }
    }

    fn remaining(&mut self, base: &Expr, taken: &[&str], span: Span) -> Check<Expr> {
        let Ty::Struct(parts) = base.kind.ty.clone() else {
            return fault(DiagnosticKind::Type, span, format!("`...` takes an object, not {}", base.kind), "name the parts");
        };
        let mut kinds = Vec::new();
        let mut values = Vec::new();
        for (at, part) in parts.iter().enumerate().filter(|(_, part)| !taken.contains(&part.name.as_str())) {
            values.push(self.part(base.clone(), at));
            kinds.push(part.clone());
        }
        Ok(Expr::new(Ty::Struct(kinds).sure(), Node::Parts(values)))
    }

    fn find(&self, name: &str) -> Option<&Binding> {
        self.scopes.iter().rev().find_map(|scope| scope.iter().rev().find(|(known, _)| known == name)).map(|(_, binding)| binding)
    }

    fn names(&self) -> Vec<&str> {
        self.scopes.iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    fn assign(&mut self, operator: Assign, name: &str, value: &Ast, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let (slot, kind, at) = match self.find(name).cloned() {
            Some(Binding::Variable { slot, kind, at }) => (slot, kind, at),
            Some(_) => return fault(DiagnosticKind::Type, span, format!("`{name}` is a constant"), "declare it with let"),
            None => return self.unknown_name(name, span),
        };
        let old = Expr::new(kind.clone(), Node::Local(slot));
        let value = match operator {
            Assign::Plain => self.expression(value)?,
            Assign::With(operator) => {
                let right = self.expression(value)?;
                self.binary(operator, old, right, span)?
            }
            Assign::Logical(operator) => {
                let right = self.expression(value)?;
                self.logical(operator, old, right, span)?
            }
        };
        let Some(wide) = unify(&kind, &value.kind) else {
            return fault(
                DiagnosticKind::Unsupported,
                span,
                format!("`{name}` holds {kind} and cannot take {}", value.kind),
                "use another variable",
            );
        };
        if wide != kind {
            self.wide.insert(at, wide);
            return Err(Halt::Again);
        }
        out.push(Stmt::Set(slot, value.widen(&kind)));
        Ok(())
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
                pieces.push(self.to_str(value, part.span)?);
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

/// The same value in a kind that lacks one of the empty values.
fn without(value: Expr, nulls: Nulls) -> Expr {
    let present = value.kind.present();
    match (value.kind.nulls, nulls) {
        (Nulls::BOTH, Nulls::UNDEFINED) => {
            let kind = present.with(Nulls::NULL);
            if present.ty == Ty::Nil { Expr::null() } else { Expr::new(kind, value.node) }
        }
        _ if present.ty == Ty::Nil => Expr::new(present, Node::Nil),
        _ => Expr::new(present, Node::Value(value.boxed())),
    }
}

fn pattern_span(pattern: &Pattern, outer: Span) -> Span {
    match pattern {
        Pattern::Name(_, span) | Pattern::Object { span, .. } | Pattern::Array { span, .. } => *span,
        Pattern::Default(inner, _) => pattern_span(inner, outer),
    }
}

/// Whether control may reach what follows.
fn completes(statements: &[Statement]) -> bool {
    !statements.iter().any(|statement| match statement {
        Statement::Return(..) | Statement::Throw(..) => true,
        Statement::If { then, otherwise, .. } => !completes(then) && !completes(otherwise),
        Statement::Block(inner) => !completes(inner),
        _ => false,
    })
}

fn returns(statement: &Statement) -> bool {
    match statement {
        Statement::Return(..) => true,
        Statement::If { then, otherwise, .. } => then.iter().chain(otherwise).any(returns),
        Statement::Block(inner) => inner.iter().any(returns),
        _ => false,
    }
}

fn widen_returns(statements: &mut [Stmt], kind: &Kind) {
    for statement in statements {
        match statement {
            Stmt::Return(value) => {
                let old = std::mem::replace(value, Expr::undefined());
                *value = old.widen(kind);
            }
            Stmt::If(_, then, otherwise) => {
                widen_returns(then, kind);
                widen_returns(otherwise, kind);
            }
            _ => {}
        }
    }
}

fn assigned_names(function: &Function, out: &mut HashSet<String>) {
    fn walk(statements: &[Statement], out: &mut HashSet<String>) {
        for statement in statements {
            match statement {
                Statement::Expression(Ast { node: Syntax::Assign { name, .. }, .. }) => {
                    out.insert(name.clone());
                }
                Statement::If { then, otherwise, .. } => {
                    walk(then, out);
                    walk(otherwise, out);
                }
                Statement::Block(inner) => walk(inner, out),
                _ => {}
            }
        }
    }
    if let Body::Statements(statements) = &function.body {
        walk(statements, out);
    }
}

/// The known word closest to a misspelt one, if any is close.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = ((word.chars().count() + 1) / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let next = (corner + usize::from(x != *y)).min(*above + 1).min(left + 1);
            corner = *above;
            *above = next;
            left = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
