//! `JSON.stringify`, written out for the type at hand.

use super::{Check, Checker, concat, fault, is_nil, present};
use crate::error::{DiagnosticKind, Span};
use crate::kind::{Kind, Nulls, Ty};
use crate::tree::{Compare, Expr, Node};

impl Checker<'_> {
    /// The text of a value; undefined for undefined.
    pub(super) fn json(&mut self, value: Expr, span: Span) -> Check<Expr> {
        let nulls = value.kind.nulls;
        if value.kind == Kind::UNDEFINED {
            return Ok(Expr::undefined());
        }
        if !nulls.has(Nulls::UNDEFINED) {
            return self.json_text(value, span);
        }
        self.with(value, |me, value| {
            let nil = is_nil(value.clone(), Nulls::UNDEFINED);
            let text = me.json_text(super::convert::without(value, Nulls::UNDEFINED), span)?;
            me.choose(nil, Expr::undefined(), text, span)
        })
    }

    /// The text of a value that is not undefined.
    fn json_text(&mut self, value: Expr, span: Span) -> Check<Expr> {
        if !value.kind.is_sure() {
            if value.kind.ty == Ty::Nil {
                return Ok(Expr::str("null"));
            }
            return self.with(value, |me, value| {
                let nil = is_nil(value.clone(), Nulls::BOTH);
                let text = me.json_text(present(value), span)?;
                me.choose(nil, Expr::str("null"), text, span)
            });
        }
        match value.kind.ty.clone() {
            Ty::Nil => Ok(Expr::str("null")),
            Ty::Bool | Ty::Int => self.text_of(value, span),
            Ty::Float => self.with(value, |me, value| {
                let is_finite = me.number_test("isFinite", value.clone())?;
                let text = me.text_of(value, span)?;
                me.choose(is_finite, text, Expr::str("null"), span)
            }),
            Ty::Str => Ok(Expr::call(Ty::Str, "json_quote", vec![value])),
            Ty::Time => Ok(quoted(Expr::call(Ty::Str, "date_iso", vec![super::dates::milliseconds(value)]))),
            Ty::Date => self.with(super::dates::milliseconds(value), |me, time| {
                let is_invalid = super::compare(Compare::NotEqual, time.clone(), time.clone());
                let text = quoted(Expr::call(Ty::Str, "date_iso", vec![time]));
                me.choose(is_invalid, Expr::str("null"), text, span)
            }),
            Ty::List(element) => {
                let slot = self.slot(&element);
                let item = if element.width() == 0 { Expr::new(*element, Node::Nil) } else { self.local(slot) };
                let text = self.json_element(item, span)?;
                let texts = Expr::new(Ty::List(Box::new(Ty::Str.sure())).sure(), Node::ListMap(slot, None, value.boxed(), text.boxed()));
                let joined = Expr::call(Ty::Str, "list_join", vec![texts, Expr::str(",")]);
                Ok(concat(vec![Expr::str("["), joined, Expr::str("]")]))
            }
            Ty::Tuple(parts) => self.with(value, |me, value| {
                let mut pieces = vec![Expr::str("[")];
                for at in 0..parts.len() {
                    if at > 0 {
                        pieces.push(Expr::str(","));
                    }
                    let part = me.part(value.clone(), at);
                    pieces.push(me.json_element(part, span)?);
                }
                pieces.push(Expr::str("]"));
                Ok(concat(pieces))
            }),
            Ty::Struct(parts) => self.with(value, |me, value| me.json_object(&value, &parts, span)),
        }
    }

    /// Undefined is null inside a list.
    fn json_element(&mut self, value: Expr, span: Span) -> Check<Expr> {
        if value.kind.ty == Ty::Nil {
            return Ok(Expr::str("null"));
        }
        let both = value.kind.nulls.has(Nulls::UNDEFINED);
        if !both {
            return self.json_text(value, span);
        }
        self.with(value, |me, value| {
            let nil = is_nil(value.clone(), Nulls::BOTH);
            let text = me.json_text(present(value), span)?;
            me.choose(nil, Expr::str("null"), text, span)
        })
    }

    fn json_object(&mut self, value: &Expr, parts: &[crate::kind::Part], span: Span) -> Check<Expr> {
        let mut pieces = vec![Expr::str("{")];
        let mut is_first = Expr::bool(true);
        for (at, part) in parts.iter().enumerate() {
            let inner = self.part(value.clone(), at);
            let name = serde_json::to_string(&part.name).unwrap_or_default();
            if part.kind == Kind::UNDEFINED {
                continue;
            }
            if !part.kind.nulls.has(Nulls::UNDEFINED) {
                let comma = self.choose(is_first, Expr::str(""), Expr::str(","), span)?;
                pieces.extend([comma, Expr::str(format!("{name}:")), self.json_text(inner, span)?]);
                is_first = Expr::bool(false);
                continue;
            }
            // A property that is undefined is left out, its comma too.
            let nil = is_nil(inner.clone(), Nulls::UNDEFINED);
            let text = self.json_text(super::convert::without(inner, Nulls::UNDEFINED), span)?;
            let comma = self.choose(is_first.clone(), Expr::str(""), Expr::str(","), span)?;
            let entry = concat(vec![comma, Expr::str(format!("{name}:")), text]);
            pieces.push(self.choose(nil.clone(), Expr::str(""), entry, span)?);
            is_first = super::convert::and(is_first, nil);
        }
        pieces.push(Expr::str("}"));
        pieces.retain(|piece| !matches!(&piece.node, Node::Str(text) if text.is_empty()));
        if pieces.len() > 512 {
            return fault(DiagnosticKind::Unsupported, span, "the object has too many properties to be written", "name the properties");
        }
        Ok(concat(pieces))
    }
}

fn quoted(text: Expr) -> Expr {
    concat(vec![Expr::str("\""), text, Expr::str("\"")])
}
