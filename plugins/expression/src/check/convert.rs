//! JavaScript's conversions: ToNumber, ToString, ToBoolean, and what is done with null before a property is read.

use super::{Check, Checker, fault};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Kind, Nulls, Ty};
use crate::syntax::{Ast, Logical, Syntax, Unary};
use crate::tree::{Compare, Expr, FloatMath, Node};

impl Checker<'_> {
    /// `Number(value)`: Int where that is exact, else Float.
    pub(super) fn number_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        if !value.kind.is_sure() {
            let nulls = value.kind.nulls;
            if value.kind.ty == Ty::Nil && nulls != Nulls::BOTH {
                return Ok(if nulls == Nulls::NULL { Expr::int(0) } else { Expr::float(f64::NAN) });
            }
            return self.with(value, |me, value| {
                let number = match value.kind.ty {
                    Ty::Nil => Expr::float(f64::NAN),
                    _ => me.number_of(present(value.clone()), span)?,
                };
                let mut all = number;
                if nulls.has(Nulls::NULL) {
                    all = me.choose(is_nil(value.clone(), Nulls::NULL), Expr::int(0), all, span)?;
                }
                if nulls.has(Nulls::UNDEFINED) {
                    all = me.choose(is_nil(value, Nulls::UNDEFINED), Expr::float(f64::NAN), all, span)?;
                }
                Ok(all)
            });
        }
        match &value.kind.ty {
            Ty::Int | Ty::Float => Ok(value),
            Ty::Nil => Ok(Expr::float(f64::NAN)),
            Ty::Bool => Ok(match value.node {
                Node::Bool(known) => Expr::int(i64::from(known)),
                _ => Expr::new(Ty::Int.sure(), Node::BoolToInt(value.boxed())),
            }),
            Ty::Str => Ok(Expr::call(Ty::Float, "str_to_num", vec![value])),
            Ty::Time => Ok(Expr::new(Ty::Int.sure(), Node::TimeToInt(value.boxed()))),
            Ty::Date => Ok(super::dates::milliseconds(value)),
            Ty::Struct(_) => Ok(Expr::float(f64::NAN)),
            Ty::List(_) | Ty::Tuple(_) => {
                let text = self.text_of(value, span)?;
                self.number_of(text, span)
            }
        }
    }

    pub(super) fn float_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        let number = self.number_of(value, span)?;
        Ok(float(number))
    }

    /// ToInt32 and ToUint32 start from here: the low 32 bits of the answer count.
    pub(super) fn bits_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        let number = self.number_of(value, span)?;
        Ok(match number.kind.ty {
            Ty::Int => number,
            _ => Expr::new(Ty::Int.sure(), Node::Extend(Expr::call(Ty::Bool, "f64_to_int32", vec![number]).boxed())),
        })
    }

    /// A whole number for an argument that is one by its nature, such as a count of digits.
    pub(super) fn int_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        let number = self.number_of(value, span)?;
        Ok(match number.kind.ty {
            Ty::Int => number,
            _ => Expr::new(Ty::Int.sure(), Node::FloatToInt(number.boxed())),
        })
    }

    /// `String(value)`.
    pub(super) fn text_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        if !value.kind.is_sure() {
            let nulls = value.kind.nulls;
            if value.kind.ty == Ty::Nil && nulls != Nulls::BOTH {
                return Ok(Expr::str(if nulls == Nulls::NULL { "null" } else { "undefined" }));
            }
            return self.with(value, |me, value| {
                let mut all = match value.kind.ty {
                    Ty::Nil => Expr::str("undefined"),
                    _ => me.text_of(present(value.clone()), span)?,
                };
                if nulls.has(Nulls::NULL) {
                    all = me.choose(is_nil(value.clone(), Nulls::NULL), Expr::str("null"), all, span)?;
                }
                if nulls.has(Nulls::UNDEFINED) {
                    all = me.choose(is_nil(value, Nulls::UNDEFINED), Expr::str("undefined"), all, span)?;
                }
                Ok(all)
            });
        }
        match (&value.kind.ty, &value.node) {
            (Ty::Str, _) => Ok(value),
            (Ty::Nil, _) => Ok(Expr::str("undefined")),
            (Ty::Int, Node::Int(known)) => Ok(Expr::str(known.to_string())),
            (Ty::Int, _) => Ok(Expr::call(Ty::Str, "int_to_str", vec![value])),
            (Ty::Float, _) => Ok(Expr::call(Ty::Str, "num_to_str", vec![value])),
            (Ty::Bool, _) => self.choose(value, Expr::str("true"), Expr::str("false"), span),
            (Ty::List(_) | Ty::Tuple(_), _) => self.join_parts(value, Expr::str(","), span),
            (Ty::Struct(_), _) => Ok(Expr::str("[object Object]")),
            (Ty::Time | Ty::Date, _) => Ok(super::dates::text(value, 0)),
        }
    }

    /// `Boolean(value)`.
    pub(super) fn truth_of(&mut self, value: Expr) -> Check<Expr> {
        if !value.kind.is_sure() {
            if value.kind.ty == Ty::Nil {
                return Ok(Expr::bool(false));
            }
            return self.with(value, |me, value| {
                let nulls = value.kind.nulls;
                let some = not(is_nil(value.clone(), nulls));
                let truthy = me.truth_of(present(value))?;
                Ok(and(some, truthy))
            });
        }
        Ok(match (&value.kind.ty, &value.node) {
            (Ty::Bool, _) => value,
            (Ty::Nil, _) => Expr::bool(false),
            (Ty::Int, Node::Int(known)) => Expr::bool(*known != 0),
            (Ty::Int, _) => compare(Compare::NotEqual, value, Expr::int(0)),
            (Ty::Float, _) => {
                // NaN is neither below nor above zero.
                let magnitude = Expr::new(Ty::Float.sure(), Node::FloatUnary(crate::tree::FloatUnary::Abs, value.boxed()));
                compare(Compare::Greater, magnitude, Expr::float(0.0))
            }
            (Ty::Str, Node::Str(known)) => Expr::bool(!known.is_empty()),
            (Ty::Str, _) => not(Expr::new(Ty::Bool.sure(), Node::StrIsEmpty(value.boxed()))),
            _ => Expr::bool(true),
        })
    }

    /// An expression whose truth alone counts, so that `a && b` may mix types.
    pub(super) fn condition(&mut self, ast: &Ast) -> Check<Expr> {
        match &ast.node {
            Syntax::Logical(operator @ (Logical::And | Logical::Or), left, right) => {
                let left = self.condition(left)?;
                match (operator, &left.node) {
                    (Logical::And, Node::Bool(false)) | (Logical::Or, Node::Bool(true)) => return Ok(left),
                    _ => {}
                }
                let right = super::doubted(self.condition(right))?;
                Ok(if *operator == Logical::And { and(left, right) } else { or(left, right) })
            }
            Syntax::Unary(Unary::Not, inner) => Ok(not(self.condition(inner)?)),
            _ => {
                let value = self.optional(ast)?;
                self.truth_of(value)
            }
        }
    }

    /// An expression that may ask for a property which no element has: somebody is prepared for undefined.
    pub(super) fn optional(&mut self, ast: &Ast) -> Check<Expr> {
        let place = match &ast.node {
            Syntax::Member { .. } | Syntax::Index { .. } => ast.span,
            Syntax::Chain(inner) => inner.span,
            _ => return self.expression(ast),
        };
        let (scopes, returns, frames) = (self.scopes.len(), self.returns.len(), self.frames.len());
        match self.expression(ast) {
            Err(super::Halt::Fault(fault)) if fault.kind == DiagnosticKind::UnknownName && fault.span == place => {
                self.scopes.truncate(scopes);
                self.returns.truncate(returns);
                self.frames.truncate(frames);
                Ok(Expr::undefined())
            }
            other => other,
        }
    }

    /// The value, which must not be null when the row comes by: JavaScript throws there.
    pub(super) fn require(&mut self, value: Expr, span: Span, message: &'static str) -> Check<Expr> {
        if value.kind.is_sure() {
            return Ok(value);
        }
        if value.kind.ty == Ty::Nil {
            return fault(DiagnosticKind::Type, span, format!("{} has no properties", value.kind), "guard it with `?.` or `??`");
        }
        self.with(value, |_, value| {
            let test = not(is_nil(value.clone(), value.kind.nulls));
            let kind = value.kind.present();
            Ok(Expr::new(kind, Node::Require(test.boxed(), message, present(value).boxed())))
        })
    }

    /// A tuple as a list, a list as it is.
    pub(super) fn list_of(&mut self, value: Expr, span: Span) -> Check<Expr> {
        match &value.kind.ty {
            Ty::List(_) => Ok(value),
            Ty::Tuple(parts) => match crate::kind::unify_all(parts) {
                Some(element) => {
                    let kind = Kind { ty: Ty::List(Box::new(element)), nulls: value.kind.nulls };
                    Ok(value.widen(&kind))
                }
                None => fault(
                    DiagnosticKind::Unsupported,
                    span,
                    format!("{} mixes types; a list holds one", value.kind),
                    "read its parts by number",
                ),
            },
            _ => fault(DiagnosticKind::Type, span, format!("{} is not a list", value.kind), "give a list"),
        }
    }
}

pub(crate) fn float(number: Expr) -> Expr {
    match (&number.kind.ty, &number.node) {
        (Ty::Float, _) => number,
        (_, Node::Int(known)) => Expr::float(crate::tree::int_to_float(*known)),
        _ => Expr::new(Ty::Float.sure(), Node::IntToFloat(number.boxed())),
    }
}

pub(crate) fn present(value: Expr) -> Expr {
    if value.kind.is_sure() {
        return value;
    }
    let kind = value.kind.present();
    match value.node {
        Node::Widen(inner) if inner.kind == kind => *inner,
        node => Expr::new(kind, Node::Value(Expr::new(value.kind, node).boxed())),
    }
}

pub(crate) fn is_nil(value: Expr, nulls: Nulls) -> Expr {
    match (&value.kind.ty, value.kind.nulls) {
        (_, Nulls::NONE) => Expr::bool(false),
        (Ty::Nil, one) if one != Nulls::BOTH => Expr::bool(nulls.has(one)),
        _ => Expr::new(Ty::Bool.sure(), Node::IsNil(value.boxed(), nulls)),
    }
}

pub(crate) fn not(value: Expr) -> Expr {
    match value.node {
        Node::Bool(known) => Expr::bool(!known),
        Node::Not(inner) => *inner,
        _ => Expr::new(Ty::Bool.sure(), Node::Not(value.boxed())),
    }
}

pub(super) fn and(a: Expr, b: Expr) -> Expr {
    match (&a.node, &b.node) {
        (Node::Bool(true), _) => b,
        (Node::Bool(false), _) => a,
        (_, Node::Bool(true)) => a,
        _ => Expr::new(Ty::Bool.sure(), Node::And(a.boxed(), b.boxed())),
    }
}

pub(super) fn or(a: Expr, b: Expr) -> Expr {
    match (&a.node, &b.node) {
        (Node::Bool(false), _) => b,
        (Node::Bool(true), _) => a,
        (_, Node::Bool(false)) => a,
        _ => Expr::new(Ty::Bool.sure(), Node::Or(a.boxed(), b.boxed())),
    }
}

pub(crate) fn compare(operator: Compare, a: Expr, b: Expr) -> Expr {
    Expr::new(Ty::Bool.sure(), Node::Compare(operator, a.boxed(), b.boxed()))
}

pub(crate) fn float_math(operator: FloatMath, a: Expr, b: Expr) -> Expr {
    Expr::new(Ty::Float.sure(), Node::FloatMath(operator, a.boxed(), b.boxed()))
}

/// The same value in a kind that lacks one of the empty values.
pub(super) fn without(value: Expr, nulls: Nulls) -> Expr {
    let present = value.kind.present();
    match (value.kind.nulls, nulls) {
        (Nulls::BOTH, Nulls::UNDEFINED) => {
            let kind = present.with(Nulls::NULL);
            if present.ty == Ty::Nil { Expr::null() } else { Expr::new(kind, value.node) }
        }
        _ if present.ty == Ty::Nil => Expr::new(present, Node::Nil),
        _ => Expr::new(present, Node::Value(value.boxed())),
    }
}
