//! The type of an expression while it is checked and emitted, and how a value of it lies in WebAssembly values.
//!
//! The types that cross the component's border are in `model`.

use crate::model::{Element, Field, Type};
use std::fmt;
use wasm_encoder::ValType;

/// Which of JavaScript's two empty values an expression may be. At run time a flag says which: 0 neither, 1 null, 2 undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Nulls(u8);

impl Nulls {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const UNDEFINED: Self = Self(2);
    pub(crate) const BOTH: Self = Self(3);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flag's value where only one of the two is possible.
    pub(crate) const fn flag(self) -> i32 {
        self.0 as i32
    }
}

/// A type and which empty values it admits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) ty: Ty,
    pub(crate) nulls: Nulls,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ty {
    /// No value at all: null, undefined, or (without either) the element of `[]`.
    Nil,
    Bool,
    Int,
    Float,
    Str,
    /// Milliseconds of a column, always a valid time.
    Time,
    /// Milliseconds of a `Date` that was made here, NaN where it is an invalid one.
    Date,
    List(Box<Kind>),
    Struct(Vec<Part>),
    Tuple(Vec<Kind>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Ty {
    pub(crate) const fn sure(self) -> Kind {
        Kind { ty: self, nulls: Nulls::NONE }
    }

    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    /// Types of the parts of a struct or tuple, in order.
    pub(crate) fn parts(&self) -> Vec<&Kind> {
        match self {
            Self::Struct(parts) => parts.iter().map(|part| &part.kind).collect(),
            Self::Tuple(parts) => parts.iter().collect(),
            _ => Vec::new(),
        }
    }

    fn slots(&self, out: &mut Vec<ValType>) {
        match self {
            Self::Nil => {}
            Self::Bool => out.push(ValType::I32),
            Self::Int | Self::Str | Self::Time | Self::List(_) => out.push(ValType::I64),
            Self::Float | Self::Date => out.push(ValType::F64),
            Self::Struct(parts) => parts.iter().for_each(|part| part.kind.slots(out)),
            Self::Tuple(parts) => parts.iter().for_each(|part| part.slots(out)),
        }
    }
}

impl Kind {
    pub(crate) const NULL: Self = Self { ty: Ty::Nil, nulls: Nulls::NULL };
    pub(crate) const UNDEFINED: Self = Self { ty: Ty::Nil, nulls: Nulls::UNDEFINED };

    pub(crate) fn with(&self, nulls: Nulls) -> Self {
        Self { ty: self.ty.clone(), nulls: self.nulls.or(nulls) }
    }

    pub(crate) fn present(&self) -> Self {
        self.ty.clone().sure()
    }

    pub(crate) fn is_sure(&self) -> bool {
        self.nulls.is_none()
    }

    /// Whether a run-time flag follows the value: not where the kind alone says it.
    pub(crate) fn has_flag(&self) -> bool {
        match self.ty {
            Ty::Nil => self.nulls == Nulls::BOTH,
            _ => !self.nulls.is_none(),
        }
    }

    fn slots(&self, out: &mut Vec<ValType>) {
        self.ty.slots(out);
        if self.has_flag() {
            out.push(ValType::I32);
        }
    }

    /// The WebAssembly values that hold it: those of its type, then the flag where there is one.
    pub(crate) fn layout(&self) -> Vec<ValType> {
        let mut out = Vec::new();
        self.slots(&mut out);
        out
    }

    /// The number of values in `layout`.
    pub(crate) fn width(&self) -> usize {
        self.layout().len()
    }

    pub(crate) fn of(ty: &Type, nullable: bool) -> Self {
        let ty = match ty {
            Type::Null => return Self::NULL,
            Type::Boolean => Ty::Bool,
            Type::Int64 => Ty::Int,
            Type::Float64 => Ty::Float,
            Type::Utf8 => Ty::Str,
            Type::Timestamp => Ty::Time,
            Type::List(field) => Ty::List(Box::new(Self::of(&field.ty, field.nullable))),
            Type::Struct(fields) => Ty::Struct(
                fields.iter().map(|field| Part { name: field.name.clone(), kind: Self::of(&field.ty, field.nullable) }).collect(),
            ),
            Type::Tuple(fields) => Ty::Tuple(fields.iter().map(|field| Self::of(&field.ty, field.nullable)).collect()),
        };
        Self { ty, nulls: if nullable { Nulls::NULL } else { Nulls::NONE } }
    }

    /// As a column. Undefined is stored as null.
    pub(crate) fn field(&self, name: impl Into<String>) -> Field {
        let numbered = |parts: &[Self]| parts.iter().enumerate().map(|(at, part)| part.field(format!("_{}", at + 1))).collect();
        let ty = match &self.ty {
            Ty::Nil => return Field::new(name, Type::Null, true),
            Ty::Bool => Type::Boolean,
            Ty::Int => Type::Int64,
            Ty::Float => Type::Float64,
            Ty::Str => Type::Utf8,
            Ty::Time | Ty::Date => Type::Timestamp,
            Ty::List(element) => Type::List(Box::new(element.field("item"))),
            Ty::Struct(parts) => Type::Struct(parts.iter().map(|part| part.kind.field(part.name.clone())).collect()),
            Ty::Tuple(parts) => Type::Tuple(numbered(parts)),
        };
        // An invalid date has no place in a column of timestamps; JSON has null for it.
        Field::new(name, ty, !self.nulls.is_none() || self.ty == Ty::Date)
    }

    /// As an element: a sure object or tuple spreads over columns, anything else is one column.
    pub(crate) fn element(&self) -> Element {
        let field = self.field("value");
        match (field.ty, self.is_sure()) {
            (Type::Struct(fields), true) => Element::Object(fields),
            (Type::Tuple(fields), true) if !fields.is_empty() => Element::Tuple(fields),
            (ty, _) => Element::Scalar(Field::new("value", ty, field.nullable)),
        }
    }

    pub(crate) fn of_element(element: &Element) -> Self {
        match element {
            Element::Scalar(field) => Self::of(&field.ty, field.nullable),
            Element::Object(fields) => Self::of(&Type::Struct(fields.clone()), false),
            Element::Tuple(fields) => Self::of(&Type::Tuple(fields.clone()), false),
        }
    }
}

/// The narrowest kind that holds both, if there is one.
pub(crate) fn unify(a: &Kind, b: &Kind) -> Option<Kind> {
    let nulls = a.nulls.or(b.nulls);
    let ty = match (&a.ty, &b.ty) {
        (Ty::Nil, other) | (other, Ty::Nil) => other.clone(),
        (x, y) if x == y => x.clone(),
        (Ty::Int, Ty::Float) | (Ty::Float, Ty::Int) => Ty::Float,
        (Ty::Time, Ty::Date) | (Ty::Date, Ty::Time) => Ty::Date,
        (Ty::List(x), Ty::List(y)) => Ty::List(Box::new(unify(x, y)?)),
        (Ty::Tuple(x), Ty::Tuple(y)) => match same_length(x, y) {
            Some(parts) => Ty::Tuple(parts),
            None => Ty::List(Box::new(unify_all(x.iter().chain(y))?)),
        },
        (Ty::Tuple(parts), Ty::List(element)) | (Ty::List(element), Ty::Tuple(parts)) => {
            Ty::List(Box::new(unify_all(parts.iter().chain(std::iter::once(&**element)))?))
        }
        (Ty::Struct(x), Ty::Struct(y)) => Ty::Struct(unify_parts(x, y)?),
        _ => return None,
    };
    Some(Kind { ty, nulls })
}

/// The narrowest kind that holds all; for none the kind of an element of `[]`.
pub(crate) fn unify_all<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> Option<Kind> {
    kinds.into_iter().try_fold(Ty::Nil.sure(), |all, kind| unify(&all, kind))
}

fn same_length(x: &[Kind], y: &[Kind]) -> Option<Vec<Kind>> {
    if x.len() != y.len() {
        return None;
    }
    x.iter().zip(y).map(|(x, y)| unify(x, y)).collect()
}

/// Properties of either object; one that the other lacks may be undefined.
fn unify_parts(x: &[Part], y: &[Part]) -> Option<Vec<Part>> {
    let find = |parts: &[Part], name: &str| parts.iter().find(|part| part.name == name).map(|part| part.kind.clone());
    let mut out = Vec::with_capacity(x.len());
    for part in x {
        let kind = match find(y, &part.name) {
            Some(other) => unify(&part.kind, &other)?,
            None => part.kind.with(Nulls::UNDEFINED),
        };
        out.push(Part { name: part.name.clone(), kind });
    }
    for part in y {
        if find(x, &part.name).is_none() {
            out.push(Part { name: part.name.clone(), kind: part.kind.with(Nulls::UNDEFINED) });
        }
    }
    Some(out)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ty, self.nulls) {
            (Ty::Nil, Nulls::NULL) => f.write_str("null"),
            (Ty::Nil, Nulls::UNDEFINED) => f.write_str("undefined"),
            (Ty::Nil, Nulls::BOTH) => f.write_str("null or undefined"),
            (ty, Nulls::NONE) => write!(f, "{ty}"),
            (ty, Nulls::UNDEFINED) => write!(f, "{ty} or undefined"),
            (ty, _) => write!(f, "{ty} or null"),
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nothing"),
            Self::Bool => f.write_str("boolean"),
            Self::Int => f.write_str("integer"),
            Self::Float => f.write_str("number"),
            Self::Str => f.write_str("string"),
            Self::Time => f.write_str("timestamp"),
            Self::Date => f.write_str("date"),
            Self::List(element) => write!(f, "list of {element}"),
            Self::Struct(parts) => {
                f.write_str("object {")?;
                for (at, part) in parts.iter().enumerate().take(8) {
                    write!(f, "{}{}: {}", if at == 0 { "" } else { ", " }, part.name, part.kind)?;
                }
                f.write_str(if parts.len() > 8 { ", …}" } else { "}" })
            }
            Self::Tuple(parts) => {
                f.write_str("[")?;
                for (at, part) in parts.iter().enumerate().take(8) {
                    write!(f, "{}{part}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str(if parts.len() > 8 { ", …]" } else { "]" })
            }
        }
    }
}
