//! TypeScript's annotations become blanks, so that what is left stands where it stood. Blanks are no line breaks: where a
//! statement ended it still does.

use crate::error::{DiagnosticKind, Fault, Span};
use oxc_ast::ast;
use oxc_ast_visit::{Visit, walk};
use oxc_span::GetSpan;
use oxc_syntax::scope::ScopeFlags;

/// Words before a member of a class that mean nothing at run time.
const MODIFIERS: [&str; 7] = ["private", "protected", "public", "readonly", "override", "declare", "abstract"];

/// The text of a program without types.
pub(super) fn erase(program: &ast::Program<'_>, text: &str) -> Result<String, Fault> {
    let mut eraser = Eraser { text, blanks: Vec::new(), brackets: Vec::new(), fault: None };
    eraser.visit_program(program);
    if let Some(fault) = eraser.fault {
        return Err(fault);
    }
    let mut bytes = text.as_bytes().to_vec();
    for Blank { from, to, is_statement } in eraser.blanks {
        if let Some(range) = bytes.get_mut(from..to) {
            range.fill(b' ');
            if let (true, Some(first)) = (is_statement, range.first_mut()) {
                *first = b';';
            }
        }
    }
    // From behind, so that the places before them stay right.
    eraser.brackets.sort_unstable();
    for (at, bracket) in eraser.brackets.into_iter().rev() {
        bytes.insert(at.min(bytes.len()), bracket);
    }
    // Whole nodes were blanked, so characters are whole, too.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Blank {
    from: usize,
    to: usize,
    /// A statement leaves its end, so that the one before it ends there.
    is_statement: bool,
}

struct Eraser<'t> {
    text: &'t str,
    blanks: Vec<Blank>,
    brackets: Vec<(usize, u8)>,
    fault: Option<Fault>,
}

impl Eraser<'_> {
    fn blank(&mut self, from: u32, to: u32) {
        self.blanks.push(Blank { from: from as usize, to: to as usize, is_statement: false });
    }

    fn blank_statement(&mut self, span: oxc_span::Span) {
        self.blanks.push(Blank { from: span.start as usize, to: span.end as usize, is_statement: true });
    }

    /// Blanks marks between two places.
    fn blank_marks(&mut self, from: u32, to: u32, marks: &[char]) {
        let between = self.text.get(from as usize..to as usize).unwrap_or_default();
        let places: Vec<u32> = between.match_indices(marks).filter_map(|(at, _)| u32::try_from(at).ok()).collect();
        for at in places {
            self.blank(from + at, from + at + 1);
        }
    }

    /// Blanks modifiers between two places.
    fn blank_modifiers(&mut self, from: u32, to: u32) {
        let between = self.text.get(from as usize..to as usize).unwrap_or_default();
        let mut at = 0;
        let mut found = Vec::new();
        for word in between.split_inclusive(char::is_whitespace) {
            if MODIFIERS.contains(&word.trim_end()) {
                found.push((at, word.trim_end().len()));
            }
            at += word.len();
        }
        for (at, length) in found {
            let start = from + u32::try_from(at).unwrap_or_default();
            self.blank(start, start + u32::try_from(length).unwrap_or_default());
        }
    }

    fn refuse(&mut self, span: oxc_span::Span, what: &str, hint: &str) {
        // The text stands in a bracket that is not the author's.
        let place = Span { start: span.start.saturating_sub(1), end: span.end.saturating_sub(1) };
        self.fault.get_or_insert_with(|| Fault::new(DiagnosticKind::Unsupported, place, format!("{what} is no annotation")).hint(hint));
    }
}

impl<'a> Visit<'a> for Eraser<'_> {
    fn visit_ts_type_annotation(&mut self, it: &ast::TSTypeAnnotation<'a>) {
        self.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &ast::TSTypeParameterDeclaration<'a>) {
        self.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &ast::TSTypeParameterInstantiation<'a>) {
        self.blank(it.span.start, it.span.end);
    }

    fn visit_ts_as_expression(&mut self, it: &ast::TSAsExpression<'a>) {
        self.blank(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &ast::TSSatisfiesExpression<'a>) {
        self.blank(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_non_null_expression(&mut self, it: &ast::TSNonNullExpression<'a>) {
        self.blank(it.expression.span().end, it.span.end);
        self.visit_expression(&it.expression);
    }

    fn visit_ts_type_assertion(&mut self, it: &ast::TSTypeAssertion<'a>) {
        let inner = it.expression.span();
        self.blank(it.span.start, inner.start);
        if matches!(it.expression, ast::Expression::ObjectExpression(_)) {
            // Behind an arrow it would be read as a body.
            self.brackets.extend([(inner.start as usize, b'('), (inner.end as usize, b')')]);
        }
        self.visit_expression(&it.expression);
    }

    fn visit_ts_type_alias_declaration(&mut self, it: &ast::TSTypeAliasDeclaration<'a>) {
        self.blank_statement(it.span);
    }

    fn visit_ts_interface_declaration(&mut self, it: &ast::TSInterfaceDeclaration<'a>) {
        self.blank_statement(it.span);
    }

    fn visit_ts_this_parameter(&mut self, it: &ast::TSThisParameter<'a>) {
        let behind = self.text.get(it.span.end as usize..).unwrap_or_default();
        let comma = behind.trim_start().starts_with(',').then(|| behind.find(',')).flatten();
        let more = comma.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or_default();
        self.blank(it.span.start, it.span.end + more);
    }

    fn visit_ts_enum_declaration(&mut self, it: &ast::TSEnumDeclaration<'a>) {
        self.refuse(it.span, "an enum", "write a constant object");
    }

    fn visit_ts_namespace_declaration(&mut self, it: &ast::TSNamespaceDeclaration<'a>) {
        self.refuse(it.span, "a namespace", "write a constant object");
    }

    fn visit_formal_parameter(&mut self, it: &ast::FormalParameter<'a>) {
        if it.accessibility.is_some() || it.readonly {
            self.refuse(it.span, "a parameter that becomes a property", "assign it in the constructor");
        }
        if it.optional {
            let end = it.type_annotation.as_ref().map_or(it.span.end, |annotation| annotation.span.start);
            self.blank_marks(it.pattern.span().end, end, &['?']);
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_variable_declaration(&mut self, it: &ast::VariableDeclaration<'a>) {
        if it.declare {
            self.blank_statement(it.span);
        } else {
            walk::walk_variable_declaration(self, it);
        }
    }

    fn visit_variable_declarator(&mut self, it: &ast::VariableDeclarator<'a>) {
        if let (true, Some(annotation)) = (it.definite, &it.type_annotation) {
            self.blank_marks(it.id.span().end, annotation.span.start, &['!']);
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_function(&mut self, it: &ast::Function<'a>, flags: ScopeFlags) {
        if it.body.is_none() || it.declare {
            self.blank_statement(it.span);
        } else {
            walk::walk_function(self, it, flags);
        }
    }

    fn visit_class(&mut self, it: &ast::Class<'a>) {
        if it.declare {
            return self.blank_statement(it.span);
        }
        if it.r#abstract {
            let to = self.text.get(it.span.start as usize..).and_then(|text| text.find("class")).and_then(|at| u32::try_from(at).ok());
            self.blank_modifiers(it.span.start, it.span.start + to.unwrap_or_default());
        }
        if let Some(first) = it.implements.first() {
            let before = self.text.get(..first.span.start as usize).unwrap_or_default();
            let from = before.rfind("implements").and_then(|at| u32::try_from(at).ok()).unwrap_or(first.span.start);
            self.blank(from, it.body.span.start);
        }
        walk::walk_class(self, it);
    }

    fn visit_method_definition(&mut self, it: &ast::MethodDefinition<'a>) {
        if it.value.body.is_none() {
            return self.blank_statement(it.span);
        }
        self.blank_modifiers(it.span.start, it.key.span().start);
        if it.optional {
            self.blank_marks(it.key.span().end, it.value.span.start, &['?']);
        }
        walk::walk_method_definition(self, it);
    }

    fn visit_property_definition(&mut self, it: &ast::PropertyDefinition<'a>) {
        if it.declare || it.r#type == ast::PropertyDefinitionType::TSAbstractPropertyDefinition {
            return self.blank_statement(it.span);
        }
        self.blank_modifiers(it.span.start, it.key.span().start);
        if it.optional || it.definite {
            let value = it.value.as_ref().map_or(it.span.end, |value| value.span().start);
            let end = it.type_annotation.as_ref().map_or(value, |annotation| annotation.span.start);
            self.blank_marks(it.key.span().end, end, &['?', '!']);
        }
        walk::walk_property_definition(self, it);
    }

    fn visit_ts_index_signature(&mut self, it: &ast::TSIndexSignature<'a>) {
        self.blank_statement(it.span);
    }
}
