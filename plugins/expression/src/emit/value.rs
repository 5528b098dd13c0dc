//! Expressions as instructions. A value is a list of operands, one for each slot of its kind's layout.

use super::code::Op;
use super::columns::mem;
use super::range::ANY;
use super::row::Row;
use crate::kind::{Kind, Nulls, Ty};
use crate::tree::{Bits, Compare, Expr, FloatMath, FloatUnary, IntMath, Node, Slot};
use wasm_encoder::ValType;

pub(super) type Slots = Vec<Op>;

/// Bytes of one list element.
pub(super) fn stride(kind: &Kind) -> i32 {
    i32::try_from(kind.width() * 8).unwrap_or(i32::MAX)
}

impl Row<'_, '_> {
    pub(super) fn one(&mut self, expr: &Expr) -> Op {
        let slots = self.value(expr);
        slots.first().copied().unwrap_or(Op::I32(0))
    }

    pub(super) fn push_one(&mut self, expr: &Expr) {
        let op = self.one(expr);
        self.code.push(op);
    }

    pub(super) fn value(&mut self, expr: &Expr) -> Slots {
        match &expr.node {
            Node::Bool(value) => vec![Op::I32(i32::from(*value))],
            Node::Int(value) => vec![Op::I64(*value)],
            Node::Float(value) => vec![Op::F64(*value)],
            Node::Str(text) => vec![Op::I64(self.unit.statics.packed(text))],
            Node::Nil if expr.kind.has_flag() => vec![Op::I32(expr.kind.nulls.flag())],
            Node::Nil => Slots::new(),
            Node::Column(path) => self.column(path),
            Node::Local(slot) => self.read(*slot),
            Node::Part(base, at) => self.part(base, *at),
            Node::Parts(parts) => parts.iter().flat_map(|part| self.value(part)).collect(),
            Node::Value(inner) => {
                let mut slots = self.value(inner);
                if inner.kind.has_flag() {
                    slots.pop();
                }
                slots
            }
            Node::Widen(inner) => {
                let slots = self.value(inner);
                self.coerce(slots, &inner.kind, &expr.kind)
            }
            Node::Require(test, message, value) => {
                self.push_one(test);
                self.code.i().i32_eqz();
                self.code.start_if();
                self.fail_user(message);
                self.code.end();
                self.value(value)
            }
            Node::If(test, then, otherwise) => self.choose(expr, test, then, otherwise),
            Node::Let(slot, value, body) => {
                self.bind(*slot, value);
                self.value(body)
            }
            Node::Block(statements) => self.block(&expr.kind, statements),
            Node::ListGet(list, index) => self.list_get(list, index, &expr.kind),
            Node::Do(statements, value) => {
                self.statements(statements);
                self.value(value)
            }
            Node::Fresh(inner) => self.value(inner),
            Node::ListAt(list, index) => self.list_at(list, index),
            Node::ListMap(slot, index, list, body) => vec![self.list_map(*slot, *index, list, body)],
            Node::ListFilter(slot, index, list, test) => vec![self.list_filter(*slot, *index, list, test)],
            Node::ListCall(name, arguments) => vec![self.list_call(name, arguments)],
            Node::CallOrUndefined(name, arguments) => self.call_or_undefined(name, arguments),
            Node::And(a, b) => vec![self.logical(a, b, true)],
            Node::Or(a, b) => vec![self.logical(a, b, false)],
            _ => {
                let ty = expr.kind.layout().first().copied().unwrap_or(ValType::I32);
                self.push_scalar(expr);
                vec![self.code.take(ty)]
            }
        }
    }

    /// Operations whose answer is one value on the stack.
    fn push_scalar(&mut self, expr: &Expr) {
        match &expr.node {
            Node::IsNil(inner, nulls) => self.push_is_nil(inner, *nulls),
            Node::Not(inner) => {
                self.push_one(inner);
                self.code.i().i32_eqz();
            }
            Node::IntMath(operator, a, b) => self.push_int_math(*operator, a, b),
            Node::IntRem(value, divisor) => {
                self.push_one(value);
                self.code.i().i64_const(*divisor).i64_rem_s();
            }
            Node::FloatMath(operator, a, b) => {
                self.push_two(a, b);
                let mut i = self.code.i();
                match operator {
                    FloatMath::Add => i.f64_add(),
                    FloatMath::Sub => i.f64_sub(),
                    FloatMath::Mul => i.f64_mul(),
                    FloatMath::Div => i.f64_div(),
                    FloatMath::Min => i.f64_min(),
                    FloatMath::Max => i.f64_max(),
                };
            }
            Node::FloatUnary(operator, value) => {
                self.push_one(value);
                let mut i = self.code.i();
                match operator {
                    FloatUnary::Neg => i.f64_neg(),
                    FloatUnary::Abs => i.f64_abs(),
                    FloatUnary::Sqrt => i.f64_sqrt(),
                    FloatUnary::Floor => i.f64_floor(),
                    FloatUnary::Ceil => i.f64_ceil(),
                    FloatUnary::Trunc => i.f64_trunc(),
                    FloatUnary::Fround => i.f32_demote_f64().f64_promote_f32(),
                };
            }
            Node::Compare(operator, a, b) => self.push_compare(*operator, a, b),
            Node::Bits(operator, a, b) => self.push_bits(*operator, a, b),
            Node::IntToFloat(inner) => {
                self.push_one(inner);
                self.code.i().f64_convert_i64_s();
            }
            Node::BoolToInt(inner) => {
                self.push_one(inner);
                self.code.i().i64_extend_i32_u();
            }
            Node::TimeToInt(inner) => self.push_one(inner),
            Node::Extend(inner) => {
                self.push_one(inner);
                self.code.i().i64_extend_i32_s();
            }
            Node::Narrow(inner) => {
                self.push_one(inner);
                self.code.i().i32_wrap_i64();
            }
            Node::StrIsEmpty(inner) => {
                self.push_one(inner);
                self.code.i().i64_const(32).i64_shr_u().i64_eqz();
            }
            Node::ListLen(inner) => {
                self.push_one(inner);
                self.code.i().i64_const(32).i64_shr_u();
            }
            Node::FloatToInt(inner) => {
                self.push_one(inner);
                self.code.i().i64_trunc_sat_f64_s();
            }
            Node::FloatToIndex(inner) => {
                let value = self.one(inner);
                self.code.push(value);
                self.code.i().i64_trunc_sat_f64_s();
                let cut = self.code.take(ValType::I64);
                self.code.push(cut);
                self.code.i().i64_const(-1);
                self.code.push(cut);
                self.code.i().f64_convert_i64_s();
                self.code.push(value);
                self.code.i().f64_eq().select();
            }
            Node::Call(name, arguments) => self.push_call(name, arguments),
            _ => {
                self.broken("an expression without a value");
                self.code.i().unreachable();
            }
        }
    }

    pub(super) fn push_two(&mut self, a: &Expr, b: &Expr) {
        let (a, b) = (self.one(a), self.one(b));
        self.code.push(a);
        self.code.push(b);
    }

    fn push_call(&mut self, name: &'static str, arguments: &[Expr]) {
        if let Some((value, text)) = short_text(name, arguments) {
            return self.push_is_text(value, text);
        }
        // Three strings are joined in one go.
        let joined = match arguments {
            [Expr { node: Node::Call("str_concat", first), .. }, last] if name == "str_concat" => Some(first.iter().chain([last])),
            _ => None,
        };
        if let Some(joined) = joined {
            let values: Vec<Op> = joined.map(|argument| self.one(argument)).collect();
            values.into_iter().for_each(|value| self.code.push(value));
            return self.call("str_concat3");
        }
        let values: Vec<Op> = arguments.iter().map(|argument| self.one(argument)).collect();
        for value in values {
            self.code.push(value);
        }
        self.call(name);
    }

    /// Whether a string is a constant of at most 16 bytes: its length and one or two words of it are compared. What lies
    /// behind a string is there to be read.
    fn push_is_text(&mut self, value: &Expr, text: &str) {
        let n = text.len();
        let value = self.one(value);
        self.code.push(value);
        self.code.i().i64_const(32).i64_shr_u().i64_const(i64::try_from(n).unwrap_or(0)).i64_eq();
        for (offset, mask, word) in text_words(text) {
            self.code.push(value);
            self.code.i().i32_wrap_i64().i64_load(mem(offset, 0)).i64_const(mask).i64_and().i64_const(word).i64_eq().i32_and();
        }
    }

    fn call_or_undefined(&mut self, name: &'static str, arguments: &[Expr]) -> Slots {
        self.push_call(name, arguments);
        let is_text = name.starts_with("str_at") || name.starts_with("str_index");
        let value = self.code.take(if is_text { ValType::I64 } else { ValType::F64 });
        self.code.push(value);
        if is_text {
            // What is undefined must still be harmless to whoever reads the value without looking at the flag.
            self.code.i().i64_const(-1).i64_eq();
        } else {
            self.code.push(value);
            self.code.i().f64_ne();
        }
        let is_undefined = self.code.take(ValType::I32);
        let flag = self.scaled(is_undefined, Nulls::UNDEFINED.flag());
        if !is_text {
            return vec![value, flag];
        }
        self.code.i().i64_const(0);
        self.code.push(value);
        self.code.push(is_undefined);
        self.code.i().select();
        vec![self.code.take(ValType::I64), flag]
    }

    fn scaled(&mut self, bit: Op, by: i32) -> Op {
        self.code.push(bit);
        self.code.i().i32_const(by).i32_mul();
        self.code.take(ValType::I32)
    }

    fn part(&mut self, base: &Expr, at: usize) -> Slots {
        let slots = self.value(base);
        let parts = base.kind.ty.parts();
        let start: usize = parts.iter().take(at).map(|part| part.width()).sum();
        let width = parts.get(at).map_or(0, |part| part.width());
        slots.into_iter().skip(start).take(width).collect()
    }

    fn push_is_nil(&mut self, inner: &Expr, nulls: Nulls) {
        let flag = match &inner.node {
            Node::Column(path) => self.column_flag(path),
            _ if inner.kind.has_flag() => self.value(inner).last().copied().unwrap_or(Op::I32(0)),
            _ => Op::I32(inner.kind.nulls.flag()),
        };
        self.code.push(flag);
        if nulls.has(inner.kind.nulls) {
            // Flags of values that are there are 0, and select and branches take any other as true; as a value it is 0 or 1.
            self.code.i().i32_const(0).i32_ne();
        } else {
            self.code.i().i32_const(nulls.flag()).i32_eq();
        }
    }

    fn logical(&mut self, a: &Expr, b: &Expr, is_and: bool) -> Op {
        if self.is_cheap(b) {
            self.push_two(a, b);
            let mut i = self.code.i();
            if is_and {
                i.i32_and()
            } else {
                i.i32_or()
            };
            return self.code.take(ValType::I32);
        }
        let result = self.code.local(ValType::I32);
        self.push_one(a);
        self.code.i().local_tee(result);
        if !is_and {
            self.code.i().i32_eqz();
        }
        self.code.start_if();
        self.inside(|me| {
            let b = me.one(b);
            me.code.set(result, b);
        });
        self.code.end();
        Op::Local(result)
    }

    fn choose(&mut self, expr: &Expr, test: &Expr, then: &Expr, otherwise: &Expr) -> Slots {
        let layout = expr.kind.layout();
        if self.is_cheap(then) && self.is_cheap(otherwise) && layout.len() <= 2 {
            let test = self.one(test);
            let (then, otherwise) = (self.value(then), self.value(otherwise));
            return self.select(test, &then, &otherwise, &layout);
        }
        self.push_one(test);
        let results: Vec<u32> = layout.iter().map(|ty| self.code.local(*ty)).collect();
        self.code.start_if();
        self.inside(|me| {
            let slots = me.value(then);
            me.assign(&results, &slots);
        });
        self.code.otherwise();
        self.inside(|me| {
            let slots = me.value(otherwise);
            me.assign(&results, &slots);
        });
        self.code.end();
        results.into_iter().map(Op::Local).collect()
    }

    pub(super) fn select(&mut self, test: Op, then: &[Op], otherwise: &[Op], layout: &[ValType]) -> Slots {
        let mut out = Slots::new();
        for ((a, b), ty) in then.iter().zip(otherwise).zip(layout) {
            if a == b {
                out.push(*a);
                continue;
            }
            self.code.push(*a);
            self.code.push(*b);
            self.code.push(test);
            self.code.i().select();
            out.push(self.code.take(*ty));
        }
        out
    }

    pub(super) fn assign(&mut self, locals: &[u32], slots: &[Op]) {
        for (local, slot) in locals.iter().zip(slots) {
            self.code.set(*local, *slot);
        }
    }

    pub(super) fn bind(&mut self, slot: Slot, value: &Expr) {
        let slots = self.value(value);
        let bound = if value.kind.ty == Ty::Int { self.bound(value) } else { ANY };
        if let Some(known) = self.slot_bounds.get_mut(slot.0) {
            *known = bound;
        }
        self.values.insert(slot, slots);
    }

    fn read(&mut self, slot: Slot) -> Slots {
        if let Some(locals) = self.variables.get(&slot).cloned() {
            let layout = self.program.slots.get(slot.0).map(Kind::layout).unwrap_or_default();
            return locals
                .iter()
                .zip(layout)
                .map(|(local, ty)| {
                    self.code.i().local_get(*local);
                    self.code.take(ty)
                })
                .collect();
        }
        match self.values.get(&slot) {
            Some(slots) => slots.clone(),
            None => self.broken("a variable before its value"),
        }
    }

    fn push_int_math(&mut self, operator: IntMath, a: &Expr, b: &Expr) {
        let is_safe = self.is_safe(operator, a, b);
        let (x, y) = (self.one(a), self.one(b));
        if matches!(operator, IntMath::Min | IntMath::Max) {
            self.code.push(x);
            self.code.push(y);
            self.code.push(x);
            self.code.push(y);
            let mut i = self.code.i();
            if operator == IntMath::Min {
                i.i64_lt_s()
            } else {
                i.i64_gt_s()
            };
            i.select();
            return;
        }
        if !is_safe && operator == IntMath::Mul {
            self.code.push(x);
            self.code.push(y);
            self.helper(super::unit::Helper::MulOverflows);
            self.fail_if_overflow();
        }
        self.code.push(x);
        self.code.push(y);
        match operator {
            IntMath::Add | IntMath::Count => self.code.i().i64_add(),
            IntMath::Sub => self.code.i().i64_sub(),
            _ => self.code.i().i64_mul(),
        };
        if is_safe || operator == IntMath::Mul {
            return;
        }
        let result = self.code.take(ValType::I64);
        // The sign is wrong where the operands agreed (for a difference: disagreed) and the result does not.
        let (p, q) = if operator == IntMath::Add { ((x, result), (y, result)) } else { ((x, y), (x, result)) };
        self.code.push(p.0);
        self.code.push(p.1);
        self.code.i().i64_xor();
        self.code.push(q.0);
        self.code.push(q.1);
        self.code.i().i64_xor().i64_and().i64_const(0).i64_lt_s();
        self.fail_if_overflow();
        self.code.push(result);
    }

    fn fail_if_overflow(&mut self) {
        self.checks += 1;
        self.code.start_if();
        self.fail_overflow();
        self.code.end();
    }

    fn push_compare(&mut self, operator: Compare, a: &Expr, b: &Expr) {
        if let (Compare::Equal | Compare::NotEqual, Node::IntRem(value, divisor), Node::Int(0)) = (operator, &a.node, &b.node) {
            self.push_divisible(value, *divisor);
            if operator == Compare::NotEqual {
                self.code.i().i32_eqz();
            }
            return;
        }
        self.push_two(a, b);
        let mut i = self.code.i();
        match (&a.kind.ty, operator) {
            (Ty::Float, Compare::Equal) => i.f64_eq(),
            (Ty::Float, Compare::NotEqual) => i.f64_ne(),
            (Ty::Float, Compare::Less) => i.f64_lt(),
            (Ty::Float, Compare::LessEqual) => i.f64_le(),
            (Ty::Float, Compare::Greater) => i.f64_gt(),
            (Ty::Float, Compare::GreaterEqual) => i.f64_ge(),
            (Ty::Bool, Compare::Equal) => i.i32_eq(),
            (Ty::Bool, Compare::NotEqual) => i.i32_ne(),
            (Ty::Bool, Compare::Less) => i.i32_lt_u(),
            (Ty::Bool, Compare::LessEqual) => i.i32_le_u(),
            (Ty::Bool, Compare::Greater) => i.i32_gt_u(),
            (Ty::Bool, Compare::GreaterEqual) => i.i32_ge_u(),
            (_, Compare::Equal) => i.i64_eq(),
            (_, Compare::NotEqual) => i.i64_ne(),
            (_, Compare::Less) => i.i64_lt_s(),
            (_, Compare::LessEqual) => i.i64_le_s(),
            (_, Compare::Greater) => i.i64_gt_s(),
            (_, Compare::GreaterEqual) => i.i64_ge_s(),
        };
    }

    /// Whether a number divides another, without a division: multiples of an odd number are those whose product with
    /// its inverse modulo 2^64 stays small; powers of two are seen in the low bits.
    fn push_divisible(&mut self, value: &Expr, divisor: i64) {
        let magnitude = divisor.unsigned_abs();
        let twos = magnitude.trailing_zeros();
        let odd = magnitude >> twos;
        let value = self.one(value);
        if odd == 1 {
            self.code.push(value);
            self.code.i().i64_const(i64::from_ne_bytes((magnitude - 1).to_ne_bytes())).i64_and().i64_eqz();
            return;
        }
        let limit = i64::MAX.unsigned_abs() / odd;
        let signed = |bits: u64| i64::from_ne_bytes(bits.to_ne_bytes());
        self.code.push(value);
        let mut i = self.code.i();
        i.i64_const(signed(inverse(odd))).i64_mul().i64_const(signed(limit)).i64_add().i64_const(signed(2 * limit)).i64_le_u();
        if twos > 0 {
            self.code.push(value);
            self.code.i().i64_const(signed((1 << twos) - 1)).i64_and().i64_eqz().i32_and();
        }
    }

    fn push_bits(&mut self, operator: Bits, a: &Expr, b: &Expr) {
        let (a, b) = (self.one(a), self.one(b));
        self.code.push(a);
        self.code.i().i32_wrap_i64();
        if operator != Bits::LeadingZeros {
            self.code.push(b);
            self.code.i().i32_wrap_i64();
        }
        let mut i = self.code.i();
        match operator {
            Bits::And => i.i32_and(),
            Bits::Or => i.i32_or(),
            Bits::Xor => i.i32_xor(),
            Bits::ShiftLeft => i.i32_shl(),
            Bits::ShiftRight => i.i32_shr_s(),
            Bits::ShiftRightZero => i.i32_shr_u(),
            Bits::LeadingZeros => i.i32_clz(),
            Bits::Multiply => i.i32_mul(),
        };
        if operator == Bits::ShiftRightZero {
            i.i64_extend_i32_u()
        } else {
            i.i64_extend_i32_s()
        };
    }

    /// Writes a value's slots to memory, 8 bytes each.
    pub(super) fn store_slots(&mut self, to: u32, kind: &Kind, slots: &[Op]) {
        for (at, (slot, ty)) in slots.iter().zip(kind.layout()).enumerate() {
            let offset = u32::try_from(at * 8).unwrap_or(0);
            self.code.i().local_get(to);
            self.code.push(*slot);
            match ty {
                ValType::I32 => self.code.i().i32_store(mem(offset, 2)),
                ValType::F64 => self.code.i().f64_store(mem(offset, 3)),
                _ => self.code.i().i64_store(mem(offset, 3)),
            };
        }
    }

    /// Reads a value's slots from memory.
    pub(super) fn load_slots(&mut self, from: u32, kind: &Kind) -> Slots {
        let mut out = Slots::new();
        for (at, ty) in kind.layout().into_iter().enumerate() {
            let offset = u32::try_from(at * 8).unwrap_or(0);
            self.code.i().local_get(from);
            match ty {
                ValType::I32 => self.code.i().i32_load(mem(offset, 2)),
                ValType::F64 => self.code.i().f64_load(mem(offset, 3)),
                _ => self.code.i().i64_load(mem(offset, 3)),
            };
            out.push(self.code.take(ty));
        }
        out
    }
}

/// The one or two words that a string of 1 to 16 bytes consists of: where each is, which bits of it count, and what they are.
pub(super) fn text_words(text: &str) -> Vec<(u32, i64, i64)> {
    let bytes = text.as_bytes();
    let word = |start: usize| {
        let mut word = [0; 8];
        word.iter_mut().zip(bytes.iter().skip(start)).for_each(|(to, from)| *to = *from);
        i64::from_le_bytes(word)
    };
    match bytes.len() {
        n @ 0..8 => vec![(0, (1 << (n * 8)) - 1, word(0))],
        8 => vec![(0, -1, word(0))],
        n => vec![(0, -1, word(0)), (u32::try_from(n - 8).unwrap_or(0), -1, word(n - 8))],
    }
}

/// The operands of a comparison of a string with a constant of 1 to 16 bytes.
pub(super) fn short_text<'e>(name: &str, arguments: &'e [Expr]) -> Option<(&'e Expr, &'e str)> {
    let (value, text) = match arguments {
        [value, Expr { node: Node::Str(text), .. }] | [Expr { node: Node::Str(text), .. }, value] => (value, text),
        _ => return None,
    };
    (name == "str_eq" && (1..=16).contains(&text.len())).then_some((value, text.as_str()))
}

pub(super) fn zero(ty: ValType) -> Op {
    match ty {
        ValType::I32 => Op::I32(0),
        ValType::F64 => Op::F64(0.0),
        _ => Op::I64(0),
    }
}

/// The inverse of an odd number modulo 2^64.
pub(super) fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |x, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x))))
}
