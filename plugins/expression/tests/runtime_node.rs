//! Every runtime function against Node, on generated arguments: one Node process answers all of them.
//!
//! The linker is not involved: the module runs as it was built. What is known to differ is listed beside the functions.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use wasmtime::{Engine, Instance, Memory, Module, Store, Val};

/// The generator starts here, always; a failure names its case, so nothing else is needed to see it again.
const SEED: u64 = 0x5EED_2026;
/// Cases for each function.
const CASES: usize = 160;

/// An argument, or an answer.
#[derive(Clone, Debug, PartialEq)]
enum Value {
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
enum Answer {
    Text,
    Texts,
    Number,
    Flag,
}

/// What kind of argument a function takes at some place.
#[derive(Clone, Copy, Debug)]
enum Kind {
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
struct Function {
    name: &'static str,
    kinds: &'static [Kind],
    answer: Answer,
    javascript: &'static str,
    /// By how many units in the last place it may differ from V8.
    ulps: u64,
}

const fn exact(name: &'static str, kinds: &'static [Kind], answer: Answer, javascript: &'static str) -> Function {
    Function { name, kinds, answer, javascript, ulps: 0 }
}

const fn near(name: &'static str, kinds: &'static [Kind], javascript: &'static str, ulps: u64) -> Function {
    Function { name, kinds, answer: Answer::Number, javascript, ulps }
}

use Kind::{Ascii, Count, DigitCount, Digits, Int, Limit, Modest, Number, Part, Pattern, Position, Radix, RadixOrNone, Substitute, Whole};

const FUNCTIONS: &[Function] = &[
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

/// A generator that gives the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }

    fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a",
            "B",
            "z",
            "The quick brown fox",
            "0",
            "7",
            "$",
            "%",
            " ",
            "  ",
            "\t",
            "\n",
            "\u{A0}",
            "\u{FEFF}",
            "\u{2003}",
            "\u{2029}",
            "\u{85}",
            "é",
            "ß",
            "İ",
            "ı",
            "ŉ",
            "Σ",
            "ΑΣ",
            "σς",
            "ΐ",
            "Ⱥ",
            "ﬃ",
            "Ǆ",
            "ǅ",
            "e\u{301}",
            "\u{345}",
            "中文",
            "\u{E000}",
            "\u{FFFD}",
            "\u{FFFF}",
            "😀",
            "👩\u{200D}🚀",
            "𐐀",
            "𐐨",
            "\u{10FFFF}",
            "\0",
            "'",
            "\"",
            "\\",
            "aa",
            "ab",
            "abcabc",
            ".",
            "-X1",
        ];
        const ASCII: &[&str] = &["a", "B", "foo", "bar ", "Zz", "_", "1", "9", ",", ";", "x=y", "  ", "Q", "longer piece of text"];
        let pieces = if self.below(3) == 0 { ASCII } else { PIECES };
        let n = self.pick(&[0, 1, 1, 2, 3, 5, 8, 13, 21]);
        (0..n).map(|_| self.pick(pieces)).collect()
    }

    /// A piece of `whole`, cut between characters.
    fn part(&mut self, whole: &str) -> String {
        let chars: Vec<char> = whole.chars().collect();
        let from = usize::try_from(self.below(chars.len() as u64 + 1)).unwrap();
        let n = usize::try_from(self.pick(&[0, 1, 1, 1, 2, 3, 20])).unwrap();
        chars.into_iter().skip(from).take(n).collect()
    }

    fn position(&mut self) -> f64 {
        match self.below(8) {
            0 => self.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e20, -1e20, 4_294_967_296.0, 0.5, -0.5, 2.9]),
            1 => self.below(70_000) as f64,
            2 => -(self.below(30) as f64),
            _ => self.below(30) as f64,
        }
    }

    fn number(&mut self) -> f64 {
        const EDGES: &[f64] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            1.5,
            2.5,
            1.005,
            1.45,
            8.345,
            0.1,
            0.3,
            1e21,
            1e20,
            123_456_789_012_345_680_000.0,
            1e-6,
            1e-7,
            5e-324,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            9_007_199_254_740_993.0,
            4_294_967_295.0,
            4_294_967_296.0,
            2_147_483_648.0,
            -2_147_483_649.0,
            0.499_999_999_999_999_94,
            4_503_599_627_370_495.5,
            1e300,
            255.0,
            0.000_001_234_5,
            999.995,
            99.99999999999999,
        ];
        match self.below(8) {
            0 | 1 => self.pick(EDGES),
            2 | 3 => f64::from_bits(self.next()),
            4 => self.below(2_000_000) as f64 / 1000.0 - 1000.0,
            5 => (self.next() >> self.below(64)) as f64,
            6 => -((self.next() >> self.below(64)) as f64) / 8.0,
            _ => self.below(100_000) as f64 / 100.0,
        }
    }

    fn modest(&mut self) -> f64 {
        match self.below(6) {
            0 => self.number(),
            1 => (self.next() >> 11) as f64 / (1u64 << 53) as f64,
            2 => -((self.next() >> 11) as f64) / (1u64 << 53) as f64,
            3 => self.below(40) as f64 - 20.0,
            _ => (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 200.0 - 100.0,
        }
    }

    fn digits(&mut self) -> String {
        const ODD: &[&str] = &[
            "",
            " ",
            "\t\u{FEFF}",
            "Infinity",
            "-Infinity",
            "+Infinity",
            "infinity",
            "Infinityx",
            "NaN",
            "0x",
            "0xFg",
            "0XfF",
            "-0x10",
            "0b101",
            "0o17",
            "0B2",
            "0x1fffffffffffff8",
            "0x20000000000001",
            "0x20000000000003",
            ".",
            ".5",
            "5.",
            "-.5e-3",
            "+1",
            "++1",
            "1_000",
            "1e",
            "1e+",
            "1e5",
            "1E-7x",
            "1e1000",
            "-1e-1000",
            "0.1e309",
            "12px",
            "1 2",
            "9007199254740993",
            "9007199254740992.999",
            "2.2250738585072011e-308",
            "4.9e-324",
            "2.47e-324",
            "1.7976931348623159e308",
            "abc",
            "Z",
            "zz9",
            "-0",
            "0.0000001",
            "１",
            "1\u{2003}",
            "100000000000000000000000000000000000000001",
            "0x80000000000000000000000000000000000000000000000000000000000000001",
        ];
        let body = match self.below(6) {
            0 | 1 => self.pick(ODD).to_owned(),
            2 => format!("{:e}", self.number()),
            3 => format!("{}", self.number()),
            4 => (0..self.below(40) + 1).map(|_| self.pick(&['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])).collect(),
            _ => (0..self.below(20) + 1).map(|_| self.pick(&['0', '1', 'a', 'F', 'z', '7', 'x', '.', 'e', '-'])).collect(),
        };
        let before = self.pick(&["", "", "", " ", "\n", "-", "+"]);
        let after = self.pick(&["", "", "", " ", "\u{A0}", "0", "x"]);
        format!("{before}{body}{after}")
    }

    fn argument(&mut self, kind: Kind, first: Option<&Value>) -> Value {
        let whole = if let Some(Value::Text(text)) = first { text.clone() } else { String::new() };
        match kind {
            Kind::Text => Value::Text(self.text()),
            Part => {
                let is_part = self.below(4) != 0;
                Value::Text(if is_part { self.part(&whole) } else { self.text() })
            }
            Pattern => {
                let part = self.part(&whole);
                let is_split = part.is_empty() && whole.chars().any(|char| char.len_utf16() == 2);
                Value::Text(if is_split { "a".to_owned() } else { part })
            }
            Substitute => {
                let n = self.below(5);
                Value::Text((0..n).map(|_| self.pick(&["$", "$$", "$&", "$`", "$'", "x", "é", "$1", "$<a>", "longer text"])).collect())
            }
            Ascii => {
                let n = self.below(6);
                let ascii = |random: &mut Self| char::from(u8::try_from(random.below(128)).unwrap());
                Value::Text((0..n).map(|_| if self.below(2) == 0 { self.pick(&['a', 'A', 'b', 'B', '-']) } else { ascii(self) }).collect())
            }
            Digits => Value::Text(self.digits()),
            Kind::Texts => Value::Texts((0..self.below(6)).map(|_| self.text()).collect()),
            Position => Value::Number(self.position()),
            Count => {
                Value::Number(self.pick(&[0.0, 1.0, 2.0, 3.7, 17.0, 40.0, 200.0, -1.0, -0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]))
            }
            Limit => Value::Number(self.pick(&[4_294_967_295.0, 4_294_967_295.0, 0.0, 1.0, 2.9, -1.0, f64::NAN, 4_294_967_297.0])),
            Number => Value::Number(self.number()),
            Modest => Value::Number(self.modest()),
            Whole => Value::Number(self.below(80) as f64 - 20.0),
            Int => {
                let shift = self.below(64);
                Value::Int((self.next().cast_signed() >> shift).wrapping_neg())
            }
            DigitCount => Value::Small(self.pick(&[0, 0, 1, 2, 2, 3, 5, 9, 10, 17, 20, 21, 50, 100, 101, -1])),
            Radix => Value::Small(self.pick(&[2, 3, 7, 8, 10, 16, 16, 32, 36, 36, 1, 37])),
            RadixOrNone => Value::Small(self.pick(&[0, 0, 10, 16, 2, 8, 3, 7, 36, 1, 37])),
        }
    }
}

/// The runtime, running.
struct Guest {
    module: Module,
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Guest {
    fn new() -> Self {
        Self::start(Module::new(&Engine::default(), include_bytes!("../src/runtime.wasm")).unwrap())
    }

    fn start(module: Module) -> Self {
        let mut store = Store::new(module.engine(), ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let mut global = |name| {
            let global = instance.get_global(&mut store, name).unwrap();
            global.get(&mut store).i32().unwrap().cast_unsigned()
        };
        let (arena, heap) = (global("arena"), global("__heap_base").next_multiple_of(16));
        let mut bounds = [0; 16];
        bounds[..4].copy_from_slice(&heap.to_le_bytes());
        bounds[4..8].copy_from_slice(&heap.to_le_bytes());
        bounds[8..].copy_from_slice(&(memory.data_size(&store) as u64).to_le_bytes());
        memory.write(&mut store, usize::try_from(arena).unwrap(), &bounds).unwrap();
        Self { module, store, instance, memory }
    }

    fn call(&mut self, name: &str, arguments: &[Val]) -> Option<Val> {
        let function = self.instance.get_func(&mut self.store, name).unwrap_or_else(|| panic!("the runtime has no {name}"));
        let mut answer = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, arguments, &mut answer).unwrap_or_else(|trap| panic!("{name}{arguments:?}: {trap:?}"));
        answer.first().copied()
    }

    /// Puts bytes in the arena, followed by rubbish that no function may look at.
    fn place(&mut self, bytes: &[u8]) -> u64 {
        let rubbish = [0xFF; 40];
        let room = i32::try_from(bytes.len() + rubbish.len()).unwrap();
        let at = self.call("alloc", &[Val::I32(room)]).unwrap().i32().unwrap().cast_unsigned();
        let place = usize::try_from(at).unwrap();
        self.memory.write(&mut self.store, place, bytes).unwrap();
        self.memory.write(&mut self.store, place + bytes.len(), &rubbish).unwrap();
        u64::from(at)
    }

    fn argument(&mut self, value: &Value) -> Val {
        match value {
            Value::Text(text) => Val::I64((self.place(text.as_bytes()) | (text.len() as u64) << 32).cast_signed()),
            Value::Texts(texts) => {
                let slots: Vec<u8> =
                    texts.iter().flat_map(|text| (self.place(text.as_bytes()) | (text.len() as u64) << 32).to_le_bytes()).collect();
                Val::I64((self.place(&slots) | (texts.len() as u64) << 32).cast_signed())
            }
            Value::Number(x) => Val::F64(x.to_bits()),
            Value::Int(x) => Val::I64(*x),
            Value::Small(x) => Val::I32(*x),
            Value::Undefined | Value::Thrown => panic!("not an argument"),
        }
    }

    fn bytes(&self, packed: u64, size: usize) -> &[u8] {
        let at = usize::try_from(packed & 0xFFFF_FFFF).unwrap();
        &self.memory.data(&self.store)[at..at + usize::try_from(packed >> 32).unwrap() * size]
    }

    fn text(&self, packed: u64) -> String {
        String::from_utf8(self.bytes(packed, 1).to_vec()).expect("the runtime makes valid UTF-8")
    }

    fn run(&mut self, function: &Function, arguments: &[Value]) -> Value {
        let arguments: Vec<Val> = arguments.iter().map(|value| self.argument(value)).collect();
        let answer = self.call(function.name, &arguments).unwrap();
        let failure = self.call("failure", &[]).unwrap().i64().unwrap();
        let value = match (function.answer, answer) {
            _ if failure != 0 => Value::Thrown,
            (Answer::Text, Val::I64(-1)) => Value::Undefined,
            (Answer::Text, Val::I64(packed)) => Value::Text(self.text(packed.cast_unsigned())),
            (Answer::Texts, Val::I64(packed)) => {
                let slots = self.bytes(packed.cast_unsigned(), 8).chunks_exact(8);
                Value::Texts(slots.map(|slot| self.text(u64::from_le_bytes(slot.try_into().unwrap()))).collect())
            }
            (Answer::Number, Val::F64(bits)) => Value::Number(f64::from_bits(bits)),
            (Answer::Number | Answer::Flag, Val::I32(x)) => Value::Number(f64::from(x)),
            other => panic!("{}: {other:?}", function.name),
        };
        if value == Value::Thrown {
            *self = Self::start(self.module.clone());
        } else {
            self.call("arena_reset", &[]);
        }
        value
    }
}

/// Text as JSON; Node and the tests need no more than strings.
fn json(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.encode_utf16() {
        write!(out, "\\u{unit:04x}").unwrap();
    }
    out.push('"');
}

/// An argument for Node: numbers as bits, so that nothing is rounded on the way.
fn to_node(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) => json(text, out),
        Value::Texts(texts) => {
            out.push('[');
            for (index, text) in texts.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                json(text, out);
            }
            out.push(']');
        }
        Value::Number(x) => write!(out, "{{\"bits\":\"{:016x}\"}}", x.to_bits()).unwrap(),
        Value::Int(x) => write!(out, "{{\"int\":\"{x}\"}}").unwrap(),
        Value::Small(x) => write!(out, "{x}").unwrap(),
        Value::Undefined | Value::Thrown => panic!("not an argument"),
    }
}

/// An answer of Node: a letter for the kind, then UTF-16 units in hexadecimal, or bits.
fn from_node(line: &str) -> Value {
    let text = |hex: &str| {
        let units: Vec<u16> = (0..hex.len() / 4).map(|unit| u16::from_str_radix(&hex[unit * 4..unit * 4 + 4], 16).unwrap()).collect();
        String::from_utf16_lossy(&units)
    };
    match line.split_at(1) {
        ("s", hex) => Value::Text(text(hex)),
        ("l", "") => Value::Texts(Vec::new()),
        ("l", list) => Value::Texts(list[1..].split(',').map(text).collect()),
        ("n", bits) => Value::Number(f64::from_bits(u64::from_str_radix(bits, 16).unwrap())),
        ("u", _) => Value::Undefined,
        ("t", _) => Value::Thrown,
        _ => panic!("node answered {line:?}"),
    }
}

const SCRIPT: &str = r"
const units = s => Array.from({ length: s.length }, (_, i) => s.charCodeAt(i).toString(16).padStart(4, '0')).join('');
const view = new DataView(new ArrayBuffer(8));
const argument = a => typeof a !== 'object' || Array.isArray(a) ? a
  : a.int !== undefined ? BigInt(a.int) : (view.setBigUint64(0, BigInt('0x' + a.bits)), view.getFloat64(0));
const answer = v => v === undefined ? 'u' : typeof v === 'string' ? 's' + units(v)
  : Array.isArray(v) ? 'l' + v.map(s => ',' + units(s)).join('')
  : (view.setFloat64(0, Number(v)), 'n' + view.getBigUint64(0).toString(16));
const lines = require('fs').readFileSync(0, 'utf8').trimEnd().split('\n');
const out = [];
let call;
for (const line of lines) {
  if (line[0] === '#') { call = new Function('s', 'x', 'y', 'return ' + line.slice(1)); continue; }
  try { out.push(answer(call(...JSON.parse(line).map(argument)))); } catch (e) { out.push('t'); }
}
process.stdout.write(out.join('\n'));
";

/// What Node answers to each line.
fn node(input: String) -> Vec<Value> {
    let mut child = Command::new("node")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need `node` on the PATH: it says what JavaScript means");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    output.split('\n').map(from_node).collect()
}

/// How many doubles lie between the two, 0 for the same one; NaN is like NaN, and -0 unlike 0.
fn distance(left: f64, right: f64) -> u64 {
    if left.is_nan() && right.is_nan() {
        return 0;
    }
    if left == right && left.is_sign_negative() == right.is_sign_negative() {
        return 0;
    }
    if left.is_nan() || right.is_nan() || left.is_sign_negative() != right.is_sign_negative() {
        return u64::MAX;
    }
    left.to_bits().abs_diff(right.to_bits())
}

fn is_same(function: &Function, ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => distance(*ours, *theirs) <= function.ulps,
        _ => ours == theirs,
    }
}

#[test]
fn runtime_means_what_node_means() {
    let mut random = Random(SEED);
    let mut input = String::new();
    let mut cases = Vec::new();
    for function in FUNCTIONS {
        writeln!(input, "#{}", function.javascript).unwrap();
        for _ in 0..CASES {
            let mut arguments: Vec<Value> = Vec::new();
            for kind in function.kinds {
                let argument = random.argument(*kind, arguments.first());
                arguments.push(argument);
            }
            input.push('[');
            for (index, argument) in arguments.iter().enumerate() {
                input.push_str(if index == 0 { "" } else { "," });
                to_node(argument, &mut input);
            }
            input.push_str("]\n");
            cases.push((function, arguments));
        }
    }
    let theirs = node(input);
    assert_eq!(theirs.len(), cases.len());
    assert!(cases.len() >= 5_000);
    let mut guest = Guest::new();
    let mut wrong = Vec::new();
    for ((function, arguments), theirs) in cases.iter().zip(&theirs) {
        let ours = guest.run(function, arguments);
        if !is_same(function, &ours, theirs) {
            wrong.push(format!("{}{arguments:?}: {ours:?}, but {} is {theirs:?}", function.name, function.javascript));
        }
    }
    let shown: Vec<&String> = wrong.iter().take(40).collect();
    assert!(wrong.is_empty(), "seed {SEED:#x}: {} of {} cases differ: {shown:#?}", wrong.len(), cases.len());
}
