//! Reading input columns: where their buffers are and how the value of a row is loaded.

use super::code::Op;
use super::row::Row;
use super::value::{Slots, stride};
use crate::kind::{Kind, Ty};
use wasm_encoder::{MemArg, ValType};

/// Where the values of a field are, in local variables.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) kind: Kind,
    valid: Option<Valid>,
    data: Data,
}

/// A bitmap; where the host sent none, the mask turns every index to a byte of ones.
#[derive(Debug, Clone, Copy)]
struct Valid {
    bits: u32,
    mask: u32,
}

#[derive(Debug, Clone)]
enum Data {
    Nil,
    Bool(u32),
    Words(u32),
    Text { offsets: u32, bytes: u32 },
    List { offsets: u32, item: Box<Access> },
    Parts(Vec<Access>),
}

/// A row: `index` plus a constant. Where `is_block` is set, `index` is a multiple of 16.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) index: u32,
    pub(super) k: u32,
    pub(super) is_block: bool,
}

pub(super) fn mem(offset: u32, align: u32) -> MemArg {
    MemArg { offset: u64::from(offset), align, memory_index: 0 }
}

/// Where the values of a column are: words, bits, or the offsets and bytes of strings; and the bitmap with its mask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) words: Option<u32>,
    pub(super) bits: Option<u32>,
    pub(super) text: Option<(u32, u32)>,
    pub(super) valid: Option<(u32, u32)>,
}

impl Row<'_, '_> {
    /// Takes the buffers of a field and its children, in the order in which the host sends them.
    pub(super) fn open_column(&mut self, kind: &Kind, buffers: u32, next: &mut u32) -> Access {
        if kind.ty == Ty::Nil {
            return Access { kind: kind.clone(), valid: None, data: Data::Nil };
        }
        let validity = *next;
        *next += 1;
        let valid = if kind.is_sure() { None } else { Some(self.open_validity(buffers, validity)) };
        let mut buffer = |me: &mut Self| {
            me.code.i().local_get(buffers).i32_load(mem(*next * 8, 2));
            *next += 1;
            me.code.local(ValType::I32)
        };
        let data = match &kind.ty {
            Ty::Nil => Data::Nil,
            Ty::Bool | Ty::Int | Ty::Float | Ty::Time | Ty::Date => {
                let values = buffer(self);
                self.code.i().local_set(values);
                if kind.ty == Ty::Bool { Data::Bool(values) } else { Data::Words(values) }
            }
            Ty::Str => {
                let offsets = buffer(self);
                self.code.i().local_set(offsets);
                let bytes = buffer(self);
                self.code.i().local_set(bytes);
                Data::Text { offsets, bytes }
            }
            Ty::List(item) => {
                let offsets = buffer(self);
                self.code.i().local_set(offsets);
                Data::List { offsets, item: Box::new(self.open_column(item, buffers, next)) }
            }
            Ty::Struct(_) | Ty::Tuple(_) => {
                let parts = kind.ty.parts().into_iter().cloned().collect::<Vec<_>>();
                Data::Parts(parts.iter().map(|part| self.open_column(part, buffers, next)).collect())
            }
        };
        Access { kind: kind.clone(), valid, data }
    }

    fn open_validity(&mut self, buffers: u32, at: u32) -> Valid {
        let ones = i32::try_from(self.unit.ones).unwrap_or(0);
        let (bits, mask) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        let mut i = self.code.i();
        i.local_get(buffers).i32_load(mem(at * 8, 2)).i32_const(ones);
        i.local_get(buffers).i32_load(mem(at * 8 + 4, 2)).select().local_set(bits);
        i.i32_const(-1).i32_const(0).local_get(buffers).i32_load(mem(at * 8 + 4, 2)).select().local_set(mask);
        Valid { bits, mask }
    }

    /// Pushes one bit of a bitmap as 0 or 1.
    fn push_bit(&mut self, bits: u32, mask: Option<u32>, at: At) {
        let mut i = self.code.i();
        i.local_get(bits).local_get(at.index).i32_const(3).i32_shr_u();
        if let Some(mask) = mask {
            i.local_get(mask).i32_and();
        }
        i.i32_add();
        if at.is_block {
            i.i32_load8_u(mem(at.k >> 3, 0));
            if at.k & 7 != 0 {
                i.i32_const(i32::try_from(at.k & 7).unwrap_or(0)).i32_shr_u();
            }
        } else {
            i.i32_load8_u(mem(0, 0)).local_get(at.index).i32_const(7).i32_and().i32_shr_u();
        }
        i.i32_const(1).i32_and();
    }

    /// The null flag of a nullable field.
    pub(super) fn load_flag(&mut self, access: &Access, at: At) -> Op {
        match access.valid {
            Some(valid) => {
                self.push_bit(valid.bits, Some(valid.mask), at);
                self.code.i().i32_const(1).i32_xor();
                self.code.take(ValType::I32)
            }
            None => Op::I32(access.kind.nulls.flag()),
        }
    }

    pub(super) fn load(&mut self, access: &Access, at: At) -> Slots {
        let mut out = Slots::new();
        match &access.data {
            Data::Nil => return out,
            Data::Bool(values) => {
                self.push_bit(*values, None, at);
                out.push(self.code.take(ValType::I32));
            }
            Data::Words(values) => {
                self.code.i().local_get(*values).local_get(at.index).i32_const(3).i32_shl().i32_add();
                if access.kind.ty == Ty::Float {
                    self.code.i().f64_load(mem(at.k * 8, 3));
                    out.push(self.code.take(ValType::F64));
                } else {
                    self.code.i().i64_load(mem(at.k * 8, 3));
                    out.push(self.code.take(ValType::I64));
                }
            }
            Data::Text { offsets, bytes } => {
                let (start, length) = self.load_extent(*offsets, at);
                let mut i = self.code.i();
                i.local_get(start).local_get(*bytes).i32_add().i64_extend_i32_u();
                i.local_get(length).i64_extend_i32_u().i64_const(32).i64_shl().i64_or();
                out.push(self.code.take(ValType::I64));
            }
            Data::List { offsets, item } => out.push(self.load_list(*offsets, item, at)),
            Data::Parts(parts) => {
                for part in parts {
                    out.extend(self.load(part, at));
                }
            }
        }
        if access.kind.has_flag() {
            out.push(self.load_flag(access, at));
        }
        out
    }

    /// First element and number of elements of a row.
    fn load_extent(&mut self, offsets: u32, at: At) -> (u32, u32) {
        let (start, length) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        let row = self.code.local(ValType::I32);
        let mut i = self.code.i();
        i.local_get(offsets).local_get(at.index).i32_const(2).i32_shl().i32_add().local_tee(row);
        i.i32_load(mem(at.k * 4, 2)).local_set(start);
        i.local_get(row).i32_load(mem(at.k * 4 + 4, 2)).local_get(start).i32_sub().local_set(length);
        (start, length)
    }

    /// A list's elements stay where they are if they lie as a list in memory does, else they are laid out anew.
    fn load_list(&mut self, offsets: u32, item: &Access, at: At) -> Op {
        let (start, count) = self.load_extent(offsets, at);
        let list = self.code.local(ValType::I32);
        match &item.data {
            Data::Words(values) if item.kind.is_sure() => {
                let mut i = self.code.i();
                i.local_get(*values).local_get(start).i32_const(3).i32_shl().i32_add().local_set(list);
            }
            _ => {
                let width = stride(&item.kind);
                self.code.i().local_get(count).i32_const(width).i32_mul();
                self.call("alloc");
                self.code.i().local_set(list);
                let (index, end, to) = (self.code.local(ValType::I32), self.code.local(ValType::I32), self.code.local(ValType::I32));
                let mut i = self.code.i();
                i.local_get(start).local_tee(index).local_get(count).i32_add().local_set(end);
                i.local_get(list).local_set(to);
                self.count_loop(index, Op::Local(end), |me| {
                    let values = me.load(item, At { index, k: 0, is_block: false });
                    me.store_slots(to, &item.kind, &values);
                    me.code.i().local_get(to).i32_const(width).i32_add().local_set(to);
                });
            }
        }
        self.pack(list, count)
    }

    /// Loads what a path names. A value that was loaded before on every way here is not loaded again.
    pub(super) fn column(&mut self, path: &[usize]) -> Slots {
        if let Some(known) = self.loaded.get(path) {
            return known.clone();
        }
        let at = self.at;
        self.unit.touched.extend(path.first());
        let Some(access) = self.access(path) else { return self.broken("a column that is not there") };
        let values = self.load(&access, at);
        if access.kind.ty == Ty::Int && !self.ints.contains(path) {
            self.ints.insert(path.to_vec());
        }
        self.loaded.insert(path.to_vec(), values.clone());
        values
    }

    /// The null flag of what a path names.
    pub(super) fn column_flag(&mut self, path: &[usize]) -> Op {
        if let Some(Some(flag)) = self.loaded.get(path).map(|values| values.last()) {
            return *flag;
        }
        let at = self.at;
        self.unit.touched.extend(path.first());
        match self.access(path) {
            Some(access) => self.load_flag(&access, at),
            None => Op::I32(0),
        }
    }

    fn access(&self, path: &[usize]) -> Option<Access> {
        let (first, rest) = path.split_first()?;
        let mut access = self.columns.get(*first)?.as_ref()?;
        for step in rest {
            access = match &access.data {
                Data::Parts(parts) => parts.get(*step)?,
                _ => return None,
            };
        }
        Some(access.clone())
    }

    /// Where the values of a column are; none for lists and what has parts.
    pub(super) fn place(&mut self, path: &[usize]) -> Option<Place> {
        let access = self.access(path)?;
        self.unit.touched.extend(path.first());
        let valid = access.valid.map(|valid| (valid.bits, valid.mask));
        let none = Place { words: None, bits: None, text: None, valid };
        match access.data {
            Data::Words(words) => Some(Place { words: Some(words), ..none }),
            Data::Bool(bits) => Some(Place { bits: Some(bits), ..none }),
            Data::Text { offsets, bytes } => Some(Place { text: Some((offsets, bytes)), ..none }),
            _ => None,
        }
    }

    /// Where the words of an Int column are.
    pub(super) fn words(&self, path: &[usize]) -> Option<u32> {
        match self.access(path)?.data {
            Data::Words(values) => Some(values),
            _ => None,
        }
    }
}
