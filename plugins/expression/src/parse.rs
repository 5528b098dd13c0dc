//! The only file that knows the parser crate: text to our own syntax tree.
//!
//! What the compiler has no word for is refused here, with its place. What names and types mean is decided in `check`.

use crate::error::{DiagnosticKind, Fault, Span};
use crate::syntax::{Assign, Ast, Binary, Body, Function, Logical, Pattern, Property, Statement, Syntax, Unary};
use oxc_allocator::Allocator;
use oxc_ast::ast;
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType};
use oxc_syntax::operator as op;

type Result<T> = std::result::Result<T, Fault>;

/// Nesting of the tree, chains of operators included.
const TREE_DEPTH_MAX: usize = 400;

/// Parses one function.
pub(crate) fn parse(text: &str) -> Result<Function> {
    let allocator = Allocator::default();
    // Without the bracket a nameless `function (x) { … }` would be an incomplete declaration.
    let is_wrapped = text.trim_start().starts_with("function");
    let wrapped = if is_wrapped { format!("({})", text.trim_end().trim_end_matches(';')) } else { text.to_owned() };
    let shift = u32::from(is_wrapped);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let reader = Reader { shift, length, depth: 0 };
    let parsed = Parser::new(&allocator, &wrapped, SourceType::ts()).parse();
    if let Some(error) = parsed.diagnostics.errors().next() {
        let at = error.labels.iter().next().map_or(length, |label| label.offset());
        let span = reader.span(oxc_span::Span::new(at, at));
        let fault = Fault::new(DiagnosticKind::Syntax, span, lower_first(&error.message));
        return Err(match &error.help {
            Some(help) => fault.hint(lower_first(help)),
            None => fault.hint("write an arrow function such as `x => x * 2`"),
        });
    }
    reader.program(&parsed.program)
}

fn lower_first(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.as_str().starts_with(|c: char| c.is_uppercase()) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Reader {
    shift: u32,
    length: u32,
    depth: usize,
}

impl Reader {
    fn span(self, span: oxc_span::Span) -> Span {
        let moved = |at: u32| at.saturating_sub(self.shift).min(self.length);
        Span { start: moved(span.start), end: moved(span.end) }
    }

    fn unsupported<T>(self, span: oxc_span::Span, what: &str, hint: &str) -> Result<T> {
        Err(Fault::new(DiagnosticKind::Unsupported, self.span(span), format!("{what} cannot be compiled yet")).hint(hint))
    }

    fn program(self, program: &ast::Program<'_>) -> Result<Function> {
        let wanted = |span| {
            Err(Fault::new(DiagnosticKind::Syntax, self.span(span), "expected one arrow function")
                .hint("write a function such as `x => x * 2` or `(a, b) => a + b`"))
        };
        match program.body.as_slice() {
            [ast::Statement::ExpressionStatement(statement)] => match strip(&statement.expression) {
                ast::Expression::ArrowFunctionExpression(arrow) => self.arrow(arrow),
                ast::Expression::FunctionExpression(function) => self.function(function),
                other => wanted(other.span()),
            },
            [ast::Statement::ExpressionStatement(_), second, ..] => wanted(second.span()),
            [first, ..] => wanted(first.span()),
            [] => wanted(oxc_span::Span::new(self.shift, self.shift)),
        }
    }

    fn arrow(self, arrow: &ast::ArrowFunctionExpression<'_>) -> Result<Function> {
        if arrow.r#async {
            return self.unsupported(arrow.span, "an async function", "a lambda answers at once; drop `async`");
        }
        let body = match &arrow.body {
            ast::ArrowFunctionBody::FunctionBody(body) => Body::Statements(self.statements(&body.statements)?),
            other => match other.as_expression() {
                Some(expression) => Body::Expression(self.expression(expression)?),
                None => Body::Statements(Vec::new()),
            },
        };
        Ok(Function { params: self.params(&arrow.params)?, body, span: self.span(arrow.span) })
    }

    fn function(self, function: &ast::Function<'_>) -> Result<Function> {
        if function.r#async || function.generator {
            return self.unsupported(function.span, "an async or generator function", "write a plain arrow function");
        }
        let body = match &function.body {
            Some(body) => self.statements(&body.statements)?,
            None => Vec::new(),
        };
        Ok(Function { params: self.params(&function.params)?, body: Body::Statements(body), span: self.span(function.span) })
    }

    fn params(self, params: &ast::FormalParameters<'_>) -> Result<Vec<Pattern>> {
        if let Some(rest) = &params.rest {
            return self.unsupported(rest.span, "a rest parameter", "name the parameters");
        }
        params
            .items
            .iter()
            .map(|item| {
                let pattern = self.pattern(&item.pattern)?;
                match &item.initializer {
                    Some(value) => Ok(Pattern::Default(Box::new(pattern), self.expression(value)?)),
                    None => Ok(pattern),
                }
            })
            .collect()
    }

    fn pattern(mut self, pattern: &ast::BindingPattern<'_>) -> Result<Pattern> {
        self.deeper(pattern.span())?;
        match pattern {
            ast::BindingPattern::BindingIdentifier(name) => Ok(Pattern::Name(name.name.to_string(), self.span(name.span))),
            ast::BindingPattern::ObjectPattern(object) => {
                let properties = object
                    .properties
                    .iter()
                    .map(|property| Ok((self.key(&property.key, property.computed)?, self.pattern(&property.value)?)))
                    .collect::<Result<_>>()?;
                Ok(Pattern::Object { properties, rest: self.rest(object.rest.as_deref())?, span: self.span(object.span) })
            }
            ast::BindingPattern::ArrayPattern(array) => {
                let items =
                    array.elements.iter().map(|item| item.as_ref().map(|item| self.pattern(item)).transpose()).collect::<Result<_>>()?;
                Ok(Pattern::Array { items, rest: self.rest(array.rest.as_deref())?, span: self.span(array.span) })
            }
            ast::BindingPattern::AssignmentPattern(default) => {
                Ok(Pattern::Default(Box::new(self.pattern(&default.left)?), self.expression(&default.right)?))
            }
        }
    }

    fn rest(self, rest: Option<&ast::BindingRestElement<'_>>) -> Result<Option<String>> {
        match rest.map(|rest| &rest.argument) {
            None => Ok(None),
            Some(ast::BindingPattern::BindingIdentifier(name)) => Ok(Some(name.name.to_string())),
            Some(other) => self.unsupported(other.span(), "a pattern after `...`", "name the rest"),
        }
    }

    fn key(self, key: &ast::PropertyKey<'_>, computed: bool) -> Result<String> {
        match key {
            ast::PropertyKey::StaticIdentifier(name) => Ok(name.name.to_string()),
            ast::PropertyKey::StringLiteral(text) => Ok(text.value.to_string()),
            ast::PropertyKey::NumericLiteral(number) if !computed && number.value.fract() == 0.0 && number.value.abs() < 1e15 => {
                Ok(format!("{}", number.value))
            }
            other => self.unsupported(other.span(), "a computed property name", "write the name out"),
        }
    }

    fn statements(self, statements: &[ast::Statement<'_>]) -> Result<Vec<Statement>> {
        let mut out = Vec::with_capacity(statements.len());
        for statement in statements {
            self.statement(statement, &mut out)?;
        }
        Ok(out)
    }

    fn statement(mut self, statement: &ast::Statement<'_>, out: &mut Vec<Statement>) -> Result<()> {
        self.deeper(statement.span())?;
        match statement {
            ast::Statement::EmptyStatement(_) => {}
            ast::Statement::BlockStatement(block) => out.push(Statement::Block(self.statements(&block.body)?)),
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
            other => {
                return self.unsupported(
                    other.span(),
                    "this statement",
                    "use const, let, if, return and expressions; lists have includes, join, indexOf and length",
                );
            }
        }
        Ok(())
    }

    fn branch(self, statement: Option<&ast::Statement<'_>>) -> Result<Vec<Statement>> {
        let mut out = Vec::new();
        if let Some(statement) = statement {
            self.statement(statement, &mut out)?;
        }
        Ok(out)
    }

    fn declaration(self, declaration: &ast::VariableDeclaration<'_>, out: &mut Vec<Statement>) -> Result<()> {
        let is_const = match declaration.kind {
            ast::VariableDeclarationKind::Const => true,
            ast::VariableDeclarationKind::Let => false,
            _ => return self.unsupported(declaration.span, "`var` or `using`", "use const or let"),
        };
        for one in &declaration.declarations {
            let pattern = self.pattern(&one.id)?;
            let init = one.init.as_ref().map(|init| self.expression(init)).transpose()?;
            out.push(Statement::Declare { pattern, init, is_const, span: self.span(one.span) });
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

    fn deeper(&mut self, span: oxc_span::Span) -> Result<()> {
        self.depth += 1;
        if self.depth > TREE_DEPTH_MAX {
            return Err(Fault::new(
                DiagnosticKind::TooLarge,
                self.span(span),
                format!("the function is nested more than {TREE_DEPTH_MAX} deep"),
            )
            .hint("split it into several operations"));
        }
        Ok(())
    }

    fn boxed(self, expression: &ast::Expression<'_>) -> Result<Box<Ast>> {
        self.expression(expression).map(Box::new)
    }

    fn expression(mut self, expression: &ast::Expression<'_>) -> Result<Ast> {
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
            ast::Expression::BinaryExpression(binary) => match binary_operator(binary.operator) {
                Some(operator) => Syntax::Binary(operator, self.boxed(&binary.left)?, self.boxed(&binary.right)?),
                None => return self.unsupported(binary.span, "`in` and `instanceof`", "compare the property with null"),
            },
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
            ast::Expression::NewExpression(_) => ("`new`", "use numbers, strings, objects and arrays"),
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
            .map(|element| match element.as_expression() {
                Some(expression) => self.expression(expression),
                None => self.unsupported(element.span(), "a spread or a hole in an array", "list the elements"),
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
        let arguments = call
            .arguments
            .iter()
            .map(|argument| match argument.as_expression() {
                Some(expression) => self.expression(expression),
                None => self.unsupported(argument.span(), "a spread argument", "list the arguments"),
            })
            .collect::<Result<_>>()?;
        Ok(Syntax::Call { callee: self.boxed(&call.callee)?, arguments, optional: call.optional })
    }

    fn assignment(self, assignment: &ast::AssignmentExpression<'_>) -> Result<Syntax> {
        let ast::AssignmentTarget::AssignmentTargetIdentifier(name) = &assignment.left else {
            return self.unsupported(
                assignment.left.span(),
                "an assignment to anything but a variable",
                "build a new object: `({...row, a: 1})`",
            );
        };
        let value = self.boxed(&assignment.right)?;
        Ok(Syntax::Assign { operator: assignment_operator(assignment.operator), name: name.name.to_string(), value })
    }

    fn update(self, update: &ast::UpdateExpression<'_>) -> Result<Syntax> {
        let ast::SimpleAssignmentTarget::AssignmentTargetIdentifier(name) = &update.argument else {
            return self.unsupported(update.span, "`++` on anything but a variable", "build a new value");
        };
        let operator = match update.operator {
            op::UpdateOperator::Increment => Binary::Add,
            op::UpdateOperator::Decrement => Binary::Sub,
        };
        let one = Ast { span: self.span(update.span), node: Syntax::Number(1.0) };
        Ok(Syntax::Assign { operator: Assign::With(operator), name: name.name.to_string(), value: Box::new(one) })
    }
}

/// Brackets and type annotations mean nothing at run time.
fn strip<'a, 'b>(expression: &'b ast::Expression<'a>) -> &'b ast::Expression<'a> {
    let mut inner = expression;
    loop {
        inner = match inner {
            ast::Expression::ParenthesizedExpression(outer) => &outer.expression,
            ast::Expression::TSAsExpression(outer) => &outer.expression,
            ast::Expression::TSSatisfiesExpression(outer) => &outer.expression,
            ast::Expression::TSNonNullExpression(outer) => &outer.expression,
            ast::Expression::TSTypeAssertion(outer) => &outer.expression,
            other => return other,
        };
    }
}

fn unary_operator(operator: op::UnaryOperator) -> Option<Unary> {
    Some(match operator {
        op::UnaryOperator::UnaryPlus => Unary::Plus,
        op::UnaryOperator::UnaryNegation => Unary::Minus,
        op::UnaryOperator::LogicalNot => Unary::Not,
        op::UnaryOperator::BitwiseNot => Unary::BitNot,
        op::UnaryOperator::Typeof => Unary::TypeOf,
        op::UnaryOperator::Void => Unary::Void,
        op::UnaryOperator::Delete => return None,
    })
}

fn binary_operator(operator: op::BinaryOperator) -> Option<Binary> {
    Some(match operator {
        op::BinaryOperator::Equality => Binary::Equal,
        op::BinaryOperator::Inequality => Binary::NotEqual,
        op::BinaryOperator::StrictEquality => Binary::StrictEqual,
        op::BinaryOperator::StrictInequality => Binary::StrictNotEqual,
        op::BinaryOperator::LessThan => Binary::Less,
        op::BinaryOperator::LessEqualThan => Binary::LessEqual,
        op::BinaryOperator::GreaterThan => Binary::Greater,
        op::BinaryOperator::GreaterEqualThan => Binary::GreaterEqual,
        op::BinaryOperator::Addition => Binary::Add,
        op::BinaryOperator::Subtraction => Binary::Sub,
        op::BinaryOperator::Multiplication => Binary::Mul,
        op::BinaryOperator::Division => Binary::Div,
        op::BinaryOperator::Remainder => Binary::Rem,
        op::BinaryOperator::Exponential => Binary::Pow,
        op::BinaryOperator::ShiftLeft => Binary::ShiftLeft,
        op::BinaryOperator::ShiftRight => Binary::ShiftRight,
        op::BinaryOperator::ShiftRightZeroFill => Binary::ShiftRightZero,
        op::BinaryOperator::BitwiseOR => Binary::BitOr,
        op::BinaryOperator::BitwiseXOR => Binary::BitXor,
        op::BinaryOperator::BitwiseAnd => Binary::BitAnd,
        op::BinaryOperator::In | op::BinaryOperator::Instanceof => return None,
    })
}

fn logical_operator(operator: op::LogicalOperator) -> Logical {
    match operator {
        op::LogicalOperator::And => Logical::And,
        op::LogicalOperator::Or => Logical::Or,
        op::LogicalOperator::Coalesce => Logical::Coalesce,
    }
}

fn assignment_operator(operator: op::AssignmentOperator) -> Assign {
    match operator {
        op::AssignmentOperator::Assign => Assign::Plain,
        op::AssignmentOperator::Addition => Assign::With(Binary::Add),
        op::AssignmentOperator::Subtraction => Assign::With(Binary::Sub),
        op::AssignmentOperator::Multiplication => Assign::With(Binary::Mul),
        op::AssignmentOperator::Division => Assign::With(Binary::Div),
        op::AssignmentOperator::Remainder => Assign::With(Binary::Rem),
        op::AssignmentOperator::Exponential => Assign::With(Binary::Pow),
        op::AssignmentOperator::ShiftLeft => Assign::With(Binary::ShiftLeft),
        op::AssignmentOperator::ShiftRight => Assign::With(Binary::ShiftRight),
        op::AssignmentOperator::ShiftRightZeroFill => Assign::With(Binary::ShiftRightZero),
        op::AssignmentOperator::BitwiseOR => Assign::With(Binary::BitOr),
        op::AssignmentOperator::BitwiseXOR => Assign::With(Binary::BitXor),
        op::AssignmentOperator::BitwiseAnd => Assign::With(Binary::BitAnd),
        op::AssignmentOperator::LogicalOr => Assign::Logical(Logical::Or),
        op::AssignmentOperator::LogicalAnd => Assign::Logical(Logical::And),
        op::AssignmentOperator::LogicalNullish => Assign::Logical(Logical::Coalesce),
    }
}
