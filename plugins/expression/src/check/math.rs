//! The functions and constants of `Math`.

use super::convert::{compare, float};
use super::globals::unknown_function;
use super::iterables::Source;
use super::operators::{bits, int_math};
use super::{Check, Checker, fault};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Kind, Ty};
use crate::tree::{Bits, Compare, Expr, FloatMath, FloatUnary, IntMath, Node, Stmt};
use std::f64::consts;

pub(super) const MATH_CONSTANTS: [(&str, f64); 8] = [
    ("PI", consts::PI),
    ("E", consts::E),
    ("LN2", consts::LN_2),
    ("LN10", consts::LN_10),
    ("LOG2E", consts::LOG2_E),
    ("LOG10E", consts::LOG10_E),
    ("SQRT2", consts::SQRT_2),
    ("SQRT1_2", consts::FRAC_1_SQRT_2),
];

/// Functions of one number that the runtime has.
pub(super) const MATH_CALLS: [(&str, &str); 20] = [
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

pub(super) const OTHER_MATH: [&str; 8] = ["min", "max", "pow", "atan2", "hypot", "sign", "clz32", "imul"];

impl Checker<'_> {
    pub(super) fn math(&mut self, name: &str, values: Vec<(Expr, Span)>, span: Span) -> Check<Expr> {
        let n_values = values.len();
        if matches!(name, "min" | "max") {
            return self.extreme(name == "min", values);
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
        for (value, span) in values {
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
            "hypot" => match (n_values, second, numbers.next()) {
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
                unknown_function("Math", name, span, known)
            }
        }
    }

    fn extreme(&mut self, is_min: bool, values: Vec<(Expr, Span)>) -> Check<Expr> {
        let mut numbers = Vec::new();
        for (value, span) in values {
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

    /// `Math.max(a, ...list)`: a list may be empty, and the answer then is no integer.
    pub(super) fn extreme_of(&mut self, is_min: bool, mut values: Vec<(Expr, Span)>, list: Expr, span: Span) -> Check<Expr> {
        let mut out = Vec::new();
        if values.is_empty() {
            values.push((Expr::float(if is_min { f64::INFINITY } else { f64::NEG_INFINITY }), span));
        }
        let start = self.extreme(is_min, values)?;
        let source = self.source(list, span)?;
        let element = match &source {
            Source::List(Expr { kind: Kind { ty: Ty::List(element), .. }, .. }) => element.ty.clone(),
            _ => Ty::Float,
        };
        let start = if start.kind.ty == Ty::Int && element != Ty::Int { float(start) } else { start };
        let is_int = start.kind.ty == Ty::Int;
        let best = self.variable(start, &mut out);
        let leave = self.exit();
        let mut all = Vec::new();
        self.walk(source, false, leave, &mut all, &mut |me, item, _, inner| {
            let number = me.number_of(item, span)?;
            let old = me.local(best);
            let new = if is_int && number.kind.ty == Ty::Int {
                int_math(if is_min { IntMath::Min } else { IntMath::Max }, old, number)
            } else {
                super::convert::float_math(if is_min { FloatMath::Min } else { FloatMath::Max }, float(old), float(number))
            };
            inner.push(Stmt::Set(best, new));
            Ok(())
        })?;
        out.push(Stmt::Labeled(leave, all));
        let value = self.local(best);
        let value = self.keep(value, &mut out);
        Ok(Self::done(out, value))
    }
}
