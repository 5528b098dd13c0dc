//! What JavaScript's operators mean for the types at hand.

use super::convert::{and, compare, float, float_math, is_nil, not, or, present};
use super::{Check, Checker, concat, fault};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Nulls, Ty};
use crate::syntax::{Ast, Binary, Logical, Syntax, Unary};
use crate::tree::{Bits, Compare, Expr, FloatMath, FloatUnary, IntMath, Node};

impl Checker<'_> {
    pub(super) fn unary(&mut self, operator: Unary, value: Expr, span: Span) -> Check<Expr> {
        match operator {
            Unary::Plus => self.number_of(value, span),
            Unary::Minus => {
                let number = self.number_of(value, span)?;
                Ok(match (&number.kind.ty, &number.node) {
                    (_, Node::Int(0)) => Expr::float(-0.0),
                    (_, Node::Int(known)) => Expr::int(-known),
                    (_, Node::Float(known)) => Expr::float(-known),
                    (Ty::Int, _) => int_math(IntMath::Sub, Expr::int(0), number),
                    _ => Expr::new(Ty::Float.sure(), Node::FloatUnary(FloatUnary::Neg, number.boxed())),
                })
            }
            Unary::Not => Ok(not(self.truth_of(value)?)),
            Unary::BitNot => {
                let value = self.bits_of(value, span)?;
                Ok(bits(Bits::Xor, value, Expr::int(-1)))
            }
            Unary::Void => Ok(Expr::undefined()),
            Unary::TypeOf => self.type_of(value, span),
        }
    }

    fn type_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        let word = match value.kind.ty {
            Ty::Bool => "boolean",
            Ty::Int | Ty::Float => "number",
            Ty::Str => "string",
            Ty::Nil | Ty::Time | Ty::Date | Ty::List(_) | Ty::Struct(_) | Ty::Tuple(_) => "object",
        };
        let nulls = value.kind.nulls;
        if nulls.is_none() {
            return Ok(Expr::str(word));
        }
        self.with(value, |me, value| {
            let mut all = Expr::str(word);
            if nulls.has(Nulls::NULL) {
                all = me.choose(is_nil(value.clone(), Nulls::NULL), Expr::str("object"), all, span)?;
            }
            if nulls.has(Nulls::UNDEFINED) {
                all = me.choose(is_nil(value, Nulls::UNDEFINED), Expr::str("undefined"), all, span)?;
            }
            Ok(all)
        })
    }

    pub(super) fn binary_of(&mut self, operator: Binary, left: &Ast, right: &Ast, span: Span) -> Check<Expr> {
        let is_nothing = |ast: &Ast| match &ast.node {
            Syntax::Null => true,
            Syntax::Name(name) => name == "undefined",
            _ => false,
        };
        match operator {
            Binary::In => return self.is_in(left, right, span),
            Binary::InstanceOf => return self.is_instance(left, right, span),
            Binary::Equal | Binary::NotEqual | Binary::StrictEqual | Binary::StrictNotEqual if is_nothing(left) || is_nothing(right) => {
                let (a, b) = (self.optional(left)?, self.optional(right)?);
                return self.binary(operator, a, b, span);
            }
            _ => {}
        }
        let a = self.expression(left)?;
        let b = self.expression(right)?;
        self.binary(operator, a, b, span)
    }

    fn is_in(&mut self, left: &Ast, right: &Ast, span: Span) -> Check<Expr> {
        let name = self.expression(left)?;
        let object = self.expression(right)?;
        let known = match (&name.node, &object.kind.ty) {
            (Node::Str(name), Ty::Struct(parts)) if object.kind.is_sure() => match parts.iter().find(|part| part.name == *name) {
                None => Some(false),
                Some(part) if !part.kind.nulls.has(Nulls::UNDEFINED) => Some(true),
                Some(_) => None,
            },
            (_, Ty::Bool | Ty::Int | Ty::Float | Ty::Str | Ty::Nil) if object.kind.is_sure() => {
                return fault(DiagnosticKind::Type, span, format!("`in` takes an object, not {}", object.kind), "compare with `===`");
            }
            _ => None,
        };
        match known {
            Some(known) => Ok(Expr::bool(known)),
            None => fault(DiagnosticKind::Unsupported, span, "`in` cannot be compiled here yet", "compare the property with undefined"),
        }
    }

    fn is_instance(&mut self, left: &Ast, right: &Ast, span: Span) -> Check<Expr> {
        let value = self.expression(left)?;
        let is_it = match self.global_object(right) {
            Some("Date") => matches!(value.kind.ty, Ty::Time | Ty::Date),
            Some("Array") => matches!(value.kind.ty, Ty::List(_) | Ty::Tuple(_)),
            Some("Object") => matches!(value.kind.ty, Ty::Time | Ty::Date | Ty::List(_) | Ty::Tuple(_) | Ty::Struct(_)),
            Some("String" | "Number" | "Boolean" | "Map" | "Set" | "RegExp" | "Promise" | "Error") => false,
            _ => return fault(DiagnosticKind::Unsupported, span, "`instanceof` cannot be compiled here yet", "use typeof"),
        };
        if !is_it {
            return Ok(Expr::bool(false));
        }
        Ok(not(is_nil(value, Nulls::BOTH)))
    }

    pub(super) fn logical_of(&mut self, operator: Logical, left: &Ast, right: &Ast, span: Span) -> Check<Expr> {
        let a = self.optional(left)?;
        let known = match (&a.node, &a.kind.ty) {
            (Node::Bool(known), _) => Some(*known),
            (_, Ty::Nil) => Some(false),
            _ => None,
        };
        match (operator, known) {
            (Logical::And, Some(false)) | (Logical::Or, Some(true)) => return Ok(a),
            (Logical::Coalesce, _) if a.kind.is_sure() => return Ok(a),
            (Logical::And, Some(true)) | (Logical::Or, Some(false)) => return self.expression(right),
            (Logical::Coalesce, _) if a.kind.ty == Ty::Nil => return self.expression(right),
            _ => {}
        }
        let b = super::doubted(self.expression(right))?;
        self.logical(operator, a, b, span)
    }

    pub(super) fn binary(&mut self, operator: Binary, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        match operator {
            Binary::Add => self.add(a, b, span),
            Binary::Sub => self.arithmetic(IntMath::Sub, FloatMath::Sub, a, b, span),
            Binary::Mul => self.arithmetic(IntMath::Mul, FloatMath::Mul, a, b, span),
            Binary::Div => {
                let (a, b) = (self.float_of(a, span)?, self.float_of(b, span)?);
                Ok(float_math(FloatMath::Div, a, b))
            }
            Binary::Rem => self.remainder(a, b, span),
            Binary::Pow => self.power(a, b, span),
            Binary::Equal => self.equal(a, b, true, span),
            Binary::NotEqual => Ok(not(self.equal(a, b, true, span)?)),
            Binary::StrictEqual => self.equal(a, b, false, span),
            Binary::StrictNotEqual => Ok(not(self.equal(a, b, false, span)?)),
            Binary::Less => self.relation(Compare::Less, a, b, span),
            Binary::LessEqual => self.relation(Compare::LessEqual, a, b, span),
            Binary::Greater => self.relation(Compare::Greater, a, b, span),
            Binary::GreaterEqual => self.relation(Compare::GreaterEqual, a, b, span),
            Binary::BitAnd => self.bitwise(Bits::And, a, b, span),
            Binary::BitOr => self.bitwise(Bits::Or, a, b, span),
            Binary::BitXor => self.bitwise(Bits::Xor, a, b, span),
            Binary::ShiftLeft => self.bitwise(Bits::ShiftLeft, a, b, span),
            Binary::ShiftRight => self.bitwise(Bits::ShiftRight, a, b, span),
            Binary::ShiftRightZero => self.bitwise(Bits::ShiftRightZero, a, b, span),
            Binary::In | Binary::InstanceOf => {
                fault(DiagnosticKind::Unsupported, span, "this cannot be compiled here yet", "compare values")
            }
        }
    }

    fn add(&mut self, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        let is_text = |value: &Expr| matches!(value.kind.ty, Ty::Str | Ty::List(_) | Ty::Tuple(_) | Ty::Struct(_) | Ty::Time | Ty::Date);
        if !is_text(&a) && !is_text(&b) {
            return self.arithmetic(IntMath::Add, FloatMath::Add, a, b, span);
        }
        let is_surely_text = |value: &Expr| is_text(value) && value.kind.is_sure();
        if is_surely_text(&a) || is_surely_text(&b) {
            let (a, b) = (self.text_of(a, span)?, self.text_of(b, span)?);
            return Ok(concat(vec![a, b]));
        }
        // Text unless every nullable string is null in this row; then JavaScript would answer a number, which has no
        // place in a column of strings.
        self.with(a, |me, a| {
            me.with(b, |me, b| {
                let no_text = |value: &Expr| match is_text(value) {
                    true => is_nil(value.clone(), value.kind.nulls),
                    false => Expr::bool(true),
                };
                let is_text = not(and(no_text(&a), no_text(&b)));
                let (a, b) = (me.text_of(a, span)?, me.text_of(b, span)?);
                let text = concat(vec![a, b]);
                let message = "`+` on a null string gives a number here, which a column of strings cannot hold; write `?? ''` behind it";
                Ok(Expr::new(Ty::Str.sure(), Node::Require(is_text.boxed(), message, text.boxed())))
            })
        })
    }

    pub(super) fn arithmetic(&mut self, int: IntMath, real: FloatMath, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        for value in [&a, &b] {
            // The element of a list that has none so far: this is never reached.
            if value.kind == Ty::Nil.sure() {
                return Ok(value.clone());
            }
        }
        let (a, b) = (self.number_of(a, span)?, self.number_of(b, span)?);
        if a.kind.ty == Ty::Int && b.kind.ty == Ty::Int {
            return Ok(int_math(int, a, b));
        }
        Ok(float_math(real, float(a), float(b)))
    }

    fn remainder(&mut self, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        let (a, b) = (self.number_of(a, span)?, self.number_of(b, span)?);
        match (&a.kind.ty, &b.node) {
            (Ty::Int, Node::Int(1 | -1)) => Ok(int_math(IntMath::Mul, a, Expr::int(0))),
            (Ty::Int, Node::Int(divisor)) if *divisor != 0 => Ok(Expr::new(Ty::Int.sure(), Node::IntRem(a.boxed(), *divisor))),
            _ => Ok(Expr::call(Ty::Float, "f64_rem", vec![float(a), float(b)])),
        }
    }

    pub(super) fn power(&mut self, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        let (a, b) = (self.float_of(a, span)?, self.float_of(b, span)?);
        match b.node {
            Node::Float(2.0) => self.with(a, |_, a| Ok(float_math(FloatMath::Mul, a.clone(), a))),
            _ => Ok(Expr::call(Ty::Float, "math_pow", vec![a, b])),
        }
    }

    fn bitwise(&mut self, operator: Bits, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        let (a, b) = (self.bits_of(a, span)?, self.bits_of(b, span)?);
        Ok(bits(operator, a, b))
    }

    fn relation(&mut self, operator: Compare, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        if a.kind.ty == Ty::Time && b.kind.ty == Ty::Time && a.kind.is_sure() && b.kind.is_sure() {
            return Ok(compare(operator, a, b));
        }
        if a.kind.ty != Ty::Str || b.kind.ty != Ty::Str {
            let (a, b) = (self.number_of(a, span)?, self.number_of(b, span)?);
            return Ok(compare_numbers(operator, a, b));
        }
        if a.kind.is_sure() && b.kind.is_sure() {
            return Ok(compare_strings(operator, a, b));
        }
        self.with(a, |me, a| {
            me.with(b, |me, b| {
                let texts = compare_strings(operator, present(a.clone()), present(b.clone()));
                let any_nil = or(is_nil(a.clone(), a.kind.nulls), is_nil(b.clone(), b.kind.nulls));
                let (a, b) = (me.number_of(a, span)?, me.number_of(b, span)?);
                let numbers = compare_numbers(operator, a, b);
                me.choose(any_nil, numbers, texts, span)
            })
        })
    }

    /// `==` where loose, else `===`.
    pub(super) fn equal(&mut self, a: Expr, b: Expr, is_loose: bool, span: Span) -> Check<Expr> {
        if a.kind.ty == Ty::Nil || b.kind.ty == Ty::Nil {
            let (nil, other) = if a.kind.ty == Ty::Nil { (a, b) } else { (b, a) };
            if is_loose {
                return Ok(is_nil(other, Nulls::BOTH));
            }
            if nil.kind.nulls != Nulls::BOTH {
                let nulls = nil.kind.nulls;
                return Ok(is_nil(other, nulls));
            }
            return fault(DiagnosticKind::Unsupported, span, "comparing two values that are both empty cannot be compiled yet", "use `==`");
        }
        if a.kind.is_sure() && b.kind.is_sure() {
            return self.equal_values(a, b, is_loose, span);
        }
        self.with(a, |me, a| {
            me.with(b, |me, b| {
                let nil = |value: &Expr| is_nil(value.clone(), Nulls::BOTH);
                let neither = and(not(nil(&a)), not(nil(&b)));
                let values = me.equal_values(present(a.clone()), present(b.clone()), is_loose, span)?;
                let mut both = and(nil(&a), nil(&b));
                if !is_loose && (a.kind.nulls.or(b.kind.nulls)) == Nulls::BOTH {
                    let nulls = and(is_nil(a.clone(), Nulls::NULL), is_nil(b.clone(), Nulls::NULL));
                    let undefined = and(is_nil(a, Nulls::UNDEFINED), is_nil(b, Nulls::UNDEFINED));
                    both = or(nulls, undefined);
                }
                Ok(or(both, and(neither, values)))
            })
        })
    }

    fn equal_values(&mut self, a: Expr, b: Expr, is_loose: bool, span: Span) -> Check<Expr> {
        match (&a.kind.ty, &b.kind.ty) {
            (Ty::Str, Ty::Str) => Ok(match (&a.node, &b.node) {
                (Node::Str(x), Node::Str(y)) => Expr::bool(x == y),
                (Node::Str(text), _) if text.is_empty() => Expr::new(Ty::Bool.sure(), Node::StrIsEmpty(b.boxed())),
                (_, Node::Str(text)) if text.is_empty() => Expr::new(Ty::Bool.sure(), Node::StrIsEmpty(a.boxed())),
                _ => Expr::call(Ty::Bool, "str_eq", vec![a, b]),
            }),
            (Ty::Bool, Ty::Bool) => Ok(compare(Compare::Equal, a, b)),
            (x, y) if x.is_number() && y.is_number() => Ok(compare_numbers(Compare::Equal, a, b)),
            (x, y) if is_object(x) != is_object(y) && !is_loose => Ok(Expr::bool(false)),
            (x, y) if is_object(x) || is_object(y) => fault(
                DiagnosticKind::Unsupported,
                span,
                format!("{} and {} cannot be compared; JavaScript would compare identity", a.kind, b.kind),
                "compare their properties",
            ),
            _ if is_loose => {
                let (a, b) = (self.number_of(a, span)?, self.number_of(b, span)?);
                Ok(compare_numbers(Compare::Equal, a, b))
            }
            _ => Ok(Expr::bool(false)),
        }
    }

    pub(super) fn logical(&mut self, operator: Logical, a: Expr, b: Expr, span: Span) -> Check<Expr> {
        if a.kind.ty == Ty::Bool && b.kind.ty == Ty::Bool && a.kind.is_sure() && b.kind.is_sure() {
            return Ok(match operator {
                Logical::And => and(a, b),
                Logical::Or => or(a, b),
                Logical::Coalesce => a,
            });
        }
        match operator {
            Logical::Coalesce if a.kind.is_sure() => Ok(a),
            Logical::Coalesce if a.kind.ty == Ty::Nil => Ok(b),
            Logical::Coalesce => self.with(a, |me, a| {
                let nil = is_nil(a.clone(), Nulls::BOTH);
                me.choose(nil, b, present(a), span)
            }),
            Logical::Or if a.kind.ty == Ty::Nil => Ok(b),
            Logical::Or => self.with(a, |me, a| {
                let test = me.truth_of(a.clone())?;
                me.choose(test, present(a), b, span)
            }),
            Logical::And if a.kind.ty == Ty::Nil => Ok(a),
            Logical::And => self.with(a, |me, a| {
                let test = me.truth_of(a.clone())?;
                let falsy = me.falsy(a, span)?;
                me.choose(test, b, falsy, span)
            }),
        }
    }

    /// A value that is known to be falsy: objects and lists can only be null then.
    fn falsy(&mut self, value: Expr, span: Span) -> Check<Expr> {
        if !is_object(&value.kind.ty) {
            return Ok(value);
        }
        match value.kind.nulls {
            Nulls::NONE => Ok(Expr::new(Ty::Nil.sure(), Node::Nil)),
            Nulls::NULL => Ok(Expr::null()),
            Nulls::UNDEFINED => Ok(Expr::undefined()),
            _ => self.choose(is_nil(value, Nulls::NULL), Expr::null(), Expr::undefined(), span),
        }
    }
}

fn is_object(ty: &Ty) -> bool {
    matches!(ty, Ty::List(_) | Ty::Struct(_) | Ty::Tuple(_) | Ty::Time | Ty::Date)
}

pub(crate) fn int_math(operator: IntMath, a: Expr, b: Expr) -> Expr {
    if let (Node::Int(x), Node::Int(y)) = (&a.node, &b.node) {
        let known = match operator {
            IntMath::Add | IntMath::Count => x.checked_add(*y),
            IntMath::Sub => x.checked_sub(*y),
            IntMath::Mul => x.checked_mul(*y),
            IntMath::Min => Some(*x.min(y)),
            IntMath::Max => Some(*x.max(y)),
        };
        if let Some(known) = known {
            return Expr::int(known);
        }
    }
    Expr::new(Ty::Int.sure(), Node::IntMath(operator, a.boxed(), b.boxed()))
}

pub(super) fn bits(operator: Bits, a: Expr, b: Expr) -> Expr {
    Expr::new(Ty::Int.sure(), Node::Bits(operator, a.boxed(), b.boxed()))
}

pub(super) fn compare_numbers(operator: Compare, a: Expr, b: Expr) -> Expr {
    if a.kind.ty == Ty::Int && b.kind.ty == Ty::Int {
        return compare(operator, a, b);
    }
    compare(operator, float(a), float(b))
}

pub(super) fn compare_strings(operator: Compare, a: Expr, b: Expr) -> Expr {
    let order = Expr::new(Ty::Int.sure(), Node::Extend(Expr::call(Ty::Bool, "str_cmp", vec![a, b]).boxed()));
    compare(operator, order, Expr::int(0))
}
