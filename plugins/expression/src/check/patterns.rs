//! Names for values: parameters, destructuring, defaults.

use super::lists::as_list;
use super::{Binding, Check, Checker, Variable, fault, tuple};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Ty, unify, unify_all};
use crate::syntax::Pattern;
use crate::tree::{Expr, Node, Stmt};

impl Checker<'_> {
    pub(super) fn bind(&mut self, pattern: &Pattern, value: Expr, is_const: bool, out: &mut Vec<Stmt>) -> Check<()> {
        match pattern {
            Pattern::Name(name, span) => self.bind_name(name, *span, value, is_const, out),
            Pattern::Default(inner, default) => {
                let value = self.or_default(value, default)?;
                let value = self.hold(value, out);
                self.bind(inner, value, is_const, out)
            }
            Pattern::Object { .. } | Pattern::Array { .. } => {
                for (inner, value) in self.taken_apart(pattern, value, out)? {
                    let value = self.hold(value, out);
                    self.bind(inner, value, is_const, out)?;
                }
                Ok(())
            }
        }
    }

    /// The parts that an object or array pattern names.
    pub(super) fn taken_apart<'a>(&mut self, pattern: &'a Pattern, value: Expr, out: &mut Vec<Stmt>) -> Check<Vec<(&'a Pattern, Expr)>> {
        let mut all = Vec::new();
        match pattern {
            Pattern::Object { properties, rest, span } => {
                let base = self.require(value, *span, "cannot destructure null")?;
                let base = self.keep(base, out);
                for (name, inner) in properties {
                    let is_optional = matches!(inner, Pattern::Default(..));
                    let part = match (&base.kind.ty, is_optional) {
                        (Ty::Struct(parts), true) if !parts.iter().any(|part| part.name == *name) => Expr::undefined(),
                        _ => self.property(base.clone(), name, pattern_span(inner))?,
                    };
                    all.push((inner, part));
                }
                if let Some(rest) = rest {
                    let taken: Vec<&str> = properties.iter().map(|(name, _)| name.as_str()).collect();
                    all.push((&**rest, self.remaining(&base, &taken, *span)?));
                }
            }
            Pattern::Array { items, rest, span } => {
                let base = self.require(value, *span, "cannot destructure null")?;
                let base = if base.kind.ty == Ty::Str { as_list(base) } else { base };
                if !matches!(base.kind.ty, Ty::Tuple(_) | Ty::List(_)) {
                    return fault(
                        DiagnosticKind::Type,
                        *span,
                        format!("an array pattern takes a tuple or a list, not {}", base.kind),
                        "destructure objects with `({a, b}) =>`",
                    );
                }
                let base = self.keep(base, out);
                for (at, item) in items.iter().enumerate() {
                    let Some(item) = item else { continue };
                    let index = Expr::int(i64::try_from(at).unwrap_or(i64::MAX));
                    all.push((item, self.element(base.clone(), index, *span)?));
                }
                if let Some(rest) = rest {
                    let value = self.behind(&base, items.len());
                    all.push((&**rest, value));
                }
            }
            Pattern::Name(..) | Pattern::Default(..) => all.push((pattern, value)),
        }
        Ok(all)
    }

    /// What is left of a list or tuple behind its first parts.
    fn behind(&mut self, base: &Expr, n: usize) -> Expr {
        match &base.kind.ty {
            Ty::Tuple(parts) => tuple((n.min(parts.len())..parts.len()).map(|at| self.part(base.clone(), at)).collect()),
            _ => {
                let from = Expr::float(crate::tree::int_to_float(i64::try_from(n).unwrap_or(i64::MAX)));
                let arguments = vec![base.clone(), from, Expr::float(f64::INFINITY)];
                Expr::new(base.kind.clone(), Node::ListCall("list_slice", arguments))
            }
        }
    }

    fn bind_name(&mut self, name: &str, span: Span, value: Expr, is_const: bool, out: &mut Vec<Stmt>) -> Check<()> {
        let is_changed = self.names.mutated.contains(name);
        if self.scopes.last().is_some_and(|scope| scope.iter().any(|(known, _)| known == name)) {
            let fault = Fault::new(DiagnosticKind::Unsupported, span, format!("`{name}` is declared twice"));
            return Err(fault.hint("use another name").into());
        }
        if self.names.twice.contains(name) {
            return fault(DiagnosticKind::Unsupported, span, format!("`var {name}` is declared twice"), "declare it once, with let");
        }
        let binding = if is_changed || !is_const && self.names.assigned.contains(name) {
            let value = if self.names.grown.contains(name) { listed(value) } else { value };
            let kind = match self.wide.get(&span.start) {
                Some(wide) => unify(wide, &value.kind).unwrap_or_else(|| wide.clone()),
                None => value.kind.clone(),
            };
            let slot = self.slot(&kind);
            self.variables.insert(slot);
            out.push(Stmt::Var(slot, value.widen(&kind)));
            let is_list = is_changed && matches!(kind.ty, Ty::List(_));
            let room = if is_list { Some(self.variable(Expr::int(0), out)) } else { None };
            Binding::Variable(Variable { slot, kind, at: span.start, is_const, room })
        } else {
            // An alias of a variable would change with it.
            Binding::Value(self.keep(value, out))
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((name.to_owned(), binding));
        }
        Ok(())
    }

    fn remaining(&mut self, base: &Expr, taken: &[&str], span: Span) -> Check<Expr> {
        let Ty::Struct(parts) = base.kind.ty.clone() else {
            return fault(DiagnosticKind::Unsupported, span, format!("`...` takes an object here, not {}", base.kind), "name the parts");
        };
        let mut kinds = Vec::new();
        let mut values = Vec::new();
        for (at, part) in parts.iter().enumerate().filter(|(_, part)| !taken.contains(&part.name.as_str())) {
            values.push(self.part(base.clone(), at));
            kinds.push(part.clone());
        }
        Ok(Expr::new(Ty::Struct(kinds).sure(), Node::Parts(values)))
    }
}

/// A tuple as a list, where its parts have one type; anything else as it is.
pub(super) fn listed(value: Expr) -> Expr {
    let Ty::Tuple(parts) = &value.kind.ty else { return value };
    match unify_all(parts) {
        Some(element) => {
            let kind = Kind { ty: Ty::List(Box::new(element)), nulls: value.kind.nulls };
            value.widen(&kind)
        }
        None => value,
    }
}

fn pattern_span(pattern: &Pattern) -> Span {
    match pattern {
        Pattern::Name(_, span) | Pattern::Object { span, .. } | Pattern::Array { span, .. } => *span,
        Pattern::Default(inner, _) => pattern_span(inner),
    }
}
