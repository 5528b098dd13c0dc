//! `a IS DISTINCT FROM b AND c`: the parser takes all that follows as the right side, where SQL has `IS` bind tighter than
//! `AND` and `OR`. Operands and operators are put in their order again; parentheses stay where they were written.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, VisitMut, VisitorMut};
use std::convert::Infallible;
use std::ops::ControlFlow;

/// Puts right all such tests in an expression.
pub(super) fn settle(expr: &mut Expr) {
    struct All;
    impl VisitorMut for All {
        type Break = Infallible;

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
            settled(expr);
            ControlFlow::Continue(())
        }
    }
    let ControlFlow::Continue(()) = expr.visit(&mut All);
}

/// Puts right what `expr` ends with, where it is such a test.
pub(super) fn settled(expr: &mut Expr) {
    if has_taken_too_much(expr) {
        let taken = std::mem::replace(expr, nothing());
        *expr = built(Line::of(taken));
    }
}

/// What was taken wrongly goes to the end of the whole expression, so only the last operand can be such a test.
fn has_taken_too_much(expr: &Expr) -> bool {
    let mut last = expr;
    loop {
        last = match last {
            Expr::BinaryOp { op, right, .. } if is_logic(op) => right,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => expr,
            Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => match right.as_ref() {
                Expr::BinaryOp { op, .. } if is_logic(op) => return true,
                right => right,
            },
            _ => return false,
        };
    }
}

const fn is_logic(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor)
}

/// An expression as it was written: operands, and the operators between them.
struct Line {
    first: Expr,
    rest: Vec<(BinaryOperator, Expr)>,
}

impl Line {
    fn of(expr: Expr) -> Self {
        match expr {
            Expr::BinaryOp { left, op, right } if is_logic(&op) => {
                let (mut line, right) = (Self::of(*left), Self::of(*right));
                line.rest.push((op, right.first));
                line.rest.extend(right.rest);
                line
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
                Self::of(*expr).with_first(|first| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(first) })
            }
            Expr::IsDistinctFrom(left, right) => Self::of(*right).with_first(|first| Expr::IsDistinctFrom(left, Box::new(first))),
            Expr::IsNotDistinctFrom(left, right) => Self::of(*right).with_first(|first| Expr::IsNotDistinctFrom(left, Box::new(first))),
            first => Self { first, rest: Vec::new() },
        }
    }

    fn with_first(self, map: impl FnOnce(Expr) -> Expr) -> Self {
        Self { first: map(self.first), rest: self.rest }
    }
}

/// The tree of a line: `AND` before `XOR` before `OR`, each from the left.
fn built(line: Line) -> Expr {
    let tighter = [BinaryOperator::And, BinaryOperator::Xor, BinaryOperator::Or];
    let line = tighter.into_iter().fold(line, |line, op| {
        let mut grouped = Line { first: line.first, rest: Vec::with_capacity(line.rest.len()) };
        for (between, operand) in line.rest {
            if between == op {
                let last = grouped.rest.last_mut().map_or(&mut grouped.first, |(_, last)| last);
                let left = Box::new(std::mem::replace(last, nothing()));
                *last = Expr::BinaryOp { left, op: between, right: Box::new(operand) };
            } else {
                grouped.rest.push((between, operand));
            }
        }
        grouped
    });
    line.first
}

/// What stands in a place while its expression is moved.
fn nothing() -> Expr {
    Expr::value(Value::Null)
}
