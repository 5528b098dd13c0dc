//! Batches of many rows, which go through vectors, against the same rows one by one, which do not.

use crate::model::{Element, End, Field, Lambda, Pipeline, Step, Type};
use crate::{emit, fuse, link};
use std::collections::BTreeMap;
use wasmtime::{Engine, Instance, Memory, Module, Store, TypedFunc};

/// A column of numbers as 64-bit words or of strings, and which of them are there.
#[derive(Default)]
struct Column {
    words: Vec<u64>,
    texts: Vec<&'static str>,
    valid: Option<Vec<bool>>,
}

/// What a call answers: each row as words (nothing where null), and the rows the host keeps.
#[derive(Debug, Clone, PartialEq, Default)]
struct Answer {
    rows: Vec<Vec<Option<u64>>>,
    kept: Vec<bool>,
}

struct Kernel {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    needs: Vec<usize>,
    /// Types of the columns that are made.
    made: Vec<(Type, bool)>,
}

impl Kernel {
    fn new(pipeline: &Pipeline) -> Self {
        let program = fuse::fuse(pipeline).unwrap();
        let kernel = emit::emit(&program).unwrap();
        let module = link::link(&kernel.module, kernel.data_bytes).unwrap();
        assert!(has_vectors(&module), "{pipeline:?} has no vector form");
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &Module::new(&engine, &module).unwrap(), &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let fields = program.element.fields().to_vec();
        let made = program.output.iter().zip(fields).filter_map(|((_, output), field)| match output {
            crate::tree::Output::Made(_) => Some((field.ty, field.nullable)),
            crate::tree::Output::Passed(_) => None,
        });
        Self { store, instance, memory, needs: kernel.needs, made: made.collect() }
    }

    fn place(&mut self, bytes: &[u8]) -> u32 {
        let alloc: TypedFunc<(u32, u32, u32, u32), u32> = self.instance.get_typed_func(&mut self.store, "cabi_realloc").unwrap();
        let at = alloc.call(&mut self.store, (0, 0, 8, u32::try_from(bytes.len()).unwrap())).unwrap();
        self.memory.write(&mut self.store, at as usize, bytes).unwrap();
        at
    }

    fn process(&mut self, columns: &[Column], from: usize, to: usize) -> Answer {
        let result = self.call(columns, from, to);
        assert_eq!(self.byte(result), 0, "the kernel failed");
        let mut answer = self.batch(result + 8);
        answer.kept = if self.byte(result + 32) == 1 {
            let (at, bytes) = (self.number(result + 36), self.number(result + 40));
            let bits: Vec<u8> = (0..bytes).map(|byte| self.byte(at + byte)).collect();
            (0..to - from).map(|row| bits[row / 8] >> (row % 8) & 1 == 1).collect()
        } else {
            Vec::new()
        };
        self.post("process", result);
        answer
    }

    /// Where the answer is.
    fn call(&mut self, columns: &[Column], from: usize, to: usize) -> u32 {
        let mut buffers = Vec::new();
        for need in self.needs.clone() {
            let column = &columns[need];
            let bitmap = column.valid.as_ref().map_or_else(Vec::new, |valid| pack(&valid[from..to]));
            let mut parts = vec![bitmap];
            if column.texts.is_empty() {
                parts.push(column.words[from..to].iter().flat_map(|word| word.to_le_bytes()).collect());
            } else {
                let (mut offsets, mut bytes) = (0_u32.to_le_bytes().to_vec(), Vec::new());
                for text in &column.texts[from..to] {
                    bytes.extend_from_slice(text.as_bytes());
                    offsets.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
                }
                parts.extend([offsets, bytes]);
            }
            for bytes in parts {
                let at = self.place(&bytes);
                buffers.extend(at.to_le_bytes());
                buffers.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            }
        }
        let n = u32::try_from(buffers.len() / 8).unwrap();
        let list = self.place(&buffers);
        let name = "azora:plugin/transform@0.1.0#process";
        let process: TypedFunc<(i64, u32, u32, u32, u32), u32> = self.instance.get_typed_func(&mut self.store, name).unwrap();
        process.call(&mut self.store, (i64::try_from(to - from).unwrap(), 0, 0, list, n)).unwrap()
    }

    fn finish(&mut self) -> Answer {
        let finish: TypedFunc<(), u32> = self.instance.get_typed_func(&mut self.store, "azora:plugin/transform@0.1.0#finish").unwrap();
        let result = finish.call(&mut self.store, ()).unwrap();
        assert_eq!(self.byte(result), 0);
        if self.byte(result + 8) == 0 { Answer::default() } else { self.batch(result + 16) }
    }

    fn post(&mut self, name: &str, result: u32) {
        let name = format!("cabi_post_azora:plugin/transform@0.1.0#{name}");
        let post: TypedFunc<u32, ()> = self.instance.get_typed_func(&mut self.store, &name).unwrap();
        post.call(&mut self.store, result).unwrap();
    }

    fn byte(&self, at: u32) -> u8 {
        self.memory.data(&self.store)[at as usize]
    }

    fn number(&self, at: u32) -> u32 {
        let at = at as usize;
        u32::from_le_bytes(self.memory.data(&self.store)[at..at + 4].try_into().unwrap())
    }

    fn word(&self, at: u32) -> u64 {
        u64::from(self.number(at)) | u64::from(self.number(at + 4)) << 32
    }

    fn batch(&self, at: u32) -> Answer {
        let (rows, mut buffers) = (self.number(at), self.number(at + 16));
        let mut answer = Answer { rows: vec![Vec::new(); rows as usize], kept: Vec::new() };
        for (ty, _) in &self.made {
            let (bits, bit_bytes, values) = (self.number(buffers), self.number(buffers + 4), self.number(buffers + 8));
            buffers += 16;
            for row in 0..rows {
                let bit = |at: u32| self.byte(at + row / 8) >> (row % 8) & 1 == 1;
                let is_there = bit_bytes == 0 || bit(bits);
                let value = if *ty == Type::Boolean { u64::from(bit(values)) } else { self.word(values + row * 8) };
                answer.rows[row as usize].push(is_there.then_some(value));
            }
        }
        answer
    }
}

/// Whether the kernel has instructions that only `vector` writes; the check of a batch's magnitudes has other ones.
fn has_vectors(module: &[u8]) -> bool {
    wasmparser::Parser::new(0).parse_all(module).any(|payload| match payload.unwrap() {
        wasmparser::Payload::CodeSectionEntry(body) => body.get_operators_reader().unwrap().into_iter().any(|operator| {
            let name = format!("{:?}", operator.unwrap());
            ["V128Store", "V128Store64Lane", "I64x2Bitmask", "I64x2Sub", "I64x2Mul", "I64x2Shl", "I64x2GtS", "I64x2LtS", "F64x2"]
                .iter()
                .any(|vector| name.starts_with(vector))
        }),
        _ => false,
    })
}

fn pack(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8).map(|byte| byte.iter().enumerate().map(|(at, bit)| u8::from(*bit) << at).sum()).collect()
}

/// The same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11 ^ self.0 << 21
    }
}

fn columns(random: &mut Random, rows: usize, fields: &[Field]) -> Vec<Column> {
    let column = |field: &Field| {
        let word = |random: &mut Random| match field.ty {
            Type::Float64 => match random.next() % 8 {
                0 => (-0.0_f64).to_bits(),
                1 => f64::NAN.to_bits(),
                2 => f64::INFINITY.to_bits(),
                _ => ((random.next() % 4000) as f64 / 8.0 - 200.0).to_bits(),
            },
            _ => (random.next() % 2001).wrapping_sub(1000),
        };
        let texts = ["ZA", "", "Z", "ZAZA", "sevenby", "eightbyt", "ninebytes", "ninebytex", "sixteen_letters!"];
        let pick = |random: &mut Random| texts[usize::try_from(random.next() % 9).unwrap()];
        let texts = if field.ty == Type::Utf8 { (0..rows).map(|_| pick(random)).collect() } else { Vec::new() };
        let words = (0..rows).map(|_| word(random)).collect();
        let valid = field.nullable.then(|| (0..rows).map(|_| !random.next().is_multiple_of(4)).collect());
        Column { words, texts, valid }
    };
    fields.iter().map(column).collect()
}

/// NaN is NaN, whatever its bits.
fn plain(mut answer: Answer, made: &[(Type, bool)]) -> Answer {
    for row in &mut answer.rows {
        for (value, (ty, _)) in row.iter_mut().zip(made) {
            if let (Some(bits), Type::Float64) = (&value, ty)
                && f64::from_bits(*bits).is_nan()
            {
                *value = Some(f64::NAN.to_bits());
            }
        }
    }
    answer
}

fn check(fields: &[(&str, Type, bool)], steps: &[(&str, &str)], end: &End) {
    let fields: Vec<Field> = fields.iter().map(|(name, ty, nullable)| Field::new(*name, ty.clone(), *nullable)).collect();
    let input = if fields[0].name == "value" { Element::Scalar(fields[0].clone()) } else { Element::Object(fields.clone()) };
    let step = |(kind, text): &(&str, &str)| match *kind {
        "map" => Step::Map(Lambda::new(*text, 0)),
        _ => Step::Filter(Lambda::new(*text, 0)),
    };
    let pipeline = Pipeline { input, steps: steps.iter().map(step).collect(), end: end.clone() };
    let mut random = Random(7);
    let (mut many, mut single) = (Kernel::new(&pipeline), Kernel::new(&pipeline));
    let made = many.made.clone();
    for rows in [1, 2, 15, 16, 17, 31, 64, 100] {
        let columns = columns(&mut random, rows, &fields);
        let together = plain(many.process(&columns, 0, rows), &made);
        let mut apart = Answer::default();
        for row in 0..rows {
            let answer = plain(single.process(&columns, row, row + 1), &made);
            apart.rows.extend(answer.rows);
            apart.kept.extend(answer.kept);
        }
        assert_eq!(together, apart, "{rows} rows of {pipeline:?}");
        assert_eq!(plain(many.finish(), &made), plain(single.finish(), &made), "the end of {rows} rows of {pipeline:?}");
    }
}

#[test]
fn integers() {
    for nullable in [false, true] {
        let x = [("value", Type::Int64, nullable)];
        for text in [
            "x => x * 2 + 1",
            "x => x * 3 - 7",
            "x => -x",
            "x => x % 7",
            "x => x > 5 ? x : 0",
            "x => x * x",
            "x => Math.abs(x)",
            "x => x / 2",
            "x => (x | 3) & 12",
            "x => x ^ 5",
            "x => x << 3",
            "x => x >> 2",
            "x => x >>> 4",
            "x => x > 0",
            "x => (x ?? -1) + 1",
            "x => Math.max(x, 10)",
            "x => x % 2 === 0 && x > 100",
            "x => !x",
            "x => x + 0.5",
            "x => ({ a: x, b: x * 2, c: x < 3 })",
        ] {
            check(&x, &[("map", text)], &End::Rows);
        }
        for text in ["x => x % 3 === 0", "x => x % 12 !== 0", "x => x % 8 == 0", "x => x > 5 || x < -5", "x => x === null", "x => x"] {
            check(&x, &[("filter", text)], &End::Rows);
            check(&x, &[("filter", text)], &End::Count);
        }
        let steps = [("map", "x => x * 2 + 1"), ("filter", "x => x % 3 === 0")];
        for end in [End::Rows, End::Count, End::Sum, End::Min, End::Max] {
            check(&x, &steps, &end);
        }
    }
}

#[test]
fn doubles() {
    for nullable in [false, true] {
        let x = [("value", Type::Float64, nullable)];
        for text in
            ["x => x * 2 + 1", "x => x / 3", "x => Math.sqrt(x)", "x => Math.floor(x) - Math.ceil(x)", "x => x < 5 ? -x : Math.abs(x)"]
        {
            check(&x, &[("map", text)], &End::Rows);
        }
        for text in ["x => x % 3 === 0", "x => x % 12 != 0", "x => x * 1e13 % 7 === 0", "x => x * 8 % 5 == 0"] {
            check(&x, &[("filter", text)], &End::Rows);
        }
        for end in [End::Rows, End::Count, End::Sum, End::Min, End::Max] {
            check(&x, &[("map", "x => x * 0.1"), ("filter", "x => x > 1 || x < -3")], &end);
        }
    }
}

#[test]
fn rows_of_several_columns() {
    let fields = [("a", Type::Int64, false), ("b", Type::Float64, true), ("c", Type::Int64, true)];
    check(&fields, &[("filter", "r => r.a > 0 && r.b < 100")], &End::Rows);
    check(&fields, &[("map", "r => ({ ...r, d: r.a + r.c })"), ("filter", "r => r.d % 2 === 0")], &End::Rows);
    check(&fields, &[("map", "r => r.a * r.b + r.c")], &End::Sum);
    check(&fields, &[("filter", "r => r.c !== null"), ("map", "r => [r.a, r.c]")], &End::Rows);
}

#[test]
fn strings_that_are_compared_with_constants() {
    for nullable in [false, true] {
        let fields = [("s", Type::Utf8, nullable), ("a", Type::Int64, nullable)];
        for text in ["ZA", "Z", "sevenby", "eightbyt", "ninebytes", "sixteen_letters!"] {
            check(&fields, &[("filter", &format!("r => r.s === '{text}' || r.a > 900"))], &End::Rows);
            check(&fields, &[("filter", &format!("r => r.s !== '{text}'")), ("map", "r => r.a * 2")], &End::Sum);
        }
        check(&fields, &[("filter", "r => r.s === null || r.s == 'ZA'")], &End::Count);
    }
}

#[test]
fn what_vectors_cannot_do_is_left_to_rows() {
    let pipeline =
        |text: &str| Pipeline { input: Element::scalar(Type::Int64, false), steps: vec![Step::Map(Lambda::new(text, 0))], end: End::Rows };
    for text in ["x => Math.sin(x)", "x => `${x}`", "x => x << x"] {
        let program = fuse::fuse(&pipeline(text)).unwrap();
        let kernel = emit::emit(&program).unwrap();
        wasmparser::validate(&link::link(&kernel.module, kernel.data_bytes).unwrap()).unwrap();
    }
    let long = format!("x => {}", ["x % 7"; 300].join(" + "));
    assert!(!has_vectors(&crate::compile(&pipeline(&long)).unwrap().component));
    // The numbers may be too large for the quick form: the same function in its exact form.
    let mut kernel = Kernel::new(&pipeline("x => x * 2 + 1"));
    let words: Vec<u64> = (0..40).map(|row| if row == 20 { (1 << 62) - 1 } else { row }).collect();
    let answer = kernel.process(&[Column { words: words.clone(), ..Column::default() }], 0, 40);
    let expected: BTreeMap<usize, u64> = words.iter().map(|word| word * 2 + 1).enumerate().collect();
    assert_eq!(answer.rows.iter().map(|row| row[0].unwrap()).enumerate().collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn numbers_that_are_too_large_are_seen_wherever_they_are() {
    let steps = ["x => x * 2 + 1", "x => x % 3 === 0"].map(|text| Lambda::new(text, 0));
    let [map, filter] = steps;
    for end in [End::Rows, End::Count, End::Sum, End::Min, End::Max] {
        let steps = vec![Step::Map(map.clone()), Step::Filter(filter.clone())];
        let pipeline = Pipeline { input: Element::scalar(Type::Int64, false), steps, end };
        let (mut many, mut single) = (Kernel::new(&pipeline), Kernel::new(&pipeline));
        for at in [0, 1, 15, 16, 31, 32, 39] {
            // Both are kept by the filter, and they cancel out in the sum.
            for large in [(1_i64 << 61) + 2, -(1_i64 << 61) - 3] {
                let words = (0..40).map(|row| if row == at { large.cast_unsigned() } else { row as u64 }).collect();
                let columns = [Column { words, ..Column::default() }];
                let together = many.process(&columns, 0, 40);
                let rows: Vec<_> = (0..40).flat_map(|row| single.process(&columns, row, row + 1).rows).collect();
                assert_eq!(together.rows, rows, "{large} in row {at} of {pipeline:?}");
            }
        }
        assert_eq!(many.finish(), single.finish(), "the end of {pipeline:?}");
    }
}

#[test]
fn numbers_that_overflow_fail_wherever_they_are() {
    let steps = || vec![Step::Map(Lambda::new("x => x * 2 + 1", 0)), Step::Filter(Lambda::new("x => x % 3 === 0", 0))];
    let pipeline = |end| Pipeline { input: Element::scalar(Type::Int64, false), steps: steps(), end };
    for end in [End::Rows, End::Count, End::Sum] {
        for at in [0, 1, 15, 16, 31, 32, 39] {
            for large in [1_i64 << 62, -(1_i64 << 62) - 1] {
                let words = (0..40).map(|row| if row == at { large.cast_unsigned() } else { row as u64 }).collect();
                let mut kernel = Kernel::new(&pipeline(end.clone()));
                let result = kernel.call(&[Column { words, ..Column::default() }], 0, 40);
                assert_eq!(kernel.byte(result), 1, "{large} in row {at} to {end:?}");
            }
        }
    }
}

#[test]
fn tests_of_what_was_made_by_constants() {
    for nullable in [false, true] {
        let x = [("value", Type::Int64, nullable)];
        for text in [
            "x => (x * 2 + 1) % 3 === 0",
            "x => (7 - x * 5) % 9 !== 0",
            "x => (x - 4) * 3 % 5 === 0",
            "x => (3 * (x + 11) - 2) % 12 === 0",
            "x => Math.max(x * 4 - 1, 5) % 7 === 0",
            "x => (x + 1) * (x + 1) % 3 === 0",
        ] {
            check(&x, &[("filter", text)], &End::Count);
            check(&x, &[("map", text)], &End::Rows);
        }
        check(&x, &[("map", "x => x * 6 - 5"), ("filter", "x => x % 35 === 0"), ("map", "x => x + 1")], &End::Sum);
    }
}
