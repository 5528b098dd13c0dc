//! Arguments: ordinary ones, edges, and nonsense.

use super::functions::Kind::{
    self, Ascii, Count, DigitCount, Digits, Int, Limit, Modest, Number, Part, Pattern, Position, Radix, RadixOrNone, Substitute, Whole,
};
use super::functions::Value;

/// A generator that gives the same numbers everywhere.
pub(crate) struct Random(pub(crate) u64);

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

    pub(crate) fn argument(&mut self, kind: Kind, first: Option<&Value>) -> Value {
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
