//! What a function does with its names, seen before its types are known: which variables change, which lists and objects
//! are changed in place, and which of those something else might see change.
//!
//! Lists and objects are values here and references in JavaScript. The two cannot be told apart as long as what is changed
//! in place has one name only; what may have two is left to an interpreter. Names are told apart by their spelling alone,
//! which errs on the safe side.

use crate::syntax::{Assign, Ast, Body, Function, Head, Loop, Pattern, Property, Statement, Syntax, Target, Word};
use std::collections::{HashMap, HashSet};

/// Methods that change the list they are called on.
pub(super) const IN_PLACE: [&str; 9] = ["push", "pop", "shift", "unshift", "sort", "reverse", "splice", "fill", "copyWithin"];
/// Methods whose answer is a list or object that nothing else knows.
const FRESH: [&str; 16] = [
    "map",
    "filter",
    "slice",
    "concat",
    "split",
    "flat",
    "flatMap",
    "toSorted",
    "toReversed",
    "with",
    "keys",
    "values",
    "entries",
    "from",
    "of",
    "splice",
];

#[derive(Debug, Default)]
pub(super) struct Names {
    /// Variables that get another value.
    pub(super) assigned: HashSet<String>,
    /// Variables whose list or object is changed in place.
    pub(super) mutated: HashSet<String>,
    /// Those of them that are lists themselves.
    pub(super) grown: HashSet<String>,
    /// What is declared anywhere.
    pub(super) declared: HashSet<String>,
    /// Names declared with `var` more than once.
    pub(super) twice: HashSet<String>,
    /// Whether variables change inside expressions, so that the order of reading counts.
    pub(super) is_impure: bool,
    deep: HashSet<String>,
    escaped: HashSet<String>,
    kept_parts: HashSet<String>,
    bare: HashMap<String, usize>,
    members: HashMap<(String, String), usize>,
    /// Lists that are sorted or reversed: the name, the property, whether the answer is kept.
    sorted: Vec<(String, Option<String>, bool)>,
    vars: HashSet<String>,
    /// Where a name is handed on: the name, the place, how many loops and functions are around it.
    handed: Vec<(String, u32, usize)>,
    /// The last place where a name stands.
    last: HashMap<String, u32>,
    /// How many loops and functions are around a name's only declaration.
    depths: HashMap<String, Option<usize>>,
}

/// What becomes of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is looked at, and gone.
    Read,
    /// It may get another name.
    Keep,
    /// It is what the function answers.
    Return,
}

impl Names {
    pub(super) fn of(function: &Function) -> Self {
        let mut walk = Walk { names: Self::default(), locals: Vec::new(), iterated: Vec::new(), depth: 0 };
        walk.function(function, true);
        let mut names = walk.names;
        for (name, place, depth) in std::mem::take(&mut names.handed) {
            // Nobody can see a change under a name that is given away for good before its next declaration.
            let is_last = names.last.get(&name) == Some(&place) && names.depths.get(&name) == Some(&Some(depth));
            if !is_last || names.vars.contains(&name) {
                names.escaped.insert(name);
            }
        }
        for (root, field, is_kept) in std::mem::take(&mut names.sorted) {
            if !names.is_only_use(&root, field.as_deref()) {
                names.change(&root, field.is_some());
                if is_kept {
                    names.escaped.insert(root.clone());
                }
                if field.is_none() {
                    names.grown.insert(root);
                }
            }
        }
        names
    }

    /// Whether what is changed in place under this name might be seen under another one.
    pub(super) fn is_shared(&self, name: &str) -> bool {
        self.mutated.contains(name) && (self.escaped.contains(name) || self.deep.contains(name) && self.kept_parts.contains(name))
    }

    pub(super) fn changes_parameters(&self, function: &Function) -> bool {
        fn names(pattern: &Pattern, is_changed: &dyn Fn(&str) -> bool) -> bool {
            match pattern {
                Pattern::Name(name, _) => is_changed(name),
                Pattern::Object { properties, .. } => properties.iter().any(|(_, inner)| names(inner, is_changed)),
                Pattern::Array { items, .. } => items.iter().flatten().any(|inner| names(inner, is_changed)),
                Pattern::Default(inner, _) => names(inner, is_changed),
            }
        }
        function.params.iter().any(|param| names(param, &|name| self.mutated.contains(name)))
    }

    fn is_only_use(&self, root: &str, field: Option<&str>) -> bool {
        let bare = self.bare.get(root).copied().unwrap_or_default();
        match field {
            Some(field) => bare == 0 && self.members.get(&(root.to_owned(), field.to_owned())).copied().unwrap_or_default() == 1,
            None => bare + self.members.iter().filter(|((name, _), _)| name == root).map(|(_, n)| n).sum::<usize>() == 1,
        }
    }

    fn change(&mut self, root: &str, is_deep: bool) {
        self.mutated.insert(root.to_owned());
        if is_deep {
            self.deep.insert(root.to_owned());
        }
    }
}

struct Walk {
    names: Names,
    /// Names that each function around this place declares.
    locals: Vec<HashSet<String>>,
    /// Lists that are being gone through.
    iterated: Vec<String>,
    /// Loops and functions around this place.
    depth: usize,
}

/// The name that a chain of properties starts from, the first property, and whether there are more behind it.
fn root(ast: &Ast) -> Option<(&str, Option<&str>, usize)> {
    match &ast.node {
        Syntax::Name(name) => Some((name, None, 0)),
        Syntax::Chain(inner) => root(inner),
        Syntax::Member { object, name, .. } => {
            let (base, first, depth) = root(object)?;
            Some((base, first.or(Some(name)), depth + 1))
        }
        Syntax::Index { object, .. } => {
            let (base, first, depth) = root(object)?;
            Some((base, first.or(Some("[]")), depth + 1))
        }
        _ => None,
    }
}

pub(super) fn is_fresh(ast: &Ast) -> bool {
    match &ast.node {
        Syntax::Name(name) => name == "undefined",
        Syntax::Member { .. } | Syntax::Index { .. } | Syntax::Chain(_) | Syntax::Assign { .. } | Syntax::Function(_) => false,
        Syntax::Call { callee, .. } => match &callee.node {
            Syntax::Member { object, name, .. } => {
                let is_same = matches!(name.as_str(), "sort" | "reverse" | "fill");
                FRESH.contains(&name.as_str()) || is_same && is_fresh(object)
            }
            Syntax::Name(name) => matches!(name.as_str(), "Array" | "Number" | "String" | "Boolean" | "parseInt" | "parseFloat"),
            _ => false,
        },
        Syntax::Conditional(_, then, otherwise) => is_fresh(then) && is_fresh(otherwise),
        Syntax::Logical(_, left, right) => is_fresh(left) && is_fresh(right),
        Syntax::Sequence(all) => all.last().is_some_and(is_fresh),
        _ => true,
    }
}

impl Walk {
    fn function(&mut self, function: &Function, owns_params: bool) {
        self.locals.push(HashSet::new());
        self.depth += 1;
        for param in function.params.iter().chain(&function.rest) {
            self.pattern(param, owns_params);
        }
        self.body(function);
    }

    fn body(&mut self, function: &Function) {
        match &function.body {
            Body::Expression(body) => self.expression(body, Use::Return),
            Body::Statements(statements) => self.statements(statements),
        }
        self.depth -= 1;
        self.locals.pop();
    }

    fn looped(&mut self, statements: &[Statement]) {
        self.depth += 1;
        self.statements(statements);
        self.depth -= 1;
    }

    fn seen(&mut self, name: &str, ast: &Ast) {
        let last = self.names.last.entry(name.to_owned()).or_default();
        *last = ast.span.start.max(*last);
    }

    fn declare(&mut self, name: &str, is_fresh: bool) {
        let is_again = !self.names.declared.insert(name.to_owned());
        self.names.depths.insert(name.to_owned(), (!is_again).then_some(self.depth));
        if let Some(locals) = self.locals.last_mut() {
            locals.insert(name.to_owned());
        }
        if !is_fresh {
            self.names.escaped.insert(name.to_owned());
        }
    }

    fn pattern(&mut self, pattern: &Pattern, is_fresh: bool) {
        match pattern {
            Pattern::Name(name, _) => self.declare(name, is_fresh),
            Pattern::Object { properties, rest, .. } => {
                properties.iter().for_each(|(_, inner)| self.pattern(inner, is_fresh));
                rest.iter().for_each(|inner| self.pattern(inner, true));
            }
            Pattern::Array { items, rest, .. } => {
                items.iter().flatten().for_each(|inner| self.pattern(inner, is_fresh));
                rest.iter().for_each(|inner| self.pattern(inner, true));
            }
            Pattern::Default(inner, default) => {
                self.expression(default, Use::Keep);
                self.pattern(inner, is_fresh);
            }
        }
    }

    fn statements(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Declare { pattern, init, word, .. } => {
                if let Some(init) = init {
                    self.expression(init, Use::Keep);
                }
                self.word(pattern, *word);
                let is_fresh = matches!(pattern, Pattern::Name(..)) && init.as_ref().is_none_or(is_fresh);
                self.pattern(pattern, is_fresh);
            }
            Statement::Function(function) => {
                function.name.iter().for_each(|name| self.declare(name, false));
                self.function(function, false);
            }
            Statement::Expression(ast) => self.effect(ast),
            Statement::If { test, then, otherwise } => {
                self.expression(test, Use::Read);
                self.statements(then);
                self.statements(otherwise);
            }
            Statement::Return(value) => value.iter().for_each(|value| self.expression(value, Use::Return)),
            Statement::Throw(value, _) => self.expression(value, Use::Read),
            Statement::Block(inner) | Statement::Labeled(_, inner) => self.statements(inner),
            Statement::Loop(Loop { test, update, body, .. }) => {
                test.iter().for_each(|test| self.expression(test, Use::Read));
                self.looped(body);
                update.iter().for_each(|update| self.effect(update));
            }
            Statement::ForOf { head, iterable, body, .. } => {
                self.expression(iterable, Use::Read);
                self.head(head);
                let iterated = root(iterable).map(|(name, ..)| name.to_owned());
                self.iterated.extend(iterated.clone());
                self.looped(body);
                if iterated.is_some() {
                    self.iterated.pop();
                }
            }
            Statement::ForIn { head, object, body, .. } => {
                self.expression(object, Use::Read);
                self.head(head);
                self.looped(body);
            }
            Statement::Switch { value, cases, .. } => {
                self.expression(value, Use::Read);
                for (test, body) in cases {
                    test.iter().for_each(|test| self.expression(test, Use::Read));
                    self.statements(body);
                }
            }
            Statement::Break(..) | Statement::Continue(..) => {}
        }
    }

    fn word(&mut self, pattern: &Pattern, word: Word) {
        if word != Word::Var {
            return;
        }
        match pattern {
            Pattern::Name(name, _) => {
                if !self.names.vars.insert(name.clone()) {
                    self.names.twice.insert(name.clone());
                }
            }
            Pattern::Object { properties, rest, .. } => {
                properties.iter().for_each(|(_, inner)| self.word(inner, word));
                rest.iter().for_each(|inner| self.word(inner, word));
            }
            Pattern::Array { items, rest, .. } => {
                items.iter().flatten().for_each(|inner| self.word(inner, word));
                rest.iter().for_each(|inner| self.word(inner, word));
            }
            Pattern::Default(inner, _) => self.word(inner, word),
        }
    }

    fn head(&mut self, head: &Head) {
        match head {
            Head::Declare { pattern, word } => {
                self.word(pattern, *word);
                self.pattern(pattern, false);
            }
            Head::Assign(target) => self.target(target, false),
        }
    }

    /// An expression that is a statement: a change there is in no expression.
    fn effect(&mut self, ast: &Ast) {
        let was_impure = self.names.is_impure;
        match &ast.node {
            Syntax::Assign { target, value, operator } => {
                self.expression(value, Use::Keep);
                self.target(target, *operator == Assign::Plain && is_fresh(value) || !matches!(operator, Assign::Plain));
            }
            Syntax::Update { target, .. } => self.target(target, true),
            Syntax::Sequence(all) => return all.iter().for_each(|one| self.effect(one)),
            _ => return self.expression(ast, Use::Read),
        }
        // A function that is called inside an expression changes things there.
        self.names.is_impure |= was_impure || self.locals.len() > 1;
    }

    fn target(&mut self, target: &Target, is_fresh: bool) {
        match target {
            Target::Name(name) => {
                self.names.assigned.insert(name.clone());
                if !is_fresh {
                    self.names.escaped.insert(name.clone());
                }
            }
            Target::Place(place) => self.change(place),
            Target::Pattern(pattern) => self.target_pattern(pattern),
        }
    }

    fn target_pattern(&mut self, pattern: &Pattern) {
        match pattern {
            Pattern::Name(name, _) => {
                self.names.assigned.insert(name.clone());
                self.names.escaped.insert(name.clone());
            }
            Pattern::Object { properties, rest, .. } => {
                properties.iter().for_each(|(_, inner)| self.target_pattern(inner));
                rest.iter().for_each(|inner| self.target_pattern(inner));
            }
            Pattern::Array { items, rest, .. } => {
                items.iter().flatten().for_each(|inner| self.target_pattern(inner));
                rest.iter().for_each(|inner| self.target_pattern(inner));
            }
            Pattern::Default(inner, default) => {
                self.expression(default, Use::Keep);
                self.target_pattern(inner);
            }
        }
    }

    /// A change of a property or an element.
    fn change(&mut self, place: &Ast) {
        if let Some((name, _, depth)) = root(place) {
            let name = name.to_owned();
            self.seen(&name, place);
            self.names.change(&name, depth > 1);
            if depth == 1 && matches!(place.node, Syntax::Index { .. }) {
                self.names.grown.insert(name.clone());
            }
            self.changed_while_iterated(&name);
        }
        self.indices(place);
    }

    fn changed_while_iterated(&mut self, name: &str) {
        if self.iterated.iter().any(|known| known == name) {
            self.names.escaped.insert(name.to_owned());
        }
    }

    fn indices(&mut self, place: &Ast) {
        match &place.node {
            Syntax::Index { object, index, .. } => {
                self.expression(index, Use::Read);
                self.indices(object);
            }
            Syntax::Member { object, .. } => self.indices(object),
            Syntax::Chain(inner) => self.indices(inner),
            Syntax::Name(name) => *self.names.bare.entry(name.clone()).or_default() += 1,
            _ => self.expression(place, Use::Read),
        }
    }

    fn expression(&mut self, ast: &Ast, how: Use) {
        match &ast.node {
            Syntax::Number(_) | Syntax::String(_) | Syntax::Boolean(_) | Syntax::Null => {}
            Syntax::Name(name) => {
                *self.names.bare.entry(name.clone()).or_default() += 1;
                self.seen(name, ast);
                if self.leaves(name, how) {
                    self.names.handed.push((name.clone(), ast.span.start, self.depth));
                }
            }
            Syntax::Template { parts, .. } => parts.iter().for_each(|part| self.expression(part, Use::Read)),
            Syntax::Array(items) => items.iter().for_each(|item| self.item(item, how)),
            Syntax::Object(properties) => properties.iter().for_each(|property| match property {
                Property::Named(_, value) => self.item(value, how),
                Property::Spread(value) => self.expression(value, Use::Read),
            }),
            Syntax::Unary(_, value) | Syntax::Spread(value) => self.expression(value, Use::Read),
            Syntax::Binary(_, left, right) => {
                self.expression(left, Use::Read);
                self.expression(right, Use::Read);
            }
            Syntax::Logical(_, left, right) => {
                self.expression(left, how);
                self.expression(right, how);
            }
            Syntax::Conditional(test, then, otherwise) => {
                self.expression(test, Use::Read);
                self.expression(then, how);
                self.expression(otherwise, how);
            }
            Syntax::Chain(inner) => self.expression(inner, how),
            Syntax::Member { .. } | Syntax::Index { .. } => self.member(ast, how),
            Syntax::Call { callee, arguments, .. } => self.call(callee, arguments, how),
            Syntax::New { callee, arguments } => {
                self.expression(callee, Use::Read);
                arguments.iter().for_each(|argument| self.expression(argument, Use::Read));
            }
            Syntax::Function(function) => self.function(function, false),
            Syntax::Assign { .. } | Syntax::Update { .. } => {
                self.effect(ast);
                self.names.is_impure = true;
            }
            Syntax::Sequence(all) => {
                if let Some((last, before)) = all.split_last() {
                    before.iter().for_each(|one| self.expression(one, Use::Read));
                    self.expression(last, how);
                }
            }
        }
    }

    /// What a literal holds leaves with it.
    fn item(&mut self, item: &Ast, how: Use) {
        self.expression(item, if how == Use::Return { Use::Return } else { Use::Keep });
    }

    fn leaves(&self, name: &str, how: Use) -> bool {
        match how {
            Use::Read => false,
            Use::Keep => true,
            Use::Return => !self.locals.last().is_some_and(|locals| locals.contains(name)),
        }
    }

    fn member(&mut self, ast: &Ast, how: Use) {
        if let Some((name, ..)) = root(ast) {
            let name = name.to_owned();
            self.seen(&name, ast);
        }
        if let Some((name, Some(field), _)) = root(ast) {
            *self.names.members.entry((name.to_owned(), field.to_owned())).or_default() += 1;
            if self.leaves(name, how) {
                self.names.kept_parts.insert(name.to_owned());
            }
        }
        self.below(ast);
    }

    /// Indices and what a chain starts from, where that is no name.
    fn below(&mut self, ast: &Ast) {
        match &ast.node {
            Syntax::Index { object, index, .. } => {
                self.expression(index, Use::Read);
                self.below(object);
            }
            Syntax::Member { object, .. } => self.below(object),
            Syntax::Chain(inner) => self.below(inner),
            Syntax::Name(_) => {}
            _ => self.expression(ast, Use::Read),
        }
    }

    fn call(&mut self, callee: &Ast, arguments: &[Ast], how: Use) {
        let Syntax::Member { object, name, .. } = &callee.node else {
            match &callee.node {
                Syntax::Name(_) => {}
                Syntax::Function(function) => self.function(function, false),
                _ => self.expression(callee, Use::Read),
            }
            return arguments.iter().for_each(|argument| self.expression(argument, Use::Keep));
        };
        let base = root(object).map(|(name, field, depth)| (name.to_owned(), field.map(ToOwned::to_owned), depth));
        if let Some((base, field, _)) = &base {
            self.seen(base, object);
            match field {
                Some(field) => *self.names.members.entry((base.clone(), field.clone())).or_default() += 1,
                None => *self.names.members.entry((base.clone(), format!(".{name}"))).or_default() += 1,
            }
        }
        self.below(object);
        if IN_PLACE.contains(&name.as_str()) {
            self.in_place(name, base.as_ref(), how);
        }
        let is_known = matches!(name.as_str(), "push" | "unshift" | "splice" | "fill" | "with");
        let iterated = base.as_ref().map(|(name, ..)| name.clone());
        self.iterated.extend(iterated.clone());
        let is_fold = matches!(name.as_str(), "reduce" | "reduceRight");
        for argument in arguments {
            match &argument.node {
                Syntax::Function(function) if is_fold => self.fold(function, arguments.get(1).is_some_and(is_fresh)),
                Syntax::Function(function) => self.function(function, false),
                _ => self.expression(argument, if is_known || is_fold { Use::Keep } else { Use::Read }),
            }
        }
        if iterated.is_some() {
            self.iterated.pop();
        }
    }

    fn in_place(&mut self, method: &str, base: Option<&(String, Option<String>, usize)>, how: Use) {
        let Some((name, field, depth)) = base else { return };
        self.names.is_impure = true;
        if matches!(method, "sort" | "reverse") && *depth <= 1 {
            // Nobody may be there to see the change; that is known at the end.
            self.names.sorted.push((name.clone(), field.clone(), self.leaves(name, how)));
            self.changed_while_iterated(name);
            return;
        }
        self.names.change(name, *depth > 0);
        if *depth == 0 {
            self.names.grown.insert(name.clone());
        }
        self.changed_while_iterated(name);
    }

    /// A callback whose first parameter is what it answered before.
    fn fold(&mut self, function: &Function, is_fresh: bool) {
        self.locals.push(HashSet::new());
        self.depth += 1;
        for (at, param) in function.params.iter().enumerate() {
            self.pattern(param, at == 0 && is_fresh);
        }
        self.body(function);
    }
}
