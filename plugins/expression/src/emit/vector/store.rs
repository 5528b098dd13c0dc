//! What becomes of pairs of rows: sums and the like, or rows of the output columns.

use super::super::columns::mem;
use super::{FALSE, Fold, Lanes, TRUE, Vector};
use crate::tree::{Expr, FloatMath, IntMath, Node, Output, Slot};
use wasm_encoder::{InstructionSink, ValType};

impl Vector<'_, '_, '_> {
    pub(super) fn set(&mut self, slot: Slot, value: &Expr) -> Option<()> {
        let is_self = |expr: &Expr| matches!(expr.node, Node::Local(local) if local == slot);
        match &value.node {
            Node::Bool(true) => {
                let mask = self.mask.unwrap_or(TRUE);
                self.fold(slot, Fold::Any, mask, |i| i.v128_or())
            }
            Node::IntMath(IntMath::Add, a, b) if is_self(a) => {
                if matches!(b.node, Node::Int(1)) {
                    let mask = self.mask.unwrap_or(TRUE);
                    return self.fold(slot, Fold::Sum, mask, |i| i.i64x2_sub());
                }
                let more = self.value(b)?;
                let more = self.select(self.mask.unwrap_or(TRUE), more, FALSE);
                self.fold(slot, Fold::Sum, more, |i| i.i64x2_add())
            }
            Node::IntMath(operator @ (IntMath::Min | IntMath::Max), a, b) if is_self(a) => {
                let (fold, is_min) = if *operator == IntMath::Min { (Fold::IntMin, true) } else { (Fold::IntMax, false) };
                let new = self.value(b)?;
                let best = self.folded(slot, fold)?;
                let is_better = self.two(new, Lanes::Local(best), |i| if is_min { i.i64x2_lt_s() } else { i.i64x2_gt_s() });
                let is_better = self.select(self.mask.unwrap_or(TRUE), is_better, FALSE);
                let new = self.select(is_better, new, Lanes::Local(best));
                self.push(new);
                self.i().local_set(best);
                Some(())
            }
            Node::FloatMath(operator @ (FloatMath::Min | FloatMath::Max), a, b) if is_self(a) => {
                let fold = if *operator == FloatMath::Min { Fold::FloatMin } else { Fold::FloatMax };
                let new = self.value(b)?;
                let best = self.folded(slot, fold)?;
                let new = self.select(self.mask.unwrap_or(TRUE), new, Lanes::Local(best));
                self.fold(slot, fold, new, |i| if fold == Fold::FloatMin { i.f64x2_min() } else { i.f64x2_max() })
            }
            Node::FloatMath(FloatMath::Add, a, b) if is_self(a) => self.add_floats(slot, b),
            _ => None,
        }
    }

    /// The vector that a variable is folded in; none if it is folded in two ways.
    fn folded(&mut self, slot: Slot, fold: Fold) -> Option<u32> {
        self.row.variable(slot)?;
        let fresh = self.row.code.local(ValType::V128);
        let (known, lanes) = *self.folds.entry(slot).or_insert((fold, fresh));
        (known == fold).then_some(lanes)
    }

    fn fold(
        &mut self,
        slot: Slot,
        fold: Fold,
        more: Lanes,
        operator: impl for<'a, 'b> Fn(&'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b>,
    ) -> Option<()> {
        let lanes = self.folded(slot, fold)?;
        self.i().local_get(lanes);
        self.push(more);
        operator(&mut self.i()).local_set(lanes);
        Some(())
    }

    /// Adds doubles one after the other, as JavaScript does. Rows that are out add 0, which changes no sum but one that
    /// started as -0. What may have to be done again must not change the variable yet.
    fn add_floats(&mut self, slot: Slot, more: &Expr) -> Option<()> {
        if self.guard.is_some() {
            return None;
        }
        let total = self.row.variable(slot)?;
        let start = self.row.program.state.iter().find(|state| state.slot == slot)?;
        let is_plain = matches!(start.zero.node, Node::Float(zero) if zero != 0.0 || zero.is_sign_positive());
        if !is_plain || start.zero.kind.has_flag() {
            return None;
        }
        let more = self.value(more)?;
        let more = self.select(self.mask.unwrap_or(TRUE), more, FALSE);
        for lane in 0..2 {
            self.i().local_get(total);
            self.push(more);
            self.i().f64x2_extract_lane(lane).f64_add().local_set(total);
        }
        Some(())
    }

    /// Appends the pair to the output columns.
    pub(super) fn store(&mut self) -> Option<()> {
        let program = self.row.program;
        let sinks = self.row.sinks.clone()?;
        if self.has_yielded || sinks.cap.is_some() {
            return None;
        }
        self.has_yielded = true;
        let mut columns = Vec::new();
        let made = program.output.iter().filter_map(|(_, output)| match output {
            Output::Made(value) => Some(value),
            Output::Passed(_) => None,
        });
        for (sink, value) in sinks.columns.iter().zip(made) {
            let pair = self.pair(value)?;
            let (words, bytes) = sink.fixed()?;
            if let Some(words) = words {
                columns.push((words, 3, pair.value));
            }
            if let Some(bytes) = bytes {
                let bits = self.bitmask(pair.value);
                columns.push((bytes, 0, bits));
            }
            if let Some(valid) = sink.valid {
                let there = self.not(pair.nil.unwrap_or(FALSE));
                let bits = self.bitmask(there);
                columns.push((valid, 0, bits));
            }
        }
        match self.mask {
            None => self.store_dense(&columns, sinks.len),
            Some(mask) => self.store_kept(&columns, sinks.len, sinks.kept, mask),
        }
        Some(())
    }

    /// The lanes' truth values in the low two bits of an `i32`.
    fn bitmask(&mut self, mask: Lanes) -> Lanes {
        let bits = self.row.code.local(ValType::I32);
        self.push(mask);
        self.i().i64x2_bitmask().local_set(bits);
        Lanes::Local(bits)
    }

    /// Pushes one of two bits.
    fn push_bit(&mut self, bits: Lanes, lane: u8) {
        if let Lanes::Local(bits) = bits {
            let mut i = self.i();
            i.local_get(bits);
            if lane == 1 {
                i.i32_const(1).i32_shr_u()
            } else {
                i.i32_const(1).i32_and()
            };
        }
    }

    /// Every row goes out: the rows of a block lie behind those of the last one.
    fn store_dense(&mut self, columns: &[(u32, i32, Lanes)], len: u32) {
        let row = self.pair * 2;
        for (place, shift, lanes) in columns {
            self.i().local_get(*place).local_get(len);
            if *shift != 0 {
                self.i().i32_const(*shift).i32_shl().i32_add();
                self.push(*lanes);
                self.i().v128_store(mem(row * 8, 3));
                continue;
            }
            let at = self.row.code.local(ValType::I32);
            self.i().i32_add().local_set(at);
            for lane in 0..2_u8 {
                self.i().local_get(at);
                self.push_bit(*lanes, lane);
                self.i().i32_store8(mem(row + u32::from(lane), 0));
            }
        }
    }

    /// Each row is written, and the next one over it unless it is kept.
    fn store_kept(&mut self, columns: &[(u32, i32, Lanes)], len: u32, kept: Option<u32>, mask: Lanes) {
        let bits = self.bitmask(mask);
        let (index, row) = (self.index, self.pair * 2);
        for lane in 0..2_u8 {
            for (place, shift, lanes) in columns {
                self.i().local_get(*place).local_get(len);
                if *shift == 0 {
                    self.i().i32_add();
                    self.push_bit(*lanes, lane);
                    self.i().i32_store8(mem(0, 0));
                } else {
                    self.i().i32_const(*shift).i32_shl().i32_add();
                    self.push(*lanes);
                    self.i().v128_store64_lane(mem(0, 3), lane);
                }
            }
            if let Some(kept) = kept {
                self.i().local_get(kept).local_get(index).i32_add();
                self.push_bit(bits, lane);
                self.i().i32_store8(mem(row + u32::from(lane), 0));
            }
            self.i().local_get(len);
            self.push_bit(bits, lane);
            self.i().i32_add().local_set(len);
        }
    }
}
