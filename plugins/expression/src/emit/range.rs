//! How large an integer may become, so that only sums and products that can overflow are checked.

use super::row::Row;
use super::value::short_text;
use crate::tree::{Bits, Expr, IntMath, Node, Stmt};

/// Magnitude of any Int64.
pub(super) const ANY: u128 = 1 << 63;
/// The largest magnitude that cannot have overflowed.
pub(super) const SAFE: u128 = (1 << 63) - 1;
/// Rows of a batch whose sums may be left unchecked.
pub(super) const ROWS_MAX: i64 = 1 << 24;
/// Magnitude of values of which `ROWS_MAX` stay within 63 bits in sum.
const VALUE_IN_ROWS: u128 = 1 << 38;
/// The same for as many words as a memory of 4 GiB can hold.
const VALUE_IN_MEMORY: u128 = 1 << 33;

impl Row<'_, '_> {
    /// An upper bound of the magnitude of an Int expression.
    pub(super) fn bound(&self, expr: &Expr) -> u128 {
        match &expr.node {
            Node::Int(value) => u128::from(value.unsigned_abs()),
            Node::Column(_) => self.column_bound,
            Node::Local(slot) => self.slot_bounds.get(slot.0).copied().unwrap_or(ANY),
            Node::IntMath(operator, a, b) => self.math_bound(*operator, a, b).min(ANY),
            Node::IntRem(value, divisor) => self.bound(value).min(u128::from(divisor.unsigned_abs()) - 1),
            Node::If(_, a, b) => self.bound(a).max(self.bound(b)),
            Node::Let(_, _, body) | Node::Require(_, _, body) => self.bound(body),
            Node::Value(inner) => self.bound(inner),
            Node::Widen(inner) if matches!(inner.kind.ty, crate::kind::Ty::Int) => self.bound(inner),
            Node::Bits(Bits::ShiftRightZero, ..) => 1 << 32,
            Node::Bits(..) | Node::Extend(_) => 1 << 31,
            Node::BoolToInt(_) => 1,
            Node::ListLen(_) => 1 << 32,
            _ => ANY,
        }
    }

    fn math_bound(&self, operator: IntMath, a: &Expr, b: &Expr) -> u128 {
        let (a, b) = (self.bound(a), self.bound(b));
        match operator {
            IntMath::Add | IntMath::Sub => a + b,
            IntMath::Mul => a * b,
            IntMath::Min | IntMath::Max => a.max(b),
            IntMath::Count => 1 << 33,
        }
    }

    /// Whether the operation cannot overflow.
    pub(super) fn is_safe(&self, operator: IntMath, a: &Expr, b: &Expr) -> bool {
        let is_partial = matches!(&a.node, Node::Local(slot) if Some(*slot) == self.program.partial);
        if is_partial && operator == IntMath::Add {
            let has_row_limit = self.column_bound != ANY && !self.program.row.iter().any(|row| matches!(row, Stmt::Each(..)));
            return self.bound(b) <= if has_row_limit { VALUE_IN_ROWS } else { VALUE_IN_MEMORY };
        }
        operator == IntMath::Count || self.math_bound(operator, a, b) <= SAFE
    }

    /// Whether evaluating it where its value is not wanted costs little and cannot fail.
    pub(super) fn is_cheap(&self, expr: &Expr) -> bool {
        let mut budget = 16_u32;
        self.spend(expr, &mut budget)
    }

    fn spend(&self, expr: &Expr, budget: &mut u32) -> bool {
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        match &expr.node {
            Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Str(_) | Node::Nil | Node::Local(_) => true,
            Node::Column(_) => !matches!(expr.kind.ty, crate::kind::Ty::List(_) | crate::kind::Ty::Struct(_) | crate::kind::Ty::Tuple(_)),
            Node::Part(inner, _) | Node::Value(inner) | Node::IsNil(inner, _) | Node::Not(inner) => self.spend(inner, budget),
            Node::IntRem(inner, _) | Node::FloatUnary(_, inner) | Node::IntToFloat(inner) | Node::BoolToInt(inner) => {
                self.spend(inner, budget)
            }
            Node::TimeToInt(inner) | Node::Extend(inner) | Node::Narrow(inner) | Node::StrIsEmpty(inner) | Node::ListLen(inner) => {
                self.spend(inner, budget)
            }
            Node::FloatToInt(inner) | Node::FloatToIndex(inner) => self.spend(inner, budget),
            Node::Widen(inner) => {
                let is_flat = !matches!(expr.kind.ty, crate::kind::Ty::List(_) | crate::kind::Ty::Struct(_) | crate::kind::Ty::Tuple(_));
                is_flat && self.spend(inner, budget)
            }
            Node::And(a, b) | Node::Or(a, b) | Node::FloatMath(_, a, b) | Node::Compare(_, a, b) | Node::Bits(_, a, b) => {
                self.spend(a, budget) && self.spend(b, budget)
            }
            Node::IntMath(operator, a, b) => self.is_safe(*operator, a, b) && self.spend(a, budget) && self.spend(b, budget),
            Node::If(test, a, b) => self.spend(test, budget) && self.spend(a, budget) && self.spend(b, budget),
            Node::Call(name, arguments) => short_text(name, arguments).is_some_and(|(value, _)| self.spend(value, budget)),
            _ => false,
        }
    }

    /// Whether a row can be done without branches: every step of it is cheap and its columns have a fixed width.
    pub(super) fn is_straight(&self, statements: &[Stmt]) -> bool {
        statements.iter().all(|statement| match statement {
            Stmt::Let(_, value) | Stmt::Set(_, value) | Stmt::Keep(value) => self.is_cheap(value),
            Stmt::Yield => self.has_fixed_output(),
            _ => false,
        })
    }

    fn has_fixed_output(&self) -> bool {
        use crate::kind::Ty;
        self.program.output.iter().all(|(_, output)| match output {
            crate::tree::Output::Made(value) => matches!(value.kind.ty, Ty::Bool | Ty::Int | Ty::Float | Ty::Time) && self.is_cheap(value),
            crate::tree::Output::Passed(_) => true,
        })
    }
}
