//! Values that a function may return: how each goes into a column. Values that it may take are in `read.rs`.

mod list;
mod number;
mod text;
mod tuple;

use crate::bindings::azora::plugin::batch_types as wire;
use crate::failure::Result;
use crate::schema::{DataType, Element, Field};
use crate::validity::ValidityBuilder;

pub(crate) use number::NumberBuilder;

/// A type that a function can return, alone or in a `Result`.
///
/// Implemented for the types that [`Read`](crate::Read) is implemented for, except slices of numbers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a plugin function",
    label = "not a type of a column",
    note = "use bool, integers, floats, &str, String, Vec<u8>, Timestamp, Date, Decimal, Option<T>, Vec<T>, a tuple, or derive Row"
)]
pub trait Write: Sized {
    /// Whether the type itself holds nulls.
    const NULLABLE: bool = false;

    /// Collects the rows of one column.
    type Builder: Builder;

    /// The column's type.
    fn data_type() -> DataType;

    /// How it lies in columns where it is a function's whole result.
    fn element() -> Element {
        Element::Scalar
    }

    /// Its column.
    fn field(name: &str) -> Field {
        Field::new(name, Self::data_type(), Self::NULLABLE)
    }

    /// A builder with room for so many rows.
    fn builder(rows: usize) -> Self::Builder;

    /// Adds a row.
    fn append(self, builder: &mut Self::Builder);

    /// Adds 32 rows, the answers of calls with `start` and on.
    ///
    /// # Errors
    /// The first of a call; rows before it may be there already.
    fn append_chunk(builder: &mut Self::Builder, start: usize, call: &mut impl FnMut(usize) -> Result<Self>) -> Result<()> {
        (start..start + CHUNK).try_for_each(|at| {
            call(at)?.append(builder);
            Ok(())
        })
    }
}

/// Rows between two checks of the time limit: the sandbox checks it at the end of each round of a loop, which in a loop
/// of single rows costs more than a simple function does.
pub(crate) const CHUNK: usize = 32;

/// Collects the rows of one column.
pub trait Builder {
    /// Adds a row without a value.
    fn push_null(&mut self);

    /// Hands over the column: its node and buffers, then those of its children. Without `nullable` the bitmap is left
    /// out, because only rows that a null parent hides can then be null.
    fn finish(self, nullable: bool, into: &mut Parts);

    /// Hands over its children in place of itself, where a row is one struct. Others do as [`Builder::finish`].
    fn finish_columns(self, nullable: bool, into: &mut Parts)
    where
        Self: Sized,
    {
        self.finish(nullable, into);
    }
}

/// Finished columns, as they go to the host.
#[derive(Debug, Default)]
pub struct Parts {
    pub(crate) nodes: Vec<wire::FieldNode>,
    pub(crate) buffers: Vec<Vec<u8>>,
}

impl Parts {
    /// Adds the node of a field and its validity bitmap.
    pub fn node(&mut self, validity: ValidityBuilder, nullable: bool) {
        let nulls = if nullable { validity.nulls() } else { 0 };
        self.nodes.push(wire::FieldNode { length: validity.len() as u64, null_count: nulls as u64 });
        self.buffers.push(validity.into_bits().filter(|_| nulls > 0).unwrap_or_default());
    }

    pub(crate) fn buffer(&mut self, bytes: Vec<u8>) {
        self.buffers.push(bytes);
    }

    pub(crate) fn batch(self, rows: usize) -> wire::RecordBatch {
        wire::RecordBatch { rows: rows as u64, nodes: self.nodes, buffers: self.buffers }
    }
}

impl<T: Write> Write for Option<T> {
    const NULLABLE: bool = true;
    type Builder = T::Builder;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn element() -> Element {
        T::element()
    }

    fn field(name: &str) -> Field {
        Field { nullable: true, ..T::field(name) }
    }

    fn builder(rows: usize) -> Self::Builder {
        T::builder(rows)
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) {
        match self {
            Some(value) => value.append(builder),
            None => builder.push_null(),
        }
    }
}

/// The schema of a function's result: one column `value`, or those of a struct or tuple. `nullable` where rows without
/// an answer are possible.
#[must_use]
pub(crate) fn result_schema<T: Write>(nullable: bool) -> crate::schema::Schema {
    let nullable = nullable || T::NULLABLE;
    let element = T::element();
    let fields = match element {
        Element::Scalar => vec![Field { nullable, ..T::field(crate::schema::VALUE) }],
        Element::Object | Element::Tuple => {
            let parts = T::data_type().children().to_vec();
            parts.into_iter().map(|part| Field { nullable: part.nullable || nullable, ..part }).collect()
        }
    };
    element.schema(fields)
}

/// Hands over a result's columns as [`result_schema`] lists them.
pub(crate) fn finish_result<T: Write>(builder: T::Builder, nullable: bool, into: &mut Parts) {
    let nullable = nullable || T::NULLABLE;
    match T::element() {
        Element::Scalar => builder.finish(nullable, into),
        Element::Object | Element::Tuple => builder.finish_columns(nullable, into),
    }
}
