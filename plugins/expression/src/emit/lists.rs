//! Lists in memory, and the conversion of a value to a wider kind.

use super::code::Op;
use super::row::Row;
use super::unit::Helper;
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

    /// An element that is known to be there.
    pub(super) fn list_at(&mut self, list: &Expr, index: &Expr) -> Slots {
        let element = element_of(&list.kind);
        let (packed, index) = (self.one(list), self.one(index));
        let from = self.code.local(ValType::I32);
        self.code.push(packed);
        self.code.i().i32_wrap_i64();
        self.code.push(index);
        self.code.i().i32_wrap_i64().i32_const(stride(&element)).i32_mul().i32_add().local_set(from);
        self.load_slots(from, &element)
    }

    pub(super) fn list_call(&mut self, name: &'static str, arguments: &[Expr]) -> Op {
        let width = arguments.first().map_or(8, |list| stride(&element_of(&list.kind)));
        let values: Vec<Op> = arguments.iter().map(|argument| self.one(argument)).collect();
        values.into_iter().for_each(|value| self.code.push(value));
        self.code.i().i32_const(width);
        self.call(name);
        self.code.take(ValType::I64)
    }

    /// Puts an element into a variable's list, at most one behind its end.
    pub(super) fn put(&mut self, list: Slot, room: Slot, index: Option<&Expr>, value: &Expr) {
        let element = self.program.slots.get(list.0).map_or(Kind::UNDEFINED, element_of);
        let width = stride(&element);
        let index = index.map(|index| self.one(index));
        let slots = self.value(value);
        let local = |me: &Self, slot: Slot| me.variables.get(&slot).and_then(|locals| locals.first()).copied();
        let (Some(list), Some(room)) = (local(self, list), local(self, room)) else {
            self.broken("a change of what is no list");
            return;
        };
        let (pointer, count) = self.unpack(Op::Local(list));
        let (at, more, old) = (self.code.local(ValType::I32), self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.i().local_get(count).local_set(old);
        match index {
            Some(index) => {
                self.code.push(index);
                self.code.i().local_get(count).i64_extend_i32_u().i64_gt_u();
                self.code.start_if();
                self.fail_user("an element was put beyond the end of a list, which would leave a hole in it");
                self.code.end();
                self.code.push(index);
                self.code.i().i32_wrap_i64().local_set(at);
            }
            None => {
                self.code.i().local_get(count).local_set(at);
            }
        }
        // The list grows by one where the element stands right behind its end.
        self.code.i().local_get(count).local_get(at).local_get(count).i32_eq().i32_add().local_tee(count);
        self.code.i().local_get(room).i32_wrap_i64().i32_gt_u();
        self.code.i().local_get(room).i64_eqz().i32_or();
        self.code.start_if();
        self.code.i().local_get(count).i32_const(1).i32_shl().i32_const(4).i32_add().local_set(more);
        self.code.i().local_get(pointer).local_get(old).i32_const(width).i32_mul();
        self.code.i().local_get(more).i32_const(width).i32_mul();
        self.helper(Helper::Grow);
        self.code.i().local_set(pointer).local_get(more).i64_extend_i32_u().local_set(room);
        self.code.end();
        self.code.i().local_get(pointer).local_get(at).i32_const(width).i32_mul().i32_add().local_set(at);
        self.store_slots(at, &element, &slots);
        let packed = self.pack(pointer, count);
        self.code.set(list, packed);
    }

    /// Overwrites an element that is known to be there.
    pub(super) fn write(&mut self, list: Slot, index: &Expr, value: &Expr) {
        let element = self.program.slots.get(list.0).map_or(Kind::UNDEFINED, element_of);
        let slots = self.value(value);
        let index = self.one(index);
        let Some(list) = self.variables.get(&list).and_then(|locals| locals.first()).copied() else {
            self.broken("a change of what is no list");
            return;
        };
        let at = self.code.local(ValType::I32);
        self.code.i().local_get(list).i32_wrap_i64();
        self.code.push(index);
        self.code.i().i32_wrap_i64().i32_const(stride(&element)).i32_mul().i32_add().local_set(at);
        self.store_slots(at, &element, &slots);
    }

    /// A counter for the elements of a list, where somebody reads it.
    fn open_counter(&mut self, index: Option<Slot>) -> Option<u32> {
        let slot = index?;
        let counter = self.code.local(ValType::I64);
        self.code.i().i64_const(0).local_set(counter);
        self.values.insert(slot, vec![Op::Local(counter)]);
        Some(counter)
    }

    fn count_on(&mut self, counter: Option<u32>) {
        if let Some(counter) = counter {
            self.code.i().local_get(counter).i64_const(1).i64_add().local_set(counter);
        }
    }

    pub(super) fn list_map(&mut self, slot: Slot, index: Option<Slot>, list: &Expr, body: &Expr) -> Op {
        let element = element_of(&list.kind);
        let packed = self.one(list);
        let (pointer, count) = self.unpack(packed);
        let to = self.alloc(count, stride(&body.kind));
        let start = self.code.local(ValType::I32);
        self.code.i().local_get(to).local_set(start);
        let counter = self.open_counter(index);
        self.for_each(pointer, count, &element, |me, slots| {
            me.values.insert(slot, slots);
            let values = me.value(body);
            me.store_slots(to, &body.kind, &values);
            me.code.i().local_get(to).i32_const(stride(&body.kind)).i32_add().local_set(to);
            me.count_on(counter);
        });
        self.pack(start, count)
    }

    pub(super) fn list_filter(&mut self, slot: Slot, index: Option<Slot>, list: &Expr, test: &Expr) -> Op {
        let element = element_of(&list.kind);
        let packed = self.one(list);
        let (pointer, count) = self.unpack(packed);
        let to = self.alloc(count, stride(&element));
        let (start, kept) = (self.code.local(ValType::I32), self.code.local(ValType::I32));
        self.code.i().local_get(to).local_set(start).i32_const(0).local_set(kept);
        let counter = self.open_counter(index);
        self.for_each(pointer, count, &element, |me, slots| {
            me.values.insert(slot, slots.clone());
            let test = me.one(test);
            me.count_on(counter);
            me.code.push(test);
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
            (Ty::Time, Ty::Date) => match slots.first() {
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
