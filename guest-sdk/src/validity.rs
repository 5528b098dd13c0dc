//! Which rows hold a value: read side and write side.

use std::borrow::Cow;

/// One bit per row, set where the row holds a value; no bits at all where every row does.
#[derive(Debug, Clone)]
pub struct Validity<'a> {
    len: usize,
    bits: Option<Cow<'a, [u8]>>,
}

impl<'a> Validity<'a> {
    pub(crate) fn new(len: usize, bits: Option<Cow<'a, [u8]>>) -> Self {
        Self { len, bits }
    }

    /// Every row holds a value.
    #[must_use]
    pub fn all(len: usize) -> Self {
        Self { len, bits: None }
    }

    /// No row holds a value.
    #[must_use]
    pub fn none(len: usize) -> Self {
        Self { len, bits: Some(Cow::Owned(vec![0; len.div_ceil(8)])) }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no row is null.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.bits.is_none()
    }

    /// Whether that row holds a value; false behind the end.
    #[must_use]
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        match &self.bits {
            None => row < self.len,
            Some(bits) => row < self.len && bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1),
        }
    }

    /// Keeps the rows that are valid in both.
    #[must_use]
    pub fn and(self, other: &Validity<'a>) -> Self {
        let bits = match (self.bits, &other.bits) {
            (None, bits) => bits.clone(),
            (bits, None) => bits,
            (Some(own), Some(others)) => Some(Cow::Owned(own.iter().zip(others.iter()).map(|(a, b)| a & b).collect())),
        };
        Self { len: self.len, bits }
    }

    /// Clears the rows for which the test fails.
    #[must_use]
    pub(crate) fn retain(self, mut keep: impl FnMut(usize) -> bool) -> Self {
        let len = self.len;
        let mut built = ValidityBuilder::default();
        for row in 0..len {
            built.push(self.is_valid(row) && keep(row));
        }
        Self { len, bits: built.into_bits().map(Cow::Owned) }
    }
}

/// Grows a bitmap; stays empty until the first null.
#[derive(Debug, Default)]
pub struct ValidityBuilder {
    len: usize,
    nulls: usize,
    bits: Option<Vec<u8>>,
}

impl ValidityBuilder {
    /// Adds a row.
    #[inline]
    pub fn push(&mut self, is_valid: bool) {
        match &mut self.bits {
            None if is_valid => {}
            Some(bits) => {
                if self.len.is_multiple_of(8) {
                    bits.push(0);
                }
                if is_valid && let Some(last) = bits.last_mut() {
                    *last |= 1 << (self.len % 8);
                }
            }
            None => {
                let mut bits = vec![0xff; self.len / 8];
                // Bits of earlier rows in the byte of this row; whole bytes above are all valid.
                bits.push((1 << (self.len % 8)) - 1);
                self.bits = Some(bits);
            }
        }
        self.nulls += usize::from(!is_valid);
        self.len += 1;
    }

    /// Adds rows that hold values.
    #[inline]
    pub fn extend_valid(&mut self, rows: usize) {
        match self.bits {
            None => self.len += rows,
            Some(_) => (0..rows).for_each(|_| self.push(true)),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of nulls.
    #[must_use]
    pub fn nulls(&self) -> usize {
        self.nulls
    }

    pub(crate) fn into_bits(self) -> Option<Vec<u8>> {
        self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builder_and_reader_agree() {
        for first_null in [0, 1, 7, 8, 9, 15, 16, 31] {
            let mut built = ValidityBuilder::default();
            let rows = |row: usize| row < first_null || row.is_multiple_of(3) && row != first_null;
            for row in 0..40 {
                built.push(rows(row));
            }
            assert_eq!(built.nulls(), (0..40).filter(|row| !rows(*row)).count());
            let read = Validity::new(40, built.into_bits().map(Cow::Owned));
            assert!((0..40).all(|row| read.is_valid(row) == rows(row)), "first null at {first_null}");
        }
    }

    #[test]
    fn both_must_be_valid() {
        let a = Validity::new(4, Some(Cow::Borrowed(&[0b0111])));
        let b = Validity::new(4, Some(Cow::Borrowed(&[0b1101])));
        let both = a.and(&b);
        assert_eq!((0..4).map(|row| both.is_valid(row)).collect::<Vec<_>>(), [true, false, true, false]);
        assert!(Validity::all(3).and(&Validity::all(3)).is_all());
        assert!(!both.is_valid(9));
    }
}
