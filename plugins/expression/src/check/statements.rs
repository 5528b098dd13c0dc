//! Statements: blocks, branches, returns and assignments.

use super::{Binding, Check, Checker, Halt, fault};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, unify, unify_all};
use crate::syntax::{Assign, Ast, Body, Function, Pattern, Statement, Syntax};
use crate::tree::{Expr, Node, Stmt};
use std::collections::HashSet;

impl Checker<'_> {
    pub(super) fn body(&mut self, statements: &[Statement], span: Span, out: &mut Vec<Stmt>) -> Check<Expr> {
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
                let text = self.text_of(message, *span)?;
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

pub(super) fn assigned_names(function: &Function, out: &mut HashSet<String>) {
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
