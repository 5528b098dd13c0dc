//! The parser's words for operators as ours.

use crate::syntax::{Assign, Binary, Logical, Unary};
use oxc_syntax::operator as op;

pub(super) fn unary_operator(operator: op::UnaryOperator) -> Option<Unary> {
    Some(match operator {
        op::UnaryOperator::UnaryPlus => Unary::Plus,
        op::UnaryOperator::UnaryNegation => Unary::Minus,
        op::UnaryOperator::LogicalNot => Unary::Not,
        op::UnaryOperator::BitwiseNot => Unary::BitNot,
        op::UnaryOperator::Typeof => Unary::TypeOf,
        op::UnaryOperator::Void => Unary::Void,
        op::UnaryOperator::Delete => return None,
    })
}

pub(super) fn binary_operator(operator: op::BinaryOperator) -> Binary {
    match operator {
        op::BinaryOperator::Equality => Binary::Equal,
        op::BinaryOperator::Inequality => Binary::NotEqual,
        op::BinaryOperator::StrictEquality => Binary::StrictEqual,
        op::BinaryOperator::StrictInequality => Binary::StrictNotEqual,
        op::BinaryOperator::LessThan => Binary::Less,
        op::BinaryOperator::LessEqualThan => Binary::LessEqual,
        op::BinaryOperator::GreaterThan => Binary::Greater,
        op::BinaryOperator::GreaterEqualThan => Binary::GreaterEqual,
        op::BinaryOperator::Addition => Binary::Add,
        op::BinaryOperator::Subtraction => Binary::Sub,
        op::BinaryOperator::Multiplication => Binary::Mul,
        op::BinaryOperator::Division => Binary::Div,
        op::BinaryOperator::Remainder => Binary::Rem,
        op::BinaryOperator::Exponential => Binary::Pow,
        op::BinaryOperator::ShiftLeft => Binary::ShiftLeft,
        op::BinaryOperator::ShiftRight => Binary::ShiftRight,
        op::BinaryOperator::ShiftRightZeroFill => Binary::ShiftRightZero,
        op::BinaryOperator::BitwiseOR => Binary::BitOr,
        op::BinaryOperator::BitwiseXOR => Binary::BitXor,
        op::BinaryOperator::BitwiseAnd => Binary::BitAnd,
        op::BinaryOperator::In => Binary::In,
        op::BinaryOperator::Instanceof => Binary::InstanceOf,
    }
}

pub(super) fn logical_operator(operator: op::LogicalOperator) -> Logical {
    match operator {
        op::LogicalOperator::And => Logical::And,
        op::LogicalOperator::Or => Logical::Or,
        op::LogicalOperator::Coalesce => Logical::Coalesce,
    }
}

pub(super) fn assignment_operator(operator: op::AssignmentOperator) -> Assign {
    match operator {
        op::AssignmentOperator::Assign => Assign::Plain,
        op::AssignmentOperator::Addition => Assign::With(Binary::Add),
        op::AssignmentOperator::Subtraction => Assign::With(Binary::Sub),
        op::AssignmentOperator::Multiplication => Assign::With(Binary::Mul),
        op::AssignmentOperator::Division => Assign::With(Binary::Div),
        op::AssignmentOperator::Remainder => Assign::With(Binary::Rem),
        op::AssignmentOperator::Exponential => Assign::With(Binary::Pow),
        op::AssignmentOperator::ShiftLeft => Assign::With(Binary::ShiftLeft),
        op::AssignmentOperator::ShiftRight => Assign::With(Binary::ShiftRight),
        op::AssignmentOperator::ShiftRightZeroFill => Assign::With(Binary::ShiftRightZero),
        op::AssignmentOperator::BitwiseOR => Assign::With(Binary::BitOr),
        op::AssignmentOperator::BitwiseXOR => Assign::With(Binary::BitXor),
        op::AssignmentOperator::BitwiseAnd => Assign::With(Binary::BitAnd),
        op::AssignmentOperator::LogicalOr => Assign::Logical(Logical::Or),
        op::AssignmentOperator::LogicalAnd => Assign::Logical(Logical::And),
        op::AssignmentOperator::LogicalNullish => Assign::Logical(Logical::Coalesce),
    }
}
