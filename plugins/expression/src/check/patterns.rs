//! Names for values: parameters, destructuring, defaults.

use super::convert::without;
use super::{Binding, Check, Checker, fault};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Nulls, Ty, unify};
use crate::syntax::Pattern;
use crate::tree::{Expr, Node, Stmt};

impl Checker<'_> {
    pub(super) fn bind(&mut self, pattern: &Pattern, value: Expr, is_const: bool, out: &mut Vec<Stmt>) -> Check<()> {
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
                    let part = self.property(base.clone(), name, pattern_span(inner))?;
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
}

fn pattern_span(pattern: &Pattern) -> Span {
    match pattern {
        Pattern::Name(_, span) | Pattern::Object { span, .. } | Pattern::Array { span, .. } => *span,
        Pattern::Default(inner, _) => pattern_span(inner),
    }
}
