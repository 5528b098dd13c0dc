//! How many arguments a function takes, and the same function with one argument: a list of all of them. SQL calls
//! functions with several columns, and a lambda gets one element.

use super::{failed, make, parsed};
use crate::error::{Diagnostic, DiagnosticKind, Fault};
use crate::guard;
use crate::model::Lambda;
use oxc_allocator::Allocator;
use oxc_ast::ast;
use oxc_span::SourceType;

/// A function by its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// As many arguments as have no default.
    pub least: usize,
    /// All of them; none where `...` takes the rest.
    pub most: Option<usize>,
    /// The function that takes them as one list. With one argument it is the function itself.
    pub listed: Lambda,
}

/// Looks at the arguments of a function.
///
/// # Errors
/// Where the text is no function. Time and memory are bounded for any text.
pub fn arguments(lambda: &Lambda) -> Result<Arguments, Diagnostic> {
    let deep = || match crate::parse::parse(&lambda.text) {
        Err(fault) if fault.kind != DiagnosticKind::Unsupported => Err(fault),
        _ => look(lambda),
    };
    let found = guard::check(&lambda.text).and_then(|()| crate::compile::deep(deep).unwrap_or_else(|| Err(failed())));
    found.map_err(|fault| fault.place(&lambda.text, lambda.operation))
}

fn look(lambda: &Lambda) -> Result<Arguments, Fault> {
    let plain = make(&lambda.text)?.text;
    let allocator = Allocator::default();
    let wrapped = format!("({plain}\n)");
    let program = parsed(&allocator, &wrapped, SourceType::script()).ok_or_else(failed)?;
    let [ast::Statement::ExpressionStatement(statement)] = program.body.as_slice() else { return Err(failed()) };
    let params = match super::reach::bare(&statement.expression) {
        ast::Expression::ArrowFunctionExpression(arrow) => &arrow.params,
        ast::Expression::FunctionExpression(function) => &function.params,
        _ => return Err(failed()),
    };
    let all = params.items.len();
    let least = params.items.iter().rposition(|item| item.initializer.is_none()).map_or(0, |last| last + 1);
    let most = if params.rest.is_some() { None } else { Some(all) };
    if most.is_some_and(|most| most < 2) {
        return Ok(Arguments { least, most, listed: lambda.clone() });
    }
    // The brackets of several arguments stand in the text.
    let (start, end) = (params.span.start as usize + 1, (params.span.end as usize).saturating_sub(1));
    let part = |range: std::ops::Range<usize>| wrapped.get(range).ok_or_else(failed);
    let text = format!("{}[{}]{}", part(1..start)?, part(start..end)?, part(end..wrapped.len().saturating_sub(2))?);
    Ok(Arguments { least, most, listed: Lambda::new(text, lambda.operation) })
}

#[cfg(test)]
mod tests {
    use super::{Arguments, arguments};
    use crate::{DiagnosticKind, Lambda};

    #[test]
    fn several_arguments_become_one() {
        let check = |text: &str, least: usize, most: Option<usize>, listed: &str| {
            let found = arguments(&Lambda::new(text, 0)).unwrap_or_else(|diagnostic| panic!("{text}: {diagnostic}"));
            assert_eq!(found, Arguments { least, most, listed: Lambda::new(listed, 0) }, "{text}");
        };
        check("x => x + 1", 1, Some(1), "x => x + 1");
        check("(x) => x", 1, Some(1), "(x) => x");
        check("() => 1", 0, Some(0), "() => 1");
        check("({a}) => a", 1, Some(1), "({a}) => a");
        check("(x = 1) => x", 0, Some(1), "(x = 1) => x");
        check("(a, b) => a + b", 2, Some(2), "([a, b]) => a + b");
        check("(a, b = f(1)) => a + b", 1, Some(2), "([a, b = f(1)]) => a + b");
        check("({a}, [b]) => a + b", 2, Some(2), "([{a}, [b]]) => a + b");
        check("(...all) => all.length", 0, None, "([...all]) => all.length");
        check("(a, ...all) => all.length", 1, None, "([a, ...all]) => all.length");
        check("function (a, b) { return a + b; }", 2, Some(2), "function ([a, b]) { return a + b; }");
        check("(a: number, b: string) => a + b", 2, Some(2), "([a        , b        ]) => a + b");
        check("(a, b) => /x/.test(a + b)", 2, Some(2), "([a, b]) => /x/.test(a + b)");
    }

    #[test]
    fn what_is_no_function_has_a_place() {
        let kind = |text: &str| arguments(&Lambda::new(text, 0)).unwrap_err().kind;
        assert_eq!(kind("(a, b) =>"), DiagnosticKind::Syntax);
        assert_eq!(kind("1 + 1"), DiagnosticKind::Syntax);
        assert_eq!(kind("async (a, b) => a"), DiagnosticKind::Deferred);
        assert_eq!(kind(&"(".repeat(100_000)), DiagnosticKind::TooLarge);
    }
}
