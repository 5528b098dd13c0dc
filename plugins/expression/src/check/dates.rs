//! `Date`: making one, reading its parts, writing it as text. Local time is UTC, because a lambda knows no other place.

use super::{Check, Checker, fault};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Nulls, Ty};
use crate::syntax::Ast;
use crate::tree::{Expr, Node};

/// What `date_part` of the runtime takes for each getter.
const PARTS: [(&str, i64); 8] =
    [("FullYear", 0), ("Month", 1), ("Date", 2), ("Hours", 3), ("Minutes", 4), ("Seconds", 5), ("Milliseconds", 6), ("Day", 7)];

pub(super) const METHODS: [&str; 12] = [
    "getTime",
    "valueOf",
    "toISOString",
    "toJSON",
    "toString",
    "toUTCString",
    "toDateString",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDay",
    "getHours",
];

/// Milliseconds as a date.
pub(super) fn date(milliseconds: Expr) -> Expr {
    Expr::new(Ty::Date.sure(), Node::TimeToInt(milliseconds.boxed()))
}

/// The milliseconds of a date or timestamp, NaN where it is invalid.
pub(super) fn milliseconds(value: Expr) -> Expr {
    match value.kind.ty {
        Ty::Date => Expr::new(Ty::Float.sure(), Node::TimeToInt(value.boxed())),
        _ => super::convert::float(Expr::new(Ty::Int.sure(), Node::TimeToInt(value.boxed()))),
    }
}

fn part(time: Expr, which: i64) -> Expr {
    let which = Expr::new(Ty::Bool.sure(), Node::Narrow(Expr::int(which).boxed()));
    Expr::call(Ty::Float, "date_part", vec![time, which])
}

impl Checker<'_> {
    pub(super) fn date_method(&mut self, base: Expr, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        let is_valid = base.kind.ty == Ty::Time;
        if let Some(getter) = name.strip_prefix("get") {
            let getter = getter.strip_prefix("UTC").unwrap_or(getter);
            if let Some((_, which)) = PARTS.iter().find(|(known, _)| *known == getter) {
                let value = part(milliseconds(base), *which);
                if is_valid {
                    return Ok(Expr::new(Ty::Int.sure(), Node::FloatToInt(value.boxed())));
                }
                return Ok(value);
            }
        }
        match name {
            "getTime" | "valueOf" => self.number_of(base, span),
            "getTimezoneOffset" => Ok(if is_valid { Expr::int(0) } else { float_or_nan(base) }),
            "toISOString" => Ok(Expr::call(Ty::Str, "date_iso", vec![milliseconds(base)])),
            "toJSON" if is_valid => Ok(Expr::call(Ty::Str, "date_iso", vec![milliseconds(base)])),
            "toJSON" => self.with(milliseconds(base), |me, time| {
                let is_invalid = super::compare(crate::tree::Compare::NotEqual, time.clone(), time.clone());
                me.choose(is_invalid, Expr::null(), Expr::call(Ty::Str, "date_iso", vec![time]), span)
            }),
            "toString" | "toUTCString" | "toGMTString" | "toDateString" if arguments.is_empty() => {
                let which = match name {
                    "toString" => 0,
                    "toDateString" => 1,
                    _ => 2,
                };
                Ok(text(base, which))
            }
            _ => super::methods::unknown_method(&base.kind, name, &METHODS, span),
        }
    }

    /// `new Date(…)`.
    pub(super) fn new_date(&mut self, arguments: &[Ast], span: Span) -> Check<Expr> {
        match arguments {
            [] => fault(
                DiagnosticKind::Unsupported,
                span,
                "`new Date()` is not there: a lambda gives the same answer every time",
                "put the moment into the data",
            ),
            [one] => {
                let value = self.expression(one)?;
                self.date_of(value, span)
            }
            _ => {
                let time = self.date_from_parts(arguments, span)?;
                Ok(date(time))
            }
        }
    }

    fn date_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        if !value.kind.is_sure() && value.kind.ty != Ty::Nil {
            let nulls = value.kind.nulls;
            return self.with(value, |me, value| {
                let mut all = me.date_of(super::present(value.clone()), span)?;
                if nulls.has(Nulls::NULL) {
                    all = me.choose(super::is_nil(value.clone(), Nulls::NULL), date(Expr::float(0.0)), all, span)?;
                }
                if nulls.has(Nulls::UNDEFINED) {
                    all = me.choose(super::is_nil(value, Nulls::UNDEFINED), date(Expr::float(f64::NAN)), all, span)?;
                }
                Ok(all)
            });
        }
        match value.kind.ty {
            Ty::Date => Ok(value),
            Ty::Time => Ok(date(milliseconds(value))),
            Ty::Str => Ok(date(Expr::call(Ty::Float, "date_parse", vec![value]))),
            Ty::Int | Ty::Float | Ty::Bool | Ty::Nil => {
                let number = self.float_of(value, span)?;
                Ok(date(Expr::call(Ty::Float, "date_clip", vec![number])))
            }
            Ty::List(_) | Ty::Struct(_) | Ty::Tuple(_) => fault(
                DiagnosticKind::Unsupported,
                span,
                format!("a date of {} cannot be compiled yet", value.kind),
                "give a number or a string",
            ),
        }
    }

    fn date_from_parts(&mut self, arguments: &[Ast], span: Span) -> Check<Expr> {
        let mut parts = Vec::new();
        for (value, span) in self.arguments(arguments)? {
            parts.push(self.float_of(value, span)?);
        }
        if parts.is_empty() || parts.len() > 7 {
            return fault(DiagnosticKind::Unsupported, span, "a date takes year, month, day and so on", "give one to seven numbers");
        }
        let rest = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        parts.extend(rest.iter().skip(parts.len()).map(|default| Expr::float(*default)));
        Ok(Expr::call(Ty::Float, "date_make", parts))
    }

    /// `Date.UTC(…)` and `Date.parse(…)`.
    pub(super) fn date_function(&mut self, name: &str, arguments: &[Ast], object: &Ast, span: Span) -> Check<Expr> {
        match (name, arguments) {
            ("UTC", _) => self.date_from_parts(arguments, span),
            ("parse", [one]) => {
                let value = self.expression(one)?;
                let text = self.text_of(value, span)?;
                Ok(Expr::call(Ty::Float, "date_parse", vec![text]))
            }
            ("now", _) => fault(
                DiagnosticKind::Unsupported,
                span,
                "`Date.now` is not there: a lambda gives the same answer every time",
                "put the moment into the data",
            ),
            _ => super::globals::unknown_global(object, name, ["UTC", "parse"]),
        }
    }
}

fn float_or_nan(value: Expr) -> Expr {
    super::float_math(crate::tree::FloatMath::Mul, milliseconds(value), Expr::float(0.0))
}

/// As `String(date)` (0), `toDateString()` (1) or `toUTCString()` (2).
pub(super) fn text(value: Expr, which: i64) -> Expr {
    let which = Expr::new(Ty::Bool.sure(), Node::Narrow(Expr::int(which).boxed()));
    Expr::call(Ty::Str, "date_text", vec![milliseconds(value), which])
}
