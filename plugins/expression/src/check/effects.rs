//! Whether evaluating an expression may change a variable, seen before types are known: where it may, the order of
//! evaluation counts. What each function does with its names is in `names`.

use super::names::IN_PLACE;
use crate::syntax::{Ast, Body, Function, Pattern, Property, Syntax};

/// Methods of sets and maps that change what they are called on; those of dates start with `set`.
const CHANGING: [&str; 3] = ["add", "delete", "clear"];
/// Methods that call what they are given.
const CALLING: [&str; 17] = [
    "every",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "flatMap",
    "forEach",
    "from",
    "map",
    "reduce",
    "reduceRight",
    "replace",
    "replaceAll",
    "some",
    "toSorted",
    "then",
];
/// Functions of the language that change nothing.
const PURE: [&str; 7] = ["Number", "String", "Boolean", "parseInt", "parseFloat", "isNaN", "isFinite"];
/// What is made without an effect.
const MADE: [&str; 4] = ["Date", "Array", "Set", "Map"];

/// Whether evaluating it may change a variable.
pub(super) fn has_effects(ast: &Ast) -> bool {
    let any = |all: &[Ast]| all.iter().any(has_effects);
    match &ast.node {
        Syntax::Number(_) | Syntax::String(_) | Syntax::Boolean(_) | Syntax::Null | Syntax::Name(_) => false,
        Syntax::Assign { .. } | Syntax::Update { .. } => true,
        Syntax::Function(function) => !is_plain(function),
        // No method of a string, a number, a date or a list changes a variable, but for those that change a list, a set or a
        // map in place, and those whose callbacks do.
        Syntax::Call { callee, arguments, .. } => match &callee.node {
            Syntax::Member { object, name, .. } => {
                IN_PLACE.contains(&name.as_str())
                    || CHANGING.contains(&name.as_str())
                    || name.starts_with("set")
                    || has_effects(object)
                    || any(arguments)
                    || CALLING.contains(&name.as_str()) && arguments.iter().any(is_own_function)
            }
            Syntax::Name(name) => !PURE.contains(&name.as_str()) || any(arguments),
            _ => true,
        },
        Syntax::New { callee, arguments } => !matches!(&callee.node, Syntax::Name(name) if MADE.contains(&name.as_str())) || any(arguments),
        Syntax::Template { parts, .. } => any(parts),
        Syntax::Array(items) | Syntax::Sequence(items) => any(items),
        Syntax::Object(properties) => properties.iter().any(|property| match property {
            Property::Named(_, value) | Property::Spread(value) => has_effects(value),
        }),
        Syntax::Unary(_, value) | Syntax::Spread(value) | Syntax::Chain(value) => has_effects(value),
        Syntax::Binary(_, left, right) | Syntax::Logical(_, left, right) => has_effects(left) || has_effects(right),
        Syntax::Conditional(test, then, otherwise) => has_effects(test) || has_effects(then) || has_effects(otherwise),
        Syntax::Member { object, .. } => has_effects(object),
        Syntax::Index { object, index, .. } => has_effects(object) || has_effects(index),
    }
}

/// Whether it may be a function that has a name, whose body is not looked at.
fn is_own_function(ast: &Ast) -> bool {
    match &ast.node {
        Syntax::Name(name) => !PURE.contains(&name.as_str()),
        Syntax::Member { .. } | Syntax::Index { .. } | Syntax::Chain(_) | Syntax::Conditional(..) | Syntax::Logical(..) => true,
        _ => false,
    }
}

/// Whether it is a callback that changes nothing: an expression without effects over plain parameters.
fn is_plain(function: &Function) -> bool {
    let is_name = |param: &Pattern| matches!(param, Pattern::Name(..));
    let is_harmless = matches!(&function.body, Body::Expression(body) if !has_effects(body));
    is_harmless && function.rest.is_none() && function.params.iter().all(is_name)
}
