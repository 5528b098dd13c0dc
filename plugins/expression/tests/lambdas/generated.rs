//! Functions made at random from a fixed seed: what the compiler takes must answer as Node does.
//!
//! Two known differences are kept out: a cut through a surrogate pair (it leaves U+FFFD), and integers that are -0.

use crate::case::{Case, Expect};
use azora_expression::{Element, Field, Type};
use serde_json::{Value, json};

/// A small generator of numbers that is the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

fn number(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return random
            .pick(&["r.i", "r.n", "r.f", "r.g", "r.b", "1", "0", "3", "2.5", "-7", "r.s.length", "r.l.length", "1e3", "null"])
            .to_owned();
    }
    let depth = depth - 1;
    let (a, b) = (number(random, depth), number(random, depth));
    match random.below(20) {
        0..=3 => format!("({a} + {b})"),
        4..=6 => format!("({a} - {b})"),
        7 => format!("({a} * {b})"),
        // Integers have no negative zero, which only a division by it shows.
        8 => format!("({a} / Math.abs({b}))"),
        9 => format!("({a} % {})", random.pick(&["3", "7", "-4", "2", "6", "2.5", &b])),
        10 => format!("({} ? {a} : {b})", truth(random, depth)),
        11 => format!("({a} {} {b})", random.pick(&["|", "&", "^", "<<", ">>", ">>>"])),
        12 => format!("Math.{}({a})", random.pick(&["floor", "ceil", "round", "trunc", "abs", "sign", "sqrt", "fround", "clz32"])),
        13 => format!("Math.{}({a}, {b})", random.pick(&["min", "max"])),
        14 => format!("({a} {} {b})", random.pick(&["??", "||", "&&"])),
        15 => format!("{}.indexOf({})", text(random, depth), text(random, depth)),
        16 => format!("Number({})", text(random, depth)),
        17 => format!("{}({a})", random.pick(&["-", "+", "~"])),
        18 => format!("{}.length", text(random, depth)),
        _ => format!("(r.p?.x ?? {a})"),
    }
}

fn truth(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return random.pick(&["r.b", "true", "r.i > 2", "r.n == null", "r.s", "r.t", "r.f < 1", "!r.n", "r.p"]).to_owned();
    }
    let depth = depth - 1;
    match random.below(8) {
        0..=2 => {
            let operator = random.pick(&["<", "<=", ">", ">=", "===", "!==", "==", "!="]);
            format!("({} {operator} {})", number(random, depth), number(random, depth))
        }
        3 => {
            let operator = random.pick(&["<", ">", "===", "!=="]);
            format!("({} {operator} {})", text(random, depth), text(random, depth))
        }
        4 => format!("({} && {})", truth(random, depth), truth(random, depth)),
        5 => format!("({} || {})", truth(random, depth), truth(random, depth)),
        6 => format!("!{}", truth(random, depth)),
        _ => format!("{}.{}({})", text(random, depth), random.pick(&["includes", "startsWith", "endsWith"]), text(random, depth)),
    }
}

fn text(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return random.pick(&["r.s", "(r.t ?? 'none')", "'a'", "''", "'x日y'", "String(r.i)", "String(r.n)", "`${r.t}`"]).to_owned();
    }
    let depth = depth - 1;
    match random.below(11) {
        0 | 1 => format!("({} + {})", text(random, depth), text(random, depth)),
        2 => format!("({} + {})", text(random, depth), number(random, depth.min(1))),
        3 => format!("{}.{}()", text(random, depth), random.pick(&["toUpperCase", "toLowerCase", "trim", "trimEnd"])),
        4 => format!(
            "{}.{}({})",
            text(random, depth),
            random.pick(&["slice", "substring", "charAt", "substr"]),
            random.pick(&["1", "-2", "0", "r.i"])
        ),
        5 => format!("{}.slice({}, {})", text(random, depth), random.pick(&["0", "1", "-3"]), random.pick(&["2", "-1", "r.i"])),
        6 => format!("({} ? {} : {})", truth(random, depth), text(random, depth), text(random, depth)),
        7 => format!("{}.replace({}, {})", text(random, depth), text(random, depth), text(random, depth)),
        8 => format!("({} {} {})", text(random, depth), random.pick(&["||", "&&", "??"]), text(random, depth)),
        9 => format!("{}.padStart({}, 'ab')", text(random, depth), random.pick(&["3", "6", "r.i"])),
        _ => format!("{}.split({}).join('_')", text(random, depth), random.pick(&["'a'", "''", "r.s"])),
    }
}

fn function(random: &mut Random) -> String {
    let depth = 1 + random.below(3);
    match random.below(5) {
        0 => format!("r => {}", number(random, depth)),
        1 => format!("r => {}", text(random, depth)),
        2 => format!("r => ({{a: {}, b: {}}})", number(random, depth), truth(random, depth)),
        3 => {
            let (a, b, c) = (number(random, depth), truth(random, depth), number(random, depth));
            format!(
                "r => {{ let x = {a}; if ({b}) {{ x = {c}; }} else if (x > 3) return [x, 'big']; x += 1; return [x, {}]; }}",
                text(random, depth)
            )
        }
        _ => format!("r => [{}, {}]", truth(random, depth), number(random, depth)),
    }
}

fn input() -> Element {
    let field = |name: &str, ty: Type, nullable: bool| Field::new(name, ty, nullable);
    Element::Object(vec![
        field("i", Type::Int64, false),
        field("n", Type::Int64, true),
        field("f", Type::Float64, false),
        field("g", Type::Float64, true),
        field("b", Type::Boolean, false),
        field("s", Type::Utf8, false),
        field("t", Type::Utf8, true),
        field("l", Type::List(Box::new(field("item", Type::Utf8, false))), false),
        field("m", Type::List(Box::new(field("item", Type::Int64, false))), false),
        field("p", Type::Struct(vec![field("x", Type::Int64, true)]), true),
    ])
}

fn rows() -> Vec<Value> {
    (0..20_i64)
        .map(|at| {
            json!({
                "i": ([0, 1, 2, -3, 5, 100, -7][at as usize % 7]),
                "n": if at % 3 == 0 { Value::Null } else { json!(at - 6) },
                "f": ([0.5, -1.5, 3.0, 0.0, 1e10, -0.25][at as usize % 6]),
                "g": if at % 4 == 1 { Value::Null } else { json!(at as f64 / 8.0) },
                "b": at % 2 == 0,
                "s": (["a", "", "Hello", "x日y", " 12 ", "straße", "a,a"][at as usize % 7]),
                "t": if at % 5 == 2 { Value::Null } else { json!(["b", "3", "ZZ", "é"][at as usize % 4]) },
                "l": (&["p", "q", "r"][..at as usize % 4]),
                "m": (&[7, -2, 7, 0, 3][..at as usize % 6 % 5]),
                "p": if at % 4 == 3 { Value::Null } else { json!({"x": if at % 4 == 2 { Value::Null } else { json!(at) }}) },
            })
        })
        .collect()
}

/// Cases without expectations: Node's answer is it.
pub(crate) fn cases(seed: u64, count: usize) -> Vec<Case> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let text = function(&mut random);
            Case {
                name: text.clone(),
                input: input(),
                rows: rows(),
                steps: vec![("map".to_owned(), text)],
                end: Vec::new(),
                expect: Expect::Rows(Vec::new()),
                is_for_node: true,
            }
        })
        .collect()
}

/// A function over the integers.
pub(crate) fn over_integers(text: &str) -> Case {
    Case {
        name: text.to_owned(),
        input: Element::scalar(Type::Int64, false),
        rows: vec![json!(1), json!(2), json!(3)],
        steps: vec![("map".to_owned(), text.to_owned())],
        end: Vec::new(),
        expect: Expect::Rows(Vec::new()),
        is_for_node: false,
    }
}

/// Bytes of functions that are compiled together.
const GRAMMATICAL_BYTES_MAX: usize = 9_000;

/// Functions of the grammar, many in each case.
pub(crate) fn grammatical(seed: u64, cases: usize, functions: usize) -> Vec<Case> {
    let mut random = Random::new(seed ^ 0x6A6A_6A6A);
    (0..cases)
        .map(|_| {
            // The compiler has a limit on words, which a few would be over.
            let text = loop {
                let text = crate::grammar::Grammar::new(&mut random).lambda(functions);
                if text.len() < GRAMMATICAL_BYTES_MAX {
                    break text;
                }
            };
            Case {
                name: text.clone(),
                input: input(),
                rows: rows(),
                steps: vec![("map".to_owned(), text)],
                end: Vec::new(),
                expect: Expect::Rows(Vec::new()),
                is_for_node: true,
            }
        })
        .collect()
}

/// Drops, doubles, swaps and borrows words.
pub(crate) fn mangle(random: &mut Random, text: &str, donor: &str) -> String {
    let mut words = words(text);
    let donated = self::words(donor);
    for _ in 0..=random.below(2) {
        let (a, b) = (random.below(words.len().max(1)), random.below(words.len().max(1)));
        if words.is_empty() {
            break;
        }
        match random.below(4) {
            0 => drop(words.remove(a)),
            1 => words.insert(a, words[b].clone()),
            2 => words.swap(a, b),
            _ if !donated.is_empty() => words[a].clone_from(&donated[random.below(donated.len())]),
            _ => {}
        }
    }
    words.concat()
}

fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for c in text.chars() {
        match out.last_mut() {
            Some(last) if c.is_alphanumeric() && last.ends_with(char::is_alphanumeric) => last.push(c),
            _ => out.push(c.to_string()),
        }
    }
    out
}
