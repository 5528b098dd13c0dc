//! Methods of strings, numbers, lists and timestamps.

use super::convert::{compare, float};
use super::members::list_get;
use super::operators::int_math;
use super::{Check, Checker, Want, concat, fault, nearest};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Nulls, Ty};
use crate::syntax::{Ast, Function, Syntax};
use crate::tree::{Compare, Expr, IntMath, Node, Stmt};

/// An argument of a string method and what stands there where it is left out.
#[derive(Debug, Clone, Copy)]
enum Argument {
    Text,
    TextOr(&'static str),
    Number(f64),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Text,
    TextOrUndefined,
    NumberOrUndefined,
    Flag,
    /// A Float that is an integer.
    Whole,
    Number,
    /// A small integer as i32.
    Order,
    Texts,
}

const INFINITY: f64 = f64::INFINITY;

type Method = (&'static str, &'static str, &'static [Argument], Answer);

/// Name, runtime function, arguments behind the string itself, answer.
const STRING_METHODS: &[Method] = &[
    ("toUpperCase", "str_upper", &[], Answer::Text),
    ("toLowerCase", "str_lower", &[], Answer::Text),
    ("toLocaleUpperCase", "str_upper", &[], Answer::Text),
    ("toLocaleLowerCase", "str_lower", &[], Answer::Text),
    ("trim", "str_trim", &[], Answer::Text),
    ("trimStart", "str_trim_start", &[], Answer::Text),
    ("trimEnd", "str_trim_end", &[], Answer::Text),
    ("slice", "str_slice", &[Argument::Number(0.0), Argument::Number(INFINITY)], Answer::Text),
    ("substring", "str_substring", &[Argument::Number(0.0), Argument::Number(INFINITY)], Answer::Text),
    ("substr", "str_substr", &[Argument::Number(0.0), Argument::Number(INFINITY)], Answer::Text),
    ("charAt", "str_char_at", &[Argument::Number(0.0)], Answer::Text),
    ("charCodeAt", "str_char_code_at", &[Argument::Number(0.0)], Answer::Number),
    ("codePointAt", "str_code_point_at", &[Argument::Number(0.0)], Answer::NumberOrUndefined),
    ("at", "str_at", &[Argument::Number(0.0)], Answer::TextOrUndefined),
    ("indexOf", "str_index_of", &[Argument::Text, Argument::Number(0.0)], Answer::Whole),
    ("lastIndexOf", "str_last_index_of", &[Argument::Text, Argument::Number(INFINITY)], Answer::Whole),
    ("includes", "str_includes", &[Argument::Text, Argument::Number(0.0)], Answer::Flag),
    ("startsWith", "str_starts_with", &[Argument::Text, Argument::Number(0.0)], Answer::Flag),
    ("endsWith", "str_ends_with", &[Argument::Text, Argument::Number(INFINITY)], Answer::Flag),
    ("replace", "str_replace", &[Argument::Text, Argument::Text], Answer::Text),
    ("replaceAll", "str_replace_all", &[Argument::Text, Argument::Text], Answer::Text),
    ("split", "str_split", &[Argument::Text, Argument::Number(4_294_967_295.0)], Answer::Texts),
    ("repeat", "str_repeat", &[Argument::Number(0.0)], Answer::Text),
    ("padStart", "str_pad_start", &[Argument::Number(0.0), Argument::TextOr(" ")], Answer::Text),
    ("padEnd", "str_pad_end", &[Argument::Number(0.0), Argument::TextOr(" ")], Answer::Text),
    ("localeCompare", "str_locale_compare", &[Argument::Text], Answer::Order),
];

const OTHER_STRING_METHODS: [&str; 3] = ["concat", "toString", "valueOf"];
const NUMBER_METHODS: [&str; 5] = ["toFixed", "toString", "toPrecision", "toExponential", "valueOf"];
const LIST_METHODS: [&str; 8] = ["includes", "indexOf", "join", "at", "map", "filter", "some", "every"];

impl Checker<'_> {
    /// `base.name(arguments)` of a value that is there.
    pub(super) fn method(&mut self, base: Expr, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        match &base.kind.ty {
            Ty::Str => self.string_method(base, name, arguments, span),
            Ty::Int | Ty::Float => self.number_method(base, name, arguments, span),
            Ty::Bool if name == "toString" => self.text_of(base, span),
            Ty::List(_) | Ty::Tuple(_) => self.list_method(base, name, arguments, span),
            Ty::Time if matches!(name, "getTime" | "valueOf") => self.number_of(base, span),
            _ => unknown_method(&base.kind, name, &[], span),
        }
    }

    pub(super) fn arguments(&mut self, arguments: &[Ast]) -> Check<Vec<(Expr, Span)>> {
        arguments.iter().map(|argument| Ok((self.expression(argument)?, argument.span))).collect()
    }

    fn string_method(&mut self, base: Expr, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        let mut given = self.arguments(arguments)?.into_iter();
        match name {
            "toString" | "valueOf" => return Ok(base),
            "concat" => {
                let mut pieces = vec![base];
                for (argument, span) in given {
                    pieces.push(self.text_of(argument, span)?);
                }
                return Ok(concat(pieces));
            }
            "split" if given.len() == 0 => {
                let kind = Kind { ty: Ty::List(Box::new(Ty::Str.sure())), nulls: Nulls::NONE };
                return Ok(Expr::new(Ty::Tuple(vec![Ty::Str.sure()]).sure(), Node::Parts(vec![base])).widen(&kind));
            }
            _ => {}
        }
        let Some((_, function, wanted, answer)) = STRING_METHODS.iter().find(|(known, ..)| *known == name) else {
            let known: Vec<&str> = STRING_METHODS.iter().map(|(known, ..)| *known).chain(OTHER_STRING_METHODS).collect();
            return unknown_method(&base.kind, name, &known, span);
        };
        let mut values = vec![base];
        for argument in *wanted {
            let value = given.next().filter(|(value, _)| value.kind != Kind::UNDEFINED);
            values.push(match (argument, value) {
                (Argument::Text | Argument::TextOr(_), Some((value, span))) => self.text_of(value, span)?,
                (Argument::Number(_), Some((value, span))) => self.float_of(value, span)?,
                (Argument::Text, None) => Expr::str("undefined"),
                (Argument::TextOr(default), None) => Expr::str(*default),
                (Argument::Number(default), None) => Expr::float(*default),
            });
        }
        let function = match (*function, values.get(1).map(|separator| &separator.node), values.get(2).map(|limit| &limit.node)) {
            ("str_split", Some(Node::Str(text)), Some(Node::Float(4_294_967_295.0))) if text.is_empty() => {
                values.truncate(1);
                "str_chars"
            }
            (function, ..) => function,
        };
        Ok(answered(*answer, function, values))
    }

    fn number_method(&mut self, base: Expr, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        let mut given = self.arguments(arguments)?.into_iter();
        let first = given.next().filter(|(value, _)| value.kind != Kind::UNDEFINED);
        let function = match (name, &first) {
            ("valueOf", _) => return Ok(base),
            ("toString", None) => return self.text_of(base, span),
            ("toString", Some((Expr { node: Node::Int(10), .. }, _))) => return self.text_of(base, span),
            ("toPrecision", None) => return self.text_of(base, span),
            ("toString", _) => "num_to_radix",
            ("toFixed", _) => "num_to_fixed",
            ("toPrecision", _) => "num_to_precision",
            ("toExponential", Some(_)) => "num_to_exponential",
            ("toExponential", None) => {
                return fault(
                    DiagnosticKind::Unsupported,
                    span,
                    "toExponential() without digits cannot be compiled yet",
                    "give the digits",
                );
            }
            _ => return unknown_method(&base.kind, name, &NUMBER_METHODS, span),
        };
        let digits = match first {
            Some((value, span)) => self.int_of(value, span)?,
            None => Expr::int(0),
        };
        let digits = Expr::new(Ty::Bool.sure(), Node::Narrow(digits.boxed()));
        Ok(Expr::call(Ty::Str, function, vec![float(base), digits]))
    }

    fn list_method(&mut self, base: Expr, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        if !LIST_METHODS.contains(&name) {
            return unknown_method(&base.kind, name, &LIST_METHODS, span);
        }
        let list = self.list_of(base, span)?;
        if let ("map" | "filter" | "some" | "every", [Ast { node: Syntax::Function(function), .. }]) = (name, arguments) {
            return self.callback(list, name, function, span);
        }
        let mut given = self.arguments(arguments)?.into_iter();
        match (name, given.next()) {
            ("join", None) => self.join(list, Expr::str(","), span),
            ("join", Some((separator, span))) => {
                let separator = self.text_of(separator, span)?;
                self.join(list, separator, span)
            }
            ("at", Some((index, span))) => {
                let index = self.int_of(index, span)?;
                self.with(list, |me, list| {
                    me.with(index, |me, index| {
                        let length = Expr::new(Ty::Int.sure(), Node::ListLen(list.clone().boxed()));
                        let is_behind = compare(Compare::Less, index.clone(), Expr::int(0));
                        let from_end = int_math(IntMath::Add, length, index.clone());
                        let index = me.choose(is_behind, from_end, index, span)?;
                        Ok(list_get(list, index))
                    })
                })
            }
            ("includes", Some((wanted, span))) => {
                let at = self.index_of(list, wanted, span)?;
                Ok(compare(Compare::GreaterEqual, at, Expr::int(0)))
            }
            ("indexOf", Some((wanted, span))) => self.index_of(list, wanted, span),
            _ => fault(
                DiagnosticKind::Unsupported,
                span,
                format!("`{name}` with these arguments cannot be compiled yet"),
                "write the callback in place, as in `list.map(x => x + 1)`",
            ),
        }
    }

    fn index_of(&mut self, list: Expr, wanted: Expr, span: Span) -> Check<Expr> {
        let Ty::List(element) = &list.kind.ty else {
            return fault(DiagnosticKind::Type, span, "not a list", "give a list");
        };
        if !element.is_sure() || !wanted.kind.is_sure() {
            return fault(
                DiagnosticKind::Unsupported,
                span,
                format!("searching {} for {} cannot be compiled yet", list.kind, wanted.kind),
                "put `??` behind the value; lists with nulls cannot be searched yet",
            );
        }
        let (function, list, wanted) = match (&element.ty, &wanted.kind.ty) {
            (Ty::Str, Ty::Str) => ("list_index_of_str", list, wanted),
            (Ty::Int, Ty::Int) => ("list_index_of_int", list, wanted),
            (Ty::Float, Ty::Int | Ty::Float) => ("list_index_of_num", list, float(wanted)),
            (Ty::Int, Ty::Float) => {
                let kind = Ty::List(Box::new(Ty::Float.sure())).sure();
                ("list_index_of_num", list.widen(&kind), wanted)
            }
            (Ty::Nil, _) => return Ok(Expr::int(-1)),
            _ => {
                return fault(
                    DiagnosticKind::Unsupported,
                    span,
                    format!("searching {} for {} cannot be compiled yet", list.kind, wanted.kind),
                    "search lists of numbers or strings for a value of their type",
                );
            }
        };
        let found = Expr::call(Ty::Float, function, vec![list, wanted]);
        Ok(Expr::new(Ty::Int.sure(), Node::FloatToInt(found.boxed())))
    }

    /// `list.join(separator)`: null and undefined elements are empty.
    pub(super) fn join(&mut self, list: Expr, separator: Expr, span: Span) -> Check<Expr> {
        let Ty::List(element) = list.kind.ty.clone() else {
            return fault(DiagnosticKind::Type, span, "not a list", "give a list");
        };
        let texts = if *element == Ty::Str.sure() {
            list
        } else {
            let slot = self.slot(&element);
            let item = Expr::new((*element).clone(), Node::Local(slot));
            let text = if element.is_sure() {
                self.text_of(item, span)?
            } else {
                let nil = super::convert::is_nil(item.clone(), Nulls::BOTH);
                let text = match element.ty {
                    Ty::Nil => Expr::str(""),
                    _ => self.text_of(super::convert::present(item), span)?,
                };
                self.choose(nil, Expr::str(""), text, span)?
            };
            let kind = Ty::List(Box::new(Ty::Str.sure())).sure();
            Expr::new(kind, Node::ListMap(slot, list.boxed(), text.boxed()))
        };
        Ok(Expr::call(Ty::Str, "list_join", vec![texts, separator]))
    }

    fn callback(&mut self, list: Expr, name: &str, function: &Function, span: Span) -> Check<Expr> {
        let Ty::List(element) = list.kind.ty.clone() else {
            return fault(DiagnosticKind::Type, span, "not a list", "give a list");
        };
        if function.params.len() > 1 {
            return fault(DiagnosticKind::Unsupported, span, "a callback with an index cannot be compiled yet", "take the element only");
        }
        let slot = self.slot(&element);
        let item = Expr::new((*element).clone(), Node::Local(slot));
        let mut statements = Vec::new();
        let want = if name == "map" { Want::Value } else { Want::Truth };
        let mut value = self.apply(function, vec![item], want, &mut statements)?;
        if name == "every" {
            value = super::convert::not(value);
        }
        if !statements.is_empty() {
            let kind = value.kind.clone();
            statements.push(Stmt::Return(value));
            value = Expr::new(kind, Node::Block(statements));
        }
        if name == "map" {
            let kind = Ty::List(Box::new(value.kind.clone())).sure();
            return Ok(Expr::new(kind, Node::ListMap(slot, list.boxed(), value.boxed())));
        }
        let kept = Expr::new(list.kind.clone(), Node::ListFilter(slot, list.boxed(), value.boxed()));
        if name == "filter" {
            return Ok(kept);
        }
        let count = Expr::new(Ty::Int.sure(), Node::ListLen(kept.boxed()));
        let operator = if name == "some" { Compare::NotEqual } else { Compare::Equal };
        Ok(compare(operator, count, Expr::int(0)))
    }
}

fn answered(answer: Answer, function: &'static str, values: Vec<Expr>) -> Expr {
    match answer {
        Answer::Text => Expr::call(Ty::Str, function, values),
        Answer::Number => Expr::call(Ty::Float, function, values),
        Answer::Flag => Expr::call(Ty::Bool, function, values),
        Answer::Texts => Expr::call(Ty::List(Box::new(Ty::Str.sure())), function, values),
        Answer::TextOrUndefined => Expr::new(Ty::Str.sure().with(Nulls::UNDEFINED), Node::CallOrUndefined(function, values)),
        Answer::NumberOrUndefined => Expr::new(Ty::Float.sure().with(Nulls::UNDEFINED), Node::CallOrUndefined(function, values)),
        Answer::Whole => {
            let whole = Expr::call(Ty::Float, function, values);
            Expr::new(Ty::Int.sure(), Node::FloatToInt(whole.boxed()))
        }
        Answer::Order => {
            let order = Expr::call(Ty::Bool, function, values);
            Expr::new(Ty::Int.sure(), Node::Extend(order.boxed()))
        }
    }
}

fn unknown_method<T>(kind: &Kind, name: &str, known: &[&str], span: Span) -> Check<T> {
    /// Methods that exist in JavaScript on strings, lists and dates and are not taken yet.
    const LATER: [&str; 26] = [
        "match",
        "matchAll",
        "search",
        "normalize",
        "codePoints",
        "reduce",
        "reduceRight",
        "flatMap",
        "flat",
        "find",
        "findIndex",
        "findLast",
        "forEach",
        "slice",
        "sort",
        "toSorted",
        "reverse",
        "toReversed",
        "concat",
        "push",
        "keys",
        "entries",
        "toISOString",
        "getFullYear",
        "getUTCFullYear",
        "toLocaleString",
    ];
    if LATER.contains(&name) {
        let hint = format!("methods that can: {}", known.join(", "));
        let message = format!("`{name}` on {kind} cannot be compiled yet");
        return Err(Fault::new(DiagnosticKind::Unsupported, span, message).hint(hint).into());
    }
    let fault = Fault::new(DiagnosticKind::UnknownName, span, format!("{kind} has no method `{name}`"));
    Err(match nearest(name, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => fault.hint("name a property of it first"),
        None => fault.hint(format!("it has {}", known.join(", "))),
    }
    .into())
}
