//! Functions made by a grammar: statements, loops, lists, strings, dates and calls, from a seed that is printed. None of
//! them throws and all of them are in the language that is compiled, so that none may be refused.
//!
//! Kept out are the differences that are meant: integers beyond 2^53 and their -0, and cuts through a surrogate pair.

use crate::generated::Random;

/// Variables in reach.
#[derive(Default, Clone)]
struct Names {
    numbers: Vec<String>,
    texts: Vec<String>,
    lists: Vec<String>,
    /// Those that may be assigned to.
    counters: Vec<String>,
    strings: Vec<String>,
    grown: Vec<String>,
    functions: Vec<String>,
    objects: Vec<String>,
    /// What the function answers, wherever it ends.
    answer: String,
    in_loop: bool,
}

pub(crate) struct Grammar<'r> {
    random: &'r mut Random,
    n_names: usize,
    budget: usize,
}

impl<'r> Grammar<'r> {
    pub(crate) fn new(random: &'r mut Random) -> Self {
        Self { random, n_names: 0, budget: 0 }
    }

    /// `r => [f(r), …]` of so many functions.
    pub(crate) fn lambda(&mut self, functions: usize) -> String {
        let mut text = String::from("r => {\n");
        for at in 0..functions {
            self.budget = 8;
            text.push_str(&format!("const f{at} = r => {};\n", self.function()));
        }
        let calls: Vec<String> = (0..functions).map(|at| format!("f{at}(r)")).collect();
        text.push_str(&format!("return [{}];\n}}", calls.join(", ")));
        text
    }

    fn name(&mut self, letter: &str) -> String {
        self.n_names += 1;
        format!("{letter}{}", self.n_names)
    }

    fn function(&mut self) -> String {
        let mut names = Names::default();
        if self.random.below(3) == 0 {
            let depth = 3;
            return match self.random.below(4) {
                0 => self.number(&names, depth),
                1 => self.text(&names, depth),
                2 => format!("!!{}", self.truth(&names, depth)),
                _ => format!("({{a: {}, b: {}, l: {}}})", self.number(&names, 2), self.text(&names, 2), self.list(&names, 2)),
            };
        }
        let (n, s, l) = (self.name("n"), self.name("s"), self.name("l"));
        let mut out = format!("{{ let {n} = {}, {s} = {}; const {l} = [", self.number(&names, 1), self.text(&names, 1));
        out.push_str(&format!("{}, 3]; ", self.whole(&names, 1)));
        names.counters.push(n.clone());
        names.numbers.push(n.clone());
        names.strings.push(s.clone());
        names.texts.push(s.clone());
        names.grown.push(l.clone());
        names.lists.push(l.clone());
        if self.random.below(3) == 0 {
            let f = self.name("f");
            let x = self.name("x");
            let inner = Names { numbers: vec![x.clone()], ..Names::default() };
            out.push_str(&format!("const {f} = {x} => {}; ", self.number(&inner, 2)));
            names.functions.push(f);
        }
        let o = self.name("o");
        out.push_str(&format!("const {o} = {{a: {}, t: {}}}; ", self.whole(&names, 1), self.text(&names, 1)));
        names.objects.push(o.clone());
        names.numbers.push(format!("{o}.a"));
        let last = self.sum(&l);
        names.answer = format!("[{n}, {s}, {l}.length, {last}, {o}.a, {o}.t.slice(0, 20)]");
        for _ in 0..=self.random.below(4) {
            let statement = self.statement(&mut names, 3);
            out.push_str(&statement);
        }
        out.push_str(&format!("return {}; }}", names.answer));
        out
    }

    fn sum(&mut self, list: &str) -> String {
        match self.random.below(4) {
            0 => format!("{list}.reduce((a, b) => (a + b) % 997, 0)"),
            1 => format!("{list}.join()"),
            2 => format!("{list}.map(x => x * 2).filter(x => x > 0).length"),
            _ => format!("{list}[{list}.length - 1] ?? null"),
        }
    }

    fn block(&mut self, names: &Names, depth: usize) -> String {
        let mut inner = names.clone();
        let mut out = String::from("{ ");
        for _ in 0..=self.random.below(2) {
            let statement = self.statement(&mut inner, depth);
            out.push_str(&statement);
        }
        if names.in_loop && self.random.below(6) == 0 {
            let test = self.truth(&inner, 0);
            out.push_str(&format!("if ({test}) {}; ", self.random.pick(&["break", "continue"])));
        }
        if self.random.below(12) == 0 {
            let test = self.truth(&inner, 0);
            out.push_str(&format!("if ({test}) return {}; ", names.answer));
        }
        out.push_str("} ");
        out
    }

    fn statement(&mut self, names: &mut Names, depth: usize) -> String {
        if self.budget == 0 || depth == 0 {
            return self.assignment(names);
        }
        self.budget -= 1;
        let looped = Names { in_loop: true, ..names.clone() };
        match self.random.below(13) {
            0..=2 => self.assignment(names),
            3 => {
                let (test, then) = (self.truth(names, 1), self.block(names, depth - 1));
                if self.random.below(2) == 0 {
                    return format!("if ({test}) {then}");
                }
                format!("if ({test}) {then} else {}", self.block(names, depth - 1))
            }
            4 => {
                let i = self.name("i");
                let mut inner = looped;
                inner.numbers.push(i.clone());
                let body = self.block(&inner, depth - 1);
                match self.random.below(3) {
                    0 => format!("for (let {i} = 0; {i} < {}; {i}++) {body}", self.random.below(6)),
                    1 => format!("for (let {i} = {}; {i} > 0; {i} -= 2) {body}", self.random.below(9)),
                    _ => format!("for (const {i} of {}) {body}", self.list(names, 1)),
                }
            }
            5 => {
                let c = self.name("c");
                let mut inner = looped;
                inner.texts.push(c.clone());
                let over = if self.random.below(2) == 0 { self.text(names, 1) } else { self.words(names, 1) };
                format!("for (const {c} of {over}) {}", self.block(&inner, depth - 1))
            }
            6 => {
                let k = self.name("k");
                let body = self.block(&looped, depth - 1);
                let n = self.random.below(5);
                if self.random.below(2) == 0 {
                    return format!("let {k} = {n}; while ({k}-- > 0) {body}");
                }
                format!("let {k} = {n}; do {body} while (--{k} > 0); ")
            }
            7 => {
                let value = self.whole(names, 1);
                let mut out = format!("switch (({value}) % 4) {{ ");
                // Inside a switch `continue` would mean the loop around it, and `break` the switch.
                let inner = Names { in_loop: false, ..names.clone() };
                for case in 0..3 {
                    let body = self.block(&inner, depth - 1);
                    let end = self.random.pick(&["break; ", ""]);
                    out.push_str(&format!("case {case}: {body}{end}"));
                }
                out.push_str(&format!("default: {}}} ", self.block(&inner, depth - 1)));
                out
            }
            8 => {
                let list = names.grown.first().cloned().unwrap_or_default();
                match self.random.below(6) {
                    0..=2 => format!("if ({list}.length < 30) {list}.push({}); ", self.whole(names, 1)),
                    3 => format!("if ({list}.length > 1) {list}.pop(); "),
                    4 => format!("if ({list}.length < 30) {list}.unshift({}); ", self.whole(names, 0)),
                    _ => format!("{list}[0] = {}; ", self.whole(names, 1)),
                }
            }
            9 => {
                let (v, value) = (self.name("v"), self.number(names, 2));
                names.numbers.push(v.clone());
                format!("const {v} = {value}; ")
            }
            10 => {
                let (v, value) = (self.name("v"), self.list(names, 2));
                names.lists.push(v.clone());
                format!("const {v} = {value}; ")
            }
            11 => {
                let (a, b) = (self.name("a"), self.name("b"));
                let out = format!("const {{{a} = 1, {b}}} = {{{b}: {}}}; ", self.number(names, 1));
                names.numbers.extend([a, b]);
                out
            }
            _ => {
                let (list, x) = (self.list(names, 1), self.name("x"));
                let mut inner = names.clone();
                inner.numbers.push(x.clone());
                inner.in_loop = false;
                format!("{list}.forEach({x} => {}); ", self.block(&inner, depth - 1))
            }
        }
    }

    fn assignment(&mut self, names: &Names) -> String {
        let n = names.counters.first().cloned().unwrap_or_default();
        let s = names.strings.first().cloned().unwrap_or_default();
        let o = names.objects.first().cloned().unwrap_or_default();
        match self.random.below(14) {
            9 => format!("{o}.a = ({o}.a + {}) % 100; ", self.number(names, 1)),
            10 => format!("{o}.t = ({}).slice(0, 7); ", self.ascii(names, 1)),
            11 => format!("{o}.a++; "),
            12 => format!("[{n}, {o}.a].length > 1 && {n}--; "),
            13 => {
                let (p, q) = (self.name("p"), self.name("q"));
                let (a, b) = (self.whole(names, 1), self.number(names, 1));
                format!("let {p} = {a}, {q} = {b}; [{p}, {q}] = [{q}, {p}]; {n} = ({p} - {q}) % 50; ")
            }
            0 => format!("{n} = ({}) % 1000; ", self.number(names, 2)),
            1 => format!("{n} = ({n} + {}) % 1000; ", self.number(names, 1)),
            2 => format!("{n}++; "),
            3 => format!("{n} {}= {}; ", self.random.pick(&["|", "&", "^"]), self.number(names, 1)),
            4 => format!("{n} -= {}; ", self.random.pick(&["1", "2", "0.5", "7"])),
            5 => format!("if ({s}.length < 40) {s} += {}; ", self.random.pick(&["'x'", "'-'", "r.i"])),
            6 => format!("{s} = ({}).slice(0, 12); ", self.ascii(names, 2)),
            7 => format!("{s} = ({s} + {}).slice(-9); ", self.ascii(names, 1)),
            _ => format!("{n} = {} ? {n} : ({}) % 100; ", self.truth(names, 1), self.number(names, 1)),
        }
    }

    /// A number, null among the inputs.
    fn number(&mut self, names: &Names, depth: usize) -> String {
        if depth == 0 {
            if !names.numbers.is_empty() && self.random.below(2) == 0 {
                return names.numbers[self.random.below(names.numbers.len())].clone();
            }
            return self
                .random
                .pick(&["r.i", "r.n", "r.f", "r.g", "+r.b", "1", "0", "3", "2.5", "-7", "r.s.length", "r.l.length", "null"])
                .to_owned();
        }
        let depth = depth - 1;
        let a = self.number(names, depth);
        match self.random.below(24) {
            0..=2 => format!("({a} + {})", self.number(names, depth)),
            3 | 4 => format!("({a} - {})", self.number(names, depth)),
            5 => format!("(({a}) % 1000 * (({}) % 1000))", self.number(names, depth)),
            6 => format!("({a} / Math.abs({}))", self.number(names, depth)),
            7 => format!("({a} % {})", self.random.pick(&["3", "7", "-4", "2.5"])),
            8 => format!("({} ? {a} : {})", self.truth(names, depth), self.number(names, depth)),
            9 => format!("({a} {} {})", self.random.pick(&["|", "&", "^", "<<", ">>", ">>>"]), self.number(names, depth)),
            10 => format!("Math.{}({a})", self.random.pick(&["floor", "ceil", "round", "trunc", "abs", "sign", "fround"])),
            11 => format!("Math.{}({a}, {})", self.random.pick(&["min", "max"]), self.number(names, depth)),
            12 => format!("({a} {} {})", self.random.pick(&["??", "||", "&&"]), self.number(names, depth)),
            13 => format!("{}.indexOf({})", self.text(names, depth), self.text(names, depth)),
            14 => format!("{}.length", self.text(names, depth)),
            15 => format!(
                "{}.{}",
                self.list(names, depth),
                self.random.pick(&["length", "indexOf(2)", "findIndex(x => x > 1)", "lastIndexOf(3)"])
            ),
            16 => format!("{}.reduce((a, x, i) => (a + x * i) % 991, 1)", self.list(names, depth)),
            17 => format!("({}.find(x => x > {}) ?? -1)", self.list(names, depth), self.random.below(5)),
            18 => format!("({}[{}] ?? 5)", self.list(names, depth), self.random.pick(&["0", "1", "r.i", "r.f"])),
            19 if !names.functions.is_empty() => format!("({}({a}) % 1000)", names.functions[self.random.below(names.functions.len())]),
            19 => format!("(x => x - 1)({a})"),
            20 => format!(
                "new Date({}).{}()",
                self.random.pick(&["r.i * 86400000", "r.i * 3600000 + 1", "'2024-02-29T12:34:56Z'", "0"]),
                self.random.pick(&["getTime", "getUTCDate", "getUTCMonth", "getUTCFullYear", "getUTCDay", "getUTCHours"])
            ),
            21 => format!("{}({})", self.random.pick(&["Number", "parseInt", "parseFloat"]), self.text(names, depth)),
            22 => format!("Math.{}(...{}, {a})", self.random.pick(&["min", "max"]), self.list(names, depth)),
            _ => format!("(r.p?.x ?? {a})"),
        }
    }

    /// A small number that is an integer in JavaScript.
    fn whole(&mut self, names: &Names, depth: usize) -> String {
        format!("(({}) | 0) % 50", self.number(names, depth))
    }

    /// A string without characters beyond the first 2^16.
    fn text(&mut self, names: &Names, depth: usize) -> String {
        if depth == 0 {
            if !names.texts.is_empty() && self.random.below(2) == 0 {
                return names.texts[self.random.below(names.texts.len())].clone();
            }
            return self.random.pick(&["r.s", "'a'", "'x日'", "''", "'12'", "(r.t ?? 'q')", "'A,b'"]).to_owned();
        }
        self.ascii(names, depth)
    }

    fn ascii(&mut self, names: &Names, depth: usize) -> String {
        if depth == 0 {
            return self.text(names, 0);
        }
        let depth = depth - 1;
        let a = self.text(names, depth);
        match self.random.below(16) {
            0 => format!("({a} + {})", self.text(names, depth)),
            1 => format!("`<${{{}}}${{{a}}}>`", self.number(names, depth)),
            2 => format!("{a}.{}()", self.random.pick(&["toUpperCase", "toLowerCase", "trim", "trimEnd"])),
            3 => format!("{a}.slice({}, {})", self.random.pick(&["0", "1", "-2"]), self.random.pick(&["2", "-1", "5"])),
            4 => format!("{a}.{}(4, {})", self.random.pick(&["padStart", "padEnd"]), self.random.pick(&["'*'", "'ab'", "' '"])),
            5 => format!("{a}.replace({}, {})", self.random.pick(&["'a'", "'x'", "''"]), self.text(names, depth)),
            6 => format!("{a}.replaceAll({}, 'zz')", self.random.pick(&["'a'", "','", "'l'"])),
            7 => format!("{a}.charAt({})", self.random.below(3)),
            8 => format!("({} ? {a} : {})", self.truth(names, depth), self.text(names, depth)),
            9 => format!("{a}.split({}).join('/')", self.random.pick(&["','", "''", "'l'", "' '"])),
            10 => format!("{}.join({})", self.list(names, depth), self.random.pick(&["''", "'+'", "', '"])),
            11 => format!("{}.map(w => w + '!').join('')", self.words(names, depth)),
            12 => format!("{a}.repeat({})", self.random.below(3)),
            13 => format!("String({})", self.number(names, depth)),
            14 => format!("JSON.stringify({{a: {}, t: {a}}})", self.number(names, depth)),
            _ => format!("({} || {a})", self.text(names, depth)),
        }
    }

    fn truth(&mut self, names: &Names, depth: usize) -> String {
        if depth == 0 {
            return self
                .random
                .pick(&["r.b", "true", "r.i > 2", "r.n == null", "r.s", "r.t", "r.f < 1", "!r.n", "r.p", "('i' in r)"])
                .to_owned();
        }
        let depth = depth - 1;
        match self.random.below(11) {
            0..=2 => {
                let operator = self.random.pick(&["<", "<=", ">", ">=", "===", "!==", "==", "!="]);
                format!("({} {operator} {})", self.number(names, depth), self.number(names, depth))
            }
            3 => format!("({} {} {})", self.text(names, depth), self.random.pick(&["<", ">", "===", "!=="]), self.text(names, depth)),
            4 => format!("({} && {})", self.truth(names, depth), self.truth(names, depth)),
            5 => format!("({} || {})", self.truth(names, depth), self.truth(names, depth)),
            6 => format!("!{}", self.truth(names, depth)),
            7 => format!(
                "{}.{}({})",
                self.text(names, depth),
                self.random.pick(&["includes", "startsWith", "endsWith"]),
                self.text(names, depth)
            ),
            8 => format!("{}.{}(x => x > {})", self.list(names, depth), self.random.pick(&["some", "every"]), self.random.below(4)),
            9 => format!("{}.includes({})", self.list(names, depth), self.number(names, 0)),
            _ => format!("(typeof {} === 'number')", self.number(names, depth)),
        }
    }

    /// A list of numbers.
    fn list(&mut self, names: &Names, depth: usize) -> String {
        if depth == 0 {
            if !names.lists.is_empty() && self.random.below(2) == 0 {
                // A copy: a list that changes later has one name only.
                return format!("[...{}]", names.lists[self.random.below(names.lists.len())]);
            }
            return self.random.pick(&["[1, 2, 3]", "[r.i, 2]", "[r.f, 1, r.i]", "[5]", "r.l.map(w => w.length)", "r.m"]).to_owned();
        }
        let depth = depth - 1;
        let a = self.list(names, depth);
        let x = self.name("x");
        let mut inner = names.clone();
        inner.numbers.push(x.clone());
        match self.random.below(13) {
            11 => format!("{a}.reduce((all, {x}) => {{ if ({} > 0) all.push({x}); return all; }}, [])", self.number(&inner, 0)),
            12 => format!("{a}.reduce((all, {x}, i) => [...all, {x}, i], []).slice(0, 8)"),
            0 => format!("{a}.map({x} => {} || 0)", self.number(&inner, depth)),
            1 => format!("{a}.filter({x} => {} > 1)", self.number(&inner, depth)),
            2 => format!("{a}.map(({x}, i) => {} - i)", self.number(&inner, 0)),
            3 => format!("{a}.slice({})", self.random.pick(&["1", "0, 2", "-2", ""])),
            4 => format!("[...{a}, {} || 0]", self.number(names, depth)),
            5 => format!("{a}.concat({})", self.list(names, depth)),
            6 => format!("{a}.flatMap({x} => [{x}, {} || 1])", self.number(&inner, 0)),
            7 => format!("[...{a}].sort((p, q) => {})", self.random.pick(&["p - q", "q - p", "Math.abs(p) - Math.abs(q)"])),
            8 => format!("[...{a}].reverse()"),
            9 => format!("Array.from({{length: {}}}, (_, i) => i * 2)", self.random.below(4)),
            _ => format!("[...new Set({a})]"),
        }
    }

    /// A list of strings.
    fn words(&mut self, names: &Names, depth: usize) -> String {
        if depth == 0 {
            return self.random.pick(&["r.l", "['a', 'b']", "r.s.split('')"]).to_owned();
        }
        let depth = depth - 1;
        let a = self.words(names, depth);
        match self.random.below(8) {
            6 => format!("[{}, 'é', 'B'].sort()", self.text(names, 0)),
            7 => format!("Array.from({}, (c, i) => c + i)", self.text(names, 0)),
            0 => format!("{a}.map(w => w.toUpperCase())"),
            1 => format!("{a}.filter(w => w > 'a')"),
            2 => format!("[...{a}].sort()"),
            3 => format!("{}.split({})", self.text(names, depth), self.random.pick(&["','", "''", "' '"])),
            4 => format!("[...{a}, {}]", self.text(names, depth)),
            _ => format!("Object.keys({{x: 1, y: {}}})", self.number(names, 0)),
        }
    }
}
