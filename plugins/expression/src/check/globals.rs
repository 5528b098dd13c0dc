//! Global functions and the functions and constants of `Number`, `String`, `Array` and `Object`; those of `Math` are in `math`.

use super::convert::{and, compare, float, not};
use super::math::{MATH_CALLS, MATH_CONSTANTS, OTHER_MATH};
use super::{Binding, Check, Checker, fault, nearest, tuple};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::Ty;
use crate::syntax::{Ast, Property, Syntax};
use crate::tree::{Compare, Expr, FloatUnary, Node};

/// Names that a misspelt one may have meant.
pub(super) const NAMES: [&str; 15] = [
    "Math",
    "Number",
    "String",
    "Boolean",
    "Array",
    "Object",
    "Date",
    "JSON",
    "parseInt",
    "parseFloat",
    "isNaN",
    "isFinite",
    "undefined",
    "NaN",
    "Infinity",
];

const NUMBER_CONSTANTS: [(&str, f64); 8] = [
    ("MAX_SAFE_INTEGER", 9_007_199_254_740_991.0),
    ("MIN_SAFE_INTEGER", -9_007_199_254_740_991.0),
    ("MAX_VALUE", f64::MAX),
    ("MIN_VALUE", 5e-324),
    ("EPSILON", f64::EPSILON),
    ("POSITIVE_INFINITY", f64::INFINITY),
    ("NEGATIVE_INFINITY", f64::NEG_INFINITY),
    ("NaN", f64::NAN),
];

impl Checker<'_> {
    /// `Math.PI` and the like.
    pub(super) fn global_constant(&mut self, object: &Ast, name: &str) -> Check<Option<Expr>> {
        let table: &[(&str, f64)] = match self.global_object(object) {
            Some("Math") => &MATH_CONSTANTS,
            Some("Number") => &NUMBER_CONSTANTS,
            _ => return Ok(None),
        };
        match table.iter().find(|(known, _)| *known == name) {
            Some((_, value)) if value.abs() < 1e300 && value.fract() == 0.0 => Ok(Some(super::number_literal(*value))),
            Some((_, value)) => Ok(Some(Expr::float(*value))),
            None if MATH_CALLS.iter().any(|(known, _)| *known == name) || OTHER_MATH.contains(&name) => {
                fault(DiagnosticKind::Unsupported, object.span, "a function as a value cannot be compiled yet", "call it")
            }
            None => unknown_global(object, name, table.iter().map(|(known, _)| *known)),
        }
    }

    /// `Math.floor(x)` and the like; none where the object is no global one.
    pub(super) fn global_call(&mut self, object: &Ast, name: &str, arguments: &[Ast], span: Span) -> Check<Option<Expr>> {
        let Some(global) = self.global_object(object) else { return Ok(None) };
        let value = match global {
            "Math" | "Number" | "String" => {
                let mut out = Vec::new();
                let (values, spread) = self.given(arguments, &mut out)?;
                let values =
                    values.into_iter().zip(arguments.iter().map(|argument| argument.span).chain(std::iter::repeat(span))).collect();
                let value = match spread {
                    None => self.global_function(global, name, values, span)?,
                    Some(list) if global == "Math" && matches!(name, "min" | "max") => {
                        self.extreme_of(name == "min", values, list, span)?
                    }
                    Some(_) => return fault(DiagnosticKind::Unsupported, span, "`...` cannot be compiled here yet", "list the arguments"),
                };
                Self::done(out, value)
            }
            "Array" => self.array_call(name, arguments, object, span)?,
            "Object" => self.object_call(name, arguments, object, span)?,
            "Date" => self.date_function(name, arguments, object, span)?,
            "JSON" if name == "stringify" => {
                if arguments.len() != 1 {
                    let message = "`JSON.stringify` with more than a value cannot be compiled yet";
                    return fault(DiagnosticKind::Unsupported, span, message, "give the value alone");
                }
                let value = self.first(arguments)?;
                self.json(value, span)?
            }
            "performance" | "crypto" => {
                return fault(
                    DiagnosticKind::Unsupported,
                    span,
                    format!("`{global}` is not there: a lambda gives the same answer every time"),
                    "put the moment into the data",
                );
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    /// A function of `Math`, `Number` or `String`.
    pub(super) fn global_function(&mut self, global: &str, name: &str, values: Vec<(Expr, Span)>, span: Span) -> Check<Expr> {
        match global {
            "Math" => self.math(name, values, span),
            "Number" => match name {
                "parseInt" | "parseFloat" => self.plain_function(name, values, span),
                "isInteger" | "isSafeInteger" | "isFinite" | "isNaN" => {
                    let value = values.into_iter().next().map_or_else(Expr::undefined, |(value, _)| value);
                    self.number_test(name, value)
                }
                _ => unknown_function(global, name, span, ["isInteger", "isSafeInteger", "isFinite", "isNaN", "parseInt", "parseFloat"]),
            },
            _ => match name {
                "fromCharCode" | "fromCodePoint" => {
                    let function = if name == "fromCharCode" { "str_from_char_code" } else { "str_from_code_point" };
                    let mut pieces = Vec::new();
                    for (value, span) in values {
                        let code = self.float_of(value, span)?;
                        pieces.push(Expr::call(Ty::Str, function, vec![code]));
                    }
                    if name == "fromCharCode" && pieces.len() > 1 {
                        let message = "`String.fromCharCode` of several units cannot be compiled yet";
                        return fault(DiagnosticKind::Unsupported, span, message, "use String.fromCodePoint");
                    }
                    Ok(super::concat(pieces))
                }
                "raw" => fault(DiagnosticKind::Unsupported, span, "`String.raw` cannot be compiled yet", "write the text out"),
                _ => unknown_function(global, name, span, ["fromCharCode", "fromCodePoint"]),
            },
        }
    }

    /// A call of a plain name.
    pub(super) fn call_name(&mut self, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        match self.find(name).cloned() {
            Some(Binding::Function(function, depth)) => return self.call_own(&function, depth, arguments, span),
            Some(_) => {
                return fault(DiagnosticKind::Type, span, format!("`{name}` is not a function"), "call a method or a global function");
            }
            None => {}
        }
        if name == "Array" {
            return self.new_array(arguments, span);
        }
        if !matches!(name, "Number" | "String" | "Boolean" | "parseFloat" | "parseInt" | "isNaN" | "isFinite") {
            return self.unknown_name(name, span);
        }
        let mut out = Vec::new();
        let (values, spread) = self.given(arguments, &mut out)?;
        if spread.is_some() {
            return fault(DiagnosticKind::Unsupported, span, "`...` cannot be compiled here yet", "list the arguments");
        }
        let values = values.into_iter().map(|value| (value, span)).collect();
        let value = self.plain_function(name, values, span)?;
        Ok(Self::done(out, value))
    }

    pub(super) fn plain_function(&mut self, name: &str, values: Vec<(Expr, Span)>, span: Span) -> Check<Expr> {
        let n = values.len();
        let mut values = values.into_iter().map(|(value, _)| value);
        let first = values.next().unwrap_or_else(Expr::undefined);
        match name {
            "Number" if n == 0 => Ok(Expr::int(0)),
            "String" if n == 0 => Ok(Expr::str("")),
            "Number" => self.number_of(first, span),
            "String" => self.text_of(first, span),
            "Boolean" => self.truth_of(first),
            "parseFloat" => {
                let text = self.text_of(first, span)?;
                Ok(Expr::call(Ty::Float, "parse_float", vec![text]))
            }
            "parseInt" => {
                let text = self.text_of(first, span)?;
                let radix = match values.next() {
                    Some(radix) => self.bits_of(radix, span)?,
                    None => Expr::int(0),
                };
                let radix = Expr::new(Ty::Bool.sure(), Node::Narrow(radix.boxed()));
                Ok(Expr::call(Ty::Float, "parse_int", vec![text, radix]))
            }
            _ => {
                let number = self.number_of(first, span)?;
                self.number_test(name, number)
            }
        }
    }

    /// `new` of anything.
    pub(super) fn new_of(&mut self, callee: &Ast, arguments: &[Ast], span: Span) -> Check<Expr> {
        match self.global_object(callee) {
            Some("Date") => self.new_date(arguments, span),
            Some("Array") => self.new_array(arguments, span),
            Some(name) if self.is_unknown(name) => {
                let name = name.to_owned();
                self.unknown_name(&name, span)
            }
            _ => {
                fault(DiagnosticKind::Unsupported, span, "`new` of this cannot be compiled yet", "use numbers, strings, objects and lists")
            }
        }
    }

    fn new_array(&mut self, arguments: &[Ast], span: Span) -> Check<Expr> {
        match arguments {
            [] => Ok(tuple(Vec::new())),
            [one] if !matches!(one.node, Syntax::Spread(_)) => {
                fault(DiagnosticKind::Unsupported, span, "a list of holes cannot be compiled yet", "fill it at once: `Array(3).fill(0)`")
            }
            _ => self.array(arguments, span),
        }
    }

    /// The length in `Array(n)` or `new Array(n)`.
    pub(super) fn array_of_holes<'n>(&self, ast: &'n Ast) -> Option<&'n Ast> {
        let (callee, arguments) = match &ast.node {
            Syntax::New { callee, arguments } | Syntax::Call { callee, arguments, .. } => (callee, arguments),
            _ => return None,
        };
        match arguments.as_slice() {
            [one] if self.global_object(callee) == Some("Array") && !matches!(one.node, Syntax::Spread(_)) => Some(one),
            _ => None,
        }
    }

    fn array_call(&mut self, name: &str, arguments: &[Ast], object: &Ast, span: Span) -> Check<Expr> {
        match name {
            "isArray" => {
                let value = self.first(arguments)?;
                Ok(match value.kind.ty {
                    Ty::List(_) | Ty::Tuple(_) => not(super::convert::is_nil(value.clone(), value.kind.nulls)),
                    _ => Expr::bool(false),
                })
            }
            "of" => self.array(arguments, span),
            "from" => {
                let callback = match arguments.get(1) {
                    Some(callback) => Some(self.callback_of(Some(callback), span)?),
                    None => None,
                };
                let first = arguments.first();
                if let Some(Syntax::Object(properties)) = first.map(|first| &first.node)
                    && let [Property::Named(name, n)] = properties.as_slice()
                    && name == "length"
                {
                    let n = self.expression(n)?;
                    return self.made_list(n, callback.as_ref(), Expr::undefined(), span);
                }
                let Some(first) = first else {
                    return fault(DiagnosticKind::Type, span, "undefined is not iterable", "give a list or a string");
                };
                let list = self.iterable(first)?;
                match callback {
                    Some(callback) => self.with_callback(list, "map", &callback, span),
                    None => Ok(list),
                }
            }
            _ => unknown_global(object, name, ["isArray", "from", "of"]),
        }
    }

    fn first(&mut self, arguments: &[Ast]) -> Check<Expr> {
        match arguments.first() {
            Some(argument) => self.optional(argument),
            None => Ok(Expr::undefined()),
        }
    }

    /// Tests of a number that convert nothing: anything else fails them.
    pub(super) fn number_test(&mut self, name: &str, value: Expr) -> Check<Expr> {
        if !value.kind.ty.is_number() {
            return Ok(Expr::bool(false));
        }
        if !value.kind.is_sure() {
            return self.with(value, |me, value| {
                let some = not(super::convert::is_nil(value.clone(), value.kind.nulls));
                let test = me.number_test(name, super::convert::present(value))?;
                Ok(and(some, test))
            });
        }
        let is_int = value.kind.ty == Ty::Int;
        self.with(value, |_, value| {
            let whole = || {
                let cut = Expr::new(Ty::Float.sure(), Node::FloatUnary(FloatUnary::Trunc, value.clone().boxed()));
                compare(Compare::Equal, cut, value.clone())
            };
            let below = |limit: f64| {
                let magnitude = Expr::new(Ty::Float.sure(), Node::FloatUnary(FloatUnary::Abs, float(value.clone()).boxed()));
                compare(Compare::Less, magnitude, Expr::float(limit))
            };
            const SAFE: f64 = 9_007_199_254_740_992.0;
            Ok(match (name, is_int) {
                ("isNaN", true) => Expr::bool(false),
                ("isNaN", false) => compare(Compare::NotEqual, value.clone(), value),
                ("isFinite" | "isInteger", true) => Expr::bool(true),
                ("isFinite", false) => below(f64::INFINITY),
                ("isSafeInteger", true) => below(SAFE),
                ("isSafeInteger", false) => and(whole(), below(SAFE)),
                _ => and(whole(), below(f64::INFINITY)),
            })
        })
    }

    fn object_call(&mut self, name: &str, arguments: &[Ast], object: &Ast, span: Span) -> Check<Expr> {
        if name == "assign" {
            return self.assigned_object(arguments, span);
        }
        if name == "freeze" && matches!(arguments, [one] if super::names::is_fresh(one)) {
            return self.first(arguments);
        }
        if !matches!(name, "keys" | "values" | "entries") {
            return unknown_global(object, name, ["keys", "values", "entries", "assign"]);
        }
        let value = self.first(arguments)?;
        if value.kind.ty == Ty::Nil {
            return fault(DiagnosticKind::Type, span, format!("`Object.{name}` takes an object, not {}", value.kind), "give it an object");
        }
        let value = self.require(value, span, "cannot convert null to an object")?;
        if !matches!(value.kind.ty, Ty::Struct(_)) {
            let message = format!("`Object.{name}` of {} cannot be compiled yet", value.kind);
            return fault(DiagnosticKind::Unsupported, span, message, "give it an object");
        }
        let names = self.property_names(&value.kind, span)?;
        if name == "keys" && value.is_atom() {
            return Ok(tuple(names.into_iter().map(Expr::str).collect()));
        }
        self.with(value, |me, value| {
            let mut items = Vec::with_capacity(names.len());
            for key in names {
                let part = me.property(value.clone(), &key, span)?;
                items.push(match name {
                    "keys" => Expr::str(key),
                    "values" => part,
                    _ => tuple(vec![Expr::str(key), part]),
                });
            }
            Ok(tuple(items))
        })
    }

    /// `Object.assign({}, a, b)`: the first object is a new one.
    fn assigned_object(&mut self, arguments: &[Ast], span: Span) -> Check<Expr> {
        let Some((Ast { node: Syntax::Object(first), .. }, rest)) = arguments.split_first() else {
            let message = "`Object.assign` to an object that exists cannot be compiled yet";
            return fault(DiagnosticKind::Unsupported, span, message, "assign to `{}`, or use `{...a, ...b}`");
        };
        let mut all = first.clone();
        for argument in rest {
            if matches!(argument.node, Syntax::Spread(_)) {
                return fault(DiagnosticKind::Unsupported, span, "`...` cannot be compiled here yet", "list the objects");
            }
            all.push(Property::Spread(argument.clone()));
        }
        self.object(&all)
    }
}

/// What else Node defines everywhere; a lambda that names it is for an interpreter.
const ELSEWHERE: [&str; 52] = [
    "Map",
    "Set",
    "WeakMap",
    "WeakSet",
    "WeakRef",
    "Symbol",
    "BigInt",
    "RegExp",
    "JSON",
    "Date",
    "Intl",
    "Promise",
    "Proxy",
    "Reflect",
    "Error",
    "TypeError",
    "RangeError",
    "SyntaxError",
    "ReferenceError",
    "EvalError",
    "URIError",
    "AggregateError",
    "ArrayBuffer",
    "DataView",
    "Uint8Array",
    "Int8Array",
    "Uint16Array",
    "Int16Array",
    "Uint32Array",
    "Int32Array",
    "Float32Array",
    "Float64Array",
    "BigInt64Array",
    "BigUint64Array",
    "Uint8ClampedArray",
    "encodeURIComponent",
    "decodeURIComponent",
    "encodeURI",
    "decodeURI",
    "escape",
    "unescape",
    "globalThis",
    "structuredClone",
    "console",
    "performance",
    "crypto",
    "Function",
    "eval",
    "arguments",
    "Atomics",
    "atob",
    "btoa",
];

/// Whether Node knows the name wherever a lambda stands.
pub(super) fn is_global(name: &str) -> bool {
    NAMES.contains(&name) || ELSEWHERE.contains(&name)
}

/// Functions of global objects that exist and are not taken.
const RARE: [&str; 26] = [
    "now",
    "groupBy",
    "fromEntries",
    "freeze",
    "seal",
    "is",
    "create",
    "defineProperty",
    "getOwnPropertyNames",
    "hasOwn",
    "isFrozen",
    "isSealed",
    "preventExtensions",
    "getPrototypeOf",
    "setPrototypeOf",
    "defineProperties",
    "getOwnPropertyDescriptor",
    "getOwnPropertyDescriptors",
    "getOwnPropertySymbols",
    "isExtensible",
    "fromAsync",
    "parse",
    "stringify",
    "toString",
    "raw",
    "entries",
];

pub(super) fn unknown_global<'k, T>(object: &Ast, name: &str, known: impl IntoIterator<Item = &'k str>) -> Check<T> {
    let global = match &object.node {
        Syntax::Name(name) => name.as_str(),
        _ => "the object",
    };
    unknown_function(global, name, object.span, known)
}

pub(super) fn unknown_function<'k, T>(global: &str, name: &str, span: Span, known: impl IntoIterator<Item = &'k str>) -> Check<T> {
    let known: Vec<&str> = known.into_iter().collect();
    if RARE.contains(&name) || known.contains(&name) {
        let message = format!("`{global}.{name}` cannot be compiled yet");
        return fault(DiagnosticKind::Unsupported, span, message, format!("what can: {}", known.join(", ")));
    }
    let fault = Fault::new(DiagnosticKind::UnknownName, span, format!("`{global}.{name}` is not there")).anywhere();
    Err(match nearest(name, known) {
        Some(near) => fault.hint(format!("did you mean `{global}.{near}`?")),
        None => fault.hint("it may come with a later version"),
    }
    .into())
}
