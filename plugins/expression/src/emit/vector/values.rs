//! Expressions in pairs of rows.

use super::super::columns::mem;
use super::{FALSE, Lanes, Line, Pair, TRUE, Vector, both};
use crate::emit::value::{inverse, short_text, text_words};
use crate::kind::{Kind, Nulls, Ty};
use crate::tree::{Bits, Compare, Expr, FloatMath, FloatUnary, IntMath, Node, Stmt};
use wasm_encoder::{InstructionSink, ValType};

/// Integers below it become doubles by adding and subtracting 1.5 * 2^52.
const MAGIC_BOUND: u128 = 1 << 51;
const MAGIC: u64 = 0x4338_0000_0000_0000;

/// Whether a flag for the empty value is one truth value: not where it tells null from undefined.
fn has_simple_flag(kind: &Kind) -> bool {
    !kind.has_flag() || kind.nulls != Nulls::BOTH
}

/// Doubles below it have whole quotients that are rounded right.
const EXACT_BOUND: f64 = 2_251_799_813_685_248.0;

/// The operands of `x % c === 0` for a double and a whole constant.
fn float_multiple<'e>(operator: Compare, a: &'e Expr, b: &Expr) -> Option<(&'e Expr, f64)> {
    let (Node::Call("f64_rem", arguments), Node::Float(zero)) = (&a.node, &b.node) else { return None };
    let [value, Expr { node: Node::Float(divisor), .. }] = arguments.as_slice() else { return None };
    let is_whole = divisor.fract() == 0.0 && divisor.abs() >= 1.0 && divisor.abs() < EXACT_BOUND;
    (is_whole && *zero == 0.0 && matches!(operator, Compare::Equal | Compare::NotEqual)).then_some((value, *divisor))
}

impl Vector<'_, '_, '_> {
    pub(super) fn push(&mut self, lanes: Lanes) {
        match lanes {
            Lanes::Local(local) => self.i().local_get(local),
            Lanes::Not(local) => self.i().local_get(local).v128_not(),
            Lanes::Both(bits) => self.i().v128_const(both(bits, bits)),
        };
    }

    fn take(&mut self) -> Lanes {
        let local = self.row.code.local(ValType::V128);
        self.i().local_set(local);
        Lanes::Local(local)
    }

    pub(super) fn one(
        &mut self,
        a: Lanes,
        operator: impl for<'a, 'b> Fn(&'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b>,
    ) -> Lanes {
        self.push(a);
        operator(&mut self.i());
        self.take()
    }

    pub(super) fn two(
        &mut self,
        a: Lanes,
        b: Lanes,
        operator: impl for<'a, 'b> Fn(&'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b>,
    ) -> Lanes {
        self.push(a);
        self.push(b);
        operator(&mut self.i());
        self.take()
    }

    /// `a` where the test is true, else `b`.
    pub(super) fn select(&mut self, test: Lanes, a: Lanes, b: Lanes) -> Lanes {
        match (test, a, b) {
            (TRUE, _, _) => a,
            (FALSE, _, _) => b,
            _ if a == b => a,
            (Lanes::Not(test), _, _) => self.select(Lanes::Local(test), b, a),
            (_, _, FALSE) => self.two(a, test, |i| i.v128_and()),
            (_, FALSE, _) => self.two(b, test, |i| i.v128_andnot()),
            _ => {
                self.push(a);
                self.push(b);
                self.push(test);
                self.i().v128_bitselect();
                self.take()
            }
        }
    }

    pub(super) fn not(&mut self, a: Lanes) -> Lanes {
        match a {
            Lanes::Both(bits) => Lanes::Both(!bits),
            Lanes::Local(local) => Lanes::Not(local),
            Lanes::Not(local) => Lanes::Local(local),
        }
    }

    /// An expression that is there.
    pub(super) fn value(&mut self, expr: &Expr) -> Option<Lanes> {
        Some(self.pair(expr)?.value)
    }

    pub(super) fn pair(&mut self, expr: &Expr) -> Option<Pair> {
        if !has_simple_flag(&expr.kind) {
            return None;
        }
        match &expr.node {
            Node::Column(path) => self.column(path, &expr.kind),
            Node::Local(slot) => self.values.get(slot).copied(),
            Node::Nil => {
                let nil = expr.kind.has_flag().then_some(TRUE);
                Some(Pair { value: FALSE, nil })
            }
            Node::Let(slot, value, body) => {
                self.statement(&Stmt::Let(*slot, (**value).clone()))?;
                self.pair(body)
            }
            Node::If(test, a, b) => {
                let test = self.value(test)?;
                let (a, b) = (self.pair(a)?, self.pair(b)?);
                let value = self.select(test, a.value, b.value);
                let nil = expr.kind.has_flag().then(|| self.select(test, a.nil.unwrap_or(FALSE), b.nil.unwrap_or(FALSE)));
                Some(Pair { value, nil })
            }
            Node::Widen(inner) => self.widen(inner, &expr.kind),
            _ => {
                let value = self.sure(expr)?;
                Some(Pair { value, nil: None })
            }
        }
    }

    fn widen(&mut self, inner: &Expr, kind: &Kind) -> Option<Pair> {
        let pair = self.pair(inner)?;
        let value = match (&inner.kind.ty, &kind.ty) {
            (Ty::Nil, Ty::Bool | Ty::Int | Ty::Float | Ty::Time) => FALSE,
            (Ty::Int, Ty::Float) => self.floats(pair.value, self.row.bound(inner)),
            (Ty::Bool | Ty::Int | Ty::Float | Ty::Time, _) if inner.kind.ty == kind.ty => pair.value,
            _ => return None,
        };
        let known = if inner.kind.ty == Ty::Nil { TRUE } else { FALSE };
        Some(Pair { value, nil: kind.has_flag().then(|| pair.nil.unwrap_or(known)) })
    }

    /// Expressions whose value is always there.
    fn sure(&mut self, expr: &Expr) -> Option<Lanes> {
        Some(match &expr.node {
            Node::Bool(value) => {
                if *value {
                    TRUE
                } else {
                    FALSE
                }
            }
            Node::Int(value) => Lanes::Both(value.cast_unsigned()),
            Node::Float(value) => Lanes::Both(value.to_bits()),
            Node::Value(inner) | Node::TimeToInt(inner) => self.value(inner)?,
            Node::IsNil(inner, nulls) => self.is_nil(inner, *nulls)?,
            Node::And(a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.two(a, b, |i| i.v128_and())
            }
            Node::Or(a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.two(a, b, |i| i.v128_or())
            }
            Node::Not(inner) => {
                let inner = self.value(inner)?;
                self.not(inner)
            }
            Node::IntMath(operator, a, b) => self.int_math(*operator, a, b)?,
            Node::IntRem(inner, divisor) => {
                let inner = self.value(inner)?;
                self.each_lane(inner, |i| i.i64_const(*divisor).i64_rem_s())
            }
            Node::FloatMath(operator, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.two(a, b, |i| match operator {
                    FloatMath::Add => i.f64x2_add(),
                    FloatMath::Sub => i.f64x2_sub(),
                    FloatMath::Mul => i.f64x2_mul(),
                    FloatMath::Div => i.f64x2_div(),
                    FloatMath::Min => i.f64x2_min(),
                    FloatMath::Max => i.f64x2_max(),
                })
            }
            Node::FloatUnary(operator, inner) => {
                let inner = self.value(inner)?;
                self.one(inner, |i| match operator {
                    FloatUnary::Neg => i.f64x2_neg(),
                    FloatUnary::Abs => i.f64x2_abs(),
                    FloatUnary::Sqrt => i.f64x2_sqrt(),
                    FloatUnary::Floor => i.f64x2_floor(),
                    FloatUnary::Ceil => i.f64x2_ceil(),
                    FloatUnary::Trunc => i.f64x2_trunc(),
                    FloatUnary::Fround => i.f32x4_demote_f64x2_zero().f64x2_promote_low_f32x4(),
                })
            }
            Node::Compare(operator, a, b) => self.compare(*operator, a, b)?,
            Node::Call(name, arguments) => {
                let (value, text) = short_text(name, arguments)?;
                self.is_text(value, text)?
            }
            Node::Bits(operator, a, b) => self.bitwise(*operator, a, b)?,
            Node::IntToFloat(inner) => {
                let value = self.value(inner)?;
                self.floats(value, self.row.bound(inner))
            }
            Node::BoolToInt(inner) => {
                let inner = self.value(inner)?;
                self.two(inner, Lanes::Both(1), |i| i.v128_and())
            }
            Node::FloatToInt(inner) => {
                let inner = self.value(inner)?;
                self.each_lane(inner, |i| i.f64_reinterpret_i64().i64_trunc_sat_f64_s())
            }
            _ => return None,
        })
    }

    fn is_nil(&mut self, inner: &Expr, nulls: Nulls) -> Option<Lanes> {
        let is_any = nulls.has(inner.kind.nulls);
        if inner.kind.has_flag() {
            let nil = match &inner.node {
                Node::Column(path) if has_simple_flag(&inner.kind) => self.nil(path, &inner.kind)?,
                _ => self.pair(inner)?.nil,
            };
            return Some(if is_any { nil.unwrap_or(FALSE) } else { FALSE });
        }
        let flag = inner.kind.nulls.flag();
        let is_nil = if is_any { flag != 0 } else { flag == nulls.flag() };
        Some(if is_nil { TRUE } else { FALSE })
    }

    /// A scalar operation on the integers of both lanes.
    fn each_lane(&mut self, a: Lanes, operator: impl for<'a, 'b> Fn(&'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b>) -> Lanes {
        for lane in 0..2 {
            self.push(a);
            operator(self.i().i64x2_extract_lane(lane));
            if lane == 0 {
                self.i().i64x2_splat();
            }
        }
        self.i().i64x2_replace_lane(1);
        self.take()
    }

    /// Integers as doubles.
    fn floats(&mut self, value: Lanes, bound: u128) -> Lanes {
        if bound >= MAGIC_BOUND {
            return self.each_lane(value, |i| i.f64_convert_i64_s().i64_reinterpret_f64());
        }
        let magic = both(MAGIC, MAGIC);
        self.one(value, |i| i.v128_const(magic).i64x2_add().v128_const(magic).f64x2_sub())
    }

    fn int_math(&mut self, operator: IntMath, a: &Expr, b: &Expr) -> Option<Lanes> {
        let (x, y) = (self.value(a)?, self.value(b)?);
        let made = self.int_operation(operator, x, y)?;
        if let (Lanes::Local(made), Some(line)) = (made, self.line(operator, x, y)) {
            self.lines.insert(made, line);
        }
        Some(made)
    }

    /// The line that an operation with a constant makes of a line.
    fn line(&self, operator: IntMath, x: Lanes, y: Lanes) -> Option<Line> {
        let of = |of: u32| self.lines.get(&of).copied().unwrap_or(Line { of, factor: 1, more: 0 });
        let scaled = |line: Line, by: u64| Line { factor: line.factor.wrapping_mul(by), more: line.more.wrapping_mul(by), ..line };
        Some(match (operator, x, y) {
            (IntMath::Add, Lanes::Local(x), Lanes::Both(y)) | (IntMath::Add, Lanes::Both(y), Lanes::Local(x)) => {
                let line = of(x);
                Line { more: line.more.wrapping_add(y), ..line }
            }
            (IntMath::Sub, Lanes::Local(x), Lanes::Both(y)) => {
                let line = of(x);
                Line { more: line.more.wrapping_sub(y), ..line }
            }
            (IntMath::Mul, Lanes::Local(x), Lanes::Both(y)) | (IntMath::Mul, Lanes::Both(y), Lanes::Local(x)) => scaled(of(x), y),
            _ => return None,
        })
    }

    fn int_operation(&mut self, operator: IntMath, x: Lanes, y: Lanes) -> Option<Lanes> {
        Some(match (operator, x, y) {
            (IntMath::Add | IntMath::Count, ..) => self.two(x, y, |i| i.i64x2_add()),
            (IntMath::Sub, ..) => self.two(x, y, |i| i.i64x2_sub()),
            (IntMath::Mul, value, Lanes::Both(factor)) | (IntMath::Mul, Lanes::Both(factor), value) if factor.is_power_of_two() => {
                let shift = i32::try_from(factor.trailing_zeros()).ok()?;
                self.one(value, |i| i.i32_const(shift).i64x2_shl())
            }
            (IntMath::Mul, ..) => self.two(x, y, |i| i.i64x2_mul()),
            (IntMath::Min | IntMath::Max, ..) => {
                let test = self.two(x, y, |i| if operator == IntMath::Min { i.i64x2_lt_s() } else { i.i64x2_gt_s() });
                self.select(test, x, y)
            }
        })
    }

    fn compare(&mut self, operator: Compare, a: &Expr, b: &Expr) -> Option<Lanes> {
        if let (Compare::Equal | Compare::NotEqual, Node::IntRem(value, divisor), Node::Int(0)) = (operator, &a.node, &b.node) {
            let value = self.value(value)?;
            let divides = self.divides(value, *divisor);
            return Some(if operator == Compare::NotEqual { self.not(divides) } else { divides });
        }
        if let Some((value, divisor)) = float_multiple(operator, a, b) {
            let value = self.value(value)?;
            let divides = self.divides_float(value, divisor);
            return Some(if operator == Compare::NotEqual { self.not(divides) } else { divides });
        }
        let (x, y) = (self.value(a)?, self.value(b)?);
        let is_float = match a.kind.ty {
            Ty::Float => true,
            Ty::Int | Ty::Time => false,
            Ty::Bool if matches!(operator, Compare::Equal | Compare::NotEqual) => false,
            _ => return None,
        };
        Some(self.two(x, y, |i| match (is_float, operator) {
            (true, Compare::Equal) => i.f64x2_eq(),
            (true, Compare::NotEqual) => i.f64x2_ne(),
            (true, Compare::Less) => i.f64x2_lt(),
            (true, Compare::LessEqual) => i.f64x2_le(),
            (true, Compare::Greater) => i.f64x2_gt(),
            (true, Compare::GreaterEqual) => i.f64x2_ge(),
            (false, Compare::Equal) => i.i64x2_eq(),
            (false, Compare::NotEqual) => i.i64x2_ne(),
            (false, Compare::Less) => i.i64x2_lt_s(),
            (false, Compare::LessEqual) => i.i64x2_le_s(),
            (false, Compare::Greater) => i.i64x2_gt_s(),
            (false, Compare::GreaterEqual) => i.i64x2_ge_s(),
        }))
    }

    /// Whether a constant divides the values: multiples of an odd number are those whose product with its inverse
    /// modulo 2^64 stays small (compared as signed, both sides moved by 2^63); powers of two are seen in the low bits.
    fn divides(&mut self, value: Lanes, divisor: i64) -> Lanes {
        let magnitude = divisor.unsigned_abs();
        let twos = magnitude.trailing_zeros();
        let odd = magnitude >> twos;
        let low = (1_u64 << twos) - 1;
        let by_two = (twos > 0).then(|| self.one(value, |i| i.v128_const(both(low, low)).v128_and().v128_const(0).i64x2_eq()));
        if odd == 1 {
            return by_two.unwrap_or(TRUE);
        }
        let limit = i64::MAX.unsigned_abs() / odd;
        let (inverse, more) = (inverse(odd), limit.wrapping_add(1 << 63));
        let end = (2 * limit).wrapping_add(1 << 63).wrapping_add(1);
        // Of a line, factor and summand go into those of the test, and where only the test needs it, nobody computes it.
        let line = if let Lanes::Local(of) = value { self.lines.get(&of).copied() } else { None };
        let (value, factor, more) = match line {
            Some(line) => (Lanes::Local(line.of), line.factor.wrapping_mul(inverse), line.more.wrapping_mul(inverse).wrapping_add(more)),
            None => (value, inverse, more),
        };
        let by_odd = self.one(value, |i| {
            i.v128_const(both(factor, factor)).i64x2_mul().v128_const(both(more, more)).i64x2_add().v128_const(both(end, end)).i64x2_lt_s()
        });
        match by_two {
            Some(by_two) => self.two(by_odd, by_two, |i| i.v128_and()),
            None => by_odd,
        }
    }

    /// The same for doubles and a whole divisor: the nearest whole quotient times the divisor is the number itself. The
    /// quotient is right below 2^51; larger numbers are left to the runtime.
    fn divides_float(&mut self, value: Lanes, divisor: f64) -> Lanes {
        let answer = self.row.code.local(ValType::V128);
        let limit = EXACT_BOUND.to_bits();
        self.push(value);
        self.i().f64x2_abs().v128_const(both(limit, limit)).f64x2_ge().v128_any_true();
        self.row.code.start_if();
        for lane in 0..2 {
            self.push(value);
            self.i().f64x2_extract_lane(lane).f64_const(divisor.into());
            self.row.call("f64_rem");
            let mut i = self.i();
            i.f64_const(0.0.into()).f64_eq().i64_extend_i32_u();
            if lane == 0 {
                i.i64x2_splat()
            } else {
                i.i64x2_replace_lane(1)
            };
        }
        self.i().i64x2_neg().local_set(answer);
        self.row.code.otherwise();
        let (inverse, divisor) = ((1.0 / divisor).to_bits(), divisor.to_bits());
        self.push(value);
        self.i().v128_const(both(inverse, inverse)).f64x2_mul().f64x2_nearest().v128_const(both(divisor, divisor)).f64x2_mul();
        self.push(value);
        self.i().f64x2_eq().local_set(answer);
        self.row.code.end();
        Lanes::Local(answer)
    }

    /// Operations on the low 32 bits; shifts only by constants.
    fn bitwise(&mut self, operator: Bits, a: &Expr, b: &Expr) -> Option<Lanes> {
        let x = self.value(a)?;
        if let Bits::And | Bits::Or | Bits::Xor = operator {
            let y = self.value(b)?;
            let wide = self.two(x, y, |i| match operator {
                Bits::And => i.v128_and(),
                Bits::Or => i.v128_or(),
                _ => i.v128_xor(),
            });
            return Some(self.one(wide, |i| i.i32_const(32).i64x2_shl().i32_const(32).i64x2_shr_s()));
        }
        let Node::Int(by) = b.node else { return None };
        let by = i32::try_from(by & 31).ok()?;
        Some(match operator {
            Bits::ShiftLeft => self.one(x, |i| i.i32_const(32 + by).i64x2_shl().i32_const(32).i64x2_shr_s()),
            Bits::ShiftRight => self.one(x, |i| i.i32_const(32).i64x2_shl().i32_const(32 + by).i64x2_shr_s()),
            Bits::ShiftRightZero => self.one(x, |i| i.i32_const(32).i64x2_shl().i32_const(32 + by).i64x2_shr_u()),
            _ => return None,
        })
    }

    fn column(&mut self, path: &[usize], kind: &Kind) -> Option<Pair> {
        let place = self.row.place(path)?;
        let value = match (&kind.ty, place.words, place.bits) {
            (Ty::Int | Ty::Float | Ty::Time, Some(words), _) => self.load(words, path),
            (Ty::Bool, _, Some(bits)) => self.bits_of(bits, None, true)?,
            _ => return None,
        };
        let nil = self.nil(path, kind)?;
        Some(Pair { value, nil })
    }

    /// The pair's words, loaded and looked at once.
    fn load(&mut self, words: u32, path: &[usize]) -> Lanes {
        if let Some(known) = self.loaded.get(&words) {
            return *known;
        }
        let at = self.block_of(words, 3);
        let offset = self.pair * 16;
        self.i().local_get(at).v128_load(mem(offset, 3));
        let lanes = self.take();
        if let Some(guard) = self.guard.filter(|_| self.row.ints.contains(path)) {
            let shift = guard.shift().cast_unsigned();
            self.push(lanes);
            self.i().v128_const(both(shift, shift)).i64x2_add().local_get(guard.all).v128_or().local_set(guard.all);
        }
        self.loaded.insert(words, lanes);
        lanes
    }

    /// Where a column is null; nothing where it cannot be. The outer option is empty where vectors cannot tell.
    fn nil(&mut self, path: &[usize], kind: &Kind) -> Option<Option<Lanes>> {
        if !kind.has_flag() {
            return Some(None);
        }
        let (bits, mask) = self.row.place(path)?.valid?;
        Some(Some(self.bits_of(bits, Some(mask), false)?))
    }

    /// Whether a string of a column is a short constant: looked at lane by lane.
    fn is_text(&mut self, value: &Expr, text: &str) -> Option<Lanes> {
        let path = match &value.node {
            Node::Column(path) => path,
            Node::Value(inner) => match &inner.node {
                Node::Column(path) => path,
                _ => return None,
            },
            _ => return None,
        };
        let (offsets, bytes) = self.row.place(path)?.text?;
        let at = self.block_of(offsets, 2);
        let start = self.row.code.local(ValType::I32);
        let n = i32::try_from(text.len()).ok()?;
        for lane in 0..2_u8 {
            let row = (self.pair * 2 + u32::from(lane)) * 4;
            let mut i = self.i();
            i.local_get(at).i32_load(mem(row + 4, 2)).local_get(at).i32_load(mem(row, 2)).local_tee(start);
            i.i32_sub().i32_const(n).i32_eq().local_get(start).local_get(bytes).i32_add().local_set(start);
            for (offset, mask, word) in text_words(text) {
                i.local_get(start).i64_load(mem(offset, 0)).i64_const(mask).i64_and().i64_const(word).i64_eq().i32_and();
            }
            i.i64_extend_i32_u();
            if lane == 0 {
                i.i64x2_splat()
            } else {
                i.i64x2_replace_lane(1)
            };
        }
        self.i().i64x2_neg();
        Some(self.take())
    }

    /// The address of the block's first value in a buffer whose values have `1 << shift` bytes.
    fn block_of(&mut self, words: u32, shift: i32) -> u32 {
        if let Some(known) = self.places.get(&words) {
            return *known;
        }
        let (at, index) = (self.row.code.local(ValType::I32), self.index);
        self.i().local_get(words).local_get(index).i32_const(shift).i32_shl().i32_add().local_set(at);
        self.places.insert(words, at);
        at
    }

    /// Where the pair's bits are as `wanted`.
    fn bits_of(&mut self, bits: u32, mask: Option<u32>, wanted: bool) -> Option<Lanes> {
        let block = match self.bits.get(&bits) {
            Some(known) => *known,
            None => {
                let (block, index, rows) = (self.row.code.local(ValType::V128), self.index, self.rows);
                let mut i = self.i();
                i.local_get(bits).local_get(index).i32_const(3).i32_shr_u();
                if let Some(mask) = mask {
                    i.local_get(mask).i32_and();
                }
                i.i32_add();
                if rows == 16 {
                    i.i64_load16_u(mem(0, 0))
                } else {
                    i.i64_load8_u(mem(0, 0))
                };
                i.i64x2_splat().local_set(block);
                self.bits.insert(bits, block);
                block
            }
        };
        let ours = both(1 << (self.pair * 2), 1 << (self.pair * 2 + 1));
        self.i().local_get(block).v128_const(ours).v128_and().v128_const(ours).i64x2_eq();
        let are_set = self.take();
        Some(if wanted { are_set } else { self.not(are_set) })
    }
}
