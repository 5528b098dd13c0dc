//! Statements and declarations.

use super::{Reader, Result, strip};
use crate::syntax::{Ast, Head, Loop, Statement, Syntax, Word};
use oxc_ast::ast;
use oxc_span::GetSpan;

impl Reader {
    pub(super) fn statements(self, statements: &[ast::Statement<'_>]) -> Result<Vec<Statement>> {
        let mut out = Vec::with_capacity(statements.len());
        for statement in statements {
            self.statement(statement, None, &mut out)?;
        }
        Ok(out)
    }

    fn statement(mut self, statement: &ast::Statement<'_>, label: Option<String>, out: &mut Vec<Statement>) -> Result<()> {
        self.deeper(statement.span())?;
        match statement {
            // Types alone mean nothing at run time.
            ast::Statement::EmptyStatement(_)
            | ast::Statement::TSTypeAliasDeclaration(_)
            | ast::Statement::TSInterfaceDeclaration(_)
            | ast::Statement::DebuggerStatement(_) => {}
            ast::Statement::BlockStatement(block) => {
                let inner = self.statements(&block.body)?;
                out.push(match label {
                    Some(label) => Statement::Labeled(label, inner),
                    None => Statement::Block(inner),
                });
            }
            ast::Statement::ExpressionStatement(statement) => out.push(Statement::Expression(self.expression(&statement.expression)?)),
            ast::Statement::IfStatement(branch) => {
                let test = self.expression(&branch.test)?;
                let then = self.branch(Some(&branch.consequent))?;
                let otherwise = self.branch(branch.alternate.as_ref())?;
                out.push(Statement::If { test, then, otherwise });
            }
            ast::Statement::ReturnStatement(end) => {
                let value = end.argument.as_ref().map(|value| self.expression(value)).transpose()?;
                out.push(Statement::Return(value));
            }
            ast::Statement::ThrowStatement(throw) => {
                out.push(Statement::Throw(self.thrown(&throw.argument)?, self.span(throw.span)));
            }
            ast::Statement::VariableDeclaration(declaration) => self.declaration(declaration, out)?,
            ast::Statement::FunctionDeclaration(function) => out.push(Statement::Function(self.function(function)?)),
            ast::Statement::LabeledStatement(labeled) => {
                self.statement(&labeled.body, Some(labeled.label.name.to_string()), out)?;
            }
            ast::Statement::BreakStatement(leave) => {
                out.push(Statement::Break(leave.label.as_ref().map(|label| label.name.to_string()), self.span(leave.span)));
            }
            ast::Statement::ContinueStatement(again) => {
                out.push(Statement::Continue(again.label.as_ref().map(|label| label.name.to_string()), self.span(again.span)));
            }
            _ => out.push(self.loop_statement(statement, label)?),
        }
        Ok(())
    }

    fn loop_statement(self, statement: &ast::Statement<'_>, label: Option<String>) -> Result<Statement> {
        let span = self.span(statement.span());
        match statement {
            ast::Statement::WhileStatement(one) => {
                let (test, body) = (Some(self.expression(&one.test)?), self.branch(Some(&one.body))?);
                Ok(Statement::Loop(Loop { label, test, update: None, body, is_do: false }))
            }
            ast::Statement::DoWhileStatement(one) => {
                let (test, body) = (Some(self.expression(&one.test)?), self.branch(Some(&one.body))?);
                Ok(Statement::Loop(Loop { label, test, update: None, body, is_do: true }))
            }
            ast::Statement::ForStatement(one) => {
                let mut all = Vec::new();
                match &one.init {
                    None => {}
                    Some(ast::ForStatementInit::VariableDeclaration(declaration)) => self.declaration(declaration, &mut all)?,
                    Some(init) => match init.as_expression() {
                        Some(init) => all.push(Statement::Expression(self.expression(init)?)),
                        None => return self.unsupported(one.span, "this loop", "declare one variable"),
                    },
                }
                let test = one.test.as_ref().map(|test| self.expression(test)).transpose()?;
                let update = one.update.as_ref().map(|update| self.expression(update)).transpose()?;
                let body = self.branch(Some(&one.body))?;
                all.push(Statement::Loop(Loop { label, test, update, body, is_do: false }));
                Ok(Statement::Block(all))
            }
            ast::Statement::ForOfStatement(one) if !one.r#await => {
                let head = self.head(&one.left)?;
                let (iterable, body) = (self.expression(&one.right)?, self.branch(Some(&one.body))?);
                Ok(Statement::ForOf { label, head, iterable, body, span })
            }
            ast::Statement::ForInStatement(one) => {
                let head = self.head(&one.left)?;
                let (object, body) = (self.expression(&one.right)?, self.branch(Some(&one.body))?);
                Ok(Statement::ForIn { label, head, object, body, span })
            }
            ast::Statement::SwitchStatement(one) => {
                let value = self.expression(&one.discriminant)?;
                let cases = one.cases.iter().map(|case| {
                    let test = case.test.as_ref().map(|test| self.expression(test)).transpose()?;
                    Ok((test, self.statements(&case.consequent)?))
                });
                Ok(Statement::Switch { label, value, cases: cases.collect::<Result<_>>()?, span })
            }
            other => self.unsupported(other.span(), "this statement", "use const, let, if, for, while, switch and return"),
        }
    }

    fn head(self, left: &ast::ForStatementLeft<'_>) -> Result<Head> {
        match left {
            ast::ForStatementLeft::VariableDeclaration(declaration) => match declaration.declarations.first() {
                Some(one) => Ok(Head::Declare { pattern: self.pattern(&one.id)?, word: self.word(declaration)? }),
                None => self.unsupported(declaration.span, "this loop", "declare one variable"),
            },
            other => match other.as_assignment_target() {
                Some(target) => Ok(Head::Assign(self.target(target)?)),
                None => self.unsupported(other.span(), "this loop", "declare one variable"),
            },
        }
    }

    fn word(self, declaration: &ast::VariableDeclaration<'_>) -> Result<Word> {
        match declaration.kind {
            ast::VariableDeclarationKind::Const => Ok(Word::Const),
            ast::VariableDeclarationKind::Let => Ok(Word::Let),
            ast::VariableDeclarationKind::Var => Ok(Word::Var),
            _ => self.unsupported(declaration.span, "`using`", "use const or let"),
        }
    }

    fn branch(self, statement: Option<&ast::Statement<'_>>) -> Result<Vec<Statement>> {
        let mut out = Vec::new();
        match statement {
            Some(ast::Statement::BlockStatement(block)) => out = self.statements(&block.body)?,
            Some(statement) => self.statement(statement, None, &mut out)?,
            None => {}
        }
        Ok(out)
    }

    fn declaration(self, declaration: &ast::VariableDeclaration<'_>, out: &mut Vec<Statement>) -> Result<()> {
        let word = self.word(declaration)?;
        for one in &declaration.declarations {
            let pattern = self.pattern(&one.id)?;
            let init = one.init.as_ref().map(|init| self.expression(init)).transpose()?;
            out.push(Statement::Declare { pattern, init, word, span: self.span(one.span) });
        }
        Ok(())
    }

    /// `throw new Error(message)` and `throw message` both come down to the message.
    fn thrown(self, argument: &ast::Expression<'_>) -> Result<Ast> {
        match strip(argument) {
            ast::Expression::NewExpression(new) => match new.arguments.first().and_then(ast::Argument::as_expression) {
                Some(message) => self.expression(message),
                None => Ok(Ast { span: self.span(new.span), node: Syntax::String("error".to_owned()) }),
            },
            other => self.expression(other),
        }
    }
}
