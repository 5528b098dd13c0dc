//! The functions of the runtime, what they take and what JavaScript calls them.

/// An argument, or an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(f64),
    /// Passed as `i64`.
    Int(i64),
    /// Passed as `i32`.
    Small(i32),
    Texts(Vec<String>),
    Undefined,
    /// JavaScript threw; the runtime noted a failure.
    Thrown,
}

/// What a function's answer is packed as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Text,
    Texts,
    Number,
    Flag,
}

/// What kind of argument a function takes at some place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    /// Often a part of the first argument.
    Part,
    /// A part of the first argument, or empty only where that has no character of two units.
    Pattern,
    /// What `replace` puts in, with dollar signs.
    Substitute,
    Ascii,
    /// A number in digits, or nearly.
    Digits,
    Texts,
    Position,
    /// Zero to a few, or nonsense.
    Count,
    Limit,
    Number,
    /// A number that an angle or an exponent may be.
    Modest,
    /// A small whole number.
    Whole,
    Int,
    DigitCount,
    Radix,
    RadixOrNone,
}

/// A function of the runtime and what Node says it is.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) kinds: &'static [Kind],
    pub(crate) answer: Answer,
    pub(crate) javascript: &'static str,
    /// By how many units in the last place it may differ from V8.
    pub(crate) ulps: u64,
}

const fn exact(name: &'static str, kinds: &'static [Kind], answer: Answer, javascript: &'static str) -> Function {
    Function { name, kinds, answer, javascript, ulps: 0 }
}

const fn near(name: &'static str, kinds: &'static [Kind], javascript: &'static str, ulps: u64) -> Function {
    Function { name, kinds, answer: Answer::Number, javascript, ulps }
}

use Kind::{Ascii, Count, DigitCount, Digits, Int, Limit, Modest, Number, Part, Pattern, Position, Radix, RadixOrNone, Substitute, Whole};

pub(crate) const FUNCTIONS: &[Function] = &[
    exact("str_len", &[Kind::Text], Answer::Number, "s.length"),
    exact("str_slice", &[Kind::Text, Position, Position], Answer::Text, "s.slice(x, y)"),
    exact("str_substring", &[Kind::Text, Position, Position], Answer::Text, "s.substring(x, y)"),
    exact("str_substr", &[Kind::Text, Position, Position], Answer::Text, "s.substr(x, y)"),
    exact("str_char_at", &[Kind::Text, Position], Answer::Text, "s.charAt(x)"),
    exact("str_index", &[Kind::Text, Position], Answer::Text, "s[x]"),
    exact("str_at", &[Kind::Text, Position], Answer::Text, "s.at(x)"),
    exact("str_char_code_at", &[Kind::Text, Position], Answer::Number, "s.charCodeAt(x)"),
    exact("str_code_point_at", &[Kind::Text, Position], Answer::Number, "s.codePointAt(x) ?? NaN"),
    exact("str_from_char_code", &[Number], Answer::Text, "String.fromCharCode(s)"),
    exact("str_from_code_point", &[Position], Answer::Text, "String.fromCodePoint(s)"),
    exact("str_upper", &[Kind::Text], Answer::Text, "s.toUpperCase()"),
    exact("str_lower", &[Kind::Text], Answer::Text, "s.toLowerCase()"),
    exact("str_trim", &[Kind::Text], Answer::Text, "s.trim()"),
    exact("str_trim_start", &[Kind::Text], Answer::Text, "s.trimStart()"),
    exact("str_trim_end", &[Kind::Text], Answer::Text, "s.trimEnd()"),
    exact("str_eq", &[Kind::Text, Part], Answer::Flag, "s === x"),
    exact("str_cmp", &[Kind::Text, Kind::Text], Answer::Number, "s < x ? -1 : s > x ? 1 : 0"),
    exact("str_locale_compare", &[Ascii, Ascii], Answer::Number, "s.localeCompare(x, 'en')"),
    exact("str_index_of", &[Kind::Text, Part, Position], Answer::Number, "s.indexOf(x, y)"),
    exact("str_last_index_of", &[Kind::Text, Part, Position], Answer::Number, "s.lastIndexOf(x, y)"),
    exact("str_includes", &[Kind::Text, Part, Position], Answer::Flag, "s.includes(x, y)"),
    exact("str_starts_with", &[Kind::Text, Part, Position], Answer::Flag, "s.startsWith(x, y)"),
    exact("str_ends_with", &[Kind::Text, Part, Position], Answer::Flag, "s.endsWith(x, y)"),
    exact("str_concat", &[Kind::Text, Kind::Text], Answer::Text, "s + x"),
    exact("str_concat3", &[Kind::Text, Kind::Text, Kind::Text], Answer::Text, "s + x + y"),
    exact("str_copy", &[Kind::Text], Answer::Text, "s"),
    exact("str_repeat", &[Kind::Text, Count], Answer::Text, "s.repeat(x)"),
    exact("str_pad_start", &[Kind::Text, Count, Part], Answer::Text, "s.padStart(x, y)"),
    exact("str_pad_end", &[Kind::Text, Count, Part], Answer::Text, "s.padEnd(x, y)"),
    exact("str_replace", &[Kind::Text, Part, Substitute], Answer::Text, "s.replace(x, y)"),
    exact("str_replace_all", &[Kind::Text, Pattern, Substitute], Answer::Text, "s.replaceAll(x, y)"),
    exact("str_split", &[Kind::Text, Part, Limit], Answer::Texts, "s.split(x, y)"),
    exact("str_chars", &[Kind::Text], Answer::Texts, "s.split('')"),
    exact("str_code_points", &[Kind::Text], Answer::Texts, "[...s]"),
    exact("list_join", &[Kind::Texts, Kind::Text], Answer::Text, "s.join(x)"),
    exact("list_index_of_str", &[Kind::Texts, Kind::Text], Answer::Number, "s.indexOf(x)"),
    exact("num_to_str", &[Number], Answer::Text, "String(s)"),
    exact("int_to_str", &[Int], Answer::Text, "String(s)"),
    exact("num_to_fixed", &[Number, DigitCount], Answer::Text, "s.toFixed(x)"),
    exact("num_to_precision", &[Number, DigitCount], Answer::Text, "s.toPrecision(x)"),
    exact("num_to_exponential", &[Number, DigitCount], Answer::Text, "x === -1 ? s.toExponential() : s.toExponential(x)"),
    exact("num_to_radix", &[Number, Radix], Answer::Text, "s.toString(x)"),
    exact("str_to_num", &[Digits], Answer::Number, "Number(s)"),
    exact("parse_float", &[Digits], Answer::Number, "parseFloat(s)"),
    exact("parse_int", &[Digits, RadixOrNone], Answer::Number, "parseInt(s, x)"),
    exact("f64_rem", &[Number, Number], Answer::Number, "s % x"),
    exact("f64_to_int32", &[Number], Answer::Number, "s | 0"),
    exact("math_round", &[Number], Answer::Number, "Math.round(s)"),
    exact("math_sign", &[Number], Answer::Number, "Math.sign(s)"),
    exact("math_fround", &[Number], Answer::Number, "Math.fround(s)"),
    exact("math_clz32", &[Number], Answer::Number, "Math.clz32(s)"),
    exact("math_imul", &[Number, Number], Answer::Number, "Math.imul(s, x)"),
    // V8 takes sine and cosine from tables, so about two arguments in a hundred differ in the last place.
    near("math_sin", &[Modest], "Math.sin(s)", 1),
    near("math_cos", &[Modest], "Math.cos(s)", 1),
    exact("math_tan", &[Modest], Answer::Number, "Math.tan(s)"),
    exact("math_asin", &[Modest], Answer::Number, "Math.asin(s)"),
    exact("math_acos", &[Modest], Answer::Number, "Math.acos(s)"),
    exact("math_atan", &[Modest], Answer::Number, "Math.atan(s)"),
    exact("math_atan2", &[Modest, Modest], Answer::Number, "Math.atan2(s, x)"),
    exact("math_sinh", &[Modest], Answer::Number, "Math.sinh(s)"),
    exact("math_cosh", &[Modest], Answer::Number, "Math.cosh(s)"),
    exact("math_tanh", &[Modest], Answer::Number, "Math.tanh(s)"),
    exact("math_asinh", &[Modest], Answer::Number, "Math.asinh(s)"),
    exact("math_acosh", &[Modest], Answer::Number, "Math.acosh(s)"),
    exact("math_atanh", &[Modest], Answer::Number, "Math.atanh(s)"),
    exact("math_exp", &[Modest], Answer::Number, "Math.exp(s)"),
    exact("math_expm1", &[Modest], Answer::Number, "Math.expm1(s)"),
    exact("math_log", &[Modest], Answer::Number, "Math.log(s)"),
    exact("math_log1p", &[Modest], Answer::Number, "Math.log1p(s)"),
    exact("math_log2", &[Modest], Answer::Number, "Math.log2(s)"),
    exact("math_log10", &[Modest], Answer::Number, "Math.log10(s)"),
    exact("math_pow", &[Modest, Modest], Answer::Number, "Math.pow(s, x)"),
    exact("math_pow", &[Whole, Whole], Answer::Number, "s ** x"),
    exact("math_cbrt", &[Modest], Answer::Number, "Math.cbrt(s)"),
    exact("math_hypot", &[Modest, Modest], Answer::Number, "Math.hypot(s, x)"),
];
