//! Expressions, and what may stand on the left of an assignment.

use super::operators::{assignment_operator, binary_operator, logical_operator, unary_operator};
use super::{Reader, Result, strip};
use crate::syntax::{Ast, Binary, Pattern, Property, Syntax, Target};
use oxc_ast::ast;
use oxc_span::GetSpan;
use oxc_syntax::operator as op;

impl Reader {
    fn boxed(self, expression: &ast::Expression<'_>) -> Result<Box<Ast>> {
        self.expression(expression).map(Box::new)
    }

    pub(super) fn expression(mut self, expression: &ast::Expression<'_>) -> Result<Ast> {
        let expression = strip(expression);
        self.deeper(expression.span())?;
        let node = match expression {
            ast::Expression::BooleanLiteral(literal) => Syntax::Boolean(literal.value),
            ast::Expression::NullLiteral(_) => Syntax::Null,
            ast::Expression::NumericLiteral(literal) => Syntax::Number(literal.value),
            ast::Expression::StringLiteral(literal) if !literal.lone_surrogates => Syntax::String(literal.value.to_string()),
            ast::Expression::TemplateLiteral(template) => self.template(template)?,
            ast::Expression::Identifier(name) => Syntax::Name(name.name.to_string()),
            ast::Expression::ArrayExpression(array) => Syntax::Array(self.items(array)?),
            ast::Expression::ObjectExpression(object) => Syntax::Object(self.properties(object)?),
            ast::Expression::ArrowFunctionExpression(arrow) => Syntax::Function(Box::new(self.arrow(arrow)?)),
            ast::Expression::FunctionExpression(function) => Syntax::Function(Box::new(self.function(function)?)),
            ast::Expression::UnaryExpression(unary) => match unary_operator(unary.operator) {
                Some(operator) => Syntax::Unary(operator, self.boxed(&unary.argument)?),
                None => return self.unsupported(unary.span, "`delete`", "build a new object without the property"),
            },
            ast::Expression::BinaryExpression(binary) => {
                Syntax::Binary(binary_operator(binary.operator), self.boxed(&binary.left)?, self.boxed(&binary.right)?)
            }
            ast::Expression::LogicalExpression(logical) => {
                Syntax::Logical(logical_operator(logical.operator), self.boxed(&logical.left)?, self.boxed(&logical.right)?)
            }
            ast::Expression::ConditionalExpression(choice) => {
                Syntax::Conditional(self.boxed(&choice.test)?, self.boxed(&choice.consequent)?, self.boxed(&choice.alternate)?)
            }
            ast::Expression::ChainExpression(chain) => Syntax::Chain(Box::new(self.chain(&chain.expression)?)),
            ast::Expression::CallExpression(call) => self.call(call)?,
            ast::Expression::AssignmentExpression(assignment) => self.assignment(assignment)?,
            ast::Expression::UpdateExpression(update) => self.update(update)?,
            ast::Expression::SequenceExpression(sequence) => {
                Syntax::Sequence(sequence.expressions.iter().map(|one| self.expression(one)).collect::<Result<_>>()?)
            }
            ast::Expression::NewExpression(new) => {
                Syntax::New { callee: self.boxed(&new.callee)?, arguments: self.arguments(&new.arguments)? }
            }
            other => match other.as_member_expression() {
                Some(member) => self.member(member)?,
                None => return self.refuse(other),
            },
        };
        Ok(Ast { span: self.span(expression.span()), node })
    }

    fn refuse<T>(self, expression: &ast::Expression<'_>) -> Result<T> {
        let (what, hint) = match expression {
            ast::Expression::RegExpLiteral(_) => ("a regular expression", "use includes, startsWith, indexOf or split"),
            ast::Expression::BigIntLiteral(_) => ("a BigInt", "integers are exact up to 64 bits without the `n`"),
            ast::Expression::AwaitExpression(_) => ("`await`", "a lambda answers at once"),
            ast::Expression::ThisExpression(_) => ("`this`", "use the parameter"),
            ast::Expression::StringLiteral(_) => ("a string with half a surrogate pair", "use whole characters"),
            _ => ("this expression", "use operators, literals, properties and the methods of strings, numbers and Math"),
        };
        self.unsupported(expression.span(), what, hint)
    }

    fn template(self, template: &ast::TemplateLiteral<'_>) -> Result<Syntax> {
        let mut texts = Vec::with_capacity(template.quasis.len());
        for quasi in &template.quasis {
            match &quasi.value.cooked {
                Some(cooked) if !quasi.lone_surrogates => texts.push(cooked.to_string()),
                _ => return self.unsupported(quasi.span, "half a surrogate pair", "use whole characters"),
            }
        }
        let parts = template.expressions.iter().map(|part| self.expression(part)).collect::<Result<_>>()?;
        Ok(Syntax::Template { texts, parts })
    }

    fn items(self, array: &ast::ArrayExpression<'_>) -> Result<Vec<Ast>> {
        array
            .elements
            .iter()
            .map(|element| match element {
                ast::ArrayExpressionElement::SpreadElement(spread) => self.spread(spread),
                other => match other.as_expression() {
                    Some(expression) => self.expression(expression),
                    None => self.unsupported(element.span(), "a hole in an array", "list the elements"),
                },
            })
            .collect()
    }

    fn spread(self, spread: &ast::SpreadElement<'_>) -> Result<Ast> {
        Ok(Ast { span: self.span(spread.span), node: Syntax::Spread(self.boxed(&spread.argument)?) })
    }

    fn arguments(self, arguments: &[ast::Argument<'_>]) -> Result<Vec<Ast>> {
        arguments
            .iter()
            .map(|argument| match argument {
                ast::Argument::SpreadElement(spread) => self.spread(spread),
                other => match other.as_expression() {
                    Some(expression) => self.expression(expression),
                    None => self.unsupported(other.span(), "this argument", "give a value"),
                },
            })
            .collect()
    }

    fn properties(self, object: &ast::ObjectExpression<'_>) -> Result<Vec<Property>> {
        object
            .properties
            .iter()
            .map(|property| match property {
                ast::ObjectPropertyKind::SpreadProperty(spread) => Ok(Property::Spread(self.expression(&spread.argument)?)),
                ast::ObjectPropertyKind::ObjectProperty(property) => {
                    if property.method || property.kind != ast::PropertyKind::Init {
                        return self.unsupported(property.span, "a method in an object", "an element holds values only");
                    }
                    Ok(Property::Named(self.key(&property.key, property.computed)?, self.expression(&property.value)?))
                }
            })
            .collect()
    }

    fn member(self, member: &ast::MemberExpression<'_>) -> Result<Syntax> {
        match member {
            ast::MemberExpression::StaticMemberExpression(member) => Ok(Syntax::Member {
                object: self.boxed(&member.object)?,
                name: member.property.name.to_string(),
                optional: member.optional,
            }),
            ast::MemberExpression::ComputedMemberExpression(member) => Ok(match strip(&member.expression) {
                ast::Expression::StringLiteral(name) => {
                    Syntax::Member { object: self.boxed(&member.object)?, name: name.value.to_string(), optional: member.optional }
                }
                index => Syntax::Index { object: self.boxed(&member.object)?, index: self.boxed(index)?, optional: member.optional },
            }),
            ast::MemberExpression::PrivateFieldExpression(member) => {
                self.unsupported(member.span, "a private field", "elements have plain properties")
            }
        }
    }

    fn chain(self, chain: &ast::ChainElement<'_>) -> Result<Ast> {
        match chain {
            ast::ChainElement::CallExpression(call) => Ok(Ast { span: self.span(call.span), node: self.call(call)? }),
            ast::ChainElement::TSNonNullExpression(inner) => self.expression(&inner.expression),
            other => match other.as_member_expression() {
                Some(member) => Ok(Ast { span: self.span(member.span()), node: self.member(member)? }),
                None => self.unsupported(other.span(), "this chain", "use `?.` before a property or a call"),
            },
        }
    }

    fn call(self, call: &ast::CallExpression<'_>) -> Result<Syntax> {
        Ok(Syntax::Call { callee: self.boxed(&call.callee)?, arguments: self.arguments(&call.arguments)?, optional: call.optional })
    }

    fn assignment(self, assignment: &ast::AssignmentExpression<'_>) -> Result<Syntax> {
        let target = Box::new(self.target(&assignment.left)?);
        Ok(Syntax::Assign { operator: assignment_operator(assignment.operator), target, value: self.boxed(&assignment.right)? })
    }

    fn update(self, update: &ast::UpdateExpression<'_>) -> Result<Syntax> {
        let operator = match update.operator {
            op::UpdateOperator::Increment => Binary::Add,
            op::UpdateOperator::Decrement => Binary::Sub,
        };
        let target = Box::new(self.simple_target(&update.argument)?);
        Ok(Syntax::Update { operator, target, is_prefix: update.prefix })
    }

    pub(super) fn target(self, target: &ast::AssignmentTarget<'_>) -> Result<Target> {
        if let Some(simple) = target.as_simple_assignment_target() {
            return self.simple_target(simple);
        }
        self.target_pattern(target).map(Target::Pattern)
    }

    fn simple_target(self, target: &ast::SimpleAssignmentTarget<'_>) -> Result<Target> {
        match target {
            ast::SimpleAssignmentTarget::AssignmentTargetIdentifier(name) => Ok(Target::Name(name.name.to_string())),
            other => match other.as_member_expression() {
                Some(member) => Ok(Target::Place(Ast { span: self.span(member.span()), node: self.member(member)? })),
                None => self.unsupported(other.span(), "an assignment to this", "assign to a variable"),
            },
        }
    }

    /// `[a, b] = …` and `({a, b} = …)`, as far as they name variables.
    fn target_pattern(mut self, target: &ast::AssignmentTarget<'_>) -> Result<Pattern> {
        self.deeper(target.span())?;
        match target {
            ast::AssignmentTarget::AssignmentTargetIdentifier(name) => Ok(Pattern::Name(name.name.to_string(), self.span(name.span))),
            ast::AssignmentTarget::ArrayAssignmentTarget(array) => {
                let items = array.elements.iter().map(|item| item.as_ref().map(|item| self.target_item(item)).transpose());
                let items = items.collect::<Result<_>>()?;
                let rest = array.rest.as_ref().map(|rest| self.target_pattern(&rest.target).map(Box::new)).transpose()?;
                Ok(Pattern::Array { items, rest, span: self.span(array.span) })
            }
            ast::AssignmentTarget::ObjectAssignmentTarget(object) => {
                let properties = object.properties.iter().map(|property| self.target_property(property)).collect::<Result<_>>()?;
                let rest = object.rest.as_ref().map(|rest| self.target_pattern(&rest.target).map(Box::new)).transpose()?;
                Ok(Pattern::Object { properties, rest, span: self.span(object.span) })
            }
            other => self.unsupported(other.span(), "a pattern with anything but names", "assign one by one"),
        }
    }

    fn target_item(self, item: &ast::AssignmentTargetMaybeDefault<'_>) -> Result<Pattern> {
        match item {
            ast::AssignmentTargetMaybeDefault::AssignmentTargetWithDefault(item) => {
                Ok(Pattern::Default(Box::new(self.target_pattern(&item.binding)?), self.expression(&item.init)?))
            }
            other => match other.as_assignment_target() {
                Some(target) => self.target_pattern(target),
                None => self.unsupported(other.span(), "this pattern", "assign one by one"),
            },
        }
    }

    fn target_property(self, property: &ast::AssignmentTargetProperty<'_>) -> Result<(String, Pattern)> {
        match property {
            ast::AssignmentTargetProperty::AssignmentTargetPropertyIdentifier(short) => {
                let name = short.binding.name.to_string();
                let pattern = Pattern::Name(name.clone(), self.span(short.binding.span));
                Ok(match &short.init {
                    Some(init) => (name, Pattern::Default(Box::new(pattern), self.expression(init)?)),
                    None => (name, pattern),
                })
            }
            ast::AssignmentTargetProperty::AssignmentTargetPropertyProperty(long) => {
                Ok((self.key(&long.name, long.computed)?, self.target_item(&long.binding)?))
            }
        }
    }
}
