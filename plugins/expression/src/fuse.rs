//! A pipeline as one program: the elements of one step are the arguments of the next, and nothing is stored between.
//!
//! How functions are checked is in `check`; how the program becomes code in `emit`.

use crate::check::{self, Want, apply, hold};
use crate::error::{Diagnostic, DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Nulls, Ty, unify};
use crate::model::{Element, End, Lambda, Pipeline, Step};
use crate::syntax::{Function, Pattern};
use crate::tree::{Compare, Expr, Finish, FloatMath, IntMath, Node, Output, Program, Slot, State, Stmt};
use crate::{guard, parse};

/// How often the kind of an accumulator may grow before it has to settle.
const ROUNDS_MAX: usize = 8;

/// Fuses a pipeline.
pub(crate) fn fuse(pipeline: &Pipeline) -> Result<Program, Diagnostic> {
    let mut fuser = Fuser::new(pipeline);
    for step in &pipeline.steps {
        fuser.step(step)?;
    }
    fuser.end(&pipeline.end)?;
    Ok(fuser.finished())
}

struct Fuser {
    program: Program,
    current: Expr,
    /// Statement lists that are open, the outermost first; each but the first is the body of an `Each`.
    open: Vec<Vec<Stmt>>,
    each: Vec<(Slot, Expr)>,
    /// The last operation seen, for faults that no lambda's text can show.
    operation: usize,
}

impl Fuser {
    fn new(pipeline: &Pipeline) -> Self {
        let fields = pipeline.input.fields();
        let columns: Vec<Kind> = fields.iter().map(|field| Kind::of(&field.ty, field.nullable)).collect();
        let column = |at: usize, kind: &Kind| match kind.ty {
            Ty::Nil => Expr::new(kind.clone(), Node::Nil),
            _ => Expr::new(kind.clone(), Node::Column(vec![at])),
        };
        let current = match &pipeline.input {
            Element::Scalar(_) => columns.first().map_or_else(Expr::undefined, |kind| column(0, kind)),
            Element::Object(_) | Element::Tuple(_) => {
                let parts = columns.iter().enumerate().map(|(at, kind)| column(at, kind)).collect();
                Expr::new(Kind::of_element(&pipeline.input), Node::Parts(parts))
            }
        };
        let program = Program {
            columns,
            slots: Vec::new(),
            state: Vec::new(),
            row: Vec::new(),
            after_batch: Vec::new(),
            partial: None,
            element: pipeline.input.clone(),
            output: Vec::new(),
            finish: Finish::None,
        };
        Self { program, current, open: vec![Vec::new()], each: Vec::new(), operation: 0 }
    }

    fn out(&mut self) -> &mut Vec<Stmt> {
        if self.open.is_empty() {
            self.open.push(Vec::new());
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn push(&mut self, statement: Stmt) {
        self.out().push(statement);
    }

    fn slot(&mut self, kind: &Kind) -> Slot {
        self.program.slots.push(kind.clone());
        Slot(self.program.slots.len() - 1)
    }

    fn refuse<T>(&self, kind: DiagnosticKind, message: String, hint: &str) -> Result<T, Diagnostic> {
        Err(Fault::new(kind, Span::default(), message).hint(hint).place("", self.operation))
    }

    fn placed<T>(&self, result: Result<T, Fault>) -> Result<T, Diagnostic> {
        result.map_err(|fault| fault.place("", self.operation))
    }

    fn apply(&mut self, lambda: &Lambda, arguments: &[Expr], want: Want) -> Result<Expr, Diagnostic> {
        self.operation = lambda.operation;
        let function = function(lambda, arguments.len())?;
        let mut out = std::mem::take(self.out());
        let value = apply(&mut self.program.slots, &function, arguments, want, &mut out);
        *self.out() = out;
        value.map_err(|fault| fault.place(&lambda.text, lambda.operation))
    }

    /// Refuses a function that would change elements which go on behind it.
    fn leaves_elements(&mut self, lambda: &Lambda) -> Result<(), Diagnostic> {
        let function = function(lambda, 1)?;
        if check::changes_parameters(&function) {
            let fault =
                Fault::new(DiagnosticKind::Unsupported, function.span, "a function that changes the element cannot be compiled here");
            return Err(fault.hint("change elements with map").place(&lambda.text, lambda.operation));
        }
        Ok(())
    }

    fn hold(&mut self, value: Expr) -> Expr {
        let mut out = std::mem::take(self.out());
        let held = hold(&mut self.program.slots, value, &mut out);
        *self.out() = out;
        held
    }

    fn step(&mut self, step: &Step) -> Result<(), Diagnostic> {
        let next = match step {
            Step::Map(lambda) => {
                let current = self.current.clone();
                self.apply(lambda, &[current], Want::Value)?
            }
            Step::Filter(lambda) => {
                self.leaves_elements(lambda)?;
                let current = self.current.clone();
                let test = self.apply(lambda, &[current], Want::Truth)?;
                self.push(Stmt::Keep(test));
                return Ok(());
            }
            Step::FlatMap(lambda) => {
                let current = self.current.clone();
                let value = self.apply(lambda, &[current], Want::Value)?;
                if !matches!(value.kind.ty, Ty::List(_) | Ty::Tuple(_)) {
                    // JavaScript's flatMap keeps what is no array as one element.
                    value
                } else {
                    let list = check::list(&mut self.program.slots, value, Span::default());
                    let list = list.map_err(|fault| fault.place(&lambda.text, lambda.operation))?;
                    self.each(list)
                }
            }
            Step::MapValues(lambda) => {
                let (key, value) = self.pair("mapValues")?;
                let value = self.apply(lambda, &[value], Want::Value)?;
                pair_of(key, value)
            }
            Step::KeyBy(lambda) => {
                self.leaves_elements(lambda)?;
                let current = self.current.clone();
                let key = self.apply(lambda, std::slice::from_ref(&current), Want::Value)?;
                pair_of(key, current)
            }
            Step::Keys => self.pair("keys")?.0,
            Step::Values => self.pair("values")?.1,
        };
        self.current = self.hold(next);
        Ok(())
    }

    fn each(&mut self, list: Expr) -> Expr {
        let element = match &list.kind.ty {
            Ty::List(element) => (**element).clone(),
            _ => Kind::UNDEFINED,
        };
        let slot = self.slot(&element);
        self.each.push((slot, list));
        self.open.push(Vec::new());
        match element.ty {
            Ty::Nil if element.nulls != Nulls::BOTH => Expr::new(element, Node::Nil),
            _ => Expr::new(element, Node::Local(slot)),
        }
    }

    fn pair(&mut self, operation: &str) -> Result<(Expr, Expr), Diagnostic> {
        let current = self.current.clone();
        match &current.kind.ty {
            Ty::Tuple(parts) if parts.len() == 2 && current.kind.is_sure() => {
                let key = check::part(&mut self.program.slots, current.clone(), 0);
                let value = check::part(&mut self.program.slots, current, 1);
                Ok((key, value))
            }
            _ => self.refuse(
                DiagnosticKind::Type,
                format!("{operation} takes pairs, but the elements are {}", current.kind),
                "make pairs first, for example with a map `x => [key, value]` or keyBy",
            ),
        }
    }

    fn end(&mut self, end: &End) -> Result<(), Diagnostic> {
        match end {
            End::Rows => self.rows(),
            End::Count => self.sum(Expr::int(1)),
            End::Sum => {
                let current = self.current.clone();
                if matches!(current.kind.ty, Ty::Str | Ty::Time | Ty::Date) {
                    return self.refuse(
                        DiagnosticKind::Type,
                        format!("sum takes numbers, but the elements are {}", current.kind),
                        "convert them first, for example with a map `x => Number(x)`",
                    );
                }
                let number = check::number(&mut self.program.slots, current);
                let number = self.placed(number)?;
                self.sum(number);
            }
            End::Min => self.extreme(true)?,
            End::Max => self.extreme(false)?,
            End::Reduce(lambda) => self.reduce(lambda)?,
            End::Aggregate { zero, seq, operation } => self.aggregate(zero, seq, *operation)?,
            End::ReduceRuns(lambda) => self.reduce_runs(lambda)?,
            End::AggregateRuns { zero, seq, operation } => self.aggregate_runs(zero, seq, *operation)?,
        }
        Ok(())
    }

    fn rows(&mut self) {
        let current = self.current.clone();
        self.program.element = current.kind.element();
        let values = self.columns_of(current);
        let may_pass = self.each.is_empty();
        self.program.output = values
            .into_iter()
            .map(|(name, value)| match value.node {
                Node::Column(path) if path.len() == 1 && may_pass => (name, Output::Passed(path.first().copied().unwrap_or_default())),
                node => (name, Output::Made(Expr::new(value.kind, node))),
            })
            .collect();
        self.push(Stmt::Yield);
    }

    /// The value of an element in its top-level columns.
    fn columns_of(&mut self, value: Expr) -> Vec<(String, Expr)> {
        match value.kind.element() {
            Element::Scalar(field) => vec![(field.name, value)],
            Element::Object(fields) | Element::Tuple(fields) => fields
                .into_iter()
                .enumerate()
                .map(|(at, field)| (field.name, check::part(&mut self.program.slots, value.clone(), at)))
                .collect(),
        }
    }

    fn state(&mut self, zero: Expr) -> Slot {
        let slot = self.slot(&zero.kind);
        self.program.state.push(State { slot, zero });
        slot
    }

    fn local(&self, slot: Slot) -> Expr {
        let kind = self.program.slots.get(slot.0).cloned().unwrap_or(Kind::UNDEFINED);
        Expr::new(kind, Node::Local(slot))
    }

    fn answer(&mut self, slot: Slot, finish: Finish) {
        let value = self.local(slot);
        self.program.element = value.kind.element();
        self.program.output = self.columns_of(value).into_iter().map(|(name, value)| (name, Output::Made(value))).collect();
        self.program.finish = finish;
    }

    fn sum(&mut self, value: Expr) {
        if value.kind.ty == Ty::Int {
            let total = self.state(Expr::int(0));
            let partial = self.slot(&Ty::Int.sure());
            let add = |a: Expr, b: Expr| Expr::new(Ty::Int.sure(), Node::IntMath(IntMath::Add, a.boxed(), b.boxed()));
            let more = add(self.local(partial), value);
            self.push(Stmt::Set(partial, more));
            let all = add(self.local(total), self.local(partial));
            self.program.after_batch.push(Stmt::Set(total, all));
            self.program.partial = Some(partial);
            self.answer(total, Finish::Row);
        } else {
            let total = self.state(Expr::float(0.0));
            let all = check::float_math(FloatMath::Add, self.local(total), value);
            self.push(Stmt::Set(total, all));
            self.answer(total, Finish::Row);
        }
    }

    fn extreme(&mut self, is_min: bool) -> Result<(), Diagnostic> {
        let mut current = self.current.clone();
        let seen = self.state(Expr::bool(false));
        if !current.kind.is_sure() && current.kind.ty != Ty::Nil {
            let nulls = current.kind.nulls;
            self.push(Stmt::Keep(check::not(check::is_nil(current.clone(), nulls))));
            current = check::present(current);
        }
        if current.kind.ty == Ty::Bool {
            let number = check::number(&mut self.program.slots, current);
            current = self.placed(number)?;
        }
        let (zero, is_total) = match (&current.kind.ty, is_min) {
            (Ty::Int, true) => (Expr::int(i64::MAX), true),
            (Ty::Int, false) => (Expr::int(i64::MIN), true),
            (Ty::Float, true) => (Expr::float(f64::INFINITY), true),
            (Ty::Float, false) => (Expr::float(f64::NEG_INFINITY), true),
            (Ty::Str, _) => (Expr::str(""), false),
            (Ty::Time, _) => (Expr::new(Ty::Time.sure(), Node::Int(0)), false),
            (Ty::Date, _) => (Expr::new(Ty::Date.sure(), Node::Float(0.0)), false),
            _ => {
                return self.refuse(
                    DiagnosticKind::Type,
                    format!("min and max take numbers or strings, but the elements are {}", current.kind),
                    "map to the value to compare first, for example `row => row.price`",
                );
            }
        };
        let best = self.state(zero);
        let old = self.local(best);
        let better = match (&current.kind.ty, is_min) {
            (Ty::Int, true) => check::int_math(IntMath::Min, old, current.clone()),
            (Ty::Int, false) => check::int_math(IntMath::Max, old, current.clone()),
            (Ty::Float, true) => check::float_math(FloatMath::Min, old, current.clone()),
            (Ty::Float, false) => check::float_math(FloatMath::Max, old, current.clone()),
            (Ty::Time | Ty::Date, _) => better(current.clone(), old, is_min, check::compare),
            _ => better(current.clone(), old, is_min, |operator, a, b| {
                let order = Expr::new(Ty::Int.sure(), Node::Extend(Expr::call(Ty::Bool, "str_cmp", vec![a, b]).boxed()));
                check::compare(operator, order, Expr::int(0))
            }),
        };
        let is_seen = self.local(seen);
        if is_total {
            self.push(Stmt::Set(best, better));
        } else {
            self.push(Stmt::If(is_seen, vec![Stmt::Set(best, better)], vec![Stmt::Set(best, current)]));
        }
        self.push(Stmt::Set(seen, Expr::bool(true)));
        self.answer(best, Finish::RowIf(seen));
        Ok(())
    }

    /// Checks `(acc, x) => acc` until the accumulator's kind holds what it answers. Gives the accumulator's slot, the
    /// function's statements and its value in the accumulator's kind.
    fn fold(&mut self, lambda: &Lambda, start: &Kind, item: &Expr) -> Result<(Slot, Vec<Stmt>, Expr), Diagnostic> {
        self.operation = lambda.operation;
        let function = function(lambda, 2)?;
        let mut kind = start.clone();
        let mark = self.program.slots.len();
        for _ in 0..ROUNDS_MAX {
            self.program.slots.truncate(mark);
            let slot = self.slot(&kind);
            let mut statements = Vec::new();
            let accumulator = Expr::new(kind.clone(), Node::Local(slot));
            let value = apply(&mut self.program.slots, &function, &[accumulator, item.clone()], Want::Value, &mut statements)
                .map_err(|fault| fault.place(&lambda.text, lambda.operation))?;
            let Some(wide) = unify(&kind, &value.kind) else {
                let message = format!("the accumulator is {kind}, but the function answers {}", value.kind);
                return Err(Fault::new(DiagnosticKind::Type, function.span, message)
                    .hint("answer the type of the first argument")
                    .place(&lambda.text, lambda.operation));
            };
            if wide == kind {
                if holds_list(&kind) {
                    let message = format!("an accumulator that is {kind} cannot be compiled yet");
                    return Err(Fault::new(DiagnosticKind::Unsupported, function.span, message)
                        .hint("accumulate numbers, strings, objects or tuples; groupByKey collects lists")
                        .place(&lambda.text, lambda.operation));
                }
                let value = value.widen(&kind);
                return Ok((slot, statements, value));
            }
            kind = wide;
        }
        let message = "the type of the accumulator never settles";
        Err(Fault::new(DiagnosticKind::Unsupported, function.span, message).place(&lambda.text, lambda.operation))
    }

    fn reduce(&mut self, lambda: &Lambda) -> Result<(), Diagnostic> {
        let item = self.current.clone();
        let seen = self.state(Expr::bool(false));
        let (slot, mut statements, value) = self.fold(lambda, &item.kind, &item)?;
        statements.push(Stmt::Set(slot, value));
        let kind = self.local(slot).kind;
        self.program.state.push(State { slot, zero: zero_of(&kind) });
        let first = vec![Stmt::Set(slot, item.widen(&kind)), Stmt::Set(seen, Expr::bool(true))];
        let is_seen = self.local(seen);
        self.push(Stmt::If(is_seen, statements, first));
        self.answer(slot, Finish::RowIf(seen));
        Ok(())
    }

    fn aggregate(&mut self, zero: &serde_json::Value, seq: &Lambda, operation: usize) -> Result<(), Diagnostic> {
        self.operation = operation;
        let zero = constant(zero);
        let item = self.current.clone();
        let (slot, statements, value) = self.fold(seq, &zero.kind, &item)?;
        let kind = self.local(slot).kind;
        self.out().extend(statements);
        self.push(Stmt::Set(slot, value));
        self.program.state.push(State { slot, zero: zero.widen(&kind) });
        self.answer(slot, Finish::Row);
        Ok(())
    }

    /// The value of a sorted pair and whether a run starts at it.
    fn run(&mut self) -> Result<(Expr, Expr), Diagnostic> {
        let (_, value) = self.pair("a fold by key")?;
        let start = self.program.columns.len();
        self.program.columns.push(Ty::Bool.sure());
        Ok((value, Expr::new(Ty::Bool.sure(), Node::Column(vec![start]))))
    }

    fn answer_run(&mut self, slot: Slot, seen: Slot) {
        let value = self.local(slot);
        self.program.element = Element::Scalar(value.kind.field("value"));
        self.program.output = vec![("value".to_owned(), Output::Made(value))];
        self.program.finish = Finish::RowIf(seen);
    }

    fn reduce_runs(&mut self, lambda: &Lambda) -> Result<(), Diagnostic> {
        let (item, start) = self.run()?;
        let seen = self.state(Expr::bool(false));
        let (slot, mut statements, value) = self.fold(lambda, &item.kind, &item)?;
        statements.push(Stmt::Set(slot, value));
        let kind = self.local(slot).kind;
        self.program.state.push(State { slot, zero: zero_of(&kind) });
        let is_seen = self.local(seen);
        let first =
            vec![Stmt::If(is_seen, vec![Stmt::Yield], Vec::new()), Stmt::Set(slot, item.widen(&kind)), Stmt::Set(seen, Expr::bool(true))];
        self.push(Stmt::If(start, first, statements));
        self.answer_run(slot, seen);
        Ok(())
    }

    fn aggregate_runs(&mut self, zero: &serde_json::Value, seq: &Lambda, operation: usize) -> Result<(), Diagnostic> {
        self.operation = operation;
        let zero = constant(zero);
        let (item, start) = self.run()?;
        let seen = self.state(Expr::bool(false));
        let (slot, statements, value) = self.fold(seq, &zero.kind, &item)?;
        let kind = self.local(slot).kind;
        let zero = zero.widen(&kind);
        self.program.state.push(State { slot, zero: zero.clone() });
        let is_seen = self.local(seen);
        let first = vec![Stmt::If(is_seen, vec![Stmt::Yield], Vec::new()), Stmt::Set(slot, zero), Stmt::Set(seen, Expr::bool(true))];
        self.push(Stmt::If(start, first, Vec::new()));
        self.out().extend(statements);
        self.push(Stmt::Set(slot, value));
        self.answer_run(slot, seen);
        Ok(())
    }

    fn finished(mut self) -> Program {
        while let Some((slot, list)) = self.each.pop() {
            let body = self.open.pop().unwrap_or_default();
            self.push(Stmt::Each(slot, list, body));
        }
        self.program.row = self.open.pop().unwrap_or_default();
        self.program
    }
}

fn function(lambda: &Lambda, arguments: usize) -> Result<Function, Diagnostic> {
    let parsed = guard::check(&lambda.text).and_then(|()| parse::parse(&lambda.text));
    let function = parsed.map_err(|fault| fault.place(&lambda.text, lambda.operation))?;
    // Parameters with a default, and what `...` takes, may go without an argument.
    let needed = function.params.iter().rposition(|param| !matches!(param, Pattern::Default(..))).map_or(0, |last| last + 1);
    if needed > arguments {
        let message = format!("the function takes {} arguments, but gets {arguments}", function.params.len());
        let hint = if arguments == 1 { "take one parameter; destructure pairs with `([a, b]) =>`" } else { "take `(acc, x)`" };
        return Err(Fault::new(DiagnosticKind::Type, function.span, message).hint(hint).place(&lambda.text, lambda.operation));
    }
    Ok(function)
}

fn pair_of(key: Expr, value: Expr) -> Expr {
    let kind = Ty::Tuple(vec![key.kind.clone(), value.kind.clone()]).sure();
    Expr::new(kind, Node::Parts(vec![key, value]))
}

fn better(new: Expr, old: Expr, is_min: bool, compare: impl Fn(Compare, Expr, Expr) -> Expr) -> Expr {
    let operator = if is_min { Compare::Less } else { Compare::Greater };
    let kind = new.kind.clone();
    let test = compare(operator, new.clone(), old.clone());
    Expr::new(kind, Node::If(test.boxed(), new.boxed(), old.boxed()))
}

fn holds_list(kind: &Kind) -> bool {
    matches!(kind.ty, Ty::List(_)) || kind.ty.parts().into_iter().any(holds_list)
}

/// Any value of a kind: it is overwritten before it is read.
fn zero_of(kind: &Kind) -> Expr {
    if !kind.is_sure() && kind.ty != Ty::Nil {
        let flag = if kind.nulls.has(Nulls::NULL) { Expr::null() } else { Expr::undefined() };
        return flag.widen(kind);
    }
    let node = match &kind.ty {
        Ty::Nil if kind.nulls == Nulls::BOTH => return Expr::null().widen(kind),
        Ty::Nil => Node::Nil,
        Ty::Bool => Node::Bool(false),
        Ty::Int | Ty::Time | Ty::List(_) => Node::Int(0),
        Ty::Float | Ty::Date => Node::Float(0.0),
        Ty::Str => Node::Str(String::new()),
        Ty::Struct(_) | Ty::Tuple(_) => Node::Parts(kind.ty.parts().into_iter().map(zero_of).collect()),
    };
    Expr::new(kind.clone(), node)
}

/// A JSON value as a constant: arrays are tuples.
fn constant(value: &serde_json::Value) -> Expr {
    match value {
        serde_json::Value::Null => Expr::null(),
        serde_json::Value::Bool(known) => Expr::bool(*known),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Expr::int(whole),
            None => check::number_literal(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Expr::str(text),
        serde_json::Value::Array(items) => {
            let items: Vec<Expr> = items.iter().map(constant).collect();
            let kinds = items.iter().map(|item| item.kind.clone()).collect();
            Expr::new(Ty::Tuple(kinds).sure(), Node::Parts(items))
        }
        serde_json::Value::Object(properties) => {
            let (parts, values) = properties
                .iter()
                .map(|(name, value)| {
                    let value = constant(value);
                    (crate::kind::Part { name: name.clone(), kind: value.kind.clone() }, value)
                })
                .unzip();
            Expr::new(Ty::Struct(parts).sure(), Node::Parts(values))
        }
    }
}
