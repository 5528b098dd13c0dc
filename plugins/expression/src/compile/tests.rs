//! Hostile texts, determinism and the shape of diagnostics.

use super::compile;
use crate::error::{Diagnostic, DiagnosticKind};
use crate::model::{Element, End, Lambda, Pipeline, Step, Type};

fn map(text: &str) -> Pipeline {
    Pipeline { input: Element::scalar(Type::Int64, true), steps: vec![Step::Map(Lambda::new(text, 3))], end: End::Rows }
}

fn refused(text: &str) -> Diagnostic {
    compile(&map(text)).expect_err("should be refused")
}

#[test]
fn texts_that_would_exhaust_the_stack_are_refused() {
    let hostile = [
        format!("x => {}x{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("x => {}x{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("x => x{}", " + 1".repeat(10_000)),
        format!("x => {}x", "!".repeat(30_000)),
        format!("x => {}1", "[".repeat(30_000)),
        format!("x => {}", "{a:".repeat(15_000)),
        format!("x => {}", "x?".repeat(10_000)),
        format!("{}x", "x=>".repeat(10_000)),
        format!("x => x{}", ".a".repeat(10_000)),
        format!("x => x{}", "(1)".repeat(10_000)),
        format!("x => '{}' + {}", "'", "(".repeat(3_000)),
        format!("x => `${{{}x", "`${".repeat(3_000)),
        format!("x => {}x", "typeof ".repeat(3_900)),
        format!("x => {}x", "-".repeat(3_900)),
        format!("x => x{}", " ** x".repeat(1_900)),
        format!("x => /'/ + {}", "(".repeat(3_900)),
        format!("x => {}", "a".repeat(1 << 20)),
    ];
    for text in &hostile {
        let kind = refused(text).kind;
        assert!(matches!(kind, DiagnosticKind::TooLarge | DiagnosticKind::Syntax), "{kind:?} for {}", &text[..40]);
    }
}

#[test]
fn growth_by_doubling_is_refused() {
    let mut text = "x => { const a0 = {p: x, q: x};".to_owned();
    for at in 1..40 {
        text.push_str(&format!("const a{at} = {{p: a{0}, q: a{0}}};", at - 1));
    }
    text.push_str("return a39; }");
    assert_eq!(refused(&text).kind, DiagnosticKind::Unsupported);
}

#[test]
fn a_diagnostic_shows_the_place() {
    let diagnostic = refused("x => {\n  const ä = 1;\n  return ä + yy;\n}");
    assert_eq!((diagnostic.kind, diagnostic.operation), (DiagnosticKind::UnknownName, 3));
    assert_eq!((diagnostic.line, diagnostic.column), (3, 14));
    assert_eq!(diagnostic.excerpt, "  return ä + yy;\n             ^");
    assert_eq!(diagnostic.to_string(), "`yy` is not defined (line 3, column 14); names in reach: x, ä");
}

#[test]
fn a_long_line_is_shown_in_part() {
    let diagnostic = refused(&format!("x => x{} + unknown{}", " + 1".repeat(100), " + 2".repeat(100)));
    let mut lines = diagnostic.excerpt.lines();
    let (source, caret) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    assert!(source.len() <= 130, "{source}");
    assert_eq!(source.find("unknown"), caret.find('^'));
}

#[test]
fn equal_pipelines_give_equal_bytes() {
    let pipeline = map("x => `${x}` + Math.sin(x)");
    assert_eq!(compile(&pipeline), compile(&pipeline.clone()));
}

#[test]
fn only_named_columns_are_needed() {
    let field = |name: &str| crate::model::Field::new(name, Type::Int64, true);
    let pipeline = Pipeline {
        input: Element::Object(vec![field("a"), field("b"), field("c")]),
        steps: vec![Step::Filter(Lambda::new("r => r.b > 1", 0)), Step::Map(Lambda::new("r => ({...r, d: r.c})", 1))],
        end: End::Rows,
    };
    let compiled = compile(&pipeline).expect("compiles");
    assert_eq!(compiled.needs, [1]);
    assert_eq!(compiled.output.fields().len(), 4);
}
