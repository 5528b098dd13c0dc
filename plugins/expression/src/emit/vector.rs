//! Many rows at once: pairs of rows in vector registers, for programs of numbers that need no branch.
//!
//! It takes the place of `row` in the loop over whole blocks. What vectors cannot do is left to `row`: then nothing is
//! emitted here. How values may grow has been looked at before (`range`), so no operation is checked.

mod store;
mod values;

use super::code::Op;
use super::columns::mem;
use super::process::ROWS;
use super::range::ROWS_MAX;
use super::row::Row;
use crate::tree::{Slot, Stmt};
use std::collections::HashMap;
use wasm_encoder::{InstructionSink, ValType};

/// Instructions of a block, in bytes, beyond which rows are left to the scalar loop: it takes longer to compile than it
/// can save, and every operation of a block has a local variable.
const BLOCK_BYTES_MAX: usize = 16 << 10;
const TRUE: Lanes = Lanes::Both(u64::MAX);
const FALSE: Lanes = Lanes::Both(0);

/// The values of two rows, 64 bits each; truth values are all ones or all zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lanes {
    Local(u32),
    /// The opposite of a local variable; most uses need no instruction for it.
    Not(u32),
    /// The same constant in both.
    Both(u64),
}

/// Two rows of an expression, and where they are null or undefined (one of the two, as the kind says).
#[derive(Debug, Clone, Copy)]
struct Pair {
    value: Lanes,
    nil: Option<Lanes>,
}

/// How a value that outlives the rows takes in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    IntMin,
    IntMax,
    FloatMin,
    FloatMax,
    /// Whether there was any row.
    Any,
}

/// Variables that are folded, how, and in which vector.
pub(super) type Folds = HashMap<Slot, (Fold, u32)>;

/// What a block of rows is emitted with.
struct Vector<'r, 'u, 'p> {
    row: &'r mut Row<'u, 'p>,
    /// First row of the block.
    index: u32,
    rows: u32,
    /// Which pair of the block is emitted.
    pair: u32,
    values: HashMap<Slot, Pair>,
    mask: Option<Lanes>,
    /// Addresses of the block's values.
    places: HashMap<u32, u32>,
    /// Values of the pair that were loaded.
    loaded: HashMap<u32, Lanes>,
    /// What an integer is made of that was made by a constant factor and then a constant summand, modulo 2^64.
    lines: HashMap<u32, Line>,
    /// Bits of the block's rows, in both lanes.
    bits: HashMap<u32, u32>,
    folds: Folds,
    guard: Option<Guard>,
    has_yielded: bool,
}

/// `of * factor + more`.
#[derive(Debug, Clone, Copy)]
struct Line {
    of: u32,
    factor: u64,
    more: u64,
}

/// A look at Int columns on the way: values of whose magnitude nothing is known, moved by a power of two, are united in
/// a vector; where all lie within it, no higher bit is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    bits: u32,
    all: u32,
}

impl Guard {
    fn shift(self) -> i64 {
        1 << self.bits
    }
}

impl Row<'_, '_> {
    /// Emits a loop over the whole blocks of `block` rows, 16 or 8, among `rows`; false, and nothing, where that cannot
    /// be done.
    pub(super) fn vector_rows(&mut self, index: u32, rows: u32, block: u32) -> bool {
        let Some(folds) = self.vector_blocks(index, rows, block, None) else { return false };
        self.close_folds(folds);
        true
    }

    /// The same where nothing is known of the values yet: whether all were within a power of two is left on the stack. As
    /// long as the folds are not closed, only output was written, and it can be written again.
    pub(super) fn guarded_rows(&mut self, index: u32, rows: u32, block: u32, bits: u32) -> Option<Folds> {
        let guard = Guard { bits, all: self.code.local(ValType::V128) };
        self.code.i().v128_const(0).local_set(guard.all);
        let folds = self.vector_blocks(index, rows, block, Some(guard))?;
        let (at, word) = (self.code.local(ValType::I32), self.code.local(ValType::I64));
        self.code.i().i64_const(0).local_set(word);
        let paths: Vec<Vec<usize>> = self.ints.iter().cloned().collect();
        for path in paths {
            let Some(values) = self.words(&path) else { continue };
            self.code.i().local_get(index).local_set(at);
            self.count_loop(at, Op::Local(rows), |me| {
                let mut i = me.code.i();
                i.local_get(values).local_get(at).i32_const(3).i32_shl().i32_add().i64_load(mem(0, 3));
                i.i64_const(guard.shift()).i64_add().local_get(word).i64_or().local_set(word);
            });
        }
        let mut i = self.code.i();
        i.local_get(guard.all).i64x2_extract_lane(0).local_get(guard.all).i64x2_extract_lane(1).i64_or().local_get(word).i64_or();
        i.i64_const(i64::from(bits) + 1).i64_shr_u().i64_eqz();
        i.local_get(ROWS).i64_const(ROWS_MAX).i64_lt_u().i32_and();
        Some(folds)
    }

    fn vector_blocks(&mut self, index: u32, rows: u32, block: u32, guard: Option<Guard>) -> Option<Folds> {
        let (size, mark) = (self.code.size(), self.code.mark());
        let mut trial = Vector::new(self, index, block, HashMap::new(), guard);
        let is_possible = trial.block().is_some();
        let wanted = trial.folds;
        let is_small = self.code.size() - size <= BLOCK_BYTES_MAX;
        self.code.truncate(size);
        self.code.release(&mark);
        if !is_possible || !is_small {
            return None;
        }
        let step = i32::try_from(block).unwrap_or(16);
        let end = self.code.local(ValType::I32);
        self.code.i().local_get(rows).i32_const(-step).i32_and().local_set(end);
        let mut folds = HashMap::new();
        for (slot, (fold, _)) in sorted(wanted) {
            folds.insert(slot, (fold, self.open_fold(slot, fold)));
        }
        self.count_loop_by(index, Op::Local(end), step, |me| {
            Vector::new(me, index, block, folds.clone(), guard).block();
        });
        Some(folds)
    }

    /// Puts what the vectors hold into the variables.
    pub(super) fn close_folds(&mut self, folds: Folds) {
        for (slot, (fold, lanes)) in sorted(folds) {
            self.close_fold(slot, fold, lanes);
        }
    }

    fn variable(&self, slot: Slot) -> Option<u32> {
        self.variables.get(&slot)?.first().copied()
    }

    /// The vector that a variable is folded in, with its start value.
    fn open_fold(&mut self, slot: Slot, fold: Fold) -> u32 {
        let lanes = self.code.local(ValType::V128);
        let variable = self.variable(slot).unwrap_or_default();
        let mut i = self.code.i();
        match fold {
            Fold::Sum | Fold::Any => i.v128_const(0),
            Fold::IntMin | Fold::IntMax => i.local_get(variable).i64x2_splat(),
            Fold::FloatMin | Fold::FloatMax => i.local_get(variable).f64x2_splat(),
        };
        i.local_set(lanes);
        lanes
    }

    fn close_fold(&mut self, slot: Slot, fold: Fold, lanes: u32) {
        let variable = self.variable(slot).unwrap_or_default();
        let mut i = self.code.i();
        match fold {
            Fold::Sum => {
                i.local_get(lanes).i64x2_extract_lane(0).local_get(lanes).i64x2_extract_lane(1).i64_add();
                i.local_get(variable).i64_add();
            }
            Fold::IntMin | Fold::IntMax => {
                for _ in 0..2 {
                    i.local_get(lanes).i64x2_extract_lane(0).local_get(lanes).i64x2_extract_lane(1);
                }
                if fold == Fold::IntMin {
                    i.i64_lt_s()
                } else {
                    i.i64_gt_s()
                };
                i.select();
            }
            Fold::FloatMin | Fold::FloatMax => {
                i.local_get(lanes).f64x2_extract_lane(0).local_get(lanes).f64x2_extract_lane(1);
                if fold == Fold::FloatMin {
                    i.f64_min()
                } else {
                    i.f64_max()
                };
            }
            Fold::Any => {
                i.local_get(lanes).v128_any_true().local_get(variable).i32_or();
            }
        }
        i.local_set(variable);
    }
}

/// In an order that is the same for the same program.
fn sorted(folds: Folds) -> Vec<(Slot, (Fold, u32))> {
    let mut folds: Vec<_> = folds.into_iter().collect();
    folds.sort_by_key(|(slot, _)| slot.0);
    folds
}

impl<'r, 'u, 'p> Vector<'r, 'u, 'p> {
    fn new(row: &'r mut Row<'u, 'p>, index: u32, rows: u32, folds: Folds, guard: Option<Guard>) -> Self {
        Self {
            row,
            index,
            rows,
            pair: 0,
            values: HashMap::new(),
            mask: None,
            places: HashMap::new(),
            loaded: HashMap::new(),
            lines: HashMap::new(),
            bits: HashMap::new(),
            folds,
            guard,
            has_yielded: false,
        }
    }

    fn i(&mut self) -> InstructionSink<'_> {
        self.row.code.i()
    }

    /// All rows of a block; none where the program has something that vectors cannot do.
    fn block(&mut self) -> Option<()> {
        let program = self.row.program;
        for pair in 0..self.rows / 2 {
            self.pair = pair;
            self.mask = None;
            self.has_yielded = false;
            self.values.clear();
            self.loaded.clear();
            for statement in &program.row {
                self.statement(statement)?;
            }
        }
        let is_dense = self.mask.is_none() && self.has_yielded;
        if let (true, Some(sinks)) = (is_dense, self.row.sinks.clone()) {
            let rows = i32::try_from(self.rows).ok()?;
            self.i().local_get(sinks.len).i32_const(rows).i32_add().local_set(sinks.len);
        }
        Some(())
    }

    fn statement(&mut self, statement: &Stmt) -> Option<()> {
        match statement {
            Stmt::Let(slot, value) => {
                let bound = self.row.bound(value);
                if let Some(known) = self.row.slot_bounds.get_mut(slot.0) {
                    *known = bound;
                }
                let pair = self.pair(value)?;
                self.values.insert(*slot, pair);
            }
            Stmt::Keep(test) => {
                let test = self.value(test)?;
                self.mask = Some(match self.mask {
                    None => test,
                    Some(mask) => self.two(mask, test, |i| i.v128_and()),
                });
            }
            Stmt::Set(slot, value) => self.set(*slot, value)?,
            Stmt::Yield => self.store()?,
            _ => return None,
        }
        Some(())
    }
}

/// A vector of two constants.
fn both(first: u64, second: u64) -> i128 {
    (u128::from(second) << 64 | u128::from(first)).cast_signed()
}

#[cfg(test)]
mod tests;
