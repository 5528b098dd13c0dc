//! Methods of strings and numbers, and which methods there are at all. Those of lists and dates are in `lists` and `dates`.

use super::convert::float;
use super::{Check, Checker, concat, fault, nearest};
use crate::error::{DiagnosticKind, Fault, Span};
use crate::kind::{Kind, Nulls, Ty};
use crate::syntax::{Ast, Syntax};
use crate::tree::{Expr, Node};

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

impl Checker<'_> {
    /// `base.name(arguments)` of a value that is there.
    pub(super) fn method(&mut self, base: Expr, object: &Ast, name: &str, arguments: &[Ast], span: Span) -> Check<Expr> {
        if arguments.iter().any(|argument| matches!(argument.node, Syntax::Spread(_))) && !matches!(name, "concat" | "push") {
            return fault(DiagnosticKind::Unsupported, span, "`...` cannot be compiled here yet", "list the arguments");
        }
        match &base.kind.ty {
            Ty::Str => self.string_method(base, name, arguments, span),
            Ty::Int | Ty::Float => self.number_method(base, name, arguments, span),
            Ty::Nil if base.kind.is_sure() => Ok(base),
            Ty::Bool if name == "toString" => self.text_of(base, span),
            Ty::List(_) | Ty::Tuple(_) => self.list_method(base, object, name, arguments, span),
            Ty::Time | Ty::Date => self.date_method(base, name, arguments, span),
            Ty::Struct(parts) => match parts.iter().find(|part| part.name == name) {
                Some(part) => {
                    let message = format!("`{name}` is {} and not a function", part.kind);
                    fault(DiagnosticKind::Type, span, message, "read it without brackets")
                }
                None if name == "hasOwnProperty" && base.kind.is_sure() => self.has_own(base, arguments, span),
                None if name == "toString" => self.text_of(base, span),
                None => unknown_method(&base.kind, name, &[], span),
            },
            _ => unknown_method(&base.kind, name, &[], span),
        }
    }

    fn has_own(&mut self, base: Expr, arguments: &[Ast], span: Span) -> Check<Expr> {
        let name = match arguments.first() {
            Some(argument) => self.expression(argument)?,
            None => Expr::undefined(),
        };
        if let (Node::Str(name), Ty::Struct(parts)) = (&name.node, &base.kind.ty) {
            match parts.iter().find(|part| part.name == *name) {
                None => return Ok(Expr::bool(false)),
                Some(part) if !part.kind.nulls.has(Nulls::UNDEFINED) => return Ok(Expr::bool(true)),
                Some(_) => {}
            }
        }
        fault(DiagnosticKind::Unsupported, span, "this question about a property cannot be compiled yet", "compare it with undefined")
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
            "localeCompare" if given.len() > 1 => {
                return fault(DiagnosticKind::Unsupported, span, "`localeCompare` with a language cannot be compiled yet", "leave it out");
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

/// Methods that JavaScript has on strings, numbers, lists, dates or any value at all.
const JAVASCRIPT: [&str; 62] = [
    "match",
    "matchAll",
    "search",
    "normalize",
    "isWellFormed",
    "toWellFormed",
    "anchor",
    "link",
    "trimLeft",
    "trimRight",
    "copyWithin",
    "with",
    "toSpliced",
    "unshift",
    "splice",
    "keys",
    "values",
    "entries",
    "toLocaleString",
    "toLocaleDateString",
    "toLocaleTimeString",
    "toTimeString",
    "toUTCString",
    "toGMTString",
    "toJSON",
    "getYear",
    "setYear",
    "setTime",
    "setDate",
    "setMonth",
    "setFullYear",
    "setHours",
    "setMinutes",
    "setSeconds",
    "setMilliseconds",
    "setUTCDate",
    "setUTCMonth",
    "setUTCFullYear",
    "setUTCHours",
    "setUTCMinutes",
    "setUTCSeconds",
    "setUTCMilliseconds",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "valueOf",
    "toString",
    "constructor",
    "call",
    "apply",
    "bind",
    "big",
    "blink",
    "bold",
    "fixed",
    "fontcolor",
    "fontsize",
    "italics",
    "small",
    "strike",
    "sub",
    "sup",
];

/// Whether values of some type have a method of this name in JavaScript.
pub(super) fn is_method(name: &str) -> bool {
    let is_string = STRING_METHODS.iter().any(|(known, ..)| *known == name) || OTHER_STRING_METHODS.contains(&name);
    let is_other = NUMBER_METHODS.contains(&name) || super::lists::METHODS.contains(&name) || super::dates::METHODS.contains(&name);
    is_string || is_other || JAVASCRIPT.contains(&name) || name == "toString"
}

pub(super) fn unknown_method<T>(kind: &Kind, name: &str, known: &[&str], span: Span) -> Check<T> {
    // Which of the rarer ones belong to which type is for an interpreter to say.
    if JAVASCRIPT.contains(&name) || known.contains(&name) {
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
