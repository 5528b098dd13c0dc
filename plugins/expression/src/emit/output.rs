//! Writing output columns: builders in local variables, appended to row by row, and turned into Arrow buffers at the end.

use super::code::Op;
use super::columns::mem;
use super::row::Row;
use super::unit::Helper;
use super::value::Slots;
use crate::kind::{Kind, Ty};
use crate::tree::Output;
use std::rc::Rc;
use wasm_encoder::ValType;

/// Bytes behind a column of flags, so that they are packed 64 at a time.
const FLAG_SLACK: i32 = 72;
/// Bytes of string data that a column starts with, for each row.
const TEXT_BYTES: i32 = 16;

/// All output columns.
#[derive(Debug)]
pub(super) struct Sinks {
    pub(super) columns: Vec<Sink>,
    /// Rows written.
    pub(super) len: u32,
    /// Rows there is room for; none where there is room for every row that can come.
    pub(super) cap: Option<u32>,
    /// One byte for each input row, for the host to know which columns to keep.
    pub(super) kept: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Sink {
    kind: Kind,
    /// One byte for each value, 1 where it is there.
    pub(super) valid: Option<u32>,
    store: Store,
}

#[derive(Debug, Clone)]
enum Store {
    Nil,
    Bytes(u32),
    Words(u32),
    Text { offsets: u32, bytes: u32, used: u32, cap: u32 },
    List { offsets: u32, len: u32, cap: u32, item: Box<Sink> },
    Parts(Vec<Sink>),
}

impl Sink {
    /// Where its words, or its bytes of flags, are; none for any other column.
    pub(super) fn fixed(&self) -> Option<(Option<u32>, Option<u32>)> {
        match &self.store {
            Store::Words(words) if self.kind.ty != Ty::Date => Some((Some(*words), None)),
            Store::Bytes(bytes) => Some((None, Some(*bytes))),
            _ => None,
        }
    }
}

impl Row<'_, '_> {
    pub(super) fn open_sinks(&mut self, rows: Op, can_grow: bool, kept_rows: Option<Op>) {
        let program = self.program;
        let len = self.code.local(ValType::I32);
        let cap = self.code.local(ValType::I32);
        self.code.i().i32_const(0).local_set(len);
        self.code.push(rows);
        self.code.i().local_set(cap);
        let mut columns = Vec::new();
        for (_, output) in &program.output {
            if let Output::Made(value) = output {
                columns.push(self.open_sink(&value.kind, cap));
            }
        }
        let kept = kept_rows.map(|rows| {
            let kept = self.code.local(ValType::I32);
            self.code.push(rows);
            self.code.i().i32_const(FLAG_SLACK).i32_add();
            self.call("alloc");
            self.code.i().local_set(kept);
            kept
        });
        self.sinks = Some(Rc::new(Sinks { columns, len, cap: can_grow.then_some(cap), kept }));
    }

    /// Room for `cap * width + more` bytes.
    fn room(&mut self, cap: u32, width: i32, more: i32) -> u32 {
        self.code.i().local_get(cap).i32_const(width).i32_mul().i32_const(more).i32_add();
        self.call("alloc");
        let at = self.code.local(ValType::I32);
        self.code.i().local_set(at);
        at
    }

    fn open_offsets(&mut self, cap: u32) -> u32 {
        let offsets = self.room(cap, 4, 8);
        self.code.i().local_get(offsets).i32_const(0).i32_store(mem(0, 2));
        offsets
    }

    fn open_sink(&mut self, kind: &Kind, cap: u32) -> Sink {
        if kind.ty == Ty::Nil {
            return Sink { kind: kind.clone(), valid: None, store: Store::Nil };
        }
        let valid = if kind.is_sure() && kind.ty != Ty::Date { None } else { Some(self.room(cap, 1, FLAG_SLACK)) };
        let store = match &kind.ty {
            Ty::Nil => Store::Nil,
            Ty::Bool => Store::Bytes(self.room(cap, 1, FLAG_SLACK)),
            Ty::Int | Ty::Float | Ty::Time | Ty::Date => Store::Words(self.room(cap, 8, 8)),
            Ty::Str => {
                let offsets = self.open_offsets(cap);
                let bytes = self.room(cap, TEXT_BYTES, 64);
                let (used, bytes_cap) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
                self.code.i().i32_const(0).local_set(used).local_get(cap).i32_const(TEXT_BYTES).i32_mul().local_set(bytes_cap);
                Store::Text { offsets, bytes, used, cap: bytes_cap }
            }
            Ty::List(item) => {
                let offsets = self.open_offsets(cap);
                let (len, item_cap) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
                self.code.i().i32_const(0).local_set(len).local_get(cap).local_set(item_cap);
                let item = Box::new(self.open_sink(item, item_cap));
                Store::List { offsets, len, cap: item_cap, item }
            }
            Ty::Struct(_) | Ty::Tuple(_) => {
                let parts: Vec<Kind> = kind.ty.parts().into_iter().cloned().collect();
                Store::Parts(parts.iter().map(|part| self.open_sink(part, cap)).collect())
            }
        };
        Sink { kind: kind.clone(), valid, store }
    }

    pub(super) fn emit_yield(&mut self) {
        let program = self.program;
        let Some(sinks) = self.sinks.clone() else {
            self.broken("a row without columns");
            return;
        };
        if let Some(cap) = sinks.cap {
            self.ensure(&sinks.columns, sinks.len, cap);
        }
        let made = program.output.iter().filter_map(|(_, output)| match output {
            Output::Made(value) => Some(value),
            Output::Passed(_) => None,
        });
        for (sink, value) in sinks.columns.iter().zip(made) {
            let slots = self.value(value);
            self.append(sink, &slots, sinks.len);
        }
        let mask = self.mask.unwrap_or(Op::I32(1));
        if let Some(kept) = sinks.kept {
            let at = self.at;
            self.code.i().local_get(kept).local_get(at.index).i32_add();
            self.code.push(mask);
            self.code.i().i32_store8(mem(at.k, 0));
        }
        self.code.i().local_get(sinks.len);
        self.code.push(mask);
        self.code.i().i32_add().local_set(sinks.len);
    }

    /// Room for one more value in every buffer of one level.
    fn ensure(&mut self, sinks: &[Sink], len: u32, cap: u32) {
        self.code.i().local_get(len).local_get(cap).i32_ge_u();
        self.code.start_if();
        let more = self.code.local(ValType::I32);
        self.code.i().local_get(cap).i32_const(1).i32_shl().i32_const(16).i32_add().local_set(more);
        for sink in sinks {
            self.grow_sink(sink, len, more);
        }
        self.code.i().local_get(more).local_set(cap);
        self.code.end();
    }

    fn grow_sink(&mut self, sink: &Sink, len: u32, cap: u32) {
        if let Some(valid) = sink.valid {
            self.grow(valid, len, cap, 1, FLAG_SLACK);
        }
        match &sink.store {
            Store::Nil => {}
            Store::Bytes(values) => self.grow(*values, len, cap, 1, FLAG_SLACK),
            Store::Words(values) => self.grow(*values, len, cap, 8, 8),
            Store::Text { offsets, .. } | Store::List { offsets, .. } => self.grow(*offsets, len, cap, 4, 8),
            Store::Parts(parts) => parts.iter().for_each(|part| self.grow_sink(part, len, cap)),
        }
    }

    fn grow(&mut self, place: u32, len: u32, cap: u32, width: i32, more: i32) {
        let mut i = self.code.i();
        i.local_get(place);
        // Offsets have one entry more than values, which the slack of every buffer covers.
        i.local_get(len).i32_const(width).i32_mul().i32_const(width).i32_add();
        i.local_get(cap).i32_const(width).i32_mul().i32_const(more).i32_add();
        self.helper(Helper::Grow);
        self.code.i().local_set(place);
    }

    fn append(&mut self, sink: &Sink, slots: &[Op], at: u32) {
        let (values, flag) = match slots.split_last() {
            Some((flag, values)) if sink.kind.has_flag() => (values, Some(*flag)),
            _ => (slots, None),
        };
        let first = values.first().copied().unwrap_or(Op::I32(0));
        if let Some(valid) = sink.valid {
            self.code.i().local_get(valid).local_get(at).i32_add();
            self.code.push(flag.unwrap_or(Op::I32(0)));
            self.code.i().i32_eqz();
            if sink.kind.ty == Ty::Date {
                self.code.push(first);
                self.code.push(first);
                self.code.i().f64_eq().i32_and();
            }
            self.code.i().i32_store8(mem(0, 0));
        }
        match &sink.store {
            Store::Nil => {}
            Store::Bytes(place) => {
                self.code.i().local_get(*place).local_get(at).i32_add();
                self.code.push(first);
                self.code.i().i32_store8(mem(0, 0));
            }
            Store::Words(place) => {
                self.code.i().local_get(*place).local_get(at).i32_const(3).i32_shl().i32_add();
                self.code.push(first);
                let mut i = self.code.i();
                match sink.kind.ty {
                    Ty::Float => i.f64_store(mem(0, 3)),
                    Ty::Date => i.i64_trunc_sat_f64_s().i64_store(mem(0, 3)),
                    _ => i.i64_store(mem(0, 3)),
                };
            }
            Store::Text { offsets, bytes, used, cap } => {
                let text = self.or_empty(first, flag);
                self.append_text(text, *bytes, *used, *cap);
                self.append_offset(*offsets, at, *used);
            }
            Store::List { offsets, len, cap, item } => {
                let list = self.or_empty(first, flag);
                let (pointer, count) = self.unpack(list);
                let element = item.kind.clone();
                let (len, cap, offsets) = (*len, *cap, *offsets);
                self.for_each(pointer, count, &element, |me, slots| {
                    me.ensure(std::slice::from_ref(&**item), len, cap);
                    me.append(item, &slots, len);
                    me.code.i().local_get(len).i32_const(1).i32_add().local_set(len);
                });
                self.append_offset(offsets, at, len);
            }
            Store::Parts(parts) => {
                let mut rest = values.iter().copied();
                for part in parts {
                    let slots: Slots = rest.by_ref().take(part.kind.width()).collect();
                    self.append(part, &slots, at);
                }
            }
        }
    }

    /// A string or list, of no length where it is null.
    fn or_empty(&mut self, value: Op, flag: Option<Op>) -> Op {
        let Some(flag) = flag else { return value };
        self.code.i().i64_const(0);
        self.code.push(value);
        self.code.push(flag);
        self.code.i().select();
        self.code.take(ValType::I64)
    }

    fn append_text(&mut self, text: Op, bytes: u32, used: u32, cap: u32) {
        let end = self.code.local(ValType::I32);
        self.code.push(text);
        let mut i = self.code.i();
        i.i64_const(32).i64_shr_u().i32_wrap_i64().local_get(used).i32_add().local_tee(end);
        i.local_get(cap).i32_gt_u();
        self.code.start_if();
        let mut i = self.code.i();
        i.local_get(end).i32_const(1).i32_shl().i32_const(64).i32_add().local_set(cap);
        i.local_get(bytes).local_get(used).local_get(cap).i32_const(64).i32_add();
        self.helper(Helper::Grow);
        self.code.i().local_set(bytes);
        self.code.end();
        self.code.i().local_get(bytes).local_get(used).i32_add();
        self.code.push(text);
        self.helper(Helper::Append);
        self.code.i().local_get(end).local_set(used);
    }

    fn append_offset(&mut self, offsets: u32, at: u32, end: u32) {
        let mut i = self.code.i();
        i.local_get(offsets).local_get(at).i32_const(2).i32_shl().i32_add().local_get(end).i32_store(mem(4, 2));
    }

    /// Writes nodes and buffers of all columns; gives the local that holds the number of rows.
    pub(super) fn close_sinks(&mut self) -> u32 {
        let Some(sinks) = self.sinks.clone() else { return 0 };
        let (mut node, mut buffer) = (self.unit.nodes, self.unit.buffers);
        for sink in &sinks.columns {
            self.close_sink(sink, sinks.len, &mut node, &mut buffer);
        }
        sinks.len
    }

    /// The bitmap of kept rows: pointer and bytes.
    pub(super) fn close_kept(&mut self, rows: u32) -> Option<(u32, u32)> {
        let kept = self.sinks.as_ref()?.kept?;
        let (bits, _) = self.pack_flags(kept, rows);
        Some((bits, self.bit_bytes(rows)))
    }

    fn close_sink(&mut self, sink: &Sink, len: u32, node: &mut u32, buffer: &mut u32) {
        let at = *node;
        *node += 16;
        self.code.i().i32_const(cast(at)).local_get(len).i64_extend_i32_u().i64_store(mem(0, 3));
        if sink.kind.ty == Ty::Nil {
            self.code.i().i32_const(cast(at)).local_get(len).i64_extend_i32_u().i64_store(mem(8, 3));
            return;
        }
        match sink.valid {
            None => {
                self.code.i().i32_const(cast(at)).i64_const(0).i64_store(mem(8, 3));
                self.write_buffer(buffer, Op::I32(0), Op::I32(0));
            }
            Some(valid) => {
                let (bits, ones) = self.pack_flags(valid, len);
                let bytes = self.bit_bytes(len);
                let nulls = self.code.local(ValType::I32);
                let mut i = self.code.i();
                i.local_get(len).local_get(ones).i32_sub().local_set(nulls);
                i.i32_const(cast(at)).local_get(nulls).i64_extend_i32_u().i64_store(mem(8, 3));
                i.local_get(bytes).i32_const(0).local_get(nulls).select().local_set(bytes);
                self.write_buffer(buffer, Op::Local(bits), Op::Local(bytes));
            }
        }
        match &sink.store {
            Store::Nil => {}
            Store::Bytes(values) => {
                let (bits, _) = self.pack_flags(*values, len);
                let bytes = self.bit_bytes(len);
                self.write_buffer(buffer, Op::Local(bits), Op::Local(bytes));
            }
            Store::Words(values) => {
                let bytes = self.scale(len, 8, 0);
                self.write_buffer(buffer, Op::Local(*values), bytes);
            }
            Store::Text { offsets, bytes, used, .. } => {
                let length = self.scale(len, 4, 4);
                self.write_buffer(buffer, Op::Local(*offsets), length);
                self.write_buffer(buffer, Op::Local(*bytes), Op::Local(*used));
            }
            Store::List { offsets, len: items, item, .. } => {
                let length = self.scale(len, 4, 4);
                self.write_buffer(buffer, Op::Local(*offsets), length);
                self.close_sink(item, *items, node, buffer);
            }
            Store::Parts(parts) => {
                for part in parts {
                    self.close_sink(part, len, node, buffer);
                }
            }
        }
    }

    fn scale(&mut self, len: u32, by: i32, more: i32) -> Op {
        self.code.i().local_get(len).i32_const(by).i32_mul().i32_const(more).i32_add();
        self.code.take(ValType::I32)
    }

    fn bit_bytes(&mut self, len: u32) -> u32 {
        let bytes = self.code.local(ValType::I32);
        self.code.i().local_get(len).i32_const(7).i32_add().i32_const(3).i32_shr_u().local_set(bytes);
        bytes
    }

    /// Bytes of 0 and 1 as a bitmap: its place and the number of ones.
    fn pack_flags(&mut self, flags: u32, len: u32) -> (u32, u32) {
        let (bits, ones) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.i().local_get(len).i32_const(3).i32_shr_u().i32_const(16).i32_add();
        self.call("alloc");
        self.code.i().local_set(bits).local_get(flags).local_get(len).local_get(bits);
        self.helper(Helper::PackBits);
        self.code.i().local_set(ones);
        (bits, ones)
    }

    fn write_buffer(&mut self, buffer: &mut u32, pointer: Op, length: Op) {
        let at = *buffer;
        *buffer += 8;
        self.code.i().i32_const(cast(at));
        self.code.push(pointer);
        self.code.i().i32_store(mem(0, 2)).i32_const(cast(at));
        self.code.push(length);
        self.code.i().i32_store(mem(4, 2));
    }
}

pub(super) fn cast(address: u32) -> i32 {
    i32::from_ne_bytes(address.to_ne_bytes())
}
