//! Global functions and the functions and constants of `Math`, `Number`, `String`, `Array` and `Object`.

use super::convert::{and, compare, float, not};
use super::operators::{bits, int_math};
use super::{Check, Checker, fault, nearest};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Ty};
use crate::syntax::Ast;
use crate::tree::{Bits, Compare, Expr, FloatMath, FloatUnary, IntMath, Node};
use std::f64::consts;

/// Names that a misspelt one may have meant.
pub(super) const NAMES: [&str; 13] = [
    "Math",
    "Number",
    "String",
    "Boolean",
    "Array",
    "Object",
    "parseInt",
    "parseFloat",
    "isNaN",
    "isFinite",
    "undefined",
    "NaN",
    "Infinity",
];

const MATH_CONSTANTS: [(&str, f64); 8] = [
    ("PI", consts::PI),
    ("E", consts::E),
    ("LN2", consts::LN_2),
    ("LN10", consts::LN_10),
    ("LOG2E", consts::LOG2_E),
    ("LOG10E", consts::LOG10_E),
    ("SQRT2", consts::SQRT_2),
    ("SQRT1_2", consts::FRAC_1_SQRT_2),
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

/// Functions of one number that the runtime has.
const MATH_CALLS: [(&str, &str); 20] = [
    ("sin", "math_sin"),
    ("cos", "math_cos"),
    ("tan", "math_tan"),
    ("asin", "math_asin"),
    ("acos", "math_acos"),
    ("atan", "math_atan"),
    ("sinh", "math_sinh"),
    ("cosh", "math_cosh"),
    ("tanh", "math_tanh"),
    ("asinh", "math_asinh"),
    ("acosh", "math_acosh"),
    ("atanh", "math_atanh"),
    ("exp", "math_exp"),
    ("expm1", "math_expm1"),
    ("log", "math_log"),
    ("log1p", "math_log1p"),
    ("log2", "math_log2"),
    ("log10", "math_log10"),
    ("cbrt", "math_cbrt"),
    ("round", "math_round"),
];

/// Functions of one number that WebAssembly has.
const MATH_UNARY: [(&str, FloatUnary); 6] = [
    ("abs", FloatUnary::Abs),
    ("sqrt", FloatUnary::Sqrt),
    ("floor", FloatUnary::Floor),
    ("ceil", FloatUnary::Ceil),
    ("trunc", FloatUnary::Trunc),
    ("fround", FloatUnary::Fround),
];

const OTHER_MATH: [&str; 8] = ["min", "max", "pow", "atan2", "hypot", "sign", "clz32", "imul"];

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
            None => unknown_global(object, name, table.iter().map(|(known, _)| *known)),
        }
    }

    /// `Math.floor(x)` and the like; none where the object is no global one.
    pub(super) fn global_call(&mut self, object: &Ast, name: &str, arguments: &[Ast], span: Span) -> Check<Option<Expr>> {
        let Some(global) = self.global_object(object) else { return Ok(None) };
        let value = match global {
            "Math" => self.math(name, arguments, object, span)?,
            "Number" => match name {
                "parseInt" | "parseFloat" => self.call_name(name, arguments, span)?,
                "isInteger" | "isSafeInteger" | "isFinite" | "isNaN" => {
                    let value = self.first(arguments)?;
                    self.number_test(name, value)?
                }
                _ => return unknown_global(object, name, ["isInteger", "isSafeInteger", "isFinite", "isNaN", "parseInt", "parseFloat"]),
            },
            "String" => match name {
                "fromCharCode" | "fromCodePoint" if arguments.len() == 1 => {
                    let code = self.first(arguments)?;
                    let code = self.float_of(code, span)?;
                    Expr::call(Ty::Str, if name == "fromCharCode" { "str_from_char_code" } else { "str_from_code_point" }, vec![code])
                }
                _ => return unknown_global(object, name, ["fromCharCode", "fromCodePoint"]),
            },
            "Array" if name == "isArray" => {
                let value = self.first(arguments)?;
                match value.kind.ty {
                    Ty::List(_) | Ty::Tuple(_) => not(super::convert::is_nil(value.clone(), value.kind.nulls)),
                    _ => Expr::bool(false),
                }
            }
            "Object" => self.object_call(name, arguments, object, span)?,
            "Date" | "performance" | "crypto" => {
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

    /// A call of a plain name.
    pub(super) fn call_name(&mut self, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        if self.find(name).is_some() {
            return fault(DiagnosticKind::Type, span, format!("`{name}` is not a function"), "call a method or a global function");
        }
        match name {
            "Number" if arguments.is_empty() => Ok(Expr::int(0)),
            "String" if arguments.is_empty() => Ok(Expr::str("")),
            "Number" => {
                let value = self.first(arguments)?;
                self.number_of(value, span)
            }
            "String" => {
                let value = self.first(arguments)?;
                self.text_of(value, span)
            }
            "Boolean" => {
                let value = self.first(arguments)?;
                self.truth_of(value)
            }
            "parseFloat" => {
                let value = self.first(arguments)?;
                let text = self.text_of(value, span)?;
                Ok(Expr::call(Ty::Float, "parse_float", vec![text]))
            }
            "parseInt" => {
                let value = self.first(arguments)?;
                let text = self.text_of(value, span)?;
                let radix = match arguments.get(1) {
                    Some(radix) => {
                        let radix = self.expression(radix)?;
                        self.bits_of(radix, span)?
                    }
                    None => Expr::int(0),
                };
                let radix = Expr::new(Ty::Bool.sure(), Node::Narrow(radix.boxed()));
                Ok(Expr::call(Ty::Float, "parse_int", vec![text, radix]))
            }
            "isNaN" | "isFinite" => {
                let value = self.first(arguments)?;
                let number = self.number_of(value, span)?;
                self.number_test(name, number)
            }
            _ => self.unknown_name(name, span),
        }
    }

    fn first(&mut self, arguments: &[Ast]) -> Check<Expr> {
        match arguments.first() {
            Some(argument) => self.expression(argument),
            None => Ok(Expr::undefined()),
        }
    }

    /// Tests of a number that convert nothing: anything else fails them.
    fn number_test(&mut self, name: &str, value: Expr) -> Check<Expr> {
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
        let value = self.first(arguments)?;
        let (Ty::Struct(parts), true) = (value.kind.ty.clone(), value.kind.is_sure()) else {
            return fault(DiagnosticKind::Type, span, format!("`Object.{name}` takes an object, not {}", value.kind), "give it an object");
        };
        let keys: Vec<Expr> = parts.iter().map(|part| Expr::str(part.name.clone())).collect();
        self.with(value, |me, value| {
            let values = |me: &mut Self| (0..parts.len()).map(|at| me.part(value.clone(), at)).collect::<Vec<_>>();
            let items = match name {
                "keys" => keys,
                "values" => values(me),
                "entries" => keys.into_iter().zip(values(me)).map(|(key, value)| tuple(vec![key, value])).collect(),
                _ => return unknown_global(object, name, ["keys", "values", "entries"]),
            };
            Ok(tuple(items))
        })
    }

    fn math(&mut self, name: &str, arguments: &[Ast], object: &Ast, span: Span) -> Check<Expr> {
        if matches!(name, "min" | "max") {
            return self.extreme(name == "min", arguments);
        }
        if name == "random" {
            return fault(
                DiagnosticKind::Unsupported,
                span,
                "`Math.random` is not there: a lambda gives the same answer every time",
                "use the sample operation",
            );
        }
        let mut numbers = Vec::new();
        for (value, span) in self.arguments(arguments)? {
            numbers.push(self.number_of(value, span)?);
        }
        let mut numbers = numbers.into_iter();
        let first = numbers.next().unwrap_or_else(|| Expr::float(f64::NAN));
        let is_int = first.kind.ty == Ty::Int;
        if is_int && matches!(name, "floor" | "ceil" | "trunc" | "round") {
            return Ok(first);
        }
        if is_int && matches!(name, "abs" | "sign") {
            return self.with(first, |me, x| {
                let is_negative = compare(Compare::Less, x.clone(), Expr::int(0));
                if name == "abs" {
                    return me.choose(is_negative, int_math(IntMath::Sub, Expr::int(0), x.clone()), x, span);
                }
                let is_positive = compare(Compare::Greater, x, Expr::int(0));
                let rest = Expr::new(Ty::Int.sure(), Node::BoolToInt(is_positive.boxed()));
                me.choose(is_negative, Expr::int(-1), rest, span)
            });
        }
        if let Some((_, operator)) = MATH_UNARY.iter().find(|(known, _)| *known == name) {
            return Ok(Expr::new(Ty::Float.sure(), Node::FloatUnary(*operator, float(first).boxed())));
        }
        if let Some((_, function)) = MATH_CALLS.iter().find(|(known, _)| *known == name) {
            return Ok(Expr::call(Ty::Float, function, vec![float(first)]));
        }
        let second = numbers.next();
        match name {
            "pow" => self.power(first, second.unwrap_or_else(|| Expr::float(f64::NAN)), span),
            "atan2" => Ok(Expr::call(Ty::Float, "math_atan2", vec![float(first), float(second.unwrap_or_else(|| Expr::float(f64::NAN)))])),
            "sign" => Ok(Expr::call(Ty::Float, "math_sign", vec![float(first)])),
            "imul" => {
                let second = second.unwrap_or_else(|| Expr::int(0));
                let (a, b) = (self.bits_of(first, span)?, self.bits_of(second, span)?);
                Ok(bits(Bits::Multiply, a, b))
            }
            "clz32" => {
                let value = self.bits_of(first, span)?;
                Ok(bits(Bits::LeadingZeros, value, Expr::int(0)))
            }
            "hypot" => match (arguments.len(), second, numbers.next()) {
                (0, _, _) => Ok(Expr::int(0)),
                (_, None, _) => Ok(Expr::new(Ty::Float.sure(), Node::FloatUnary(FloatUnary::Abs, float(first).boxed()))),
                (_, Some(second), None) => Ok(Expr::call(Ty::Float, "math_hypot", vec![float(first), float(second)])),
                _ => fault(
                    DiagnosticKind::Unsupported,
                    span,
                    "`Math.hypot` of more than two cannot be compiled yet",
                    "use Math.sqrt(a * a + …)",
                ),
            },
            _ => {
                let known = MATH_CALLS.iter().map(|(known, _)| *known).chain(MATH_UNARY.iter().map(|(known, _)| *known)).chain(OTHER_MATH);
                unknown_global(object, name, known)
            }
        }
    }

    fn extreme(&mut self, is_min: bool, arguments: &[Ast]) -> Check<Expr> {
        let mut numbers = Vec::new();
        for (value, span) in self.arguments(arguments)? {
            numbers.push(self.number_of(value, span)?);
        }
        if numbers.is_empty() {
            return Ok(Expr::float(if is_min { f64::INFINITY } else { f64::NEG_INFINITY }));
        }
        let are_ints = numbers.iter().all(|number| number.kind.ty == Ty::Int);
        let mut numbers = numbers.into_iter();
        let mut all = numbers.next().unwrap_or_else(|| Expr::int(0));
        for next in numbers {
            all = if are_ints {
                int_math(if is_min { IntMath::Min } else { IntMath::Max }, all, next)
            } else {
                let operator = if is_min { FloatMath::Min } else { FloatMath::Max };
                super::convert::float_math(operator, float(all), float(next))
            };
        }
        Ok(all)
    }
}

fn tuple(items: Vec<Expr>) -> Expr {
    let kinds: Vec<Kind> = items.iter().map(|item| item.kind.clone()).collect();
    Expr::new(Ty::Tuple(kinds).sure(), Node::Parts(items))
}

fn unknown_global<'k, T>(object: &Ast, name: &str, known: impl IntoIterator<Item = &'k str>) -> Check<T> {
    let global = match &object.node {
        crate::syntax::Syntax::Name(name) => name.as_str(),
        _ => "the object",
    };
    let fault = Fault::new(DiagnosticKind::UnknownName, object.span, format!("`{global}.{name}` is not there"));
    Err(match nearest(name, known) {
        Some(near) => fault.hint(format!("did you mean `{global}.{near}`?")),
        None => fault.hint("it may come with a later version"),
    }
    .into())
}
