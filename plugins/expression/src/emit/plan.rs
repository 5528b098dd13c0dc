//! The answer of `open`: a static plan, laid out as the canonical ABI wants its records.

use super::code::Code;
use super::output::cast;
use super::statics::Statics;
use super::unit::Unit;
use crate::kind::{Kind, Ty};
use crate::model::{Field, Type};
use crate::tree::{Output, Program};
use wasm_encoder::Function;

/// Cases of `data-type` in the contract.
mod case {
    pub(super) const NULL: u8 = 0;
    pub(super) const BOOLEAN: u8 = 1;
    pub(super) const INT64: u8 = 5;
    pub(super) const FLOAT64: u8 = 12;
    pub(super) const TIMESTAMP: u8 = 18;
    pub(super) const UTF8: u8 = 21;
    pub(super) const STRUCT: u8 = 26;
    pub(super) const VAR_LIST: u8 = 27;
}

/// Case of `time-unit`.
const MILLISECOND: u8 = 1;
/// Sizes of records of the contract.
const FIELD_BYTES: usize = 44;
const COLUMN_BYTES: usize = 16;
const PLAN_BYTES: usize = 36;
/// Where a result's payload starts: failures hold a u64.
const PAYLOAD: usize = 8;

/// Nodes and buffers of the columns that are made.
pub(super) fn counts(program: &Program) -> (u32, u32) {
    made(program).fold((0, 0), |(nodes, buffers), (_, kind)| {
        let (more_nodes, more_buffers) = count(kind);
        (nodes + more_nodes, buffers + more_buffers)
    })
}

fn made(program: &Program) -> impl Iterator<Item = (&str, &Kind)> {
    program.output.iter().filter_map(|(name, output)| match output {
        Output::Made(value) => Some((name.as_str(), &value.kind)),
        Output::Passed(_) => None,
    })
}

fn count(kind: &Kind) -> (u32, u32) {
    let children = |kinds: Vec<&Kind>, own: u32| {
        kinds
            .into_iter()
            .map(count)
            .fold((1, own), |(nodes, buffers), (more_nodes, more_buffers)| (nodes + more_nodes, buffers + more_buffers))
    };
    match &kind.ty {
        Ty::Nil => (1, 0),
        Ty::Bool | Ty::Int | Ty::Float | Ty::Time | Ty::Date => (1, 2),
        Ty::Str => (1, 3),
        Ty::List(item) => children(vec![item], 2),
        Ty::Struct(_) | Ty::Tuple(_) => children(kind.ty.parts(), 1),
    }
}

/// `open`: gives the plan, whatever it is asked.
pub(super) fn open(unit: &mut Unit, program: &Program) -> Function {
    let plan = place(unit, program);
    let mut code = Code::new(8);
    code.i().i32_const(cast(plan));
    code.finish()
}

fn place(unit: &mut Unit, program: &Program) -> u32 {
    let needs: Vec<u8> = unit.needs.iter().flat_map(|need| word(*need)).collect();
    let n_needs = unit.needs.len();
    let statics = &mut unit.statics;
    let mut fields = Vec::new();
    for (name, kind) in made(program) {
        push_field(statics, &kind.field(name), &mut fields);
    }
    let n_fields = fields.len() / FIELD_BYTES;
    let metadata = entry(statics, "azora:element", program.element.word());
    let mut columns = Vec::with_capacity(program.output.len() * COLUMN_BYTES);
    let mut n_made = 0;
    for (name, output) in &program.output {
        let mut column = [0; COLUMN_BYTES];
        match output {
            Output::Made(_) => {
                put(&mut column, 4, n_made);
                n_made += 1;
            }
            Output::Passed(input) => {
                put(&mut column, 0, 1);
                put(&mut column, 4, *input);
                put(&mut column, 8, statics.text(name) as usize);
                put(&mut column, 12, name.len());
            }
        }
        columns.extend_from_slice(&column);
    }
    let mut plan = [0; PAYLOAD + PLAN_BYTES];
    let lists = [
        (statics.place(&fields), n_fields),
        (metadata, 1),
        (statics.place(&columns), program.output.len()),
        (statics.place(&needs), n_needs),
    ];
    for (at, (place, length)) in lists.into_iter().enumerate() {
        put(&mut plan, PAYLOAD + at * 8, place as usize);
        put(&mut plan, PAYLOAD + at * 8 + 4, length);
    }
    statics.place(&plan)
}

/// A field and, behind it, its children.
fn push_field(statics: &mut Statics, field: &Field, out: &mut Vec<u8>) {
    let mut bytes = [0; FIELD_BYTES];
    let none: &[Field] = &[];
    let (case, children) = match &field.ty {
        Type::Null => (case::NULL, none),
        Type::Boolean => (case::BOOLEAN, none),
        Type::Int64 => (case::INT64, none),
        Type::Float64 => (case::FLOAT64, none),
        Type::Utf8 => (case::UTF8, none),
        Type::Timestamp => (case::TIMESTAMP, none),
        Type::List(item) => (case::VAR_LIST, std::slice::from_ref(&**item)),
        Type::Struct(fields) | Type::Tuple(fields) => (case::STRUCT, fields.as_slice()),
    };
    put(&mut bytes, 0, statics.text(&field.name) as usize);
    put(&mut bytes, 4, field.name.len());
    put(&mut bytes, 8, usize::from(case));
    if field.ty == Type::Timestamp {
        put(&mut bytes, 12, usize::from(MILLISECOND));
        put(&mut bytes, 16, 1);
        put(&mut bytes, 20, statics.text("UTC") as usize);
        put(&mut bytes, 24, 3);
    }
    put(&mut bytes, 28, usize::from(field.nullable));
    put(&mut bytes, 32, children.len());
    if matches!(field.ty, Type::Tuple(_)) {
        put(&mut bytes, 36, entry(statics, "azora:tuple", "true") as usize);
        put(&mut bytes, 40, 1);
    }
    out.extend_from_slice(&bytes);
    for child in children {
        push_field(statics, child, out);
    }
}

fn entry(statics: &mut Statics, key: &str, value: &str) -> u32 {
    let mut bytes = [0; 16];
    for (at, text) in [key, value].into_iter().enumerate() {
        put(&mut bytes, at * 8, statics.text(text) as usize);
        put(&mut bytes, at * 8 + 4, text.len());
    }
    statics.place(&bytes)
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn put(bytes: &mut [u8], at: usize, value: usize) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&word(value));
    }
}
