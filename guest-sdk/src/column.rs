//! What a batch function sees: a whole column at once.

use crate::read::Read;
use crate::validity::Validity;

/// The rows of one argument. `Column<f64>` reads nulls as rows to leave alone: the answer at such a row is thrown away
/// and becomes null. `Column<Option<f64>>` hands them to the function.
pub struct Column<'a, T: Read<'a>> {
    view: T::View,
    validity: &'a Validity<'a>,
}

impl<'a, T: Read<'a>> std::fmt::Debug for Column<'a, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("rows", &self.len()).finish_non_exhaustive()
    }
}

impl<'a, T: Read<'a>> Clone for Column<'a, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: Read<'a>> Copy for Column<'a, T> {}

impl<'a, T: Read<'a>> Column<'a, T> {
    #[doc(hidden)]
    #[must_use]
    pub fn new(column: &'a T::Column, validity: &'a Validity<'a>) -> Self {
        Self { view: T::view(column), validity }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.validity.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.validity.is_empty()
    }

    /// Whether no row is null.
    #[must_use]
    pub fn has_no_nulls(&self) -> bool {
        self.validity.is_all()
    }

    /// The value of a row; none where it is null or there is no such row.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        self.validity.is_valid(row).then(|| T::get(self.view, row))
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<T>> + use<'a, T> {
        let column = *self;
        (0..column.len()).map(move |row| column.get(row))
    }
}

macro_rules! values {
    ($($rust:ty),*) => {$(
        impl<'a> Column<'a, $rust> {
            /// All values as one slice; what stands at a null row means nothing.
            ///
            /// Go through it in pieces of a fixed size, `chunks_exact(32)`: the time limit is checked once a loop, and
            /// a loop of one element spends more time there than on the element.
            #[must_use]
            pub fn values(&self) -> &'a [$rust] {
                self.view
            }
        }
    )*};
}

values!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);
