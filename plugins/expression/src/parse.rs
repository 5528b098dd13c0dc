//! The only place that knows the parser crate: text to our own syntax tree. Functions and patterns are here, statements,
//! expressions and operators in the files below `parse/`.
//!
//! What the compiler has no word for is refused here, with its place. What names and types mean is decided in `check`.

mod expressions;
mod operators;
mod statements;

use crate::error::{DiagnosticKind, Fault, Span};
use crate::syntax::{Ast, Body, Function, Pattern, Syntax};
use oxc_allocator::Allocator;
use oxc_ast::ast;
use oxc_parser::Parser;
use oxc_span::{GetSpan, SourceType};

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
    // What JavaScript and TypeScript read differently (`a < b > (c)`) means what JavaScript says.
    let mut parsed = Parser::new(&allocator, &wrapped, SourceType::script()).parse();
    if parsed.diagnostics.errors().next().is_some() {
        parsed = Parser::new(&allocator, &wrapped, SourceType::ts()).parse();
    }
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

    fn deferred<T>(self, span: oxc_span::Span, what: &str) -> Result<T> {
        let message = format!("{what} answers later, and a lambda answers at once");
        Err(Fault::new(DiagnosticKind::Deferred, self.span(span), message).hint("write a plain arrow function"))
    }

    fn program(self, program: &ast::Program<'_>) -> Result<Function> {
        let wanted = |span| {
            Err(Fault::new(DiagnosticKind::Syntax, self.span(span), "expected one arrow function")
                .hint("write a function such as `x => x * 2` or `(a, b) => a + b`"))
        };
        match program.body.as_slice() {
            [ast::Statement::ExpressionStatement(statement)] => match strip(&statement.expression) {
                ast::Expression::ArrowFunctionExpression(arrow) if arrow.r#async => self.deferred(arrow.span, "an async function"),
                ast::Expression::FunctionExpression(function) if function.r#async => self.deferred(function.span, "an async function"),
                ast::Expression::FunctionExpression(function) if function.generator => self.deferred(function.span, "a generator"),
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
        let (params, rest) = self.params(&arrow.params)?;
        Ok(Function { name: None, params, rest, body, span: self.span(arrow.span) })
    }

    fn function(self, function: &ast::Function<'_>) -> Result<Function> {
        if function.r#async || function.generator {
            return self.unsupported(function.span, "an async or generator function", "write a plain arrow function");
        }
        let body = match &function.body {
            Some(body) => self.statements(&body.statements)?,
            None => Vec::new(),
        };
        let name = function.id.as_ref().map(|name| name.name.to_string());
        let (params, rest) = self.params(&function.params)?;
        Ok(Function { name, params, rest, body: Body::Statements(body), span: self.span(function.span) })
    }

    fn params(self, params: &ast::FormalParameters<'_>) -> Result<(Vec<Pattern>, Option<Pattern>)> {
        let rest = params.rest.as_ref().map(|rest| self.pattern(&rest.rest.argument)).transpose()?;
        let items = params
            .items
            .iter()
            .map(|item| {
                let pattern = self.pattern(&item.pattern)?;
                match &item.initializer {
                    Some(value) => Ok(Pattern::Default(Box::new(pattern), self.expression(value)?)),
                    // TypeScript's `x?` is a parameter that may be left out.
                    None if item.optional => {
                        let undefined = Ast { span: self.span(item.span), node: Syntax::Name("undefined".to_owned()) };
                        Ok(Pattern::Default(Box::new(pattern), undefined))
                    }
                    None => Ok(pattern),
                }
            })
            .collect::<Result<_>>()?;
        Ok((items, rest))
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

    fn rest(self, rest: Option<&ast::BindingRestElement<'_>>) -> Result<Option<Box<Pattern>>> {
        rest.map(|rest| self.pattern(&rest.argument).map(Box::new)).transpose()
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
