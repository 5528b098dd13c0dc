//! Which properties of an argument a function can read. Whatever else is done with the argument makes that unknown, so
//! names err on the safe side: another variable of the same name counts as the argument.

use oxc_ast::ast;
use oxc_ast_visit::{Visit, walk};
use std::collections::BTreeMap;

/// Names of properties, and where in the text each is read first.
pub type Reads = BTreeMap<String, u32>;

/// By number of the argument.
pub(super) fn reads<const N: usize>(program: &ast::Program<'_>, arguments: [usize; N]) -> [Option<Reads>; N] {
    arguments.map(|at| read(program, at))
}

fn read(program: &ast::Program<'_>, argument: usize) -> Option<Reads> {
    let [ast::Statement::ExpressionStatement(statement)] = program.body.as_slice() else { return None };
    let function = bare(&statement.expression);
    let params = match function {
        ast::Expression::ArrowFunctionExpression(arrow) => &arrow.params,
        ast::Expression::FunctionExpression(function) => &function.params,
        _ => return None,
    };
    let mut reach = Reach { name: None, reads: Reads::new(), is_known: true };
    match params.items.get(argument).map(|param| &param.pattern) {
        None if params.rest.is_some() => return None,
        None => {}
        Some(pattern) => reach.argument(pattern)?,
    }
    reach.visit_expression(function);
    reach.is_known.then_some(reach.reads)
}

/// Without brackets.
pub(super) fn bare<'a, 'b>(mut expression: &'b ast::Expression<'a>) -> &'b ast::Expression<'a> {
    while let ast::Expression::ParenthesizedExpression(outer) = expression {
        expression = &outer.expression;
    }
    expression
}

struct Reach<'a> {
    /// What the argument is called.
    name: Option<&'a str>,
    reads: Reads,
    is_known: bool,
}

impl<'a> Reach<'a> {
    fn argument(&mut self, pattern: &ast::BindingPattern<'a>) -> Option<()> {
        match pattern {
            ast::BindingPattern::BindingIdentifier(name) => self.name = Some(name.name.as_str()),
            ast::BindingPattern::ObjectPattern(object) => return self.names(object),
            ast::BindingPattern::AssignmentPattern(default) => return self.argument(&default.left),
            ast::BindingPattern::ArrayPattern(_) => return None,
        }
        Some(())
    }

    /// The names that a pattern takes out of an object; none where it may take any.
    fn names(&mut self, object: &ast::ObjectPattern<'a>) -> Option<()> {
        if object.rest.is_some() {
            return None;
        }
        for property in &object.properties {
            match &property.key {
                ast::PropertyKey::StaticIdentifier(name) => self.note(name.name.as_str(), name.span),
                ast::PropertyKey::StringLiteral(name) => self.note(name.value.as_str(), name.span),
                _ => return None,
            }
        }
        Some(())
    }

    fn note(&mut self, name: &str, span: oxc_span::Span) {
        // The bracket around the function is none of its text.
        self.reads.entry(name.to_owned()).or_insert(span.start.saturating_sub(1));
    }

    fn is_argument(&self, expression: &ast::Expression<'a>) -> bool {
        matches!(bare(expression), ast::Expression::Identifier(name) if Some(name.name.as_str()) == self.name)
    }

    /// Whether a function is called on the argument, which may do anything with it.
    fn is_called_on(&self, callee: &ast::Expression<'a>) -> bool {
        let callee = match bare(callee) {
            ast::Expression::ChainExpression(chain) => chain.expression.as_member_expression(),
            other => other.as_member_expression(),
        };
        callee.is_some_and(|member| self.is_argument(member.object()))
    }
}

impl<'a> Visit<'a> for Reach<'a> {
    fn visit_identifier_reference(&mut self, name: &ast::IdentifierReference<'a>) {
        let name = name.name.as_str();
        if Some(name) == self.name || matches!(name, "arguments" | "eval") {
            self.is_known = false;
        }
    }

    fn visit_static_member_expression(&mut self, member: &ast::StaticMemberExpression<'a>) {
        if self.is_argument(&member.object) {
            self.note(member.property.name.as_str(), member.span);
        } else {
            walk::walk_static_member_expression(self, member);
        }
    }

    fn visit_computed_member_expression(&mut self, member: &ast::ComputedMemberExpression<'a>) {
        match bare(&member.expression) {
            ast::Expression::StringLiteral(name) if self.is_argument(&member.object) => {
                self.note(name.value.as_str(), member.span);
            }
            _ => walk::walk_computed_member_expression(self, member),
        }
    }

    fn visit_call_expression(&mut self, call: &ast::CallExpression<'a>) {
        if self.is_called_on(&call.callee) {
            self.is_known = false;
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_tagged_template_expression(&mut self, template: &ast::TaggedTemplateExpression<'a>) {
        if self.is_called_on(&template.tag) {
            self.is_known = false;
        }
        walk::walk_tagged_template_expression(self, template);
    }

    fn visit_variable_declarator(&mut self, declared: &ast::VariableDeclarator<'a>) {
        match (&declared.id, &declared.init) {
            (ast::BindingPattern::ObjectPattern(object), Some(init)) if self.is_argument(init) => {
                if self.names(object).is_none() {
                    self.is_known = false;
                }
                self.visit_binding_pattern(&declared.id);
            }
            _ => walk::walk_variable_declarator(self, declared),
        }
    }
}
