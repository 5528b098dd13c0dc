//! Lists in memory, and the conversion of a value to a wider kind.

use super::code::Op;
use super::row::Row;
use super::value::{Slots, stride, zero};
use crate::kind::{Kind, Nulls, Ty};
use crate::tree::{Expr, Slot, int_to_float};
use wasm_encoder::ValType;

impl Row<'_, '_> {
    /// A list as `pointer | count << 32`.
    pub(super) fn pack(&mut self, pointer: u32, count: u32) -> Op {
        let mut i = self.code.i();
        i.local_get(pointer).i64_extend_i32_u().local_get(count).i64_extend_i32_u().i64_const(32).i64_shl().i64_or();
        self.code.take(ValType::I64)
    }

    /// Pointer to the first element and number of elements.
    pub(super) fn unpack(&mut self, list: Op) -> (u32, u32) {
        let (pointer, count) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.push(list);
        self.code.i().i32_wrap_i64().local_set(pointer);
        self.code.push(list);
        self.code.i().i64_const(32).i64_shr_u().i32_wrap_i64().local_set(count);
        (pointer, count)
    }

    fn alloc(&mut self, count: u32, width: i32) -> u32 {
        self.code.i().local_get(count).i32_const(width).i32_mul();
        self.call("alloc");
        let at = self.code.local(ValType::I32);
        self.code.i().local_set(at);
        at
    }

    pub(super) fn list_get(&mut self, list: &Expr, index: &Expr, kind: &Kind) -> Slots {
        let element = element_of(&list.kind);
        let packed = self.one(list);
        let index = self.one(index);
        let (pointer, count) = self.unpack(packed);
        let layout = kind.layout();
        let results: Vec<u32> = layout.iter().map(|ty| self.code.local(*ty)).collect();
        self.code.push(index);
        self.code.i().local_get(count).i64_extend_i32_u().i64_lt_u();
        self.code.start_if();
        self.inside(|me| {
            let from = me.code.local(ValType::I32);
            me.code.i().local_get(pointer);
            me.code.push(index);
            me.code.i().i32_wrap_i64().i32_const(stride(&element)).i32_mul().i32_add().local_set(from);
            let slots = me.load_slots(from, &element);
            let slots = me.coerce(slots, &element, kind);
            me.assign(&results, &slots);
        });
        self.code.otherwise();
        let none = self.coerce(Slots::new(), &Kind::UNDEFINED, kind);
        self.assign(&results, &none);
        self.code.end();
        results.into_iter().map(Op::Local).collect()
    }

    /// Runs the body for every element of a list in memory, with its slots.
    pub(super) fn for_each(&mut self, pointer: u32, count: u32, element: &Kind, body: impl FnOnce(&mut Self, Slots)) {
        let (index, from) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.i().i32_const(0).local_set(index).local_get(pointer).local_set(from);
        self.count_loop(index, Op::Local(count), |me| {
            let slots = me.load_slots(from, element);
            me.code.i().local_get(from).i32_const(stride(element)).i32_add().local_set(from);
            body(me, slots);
        });
    }

    pub(super) fn list_map(&mut self, slot: Slot, list: &Expr, body: &Expr) -> Op {
        let element = element_of(&list.kind);
        let packed = self.one(list);
        let (pointer, count) = self.unpack(packed);
        let to = self.alloc(count, stride(&body.kind));
        let start = self.code.local(ValType::I32);
        self.code.i().local_get(to).local_set(start);
        self.for_each(pointer, count, &element, |me, slots| {
            me.values.insert(slot, slots);
            let values = me.value(body);
            me.store_slots(to, &body.kind, &values);
            me.code.i().local_get(to).i32_const(stride(&body.kind)).i32_add().local_set(to);
        });
        self.pack(start, count)
    }

    pub(super) fn list_filter(&mut self, slot: Slot, list: &Expr, test: &Expr) -> Op {
        let element = element_of(&list.kind);
        let packed = self.one(list);
        let (pointer, count) = self.unpack(packed);
        let to = self.alloc(count, stride(&element));
        let (start, kept) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.i().local_get(to).local_set(start).i32_const(0).local_set(kept);
        self.for_each(pointer, count, &element, |me, slots| {
            me.values.insert(slot, slots.clone());
            me.push_one(test);
            me.code.start_if();
            me.store_slots(to, &element, &slots);
            me.code.i().local_get(to).i32_const(stride(&element)).i32_add().local_set(to);
            me.code.i().local_get(kept).i32_const(1).i32_add().local_set(kept);
            me.code.end();
        });
        self.pack(start, kept)
    }

    /// The same value in a wider kind. Constants stay constants.
    pub(super) fn coerce(&mut self, slots: Slots, from: &Kind, to: &Kind) -> Slots {
        if from == to {
            return slots;
        }
        let mut slots = slots;
        let flag = if from.has_flag() {
            slots.pop().unwrap_or(Op::I32(0))
        } else {
            Op::I32(if from.ty == Ty::Nil { from.nulls.flag() } else { 0 })
        };
        let mut out = self.coerce_present(slots, &from.ty, &to.ty);
        if to.has_flag() {
            out.push(flag);
        }
        out
    }

    fn coerce_present(&mut self, slots: Slots, from: &Ty, to: &Ty) -> Slots {
        match (from, to) {
            (from, to) if from == to => slots,
            (Ty::Nil, to) => to.clone().sure().layout().into_iter().map(zero).collect(),
            (Ty::Int, Ty::Float) => match slots.first() {
                Some(Op::I64(value)) => vec![Op::F64(int_to_float(*value))],
                Some(value) => {
                    self.code.push(*value);
                    self.code.i().f64_convert_i64_s();
                    vec![self.code.take(ValType::F64)]
                }
                None => Slots::new(),
            },
            (Ty::List(a), Ty::List(b)) => match slots.first() {
                Some(list) => vec![self.relist(*list, a, b)],
                None => Slots::new(),
            },
            (Ty::Tuple(parts), Ty::List(element)) => vec![self.list_of(slots, parts, element)],
            (Ty::Tuple(a), Ty::Tuple(b)) => {
                let mut rest = slots.into_iter();
                let mut out = Slots::new();
                for (a, b) in a.iter().zip(b) {
                    let part: Slots = rest.by_ref().take(a.width()).collect();
                    out.extend(self.coerce(part, a, b));
                }
                out
            }
            (Ty::Struct(a), Ty::Struct(b)) => {
                let mut rest = slots.into_iter();
                let held: Vec<Slots> = a.iter().map(|part| rest.by_ref().take(part.kind.width()).collect()).collect();
                let mut out = Slots::new();
                for wanted in b {
                    match a.iter().zip(&held).find(|(part, _)| part.name == wanted.name) {
                        Some((part, slots)) => out.extend(self.coerce(slots.clone(), &part.kind, &wanted.kind)),
                        None => out.extend(self.coerce(Slots::new(), &Kind::UNDEFINED, &wanted.kind)),
                    }
                }
                out
            }
            _ => self.broken("a conversion that does not exist"),
        }
    }

    /// A list whose elements are in a wider kind.
    fn relist(&mut self, list: Op, from: &Kind, to: &Kind) -> Op {
        let (pointer, count) = self.unpack(list);
        let target = self.alloc(count, stride(to));
        let start = self.code.local(ValType::I32);
        self.code.i().local_get(target).local_set(start);
        self.for_each(pointer, count, from, |me, slots| {
            let slots = me.coerce(slots, from, to);
            me.store_slots(target, to, &slots);
            me.code.i().local_get(target).i32_const(stride(to)).i32_add().local_set(target);
        });
        self.pack(start, count)
    }

    fn list_of(&mut self, slots: Slots, parts: &[Kind], element: &Kind) -> Op {
        let (count, to) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.i().i32_const(i32::try_from(parts.len()).unwrap_or(0)).local_set(count);
        let start = self.alloc(count, stride(element));
        self.code.i().local_get(start).local_set(to);
        let mut rest = slots.into_iter();
        for part in parts {
            let slots: Slots = rest.by_ref().take(part.width()).collect();
            let slots = self.coerce(slots, part, element);
            self.store_slots(to, element, &slots);
            self.code.i().local_get(to).i32_const(stride(element)).i32_add().local_set(to);
        }
        self.pack(start, count)
    }
}

pub(super) fn element_of(list: &Kind) -> Kind {
    match &list.ty {
        Ty::List(element) => (**element).clone(),
        _ => Kind { ty: Ty::Nil, nulls: Nulls::NONE },
    }
}
