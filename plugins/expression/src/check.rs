//! Syntax to typed tree: scopes, statements and the application of a function to typed arguments.
//!
//! Operators, conversions, members, methods and global functions are in the files below `check/`.

mod assign;
mod calls;
mod convert;
mod dates;
mod effects;
mod folds;
mod globals;
mod iterables;
mod json;
mod lists;
mod loops;
mod math;
mod members;
mod methods;
mod names;
mod operators;
mod patterns;
mod sort;
mod spelling;
mod statements;

pub(crate) use convert::{compare, float_math, is_nil, not, present};
pub(crate) use operators::int_math;

use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Nulls, Part, Ty, unify};
use crate::syntax::{Ast, Body, Function, Property, Syntax, Unary};
use crate::tree::{Exit, Expr, Node, Slot, Stmt};
pub(crate) use members::lacking;
use names::Names;
use spelling::nearest;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

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
const ROUNDS_MAX: usize = 24;

#[derive(Debug, Clone)]
enum Binding {
    Value(Expr),
    Variable(Variable),
    /// A function and how many scopes it sees.
    Function(Rc<Function>, usize),
}

#[derive(Debug, Clone)]
struct Variable {
    slot: Slot,
    kind: Kind,
    /// What it is known by from round to round.
    at: u32,
    is_const: bool,
    /// For lists that are changed in place: how many elements their own memory has room for.
    room: Option<Slot>,
}

/// Where `break` and `continue` lead.
#[derive(Debug)]
struct Frame {
    label: Option<String>,
    leave: Exit,
    /// None for a switch or a named block.
    again: Option<Exit>,
    /// Whether `break` without a name means it.
    is_plain: bool,
}

/// Checks one function at a time; slots are shared by the whole pipeline.
#[derive(Debug)]
pub(crate) struct Checker<'p> {
    slots: &'p mut Vec<Kind>,
    scopes: Vec<Vec<(String, Binding)>>,
    /// Kinds that variables grew into, by the place of their declaration.
    wide: HashMap<u32, Kind>,
    names: Rc<Names>,
    /// Slots that change.
    variables: HashSet<Slot>,
    returns: Vec<Vec<Kind>>,
    frames: Vec<Frame>,
    n_exits: usize,
    /// Functions of the lambda's own that are being inlined.
    n_calls: usize,
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
    let names = Rc::new(Names::of(function));
    let mut wide = HashMap::new();
    let mark = (slots.len(), out.len());
    for _ in 0..ROUNDS_MAX {
        slots.truncate(mark.0);
        out.truncate(mark.1);
        let mut checker = Checker { wide, names: Rc::clone(&names), ..Checker::new(slots) };
        let applied = checker.apply(function, arguments.to_vec(), want, out);
        match applied {
            Ok(value) => return Ok(value),
            Err(Halt::Fault(fault)) => return Err(*fault),
            Err(Halt::Again) => wide = checker.wide,
        }
    }
    Err(Fault::new(DiagnosticKind::Unsupported, function.span, "the type of a variable never settles").hint("give the variable one type"))
}

/// Whether a function changes what it is given, in place.
pub(crate) fn changes_parameters(function: &Function) -> bool {
    Names::of(function).changes_parameters(function)
}

/// `Number(value)` outside any function.
pub(crate) fn number(slots: &mut Vec<Kind>, value: Expr) -> Result<Expr, Fault> {
    Checker::new(slots).number_of(value, Span::default()).map_err(outside)
}

/// A tuple or list as a list, outside any function.
pub(crate) fn list(slots: &mut Vec<Kind>, value: Expr, span: Span) -> Result<Expr, Fault> {
    let mut checker = Checker::new(slots);
    let value = checker.require(value, span, "flatMap got null for a list").map_err(outside)?;
    checker.list_of(value, span).map_err(outside)
}

/// The n-th part of a struct or tuple that is there.
pub(crate) fn part(slots: &mut Vec<Kind>, value: Expr, at: usize) -> Expr {
    Checker::new(slots).part(value, at)
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

/// What a faulty place that may never be reached means.
fn doubted<T>(checked: Check<T>) -> Check<T> {
    checked.map_err(|halt| match halt {
        Halt::Fault(fault) => Halt::from(fault.doubted()),
        Halt::Again => Halt::Again,
    })
}

impl<'p> Checker<'p> {
    fn new(slots: &'p mut Vec<Kind>) -> Self {
        Self {
            slots,
            scopes: Vec::new(),
            wide: HashMap::new(),
            names: Rc::new(Names::default()),
            variables: HashSet::new(),
            returns: Vec::new(),
            frames: Vec::new(),
            n_exits: 0,
            n_calls: 0,
            nodes: 0,
        }
    }
}

impl Checker<'_> {
    fn slot(&mut self, kind: &Kind) -> Slot {
        self.slots.push(kind.clone());
        Slot(self.slots.len() - 1)
    }

    /// A variable of the compiler's own.
    fn variable(&mut self, value: Expr, out: &mut Vec<Stmt>) -> Slot {
        let slot = self.slot(&value.kind);
        self.variables.insert(slot);
        out.push(Stmt::Var(slot, value));
        slot
    }

    fn local(&self, slot: Slot) -> Expr {
        Expr::new(self.slots.get(slot.0).cloned().unwrap_or(Kind::UNDEFINED), Node::Local(slot))
    }

    fn exit(&mut self) -> Exit {
        self.n_exits += 1;
        // Functions are checked one by one, and their code may stand in one another's.
        Exit(self.slots.len() << 20 | self.n_exits)
    }

    fn hold(&mut self, value: Expr, out: &mut Vec<Stmt>) -> Expr {
        hold(self.slots, value, out)
    }

    /// A value that keeps what it is now, whatever becomes of the variables that it is read from.
    fn keep(&mut self, value: Expr, out: &mut Vec<Stmt>) -> Expr {
        let value = self.hold(value, out);
        if !self.is_variable(&value) {
            return value;
        }
        let (slot, kind) = (self.slot(&value.kind), value.kind.clone());
        out.push(Stmt::Let(slot, value));
        Expr::new(kind, Node::Local(slot))
    }

    fn is_variable(&self, value: &Expr) -> bool {
        match &value.node {
            Node::Local(slot) => self.variables.contains(slot),
            Node::Part(inner, _) | Node::Value(inner) => self.is_variable(inner),
            Node::Parts(parts) => parts.iter().any(|part| self.is_variable(part)),
            _ => false,
        }
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
        self.scopes.push(Vec::new());
        let mut arguments = arguments.into_iter();
        for param in &function.params {
            let value = arguments.next().unwrap_or_else(Expr::undefined);
            let value = self.hold(value, out);
            self.bind(param, value, false, out)?;
        }
        if let Some(rest) = &function.rest {
            let rest_of: Vec<Expr> = arguments.collect();
            self.bind(rest, tuple(rest_of), false, out)?;
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

    /// Statements and a value that needs them as one expression.
    fn done(statements: Vec<Stmt>, value: Expr) -> Expr {
        if statements.is_empty() {
            return value;
        }
        Expr::new(value.kind.clone(), Node::Do(statements, value.boxed()))
    }

    fn find(&self, name: &str) -> Option<&Binding> {
        self.scopes.iter().rev().find_map(|scope| scope.iter().rev().find(|(known, _)| known == name)).map(|(_, binding)| binding)
    }

    fn known_names(&self) -> Vec<&str> {
        self.scopes.iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    fn expression(&mut self, ast: &Ast) -> Check<Expr> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return fault(
                DiagnosticKind::Unsupported,
                ast.span,
                "the function is too large to be compiled",
                "split it into several operations",
            );
        }
        let expr = match &ast.node {
            Syntax::Number(value) => number_literal(*value),
            Syntax::String(text) => Expr::str(text),
            Syntax::Boolean(value) => Expr::bool(*value),
            Syntax::Null => Expr::null(),
            Syntax::Name(name) => self.name(name, ast.span)?,
            Syntax::Template { texts, parts } => self.template(texts, parts)?,
            Syntax::Array(items) => self.array(items, ast.span)?,
            Syntax::Object(properties) => self.object(properties)?,
            Syntax::Unary(Unary::Not, value) => not(self.condition(value)?),
            Syntax::Unary(operator, value) => {
                let value = match (operator, &value.node) {
                    // The only operator that an unknown name does not stop.
                    (Unary::TypeOf, Syntax::Name(name)) if self.is_unknown(name) => return Ok(Expr::str("undefined")),
                    _ => self.optional(value)?,
                };
                self.unary(*operator, value, ast.span)?
            }
            Syntax::Binary(operator, left, right) => self.binary_of(*operator, left, right, ast.span)?,
            Syntax::Logical(operator, left, right) => self.logical_of(*operator, left, right, ast.span)?,
            Syntax::Conditional(test, then, otherwise) => {
                let test = self.condition(test)?;
                match test.node {
                    Node::Bool(true) => self.expression(then)?,
                    Node::Bool(false) => self.expression(otherwise)?,
                    _ => {
                        let then = doubted(self.expression(then))?;
                        let otherwise = doubted(self.expression(otherwise))?;
                        self.choose(test, then, otherwise, ast.span)?
                    }
                }
            }
            Syntax::Chain(inner) => self.link(inner, Box::new(|_, value| Ok(value)))?,
            Syntax::Member { .. } | Syntax::Index { .. } | Syntax::Call { .. } => self.link(ast, Box::new(|_, value| Ok(value)))?,
            Syntax::New { callee, arguments } => self.new_of(callee, arguments, ast.span)?,
            Syntax::Function(_) => {
                return fault(DiagnosticKind::Unsupported, ast.span, "a function value cannot be compiled yet", "write its body in place");
            }
            Syntax::Assign { operator, target, value } => {
                let mut out = Vec::new();
                let value = self.assign(&assign::Assignment { operator: *operator, target, value, span: ast.span }, true, &mut out)?;
                Self::done(out, value)
            }
            Syntax::Update { operator, target, is_prefix } => {
                let mut out = Vec::new();
                let value = self.update(*operator, target, *is_prefix, ast.span, &mut out)?;
                Self::done(out, value)
            }
            Syntax::Sequence(all) => {
                let mut out = Vec::new();
                let Some((last, before)) = all.split_last() else { return Ok(Expr::undefined()) };
                for one in before {
                    self.effect(one, &mut out)?;
                }
                let value = self.expression(last)?;
                Self::done(out, value)
            }
            Syntax::Spread(_) => {
                return fault(DiagnosticKind::Unsupported, ast.span, "`...` cannot be compiled here yet", "list the values");
            }
        };
        if expr.kind.width() > WIDTH_MAX {
            return fault(
                DiagnosticKind::Unsupported,
                ast.span,
                format!("a value has more than {WIDTH_MAX} parts"),
                "keep fewer properties",
            );
        }
        Ok(expr)
    }

    fn name(&mut self, name: &str, span: Span) -> Check<Expr> {
        match self.find(name) {
            Some(Binding::Value(value)) => return Ok(value.clone()),
            Some(Binding::Variable(variable)) => {
                let value = Expr::new(variable.kind.clone(), Node::Local(variable.slot));
                if self.names.is_impure {
                    return Ok(Expr::new(value.kind.clone(), Node::Fresh(value.boxed())));
                }
                return Ok(value);
            }
            Some(Binding::Function(..)) => {
                return fault(DiagnosticKind::Unsupported, span, "a function as a value cannot be compiled yet", "call it");
            }
            None => {}
        }
        match name {
            "undefined" => Ok(Expr::undefined()),
            "NaN" => Ok(Expr::float(f64::NAN)),
            "Infinity" => Ok(Expr::float(f64::INFINITY)),
            _ => self.unknown_name(name, span),
        }
    }

    fn is_unknown(&self, name: &str) -> bool {
        self.find(name).is_none() && !self.names.declared.contains(name) && !globals::is_global(name)
    }

    fn unknown_name<T>(&self, name: &str, span: Span) -> Check<T> {
        if self.names.declared.contains(name) {
            let message = format!("`{name}` is used outside the block that declares it, or before");
            return fault(DiagnosticKind::Unsupported, span, message, "declare it first, with let or const");
        }
        if globals::is_global(name) {
            let message = format!("`{name}` cannot be compiled yet as it is used here");
            return fault(
                DiagnosticKind::Unsupported,
                span,
                message,
                "use operators, literals and the functions of strings, lists and Math",
            );
        }
        let fault = Fault::undefined(name, span);
        let known = self.known_names();
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
        let mut out = Vec::new();
        let mut kinds: Vec<Part> = Vec::new();
        let mut values: Vec<Expr> = Vec::new();
        let set = |kinds: &mut Vec<Part>, values: &mut Vec<Expr>, name: &str, value: Expr| {
            let kind = value.kind.clone();
            match kinds.iter().position(|part| part.name == name) {
                Some(at) => {
                    if let (Some(part), Some(old)) = (kinds.get_mut(at), values.get_mut(at)) {
                        part.kind = kind;
                        *old = value;
                    }
                }
                None => {
                    kinds.push(Part { name: name.to_owned(), kind });
                    values.push(value);
                }
            }
        };
        for property in properties {
            match property {
                Property::Named(name, value) => {
                    let value = self.expression(value)?;
                    let value = if self.names.is_impure { self.keep(value, &mut out) } else { value };
                    set(&mut kinds, &mut values, name, value);
                }
                Property::Spread(value) => {
                    for (name, part) in self.spread_object(value, &mut out)? {
                        let is_there = kinds.iter().any(|known| known.name == name);
                        if is_there && part.kind.nulls.has(Nulls::UNDEFINED) {
                            let message = format!("a spread object may or may not have `{name}`, which is set before");
                            return fault(DiagnosticKind::Unsupported, value.span, message, "name the property behind the spread");
                        }
                        set(&mut kinds, &mut values, &name, part);
                    }
                }
            }
        }
        Ok(Self::done(out, Expr::new(Ty::Struct(kinds).sure(), Node::Parts(values))))
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

fn tuple(items: Vec<Expr>) -> Expr {
    let kinds: Vec<Kind> = items.iter().map(|item| item.kind.clone()).collect();
    Expr::new(Ty::Tuple(kinds).sure(), Node::Parts(items))
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
