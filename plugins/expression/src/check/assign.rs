//! Assignments: to variables, to properties of objects and elements of lists that variables hold, by patterns, and the
//! methods that change a list in place.
//!
//! An object or list is a value here; changing a part of it gives its variable a new one. `names` has seen to it that
//! nobody can tell.

use super::convert::without;
use super::lists::length;
use super::names::IN_PLACE;
use super::operators::int_math;
use super::{Binding, Check, Checker, Halt, Variable, fault, tuple};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Nulls, Part, Ty, unify, unify_all};
use crate::syntax::{Assign, Ast, Binary, Logical, Pattern, Syntax, Target};
use crate::tree::{Expr, IntMath, Node, Slot, Stmt};

/// A list that is about to be changed, in variables.
struct Open {
    list: Slot,
    room: Slot,
    /// Where it goes back to, unless it is the variable itself.
    back: Option<(Variable, Vec<String>)>,
}

/// An assignment as it is written.
#[derive(Clone, Copy)]
pub(super) struct Assignment<'a> {
    pub(super) operator: Assign,
    pub(super) target: &'a Target,
    pub(super) value: &'a Ast,
    pub(super) span: Span,
}

/// A property of what a variable holds.
struct Place<'a> {
    variable: &'a Variable,
    /// The variable's name.
    root: &'a str,
    fields: &'a [String],
}

/// A call that changes a list in place.
#[derive(Clone, Copy)]
struct Method<'a> {
    name: &'a str,
    arguments: &'a [Ast],
    span: Span,
}

impl Checker<'_> {
    /// An expression whose value nobody looks at.
    pub(super) fn effect(&mut self, ast: &Ast, out: &mut Vec<Stmt>) -> Check<()> {
        match &ast.node {
            Syntax::Assign { operator, target, value } => {
                self.assign(&Assignment { operator: *operator, target, value, span: ast.span }, false, out)?;
            }
            Syntax::Update { operator, target, .. } => {
                self.update(*operator, target, true, ast.span, out)?;
            }
            Syntax::Sequence(all) => {
                for one in all {
                    self.effect(one, out)?;
                }
            }
            Syntax::Conditional(test, then, otherwise) => {
                let test = self.condition(test)?;
                let (mut yes, mut no) = (Vec::new(), Vec::new());
                super::doubted(self.effect(then, &mut yes))?;
                super::doubted(self.effect(otherwise, &mut no))?;
                out.push(Stmt::If(test, yes, no));
            }
            Syntax::Logical(operator @ (Logical::And | Logical::Or), left, right) => {
                let test = self.condition(left)?;
                let mut inner = Vec::new();
                super::doubted(self.effect(right, &mut inner))?;
                let (yes, no) = if *operator == Logical::And { (inner, Vec::new()) } else { (Vec::new(), inner) };
                out.push(Stmt::If(test, yes, no));
            }
            _ => {
                let value = self.expression(ast)?;
                self.dismiss(value, out);
            }
        }
        Ok(())
    }

    /// Computes a value for what it does or throws on the way.
    pub(super) fn dismiss(&mut self, value: Expr, out: &mut Vec<Stmt>) {
        match value.node {
            Node::Do(statements, inner) => {
                out.extend(statements);
                self.dismiss(*inner, out);
            }
            Node::Fresh(_) => {}
            _ if value.is_atom() => {}
            node => {
                let slot = self.slot(&value.kind);
                out.push(Stmt::Let(slot, Expr::new(value.kind, node)));
            }
        }
    }

    /// Gives the assigned value where it is wanted.
    pub(super) fn assign(&mut self, assignment: &Assignment<'_>, is_wanted: bool, out: &mut Vec<Stmt>) -> Check<Expr> {
        let Assignment { operator, target, value, span } = *assignment;
        if let Target::Place(Ast { node: Syntax::Index { object, index, .. }, .. }) = target
            && self.names.is_impure
            && (super::effects::has_effects(index) || super::effects::has_effects(value))
            && !matches!(index.node, Syntax::Number(_) | Syntax::String(_))
        {
            if operator != Assign::Plain && (super::effects::has_effects(index) || super::effects::has_effects(value)) {
                let message = "this order of changes cannot be compiled yet";
                return fault(DiagnosticKind::Unsupported, span, message, "do one thing in each statement");
            }
            if operator == Assign::Plain {
                // The place is found before the value is computed.
                let index = self.expression(index)?;
                let index = self.keep(index, out);
                let new = self.expression(value)?;
                let new = self.keep(new, out);
                self.put_indexed(object, index, new.clone(), span, out)?;
                return Ok(new);
            }
        }
        let new = match (operator, target) {
            (Assign::Plain, _) => self.expression(value)?,
            (Assign::With(operator), _) => {
                let old = self.old_value(target, span)?;
                let right = self.expression(value)?;
                self.binary(operator, old, right, span)?
            }
            (Assign::Logical(operator), _) => {
                let old = self.old_value(target, span)?;
                let right = super::doubted(self.expression(value))?;
                self.logical(operator, old, right, span)?
            }
        };
        self.assign_value(target, new, span, is_wanted, out)
    }

    pub(super) fn assign_value(&mut self, target: &Target, new: Expr, span: Span, is_wanted: bool, out: &mut Vec<Stmt>) -> Check<Expr> {
        let new = if is_wanted || matches!(target, Target::Pattern(_)) { self.keep(new, out) } else { new };
        let answer = if is_wanted { new.clone() } else { Expr::undefined() };
        match target {
            Target::Name(name) => {
                let variable = self.target_variable(name, span)?;
                if variable.is_const {
                    return constant(name, span);
                }
                self.store(&variable, name, new, span, out)?;
            }
            Target::Place(place) => self.put(place, new, span, out)?,
            Target::Pattern(pattern) => self.assign_pattern(pattern, new, out)?,
        }
        Ok(answer)
    }

    /// `++` and `--`.
    pub(super) fn update(&mut self, operator: Binary, target: &Target, is_prefix: bool, span: Span, out: &mut Vec<Stmt>) -> Check<Expr> {
        if let Target::Place(place) = target
            && super::effects::has_effects(place)
        {
            let message = "this order of changes cannot be compiled yet";
            return fault(DiagnosticKind::Unsupported, span, message, "do one thing in each statement");
        }
        let old = self.old_value(target, span)?;
        let old = self.number_of(old, span)?;
        let old = if is_prefix { old } else { self.keep(old, out) };
        let new = self.binary(operator, old.clone(), Expr::int(1), span)?;
        let new = self.assign_value(target, new, span, is_prefix && self.names.is_impure, out)?;
        Ok(if is_prefix { new } else { old })
    }

    fn old_value(&mut self, target: &Target, span: Span) -> Check<Expr> {
        match target {
            Target::Name(name) => self.name(name, span),
            Target::Place(place) => self.expression(place),
            Target::Pattern(_) => fault(DiagnosticKind::Syntax, span, "a pattern can only be assigned to with `=`", "assign one by one"),
        }
    }

    fn target_variable(&mut self, name: &str, span: Span) -> Check<Variable> {
        match self.find(name).cloned() {
            Some(Binding::Variable(variable)) => Ok(variable),
            Some(Binding::Function(..)) => {
                fault(DiagnosticKind::Unsupported, span, "an assignment to a function cannot be compiled yet", "use another name")
            }
            Some(Binding::Value(_)) => constant(name, span),
            None => self.unknown_name(name, span),
        }
    }

    /// Gives a variable a value; where its kind is too narrow, it is made wider in the next round.
    pub(super) fn store(&mut self, variable: &Variable, name: &str, value: Expr, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let Some(wide) = unify(&variable.kind, &value.kind) else {
            return fault(
                DiagnosticKind::Unsupported,
                span,
                format!("`{name}` holds {} and cannot take {}", variable.kind, value.kind),
                "use another variable",
            );
        };
        self.settle(variable, wide)?;
        out.push(Stmt::Set(variable.slot, value.widen(&variable.kind)));
        if let Some(room) = variable.room {
            out.push(Stmt::Set(room, Expr::int(0)));
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, variable: &Variable, wide: Kind) -> Check<()> {
        if wide == variable.kind {
            return Ok(());
        }
        self.wide.insert(variable.at, wide);
        Err(Halt::Again)
    }

    fn assign_pattern(&mut self, pattern: &Pattern, value: Expr, out: &mut Vec<Stmt>) -> Check<()> {
        match pattern {
            Pattern::Name(name, span) => {
                self.assign_value(&Target::Name(name.clone()), value, *span, false, out)?;
                Ok(())
            }
            Pattern::Default(inner, default) => {
                let value = self.or_default(value, default)?;
                let value = self.keep(value, out);
                self.assign_pattern(inner, value, out)
            }
            Pattern::Object { .. } | Pattern::Array { .. } => {
                for (inner, value) in self.taken_apart(pattern, value, out)? {
                    let value = self.keep(value, out);
                    self.assign_pattern(inner, value, out)?;
                }
                Ok(())
            }
        }
    }

    /// `value`, or the default where it is undefined.
    pub(super) fn or_default(&mut self, value: Expr, default: &Ast) -> Check<Expr> {
        if !value.kind.nulls.has(Nulls::UNDEFINED) {
            return Ok(value);
        }
        let default = super::doubted(self.expression(default))?;
        if value.kind == Kind::UNDEFINED {
            return Ok(default);
        }
        self.with(value, |me, value| {
            let test = super::is_nil(value.clone(), Nulls::UNDEFINED);
            let rest = without(value, Nulls::UNDEFINED);
            me.choose(test, default, rest, Span::default())
        })
    }

    /// The variable and the properties that lead to a place.
    fn path(&self, ast: &Ast) -> Option<(String, Vec<String>)> {
        match &ast.node {
            Syntax::Name(name) => Some((name.clone(), Vec::new())),
            Syntax::Member { object, name, optional: false } => {
                let (root, mut fields) = self.path(object)?;
                fields.push(name.clone());
                Some((root, fields))
            }
            _ => None,
        }
    }

    fn owned(&mut self, root: &str, span: Span) -> Check<Variable> {
        if self.names.is_shared(root) {
            let message = format!("`{root}` is changed in place and may be seen under another name");
            return fault(DiagnosticKind::Unsupported, span, message, "build a new value, for example with `...`");
        }
        self.target_variable(root, span)
    }

    /// `a.b = value` or `a.b[i] = value`.
    fn put(&mut self, place: &Ast, value: Expr, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let no_place = || {
            let message = "an assignment to this place cannot be compiled yet";
            fault(DiagnosticKind::Unsupported, span, message, "build a new object: `({...row, a: 1})`")
        };
        match &place.node {
            Syntax::Member { .. } => {
                let Some((root, fields)) = self.path(place) else { return no_place() };
                let variable = self.owned(&root, span)?;
                self.put_property(&Place { variable: &variable, root: &root, fields: &fields }, value, span, out)
            }
            Syntax::Index { object, index, optional: false } => {
                let index = self.expression(index)?;
                self.put_indexed(object, index, value, span, out)
            }
            _ => no_place(),
        }
    }

    /// `a.b[index] = value`.
    fn put_indexed(&mut self, object: &Ast, index: Expr, value: Expr, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let no_place = || {
            let message = "an assignment to this place cannot be compiled yet";
            fault(DiagnosticKind::Unsupported, span, message, "build a new object: `({...row, a: 1})`")
        };
        let Some((root, mut fields)) = self.path(object) else { return no_place() };
        let variable = self.owned(&root, span)?;
        if let Node::Str(name) = &index.node {
            fields.push(name.clone());
            return self.put_property(&Place { variable: &variable, root: &root, fields: &fields }, value, span, out);
        }
        if !index.kind.ty.is_number() || !index.kind.is_sure() {
            return no_place();
        }
        let value = self.hold(value, out);
        let open = self.open(variable, fields, std::slice::from_ref(&value.kind), span, out)?;
        let Some(open) = open else { return no_place() };
        let index = super::members::whole_index(index);
        self.put_element(&open, Some(index), value, out);
        self.close(open, &root, span, out)
    }

    fn put_property(&mut self, place: &Place<'_>, value: Expr, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let base = Expr::new(place.variable.kind.clone(), Node::Local(place.variable.slot));
        let new = self.replaced(base, place.fields, value, span)?;
        self.store(place.variable, place.root, new, span, out)
    }

    /// An object with another value somewhere in it.
    fn replaced(&mut self, base: Expr, fields: &[String], value: Expr, span: Span) -> Check<Expr> {
        let Some((field, rest)) = fields.split_first() else { return Ok(value) };
        let base = self.require(base, span, "cannot set a property of null")?;
        let Ty::Struct(parts) = base.kind.ty.clone() else {
            let message = format!("setting a property of {} cannot be compiled yet", base.kind);
            return fault(DiagnosticKind::Unsupported, span, message, "build an object");
        };
        self.with(base, |me, base| {
            let mut kinds = Vec::with_capacity(parts.len() + 1);
            let mut values = Vec::with_capacity(parts.len() + 1);
            let mut value = Some(value);
            for (at, part) in parts.iter().enumerate() {
                let old = me.part(base.clone(), at);
                let new = match value.take_if(|_| part.name == *field) {
                    Some(value) => me.replaced(old, rest, value, span)?,
                    None => old,
                };
                kinds.push(Part { name: part.name.clone(), kind: new.kind.clone() });
                values.push(new);
            }
            if let Some(value) = value {
                let new = me.replaced(Expr::undefined(), rest, value, span)?;
                kinds.push(Part { name: field.clone(), kind: new.kind.clone() });
                values.push(new);
            }
            Ok(Expr::new(Ty::Struct(kinds).sure(), Node::Parts(values)))
        })
    }

    /// Prepares the list at a place to take elements; none where there is no list.
    fn open(&mut self, variable: Variable, fields: Vec<String>, more: &[Kind], span: Span, out: &mut Vec<Stmt>) -> Check<Option<Open>> {
        let mut part = Expr::new(variable.kind.clone(), Node::Local(variable.slot));
        for field in &fields {
            part = self.require(part, span, "cannot read a property of null")?;
            part = self.property(part, field, span)?;
        }
        let elements = match &part.kind.ty {
            Ty::List(element) => vec![&**element],
            Ty::Tuple(parts) => parts.iter().collect(),
            _ => return Ok(None),
        };
        let Some(element) = unify_all(elements.into_iter().chain(more)) else {
            let message = format!("{} cannot take another type", part.kind);
            return fault(DiagnosticKind::Unsupported, span, message, "a list holds one type");
        };
        let wide = Ty::List(Box::new(element)).sure();
        if let (Some(room), true) = (variable.room, fields.is_empty()) {
            let wide = Kind { nulls: variable.kind.nulls, ..wide };
            self.settle(&variable, wide)?;
            if !variable.kind.is_sure() {
                return fault(DiagnosticKind::Unsupported, span, "a list that may be null is changed in place", "start with `[]`");
            }
            return Ok(Some(Open { list: variable.slot, room, back: None }));
        }
        if fields.is_empty() {
            return Ok(None);
        }
        let part = self.require(part, span, "cannot change a list that is null")?;
        let list = self.variable(part.widen(&wide), out);
        let room = self.variable(Expr::int(0), out);
        Ok(Some(Open { list, room, back: Some((variable, fields)) }))
    }

    fn put_element(&mut self, open: &Open, index: Option<Expr>, value: Expr, out: &mut Vec<Stmt>) {
        let value = match &self.local(open.list).kind.ty {
            Ty::List(element) => value.widen(element),
            _ => value,
        };
        out.push(Stmt::Put { list: open.list, room: open.room, index, value });
    }

    fn close(&mut self, open: Open, root: &str, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let Some((variable, fields)) = open.back else { return Ok(()) };
        let list = self.local(open.list);
        self.put_property(&Place { variable: &variable, root, fields: &fields }, list, span, out)
    }

    /// A method that changes a list which a variable holds; none where it is no such list.
    pub(super) fn changed(&mut self, object: &Ast, name: &str, arguments: &[Ast], span: Span) -> Check<Option<Expr>> {
        if !IN_PLACE.contains(&name) {
            return Ok(None);
        }
        let Some((root, fields)) = self.path(object) else { return Ok(None) };
        if !self.names.mutated.contains(&root) || self.find(&root).is_none() {
            return Ok(None);
        }
        let variable = self.owned(&root, span)?;
        let mut out = Vec::new();
        let mut given = Vec::new();
        let mut kinds = Vec::new();
        if matches!(name, "push" | "unshift" | "splice" | "fill") {
            let skip = if name == "splice" { 2 } else { 0 };
            let (values, spread) = self.given(arguments, &mut out)?;
            if spread.is_some() && name != "push" {
                return fault(DiagnosticKind::Unsupported, span, "`...` cannot be compiled here yet", "list the values");
            }
            kinds.extend(values.iter().skip(skip).map(|value| value.kind.clone()));
            given = values;
            if let Some(more) = spread {
                if let Ty::List(element) = &more.kind.ty {
                    kinds.push((**element).clone());
                }
                given.push(more);
                let open = self.open(variable, fields, &kinds, span, &mut out)?;
                let Some(open) = open else { return Ok(None) };
                let more = given.pop().unwrap_or_else(|| tuple(Vec::new()));
                for value in given {
                    self.put_element(&open, None, value, &mut out);
                }
                let all = self.joined(self.local(open.list), more);
                self.replace(&open, all, &mut out);
                let answer = length(self.local(open.list));
                self.close(open, &root, span, &mut out)?;
                return Ok(Some(Self::done(out, answer)));
            }
        }
        if name == "fill" {
            kinds.truncate(1);
        }
        let open = self.open(variable, fields, &kinds, span, &mut out)?;
        let Some(open) = open else { return Ok(None) };
        let answer = self.change(&open, &Method { name, arguments, span }, given, &mut out)?;
        self.close(open, &root, span, &mut out)?;
        Ok(Some(Self::done(out, answer)))
    }

    /// Gives the list of an opened place another value.
    fn replace(&mut self, open: &Open, list: Expr, out: &mut Vec<Stmt>) {
        let kind = self.local(open.list).kind;
        out.push(Stmt::Set(open.list, list.widen(&kind)));
        out.push(Stmt::Set(open.room, Expr::int(0)));
    }

    fn change(&mut self, open: &Open, method: &Method<'_>, given: Vec<Expr>, out: &mut Vec<Stmt>) -> Check<Expr> {
        let Method { name, arguments, span } = *method;
        let list = self.local(open.list);
        match name {
            "push" => {
                for value in given {
                    self.put_element(open, None, value, out);
                }
                Ok(length(list))
            }
            "unshift" => {
                let front = tuple(given).widen(&list.kind);
                let all = self.joined(front, list.clone());
                self.replace(open, all, out);
                Ok(length(list))
            }
            "pop" => {
                let last = int_math(IntMath::Sub, length(list.clone()), Expr::int(1));
                let value = super::members::list_get(list.clone(), last.clone());
                let value = self.keep(value, out);
                let rest = Expr::new(list.kind.clone(), Node::Call("list_head", vec![list, last]));
                out.push(Stmt::Set(open.list, rest));
                Ok(value)
            }
            "shift" => {
                let value = super::members::list_get(list.clone(), Expr::int(0));
                let value = self.keep(value, out);
                let rest =
                    Expr::new(list.kind.clone(), Node::ListCall("list_slice", vec![list, Expr::float(1.0), Expr::float(f64::INFINITY)]));
                self.replace(open, rest, out);
                Ok(value)
            }
            "sort" | "reverse" => {
                let all = if name == "sort" { self.sorted(list.clone(), arguments.first(), span)? } else { reversed(list.clone()) };
                self.replace(open, all, out);
                Ok(list)
            }
            "splice" => self.splice(open, given, span, out),
            "fill" if arguments.len() == 1 => {
                let value = given.into_iter().next().unwrap_or_else(Expr::undefined);
                let value = match &list.kind.ty {
                    Ty::List(element) => value.widen(element),
                    _ => value,
                };
                let element = value.kind.clone();
                let slot = self.slot(&element);
                let filled = Expr::new(list.kind.clone(), Node::ListMap(slot, None, list.clone().boxed(), value.boxed()));
                self.replace(open, filled, out);
                Ok(list)
            }
            _ => fault(DiagnosticKind::Unsupported, span, format!("`{name}` cannot be compiled here yet"), "build a new list"),
        }
    }

    fn splice(&mut self, open: &Open, given: Vec<Expr>, span: Span, out: &mut Vec<Stmt>) -> Check<Expr> {
        let list = self.local(open.list);
        let n_given = given.len();
        let mut given = given.into_iter();
        let start = given.next().unwrap_or_else(|| Expr::float(f64::INFINITY));
        let start = self.float_of(start, span)?;
        let n = length(list.clone());
        // From the end where it is negative, and never beyond it.
        let start = Expr::call(Ty::Float, "list_position", vec![super::convert::float(n), start]);
        let start = self.keep(start, out);
        let count = match given.next() {
            Some(count) => self.float_of(count, span)?,
            None => Expr::float(if n_given == 0 { 0.0 } else { f64::INFINITY }),
        };
        let zero = Expr::float(0.0);
        let count = super::float_math(
            crate::tree::FloatMath::Max,
            Expr::new(Ty::Float.sure(), Node::FloatUnary(crate::tree::FloatUnary::Trunc, count.boxed())),
            zero.clone(),
        );
        let end = super::float_math(crate::tree::FloatMath::Add, start.clone(), count);
        let end = self.keep(end, out);
        let slice = |from: Expr, to: Expr| Expr::new(list.kind.clone(), Node::ListCall("list_slice", vec![list.clone(), from, to]));
        let removed = self.keep(slice(start.clone(), end.clone()), out);
        let more = tuple(given.collect()).widen(&list.kind);
        let front = self.joined(slice(zero, start), more);
        let all = self.joined(front, slice(end, Expr::float(f64::INFINITY)));
        self.replace(open, all, out);
        Ok(removed)
    }
}

pub(super) fn reversed(list: Expr) -> Expr {
    Expr::new(list.kind.clone(), Node::ListCall("list_reverse", vec![list]))
}

fn constant<T>(name: &str, span: Span) -> Check<T> {
    Err(Fault::new(DiagnosticKind::Type, span, format!("`{name}` is a constant")).hint("declare it with let").into())
}
