//! A function as an engine of JavaScript takes it: without TypeScript, and with what is known of the properties that it
//! reads. What the function means is nothing that this looks at.

mod absent;
mod erase;
mod listing;
mod reach;

pub use absent::missing;
pub use listing::{Arguments, arguments};
pub use reach::Reads;

use crate::error::{Diagnostic, DiagnosticKind, Fault, Span};
use crate::guard;
use crate::model::Lambda;
use oxc_allocator::Allocator;
use oxc_ast::ast::Program;
use oxc_parser::Parser;
use oxc_span::SourceType;

/// Arguments whose properties are looked at: an element is the first or, behind what was folded before, the second.
const ARGUMENTS: usize = 2;

/// A function for an engine of JavaScript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its text, without TypeScript.
    pub text: String,
    /// By argument: the names of all properties that are read of it and where, as far as that can be told.
    pub reads: [Option<Reads>; ARGUMENTS],
}

/// Makes a function that the compiler does not take fit for an engine of JavaScript.
///
/// # Errors
/// Where the text is no JavaScript, or TypeScript that is more than annotations. Time and memory are bounded for any text.
pub fn script(lambda: &Lambda) -> Result<Script, Diagnostic> {
    let made = guard::check(&lambda.text).and_then(|()| crate::compile::deep(|| make(&lambda.text)).unwrap_or_else(|| Err(failed())));
    made.map_err(|fault| fault.place(&lambda.text, lambda.operation))
}

fn failed() -> Fault {
    Fault::new(DiagnosticKind::Unsupported, Span::default(), "this function cannot be read")
}

fn make(text: &str) -> Result<Script, Fault> {
    // Brackets, because a nameless `function (x) { … }` is no statement.
    let wrapped = format!("({}\n)", text.trim_end().trim_end_matches(';'));
    let allocator = Allocator::default();
    let inner = |text: &str| text.get(1..text.len().saturating_sub(2)).unwrap_or_default().to_owned();
    // What both languages read is JavaScript.
    if let Some(program) = parsed(&allocator, &wrapped, SourceType::script()) {
        return Ok(Script { text: inner(&wrapped), reads: reach::reads(&program, ARGUMENTS_EACH) });
    }
    let program = parsed(&allocator, &wrapped, SourceType::ts()).ok_or_else(failed)?;
    let erased = erase::erase(&program, &wrapped)?;
    let allocator = Allocator::default();
    match parsed(&allocator, &erased, SourceType::script()) {
        Some(program) => Ok(Script { text: inner(&erased), reads: reach::reads(&program, ARGUMENTS_EACH) }),
        None => Err(failed().hint("leave out the types")),
    }
}

const ARGUMENTS_EACH: [usize; ARGUMENTS] = [0, 1];

fn parsed<'a>(allocator: &'a Allocator, text: &'a str, kind: SourceType) -> Option<Program<'a>> {
    let parsed = Parser::new(allocator, text, kind).parse();
    let is_wrong = parsed.diagnostics.errors().next().is_some();
    (!is_wrong).then_some(parsed.program)
}

#[cfg(test)]
mod tests {
    use super::{Script, script};
    use crate::Lambda;
    use crate::error::DiagnosticKind;

    fn of(text: &str) -> Script {
        script(&Lambda::new(text, 0)).unwrap_or_else(|diagnostic| panic!("{text}: {diagnostic}"))
    }

    #[test]
    fn types_are_erased_and_the_rest_stays_in_its_place() {
        let check = |typed: &str, plain: &str| {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let made = of(typed).text;
            assert_eq!(words(&made), words(plain), "{typed}");
            if !typed.contains("=> <") {
                assert_eq!(made.len(), typed.len(), "{typed}");
            }
        };
        check("x => x < 3 && x > (1)", "x => x < 3 && x > (1)");
        check("(x: number): string => String(x)", "(x ) => String(x)");
        check("<T,>(x: T) => x", "(x ) => x");
        check("(x?: string, y: number = 2) => x! + y", "(x , y = 2) => x + y");
        check("x => (x as any as number) satisfies number", "x => (x )");
        check(
            "x => { type A = { a: number }; interface B { b: string } let y: A | undefined; return y; }",
            "x => { ; ; let y ; return y; }",
        );
        check(
            "x => { class P<T> { private readonly v?: T; declare w: T; constructor(v: T) { this.v = v; } get(this: P<T>): T { return this.v!; } } return new P<number>(x).get(); }",
            "x => { class P { v ; ; constructor(v ) { this.v = v; } get( ) { return this.v ; } } return new P (x).get(); }",
        );
        check(
            "x => { class Q extends Map<string, number> implements Iterable<number> { override f(): void {} } return new Q().size; }",
            "x => { class Q extends Map { f() {} } return new Q().size; }",
        );
        check(
            "x => { function f(a: number): number; function f(a: any) { return a; } return f(x); }",
            "x => { ; function f(a ) { return a; } return f(x); }",
        );
        check("x => <any>x", "x => x");
        check("x => <A>{ a: x }", "x => ({ a: x })");
        check("({ a, b }: { a: number; b: string }) => a + b", "({ a, b } ) => a + b");
        check("(r: R) => r.tags?.map((t: string): string => t!.trim())!.length", "(r ) => r.tags?.map((t ) => t .trim()) .length");
        check(
            "x => { for (const [k, v] of Object.entries(x) as [string, number][]) { } return (x as number)!; }",
            "x => { for (const [k, v] of Object.entries(x) ) { } return (x ) ; }",
        );
        check("(x: unknown): x is string => typeof x === 'string'", "(x ) => typeof x === 'string'");
        check(
            "x => { abstract class A { abstract f(): void; protected static n: number = 1 } return x; }",
            "x => { class A { ; static n = 1 } return x; }",
        );
    }

    #[test]
    fn types_that_do_something_are_refused_in_their_place() {
        let refused = |text: &str| script(&Lambda::new(text, 3)).unwrap_err();
        let diagnostic = refused("x => { enum E { A } return E.A; }");
        assert_eq!((diagnostic.kind, diagnostic.operation, diagnostic.column), (DiagnosticKind::Unsupported, 3, 8));
        assert!(refused("x => { class P { constructor(private v: number) {} } return new P(x); }").message.contains("parameter"));
        assert_eq!(refused("x => {").kind, DiagnosticKind::Unsupported);
        assert_eq!(refused(&"(".repeat(100_000)).kind, DiagnosticKind::TooLarge);
    }

    #[test]
    fn properties_are_known_where_all_of_them_are_named() {
        let check = |text: &str, expect: Option<&[&str]>| {
            let reads = of(text).reads[0].clone();
            let reads = reads.as_ref().map(|names| names.keys().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(reads.as_deref(), expect, "{text}");
        };
        check("r => r.a + r['b'] + r?.c.d", Some(&["a", "b", "c"]));
        check("({a, b: {c}, d = 1}) => a + c + d", Some(&["a", "b", "d"]));
        check("({a, ...rest}) => rest", None);
        check("r => { const {a, b: [c]} = r; return a + c + r.d; }", Some(&["a", "b", "d"]));
        check("r => { const {a, ...o} = r; return o; }", None);
        check("r => ({...r, x: 1})", None);
        check("r => JSON.stringify(r)", None);
        check("r => r", None);
        check("r => r[r.k]", None);
        check("r => r.hasOwnProperty('a')", None);
        check("r => { r.a = 1; return r.b; }", Some(&["a", "b"]));
        check("r => 'a' in r", None);
        check("r => [1].map(x => x + r.a)", Some(&["a"]));
        check("r => { const f = r => r; return f(1) + r.a; }", None);
        check("r => eval('r.b') + r.a", None);
        check("function (r) { return arguments[0].b + r.a; }", None);
        check("() => 1", Some(&[]));
        check("(...all) => all[0].a", None);
        check("([a]) => a", None);
        check("(r: {a: number}) => r!.a + (r as any).b", Some(&["a", "b"]));
        check("(r = {}) => r.a", Some(&["a"]));
        check("r => r.a.b`x`", Some(&["a"]));
        check("r => r.a`x`", None);
        let second = of("(sum, r) => sum + r.price").reads[1].clone();
        assert_eq!(second.unwrap().into_iter().collect::<Vec<_>>(), [("price".to_owned(), 18)]);
    }
}
