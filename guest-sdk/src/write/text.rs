//! Text and binary values.

use super::{Builder, Parts, Write};
use crate::schema::DataType;
use crate::validity::ValidityBuilder;
use std::borrow::Cow;

/// Bytes that are set aside for a text of unknown length.
const TEXT_BYTES_GUESS: usize = 16;

/// Collects text or binary values.
#[derive(Debug)]
pub struct BytesBuilder {
    offsets: Vec<u8>,
    bytes: Vec<u8>,
    validity: ValidityBuilder,
}

impl BytesBuilder {
    /// An empty one with room for so many rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity((rows + 1).saturating_mul(4));
        offsets.extend_from_slice(&[0; 4]);
        Self { offsets, bytes: Vec::with_capacity(rows.saturating_mul(TEXT_BYTES_GUESS)), validity: ValidityBuilder::default() }
    }

    /// Adds a value. A column holds at most 2 GiB, which is above what an instance may use.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.end_row(true);
    }

    #[inline]
    fn end_row(&mut self, is_valid: bool) {
        self.offsets.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        self.validity.push(is_valid);
    }
}

impl Builder for BytesBuilder {
    fn push_null(&mut self) {
        self.end_row(false);
    }

    fn finish(self, nullable: bool, into: &mut Parts) {
        into.node(self.validity, nullable);
        into.buffer(self.offsets);
        into.buffer(self.bytes);
    }
}

macro_rules! bytes {
    ($($rust:ty = $own:ident;)*) => {$(
        impl Write for $rust {
            type Builder = BytesBuilder;

            fn data_type() -> DataType {
                DataType::$own
            }

            fn builder(rows: usize) -> Self::Builder {
                BytesBuilder::new(rows)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) {
                builder.push(self.as_ref());
            }
        }
    )*};
}

bytes! {
    &[u8] = Binary;
    Vec<u8> = Binary;
}

macro_rules! texts {
    ($($rust:ty),*) => {$(
        impl Write for $rust {
            type Builder = BytesBuilder;

            fn data_type() -> DataType {
                DataType::Utf8
            }

            fn builder(rows: usize) -> Self::Builder {
                BytesBuilder::new(rows)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) {
                builder.push(self.as_bytes());
            }
        }
    )*};
}

texts!(&str, String, Cow<'_, str>);
