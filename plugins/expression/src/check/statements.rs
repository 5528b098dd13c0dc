//! Statements: declarations, blocks, branches and returns. Loops are in `loops`.

use super::loops::Each;
use super::{Binding, Check, Checker, Frame, doubted, fault};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, unify_all};
use crate::syntax::{Ast, Loop, Pattern, Statement, Syntax, Word};
use crate::tree::{Expr, Node, Stmt};
use std::rc::Rc;

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
            if kinds.is_empty() {
                // Nothing returns: the statements run for what they do.
                out.extend(inner);
                return Ok(Expr::undefined());
            }
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

    pub(super) fn statements(&mut self, statements: &[Statement], out: &mut Vec<Stmt>) -> Check<()> {
        // Functions are known in the whole block.
        for statement in statements {
            if let Statement::Function(function) = statement {
                self.declare_function(function.name.as_deref().unwrap_or_default(), function);
            }
        }
        let mut is_sure = true;
        for statement in statements {
            let done = self.statement(statement, out);
            if is_sure {
                done?;
            } else {
                doubted(done)?;
            }
            if !completes(std::slice::from_ref(statement)) {
                break;
            }
            is_sure &= !leaves(statement);
        }
        Ok(())
    }

    fn declare_function(&mut self, name: &str, function: &crate::syntax::Function) {
        let depth = self.scopes.len();
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((name.to_owned(), Binding::Function(Rc::new(function.clone()), depth)));
        }
    }

    pub(super) fn scoped(&mut self, statements: &[Statement]) -> Check<Vec<Stmt>> {
        let mut out = Vec::new();
        self.scopes.push(Vec::new());
        self.statements(statements, &mut out)?;
        self.scopes.pop();
        Ok(out)
    }

    fn statement(&mut self, statement: &Statement, out: &mut Vec<Stmt>) -> Check<()> {
        match statement {
            Statement::Declare { pattern, init, word, span } => self.declare(pattern, init.as_ref(), *word, *span, out),
            Statement::Function(_) => Ok(()),
            Statement::Expression(expression) => self.effect(expression, out),
            Statement::If { test, then, otherwise } => {
                let test = self.condition(test)?;
                match test.node {
                    Node::Bool(true) => out.extend(self.scoped(then)?),
                    Node::Bool(false) => out.extend(self.scoped(otherwise)?),
                    _ => {
                        let then = doubted(self.scoped(then))?;
                        let otherwise = doubted(self.scoped(otherwise))?;
                        out.push(Stmt::If(test, then, otherwise));
                    }
                }
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
            Statement::Labeled(label, statements) => {
                let leave = self.exit();
                self.frames.push(Frame { label: Some(label.clone()), leave, again: None, is_plain: false });
                let inner = self.scoped(statements)?;
                self.frames.pop();
                out.push(Stmt::Labeled(leave, inner));
                Ok(())
            }
            Statement::Loop(one) => self.repeat(one, out),
            Statement::ForOf { label, head, iterable, body, span } => {
                self.for_of(&Each { label: label.as_deref(), head, body, span: *span }, iterable, out)
            }
            Statement::ForIn { label, head, object, body, span } => {
                self.for_in(&Each { label: label.as_deref(), head, body, span: *span }, object, out)
            }
            Statement::Switch { label, value, cases, span } => self.switch(label.as_deref(), value, cases, *span, out),
            Statement::Break(label, span) => self.leave(label.as_deref(), false, *span, out),
            Statement::Continue(label, span) => self.leave(label.as_deref(), true, *span, out),
        }
    }

    fn declare(&mut self, pattern: &Pattern, init: Option<&Ast>, word: Word, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        if let (Pattern::Name(name, _), Some(Syntax::Function(function)), false) =
            (pattern, init.map(|init| &init.node), self.is_assigned(pattern))
        {
            self.declare_function(name, function);
            return Ok(());
        }
        let value = match init {
            Some(init) => self.expression(init)?,
            None if word == Word::Const => {
                return Err(Fault::new(DiagnosticKind::Syntax, span, "a const needs a value").into());
            }
            None => Expr::undefined(),
        };
        let value = if matches!(pattern, Pattern::Name(..)) { value } else { self.hold(value, out) };
        self.bind(pattern, value, word == Word::Const, out)
    }

    fn is_assigned(&self, pattern: &Pattern) -> bool {
        matches!(pattern, Pattern::Name(name, _) if self.names.assigned.contains(name) || self.names.mutated.contains(name))
    }

    fn leave(&mut self, label: Option<&str>, is_again: bool, span: Span, out: &mut Vec<Stmt>) -> Check<()> {
        let found = self.frames.iter().rev().find(|frame| match label {
            Some(label) => frame.label.as_deref() == Some(label),
            None => frame.is_plain && (!is_again || frame.again.is_some()),
        });
        let exit = found.and_then(|frame| if is_again { frame.again } else { Some(frame.leave) });
        let Some(exit) = exit else {
            let word = if is_again { "continue" } else { "break" };
            return Err(Fault::new(DiagnosticKind::Syntax, span, format!("`{word}` stands in no loop that it could mean"))
                .anywhere()
                .hint("use return to end the function")
                .into());
        };
        out.push(Stmt::Leave(exit));
        Ok(())
    }
}

/// Whether control may reach what follows.
pub(super) fn completes(statements: &[Statement]) -> bool {
    !statements.iter().any(|statement| match statement {
        Statement::Return(..) | Statement::Throw(..) | Statement::Break(..) | Statement::Continue(..) => true,
        Statement::If { then, otherwise, .. } => !completes(then) && !completes(otherwise),
        Statement::Block(inner) => !completes(inner),
        Statement::Loop(one) => is_endless(one),
        Statement::Switch { cases, .. } => {
            let has_default = cases.iter().any(|(test, _)| test.is_none());
            let ends = cases.last().is_some_and(|(_, body)| !completes(body));
            has_default && ends && !cases.iter().any(|(_, body)| body.iter().any(breaks))
        }
        _ => false,
    })
}

fn is_endless(one: &Loop) -> bool {
    let is_true = matches!(&one.test, None | Some(Ast { node: Syntax::Boolean(true), .. }));
    is_true && !one.body.iter().any(breaks)
}

/// Whether there is a `break` of any kind in it.
fn breaks(statement: &Statement) -> bool {
    match statement {
        Statement::Break(..) => true,
        Statement::If { then, otherwise, .. } => then.iter().chain(otherwise).any(breaks),
        Statement::Block(inner) | Statement::Labeled(_, inner) => inner.iter().any(breaks),
        Statement::Loop(Loop { body, .. }) | Statement::ForOf { body, .. } | Statement::ForIn { body, .. } => body.iter().any(breaks),
        Statement::Switch { cases, .. } => cases.iter().any(|(_, body)| body.iter().any(breaks)),
        _ => false,
    }
}

/// Whether there is a `return` in it, of this function.
fn returns(statement: &Statement) -> bool {
    match statement {
        Statement::Return(..) => true,
        Statement::If { then, otherwise, .. } => then.iter().chain(otherwise).any(returns),
        Statement::Block(inner) | Statement::Labeled(_, inner) => inner.iter().any(returns),
        Statement::Loop(Loop { body, .. }) | Statement::ForOf { body, .. } | Statement::ForIn { body, .. } => body.iter().any(returns),
        Statement::Switch { cases, .. } => cases.iter().any(|(_, body)| body.iter().any(returns)),
        _ => false,
    }
}

/// Whether it may end the function or a loop around it, so that what follows may not run.
fn leaves(statement: &Statement) -> bool {
    match statement {
        Statement::Throw(..) | Statement::Continue(..) => true,
        Statement::If { then, otherwise, .. } => then.iter().chain(otherwise).any(leaves),
        Statement::Block(inner) => inner.iter().any(leaves),
        _ => returns(statement) || breaks(statement),
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
            Stmt::Labeled(_, inner) | Stmt::Loop(inner) => widen_returns(inner, kind),
            _ => {}
        }
    }
}
