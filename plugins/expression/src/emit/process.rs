//! The functions that see batches: `process`, `finish` and what runs after them.

use super::code::{Code, Op};
use super::columns::{At, mem};
use super::output::cast;
use super::range::{ANY, ROWS_MAX};
use super::row::Row;
use super::statics::Statics;
use super::unit::Unit;
use super::value::{Slots, stride};
use crate::kind::{Kind, Ty};
use crate::tree::{Expr, Finish, Node, Output, Program, Stmt};
use wasm_encoder::{Function, ValType};

/// Parameters of `process`.
pub(super) const ROWS: u32 = 0;
const BUFFERS: u32 = 3;
const PARAMS: u32 = 5;

/// Magnitudes of Int columns that a quick look at a batch may establish, as powers of two, the widest first.
const QUICK_BITS: [u32; 15] = [62, 61, 60, 56, 52, 48, 44, 40, 36, 32, 31, 30, 28, 24, 20];
/// Local variables of one function; WebAssembly's own limit is 50,000.
const VARIABLES_MAX: usize = 40_000;
/// Instructions of a row, in bytes, up to which a loop does 16 rows (8 rows) each time around.
const SMALL_ROW: usize = 200;
const MEDIUM_ROW: usize = 500;

/// Reserves the cells of values that outlive a batch and writes their start values.
pub(super) fn place_state(statics: &mut Statics, program: &Program) -> u32 {
    let bytes: usize = program.state.iter().map(|state| state.zero.kind.width() * 8).sum();
    // Two more cells say where strings that outlive a batch lie.
    let start = statics.reserve(bytes + 16);
    let mut at = start;
    for state in &program.state {
        for op in constant(statics, &state.zero) {
            let cell = match op {
                Op::I32(value) => i64::from(value).to_le_bytes(),
                Op::I64(value) => value.to_le_bytes(),
                Op::F64(value) => value.to_le_bytes(),
                Op::Local(_) => [0; 8],
            };
            statics.write(at, &cell);
            at += 8;
        }
    }
    start
}

/// The slots of a tree of constants.
fn constant(statics: &mut Statics, expr: &Expr) -> Slots {
    match &expr.node {
        Node::Bool(value) => vec![Op::I32(i32::from(*value))],
        Node::Int(value) => vec![Op::I64(*value)],
        Node::Float(value) => vec![Op::F64(*value)],
        Node::Str(text) => vec![Op::I64(statics.packed(text))],
        Node::Parts(parts) => parts.iter().flat_map(|part| constant(statics, part)).collect(),
        Node::Widen(inner) => {
            let mut slots = constant(statics, inner);
            let inner_flag = if inner.kind.has_flag() { slots.pop() } else { None };
            let mut out: Slots = match (&inner.kind.ty, &expr.kind.ty) {
                (Ty::Nil, _) => expr.kind.present().layout().into_iter().map(super::value::zero).collect(),
                (Ty::Int, Ty::Float) => match slots.first() {
                    Some(Op::I64(value)) => vec![Op::F64(crate::tree::int_to_float(*value))],
                    _ => slots,
                },
                _ => slots,
            };
            if expr.kind.has_flag() {
                let known = if inner.kind.ty == Ty::Nil { inner.kind.nulls.flag() } else { 0 };
                out.push(inner_flag.unwrap_or(Op::I32(known)));
            }
            out
        }
        _ if expr.kind.has_flag() => vec![Op::I32(expr.kind.nulls.flag())],
        _ => Slots::new(),
    }
}

/// How one row is done.
#[derive(Debug, Clone, Copy)]
struct Shape {
    checks: usize,
    bytes: usize,
    is_straight: bool,
}

impl Shape {
    /// Rows that vectors do before the clock is looked at.
    const fn block(self) -> u32 {
        if self.bytes <= MEDIUM_ROW { 16 } else { 8 }
    }
}

impl Row<'_, '_> {
    fn load_state(&mut self) {
        let program = self.program;
        let at = self.code.local(ValType::I32);
        let mut cell = self.unit.state;
        for state in &program.state {
            let kind = state.zero.kind.clone();
            self.code.i().i32_const(cast(cell)).local_set(at);
            let slots = self.load_slots(at, &kind);
            let locals = slots.into_iter().filter_map(|op| if let Op::Local(local) = op { Some(local) } else { None }).collect();
            self.variables.insert(state.slot, locals);
            cell += u32::try_from(stride(&kind)).unwrap_or(0);
        }
    }

    fn store_state(&mut self) {
        let program = self.program;
        self.gather_strings();
        let at = self.code.local(ValType::I32);
        let mut cell = self.unit.state;
        for state in &program.state {
            let kind = state.zero.kind.clone();
            let slots: Slots = self.variables.get(&state.slot).into_iter().flatten().copied().map(Op::Local).collect();
            self.code.i().i32_const(cast(cell)).local_set(at);
            self.store_slots(at, &kind, &slots);
            cell += u32::try_from(stride(&kind)).unwrap_or(0);
        }
    }

    /// Copies the strings of the state to one place, which survives the arena's reset by being moved to its start.
    fn gather_strings(&mut self) {
        let strings = state_strings(self.program);
        if strings.is_empty() {
            return;
        }
        let locals: Vec<u32> = strings
            .iter()
            .filter_map(|(state, slot, _)| self.variables.get(&self.program.state.get(*state)?.slot)?.get(*slot).copied())
            .collect();
        let (total, block, to) = (self.code.local(ValType::I32), self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.i().i32_const(0).local_set(total);
        for local in &locals {
            self.code.i().local_get(*local).i64_const(32).i64_shr_u().i32_wrap_i64().local_get(total).i32_add().local_set(total);
        }
        self.code.i().local_get(total);
        self.call("alloc");
        self.code.i().local_tee(block).local_set(to);
        for local in &locals {
            let (pointer, length) = self.unpack(Op::Local(*local));
            self.code.i().local_get(to).local_get(pointer).local_get(length).memory_copy(0, 0);
            let packed = self.pack(to, length);
            self.code.set(*local, packed);
            self.code.i().local_get(to).local_get(length).i32_add().local_set(to);
        }
        let cell = cast(kept_cell(self.unit, self.program));
        self.code.i().i32_const(cell).local_get(block).i32_store(mem(0, 2)).i32_const(cell).local_get(total).i32_store(mem(8, 2));
    }

    /// Writes one row to learn what it takes; nothing of it stays.
    fn measure(&mut self, column_bound: u128) -> Shape {
        self.column_bound = column_bound;
        let (size, checks) = (self.code.size(), self.checks);
        let at = At { index: self.at.index, k: 0, is_block: false };
        self.row(at, false);
        let shape = Shape {
            checks: self.checks - checks,
            bytes: self.code.size() - size,
            is_straight: self.checks == checks && self.is_straight(&self.program.row),
        };
        self.code.truncate(size);
        shape
    }

    fn rows(&mut self, rows: u32) {
        let index = self.at.index;
        let any = self.measure(ANY);
        let tight = self.measure(1 << QUICK_BITS.last().copied().unwrap_or(0));
        if any.checks == tight.checks || self.ints.is_empty() {
            let shape = self.measure(ANY);
            self.all_rows(index, rows, shape);
            return;
        }
        // The narrower the values, the fewer checks are left.
        let first = QUICK_BITS.partition_point(|bits| self.measure(1 << *bits).checks > tight.checks);
        let bits = QUICK_BITS.get(first).copied().unwrap_or(20);
        if self.guarded(index, rows, bits) {
            return;
        }
        self.push_is_within(rows, bits);
        self.code.start_if();
        let shape = self.measure(1 << bits);
        self.all_rows(index, rows, shape);
        self.code.otherwise();
        let slow = self.measure(ANY);
        self.all_rows(index, rows, Shape { is_straight: false, ..slow });
        self.code.end();
    }

    /// Rows in vectors that look at their values on the way, and one by one again where a value was too large; false, and
    /// nothing, where that cannot be done.
    fn guarded(&mut self, index: u32, rows: u32, bits: u32) -> bool {
        let shape = self.measure(1 << bits);
        if shape.checks > 0 {
            return false;
        }
        let size = self.code.size();
        self.code.i().i32_const(0).local_set(index);
        let Some(folds) = self.guarded_rows(index, rows, shape.block(), bits) else {
            self.code.truncate(size);
            return false;
        };
        self.code.start_if();
        self.close_folds(folds);
        self.count_loop(index, Op::Local(rows), |me| me.row(At { index, k: 0, is_block: false }, shape.is_straight));
        self.code.otherwise();
        if let Some(sinks) = self.sinks.clone() {
            self.code.i().i32_const(0).local_set(sinks.len);
        }
        let slow = self.measure(ANY);
        self.all_rows(index, rows, Shape { is_straight: false, ..slow });
        self.code.end();
        true
    }

    fn all_rows(&mut self, index: u32, rows: u32, shape: Shape) {
        self.code.i().i32_const(0).local_set(index);
        let unroll: u32 = match (shape.is_straight, shape.bytes) {
            (true, 0..=SMALL_ROW) => 16,
            (true, bytes) if bytes <= MEDIUM_ROW => 8,
            _ => 1,
        };
        // No operation is checked there, so the rows may be done at once.
        if shape.checks == 0 && self.vector_rows(index, rows, shape.block()) {
            self.count_loop(index, Op::Local(rows), |me| me.row(At { index, k: 0, is_block: false }, shape.is_straight));
            return;
        }
        if unroll > 1 {
            let end = self.code.local(ValType::I32);
            self.code.i().local_get(rows).i32_const(-cast(unroll)).i32_and().local_set(end);
            self.count_loop_by(index, Op::Local(end), cast(unroll), |me| {
                for k in 0..unroll {
                    me.row(At { index, k, is_block: true }, shape.is_straight);
                }
            });
        }
        self.count_loop(index, Op::Local(rows), |me| me.row(At { index, k: 0, is_block: false }, shape.is_straight));
    }

    /// Pushes whether every Int value lies within a power of two, and the batch is no longer than sums allow.
    fn push_is_within(&mut self, rows: u32, bits: u32) {
        let paths: Vec<Vec<usize>> = self.ints.iter().cloned().collect();
        let (index, end, word) = (self.code.local(ValType::I32), self.code.local(ValType::I32), self.code.local(ValType::I64));
        let all = self.code.local(ValType::V128);
        let shift = 1_i64 << bits;
        let both = i128::from_le_bytes([shift.to_le_bytes(), shift.to_le_bytes()].concat().try_into().unwrap_or([0; 16]));
        self.code.i().i64_const(0).local_set(word).v128_const(0).local_set(all);
        for path in paths {
            let Some(values) = self.words(&path) else { continue };
            self.code.i().i32_const(0).local_set(index).local_get(rows).i32_const(-16).i32_and().local_set(end);
            self.count_loop_by(index, Op::Local(end), 16, |me| {
                let at = me.code.local(ValType::I32);
                me.code.i().local_get(values).local_get(index).i32_const(3).i32_shl().i32_add().local_set(at);
                for pair in 0..8 {
                    let mut i = me.code.i();
                    i.local_get(at).v128_load(mem(pair * 16, 0)).v128_const(both).i64x2_add().local_get(all).v128_or().local_set(all);
                }
            });
            self.count_loop(index, Op::Local(rows), |me| {
                let mut i = me.code.i();
                i.local_get(values).local_get(index).i32_const(3).i32_shl().i32_add().i64_load(mem(0, 3));
                i.i64_const(shift).i64_add().local_get(word).i64_or().local_set(word);
            });
        }
        let mut i = self.code.i();
        i.local_get(all).i64x2_extract_lane(0).local_get(all).i64x2_extract_lane(1).i64_or().local_get(word).i64_or();
        i.i64_const(i64::from(bits) + 1).i64_shr_u().i64_eqz();
        i.local_get(ROWS).i64_const(ROWS_MAX).i64_lt_u().i32_and();
    }

    /// Writes a record batch at an offset of the result.
    fn write_batch(&mut self, rows: u32, offset: u32) {
        let result = cast(self.unit.result);
        let (nodes, buffers) = (cast(self.unit.nodes), cast(self.unit.buffers));
        let (n_nodes, n_buffers) = (cast(self.unit.n_nodes), cast(self.unit.n_buffers));
        let mut i = self.code.i();
        i.i32_const(result).local_get(rows).i64_extend_i32_u().i64_store(mem(offset, 3));
        for (at, value) in [nodes, n_nodes, buffers, n_buffers].into_iter().enumerate() {
            let at = offset + 8 + u32::try_from(at * 4).unwrap_or(0);
            i.i32_const(result).i32_const(value).i32_store(mem(at, 2));
        }
    }

    fn write_tag(&mut self, offset: u32, value: i32) {
        let result = cast(self.unit.result);
        self.code.i().i32_const(result).i32_const(value).i32_store8(mem(offset, 0));
    }
}

/// `process`.
pub(super) fn process(unit: &mut Unit, program: &Program) -> Function {
    let mut row = Row::new(unit, program, PARAMS);
    let rows = row.code.local(ValType::I32);
    row.code.i().local_get(ROWS).i32_wrap_i64().local_set(rows);
    let mut next = 0;
    for need in row.unit.needs.clone() {
        if let Some(kind) = program.columns.get(need) {
            let access = row.open_column(kind, BUFFERS, &mut next);
            if let Some(place) = row.columns.get_mut(need) {
                *place = Some(access);
            }
        }
    }
    let yields = program.row.iter().any(may_yield);
    let grows = program.row.iter().any(|statement| matches!(statement, Stmt::Each(..)));
    let passes = program.output.iter().any(|(_, output)| matches!(output, Output::Passed(_)));
    let filters = program.row.iter().any(|statement| matches!(statement, Stmt::Keep(_)));
    let cap = if yields { Op::Local(rows) } else { Op::I32(0) };
    row.open_sinks(cap, grows, (passes && filters).then_some(Op::Local(rows)));
    row.load_state();
    if let Some(partial) = program.partial {
        let local = row.code.local(ValType::I64);
        row.code.i().i64_const(0).local_set(local);
        row.variables.insert(partial, vec![local]);
    }
    row.rows(rows);
    row.has_row = false;
    row.column_bound = ANY;
    row.statements(&program.after_batch);
    if !program.state.is_empty() {
        row.store_state();
    }
    row.fail_if_noted();
    let written = row.close_sinks();
    row.write_batch(written, 8);
    match row.close_kept(rows) {
        Some((bits, bytes)) => {
            row.write_tag(32, 1);
            let result = cast(row.unit.result);
            let mut i = row.code.i();
            i.i32_const(result).local_get(bits).i32_store(mem(36, 2)).i32_const(result).local_get(bytes).i32_store(mem(40, 2));
        }
        None => row.write_tag(32, 0),
    }
    row.write_tag(0, 0);
    let result = cast(row.unit.result);
    row.code.i().i32_const(result);
    row.finish()
}

/// `finish`.
pub(super) fn finish(unit: &mut Unit, program: &Program) -> Function {
    let mut row = Row::new(unit, program, 0);
    row.has_row = false;
    row.write_tag(0, 0);
    row.write_tag(8, 0);
    let result = cast(row.unit.result);
    if program.finish != Finish::None {
        row.load_state();
        let label = row.code.block();
        if let Finish::RowIf(slot) = program.finish {
            row.push_one(&Expr::new(Ty::Bool.sure(), Node::Local(slot)));
            row.code.i().i32_eqz();
            row.code.br_if(label);
        }
        row.open_sinks(Op::I32(1), false, None);
        row.emit_yield();
        let written = row.close_sinks();
        row.write_tag(8, 1);
        row.write_batch(written, 16);
        row.code.end();
    }
    row.code.i().i32_const(result);
    row.finish()
}

/// What runs once the host has read a result: the arena starts again, with the strings of the state at its start.
pub(super) fn post(unit: &mut Unit, program: &Program, is_process: bool) -> Function {
    let mut row = Row::new(unit, program, 1);
    row.call("arena_reset");
    let strings = state_strings(program);
    // Before the first batch the cells point into static data, and are only moved where process has gathered them.
    if !strings.is_empty() && (is_process || program.finish != Finish::None) {
        let cell = cast(kept_cell(row.unit, program));
        let (block, total, to, shift) =
            (row.code.local(ValType::I32), row.code.local(ValType::I32), row.code.local(ValType::I32), row.code.local(ValType::I32));
        let mut i = row.code.i();
        i.i32_const(cell).i32_load(mem(0, 2)).local_set(block).i32_const(cell).i32_load(mem(8, 2)).local_set(total);
        let label = row.code.block();
        row.code.i().local_get(block).i32_eqz();
        row.code.br_if(label);
        row.code.i().local_get(total);
        row.call("alloc");
        let mut i = row.code.i();
        i.local_tee(to).local_get(block).local_get(total).memory_copy(0, 0);
        i.local_get(to).local_get(block).i32_sub().local_set(shift);
        i.i32_const(cell).local_get(to).i32_store(mem(0, 2));
        let state = row.unit.state;
        for (_, _, offset) in strings {
            let at = cast(state + offset);
            let mut i = row.code.i();
            i.i32_const(at).i32_const(at).i32_load(mem(0, 2)).local_get(shift).i32_add().i32_store(mem(0, 2));
        }
        row.code.end();
    }
    row.finish()
}

/// Strings in the state: which value, which of its slots, and the offset of its cell.
fn state_strings(program: &Program) -> Vec<(usize, usize, u32)> {
    fn walk(kind: &Kind, at: &mut usize, out: &mut Vec<usize>) {
        match &kind.ty {
            Ty::Str => {
                out.push(*at);
                *at += 1;
            }
            Ty::Struct(_) | Ty::Tuple(_) => kind.ty.parts().into_iter().for_each(|part| walk(part, at, out)),
            _ => *at += kind.present().width(),
        }
        *at += usize::from(kind.has_flag());
    }
    let mut out = Vec::new();
    let mut offset = 0;
    for (index, state) in program.state.iter().enumerate() {
        let (mut at, mut slots) = (0, Vec::new());
        walk(&state.zero.kind, &mut at, &mut slots);
        out.extend(slots.into_iter().map(|slot| (index, slot, offset + u32::try_from(slot * 8).unwrap_or(0))));
        offset += u32::try_from(stride(&state.zero.kind)).unwrap_or(0);
    }
    out
}

fn kept_cell(unit: &Unit, program: &Program) -> u32 {
    let bytes: i32 = program.state.iter().map(|state| stride(&state.zero.kind)).sum();
    unit.state + u32::try_from(bytes).unwrap_or(0)
}

fn may_yield(statement: &Stmt) -> bool {
    match statement {
        Stmt::Yield => true,
        Stmt::If(_, then, otherwise) => then.iter().chain(otherwise).any(may_yield),
        Stmt::Each(_, _, body) => body.iter().any(may_yield),
        _ => false,
    }
}

impl Row<'_, '_> {
    fn finish(mut self) -> Function {
        if self.code.variables() > VARIABLES_MAX {
            self.broken("it takes too many variables");
        }
        let code: Code = self.code;
        code.finish()
    }
}
