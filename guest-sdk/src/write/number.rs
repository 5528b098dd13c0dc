//! Booleans, integers and floats.
#![expect(unsafe_code, reason = "numbers are written where a vector has set memory aside for them")]

use super::{Builder, CHUNK, Parts, Write};
use crate::failure::Result;
use crate::schema::DataType;
use crate::validity::ValidityBuilder;
use bytemuck::NoUninit;
use std::marker::PhantomData;

/// Collects numbers of one type.
#[derive(Debug)]
pub struct NumberBuilder<T> {
    bytes: Vec<u8>,
    validity: ValidityBuilder,
    of: PhantomData<T>,
}

impl<T: NoUninit + Default> NumberBuilder<T> {
    /// An empty one with room for so many rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { bytes: Vec::with_capacity(rows.saturating_mul(size_of::<T>())), validity: ValidityBuilder::default(), of: PhantomData }
    }

    /// Adds a value.
    #[inline]
    pub fn push(&mut self, value: T) {
        // Bytes from the start: the buffer then goes to the host without a copy.
        self.bytes.extend_from_slice(bytemuck::bytes_of(&value));
        self.validity.push(true);
    }
}

impl<T: NoUninit + Default> NumberBuilder<T> {
    /// Adds the answers of calls with `start` and on, a piece of them. It is no part of the loop around it, so that the
    /// few values that it needs stay in registers: code for sandboxes is compiled by functions, without much thought.
    #[inline(never)]
    fn extend(&mut self, start: usize, call: &mut impl FnMut(usize) -> Result<T>) -> Result<()> {
        self.bytes.reserve(CHUNK * size_of::<T>());
        let mut place = self.bytes.spare_capacity_mut().as_mut_ptr().cast::<T>();
        for row in start..start + CHUNK {
            let value = call(row)?;
            // SAFETY: there is room for `CHUNK` numbers, and a number may be written to any address of plain memory so.
            unsafe { place.write_unaligned(value) };
            // SAFETY: at most just behind that room.
            place = unsafe { place.add(1) };
        }
        // SAFETY: these bytes were written above; a number has no byte that is not its value's.
        unsafe { self.bytes.set_len(self.bytes.len() + CHUNK * size_of::<T>()) };
        self.validity.extend_valid(CHUNK);
        Ok(())
    }
}

impl<T: NoUninit + Default> Builder for NumberBuilder<T> {
    fn push_null(&mut self) {
        self.bytes.extend_from_slice(bytemuck::bytes_of(&T::default()));
        self.validity.push(false);
    }

    fn finish(self, nullable: bool, into: &mut Parts) {
        into.node(self.validity, nullable);
        into.buffer(self.bytes);
    }
}

/// Collects booleans.
#[derive(Debug, Default)]
pub struct BitBuilder {
    bits: Vec<u8>,
    validity: ValidityBuilder,
}

impl BitBuilder {
    /// Adds a value.
    #[inline]
    pub fn push(&mut self, value: bool) {
        self.bit(value);
        self.validity.push(true);
    }

    fn bit(&mut self, value: bool) {
        let row = self.validity.len();
        if row.is_multiple_of(8) {
            self.bits.push(0);
        }
        if value && let Some(last) = self.bits.last_mut() {
            *last |= 1 << (row % 8);
        }
    }
}

impl Builder for BitBuilder {
    fn push_null(&mut self) {
        self.bit(false);
        self.validity.push(false);
    }

    fn finish(self, nullable: bool, into: &mut Parts) {
        into.node(self.validity, nullable);
        into.buffer(self.bits);
    }
}

impl Write for bool {
    type Builder = BitBuilder;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn builder(_rows: usize) -> Self::Builder {
        BitBuilder::default()
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) {
        builder.push(self);
    }
}

macro_rules! numbers {
    ($($rust:ty = $own:ident),*) => {$(
        impl Write for $rust {
            type Builder = NumberBuilder<$rust>;

            fn data_type() -> DataType {
                DataType::$own
            }

            fn builder(rows: usize) -> Self::Builder {
                NumberBuilder::new(rows)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) {
                builder.push(self);
            }

            #[inline]
            fn append_chunk(builder: &mut Self::Builder, start: usize, call: &mut impl FnMut(usize) -> Result<Self>) -> Result<()> {
                builder.extend(start, call)
            }
        }
    )*};
}

numbers!(
    i8 = Int8,
    i16 = Int16,
    i32 = Int32,
    i64 = Int64,
    u8 = UInt8,
    u16 = UInt16,
    u32 = UInt32,
    u64 = UInt64,
    f32 = Float32,
    f64 = Float64
);
