//! The loops that call a function row by row. What they call is made by the macros; which columns it gets is in
//! `binding.rs`.
#![expect(unsafe_code, reason = "arguments of some rows wait where they were written")]

use crate::failure::{Failure, Result};
use crate::schema::Schema;
use crate::validity::Validity;
use crate::write::{Builder, CHUNK, Parts, Write, finish_result, result_schema};
use std::mem::MaybeUninit;

/// What one call made.
#[derive(Debug)]
pub struct Output {
    pub(crate) parts: Parts,
    pub(crate) rows: usize,
    /// For a filter: one bit per input row.
    pub(crate) kept: Option<Vec<u8>>,
}

/// Calls `each` for all rows, in pieces of a size that the compiler knows.
#[inline]
pub(crate) fn for_each(rows: usize, mut each: impl FnMut(usize) -> Result<()>) -> Result<()> {
    let whole = rows - rows % CHUNK;
    for start in (0..whole).step_by(CHUNK) {
        for at in 0..CHUNK {
            each(start + at)?;
        }
    }
    (whole..rows).try_for_each(each)
}

/// One answer a row, of what is read for it; null where an argument is. With `ahead` some rows are read before the first
/// of them is used.
///
/// # Errors
/// The function's, with the row.
#[inline]
pub fn map<A, T: Write>(
    live: &Validity<'_>,
    nullable: bool,
    ahead: bool,
    mut read: impl FnMut(usize) -> A,
    mut call: impl FnMut(A) -> Result<T>,
) -> Result<Output> {
    let rows = live.len();
    let whole = rows - rows % CHUNK;
    let mut builder = T::builder(rows);
    let mut done = 0;
    if live.is_all() && ahead && !std::mem::needs_drop::<A>() {
        let mut piece = [const { MaybeUninit::uninit() }; CHUNK];
        for start in (0..whole).step_by(CHUNK) {
            read_piece(&mut piece, start, &mut read);
            // Counted from 0, so that the compiler sees that there is such a place.
            T::append_chunk(&mut builder, 0, &mut |at| {
                // SAFETY: `read_piece` wrote all of them, and what has no destructor may be read more than once.
                let arguments = unsafe { piece[at].assume_init_read() };
                call(arguments).map_err(|failure| failure.at_row(start + at))
            })?;
        }
        done = whole;
    }
    let mut call = move |row| call(read(row)).map_err(|failure: Failure| failure.at_row(row));
    if live.is_all() {
        for start in (done..whole).step_by(CHUNK) {
            T::append_chunk(&mut builder, start, &mut call)?;
        }
        for row in whole..rows {
            call(row)?.append(&mut builder);
        }
    } else {
        for_each(rows, |row| {
            match live.is_valid(row) {
                true => call(row)?.append(&mut builder),
                false => builder.push_null(),
            }
            Ok(())
        })?;
    }
    let mut parts = Parts::default();
    finish_result::<T>(builder, nullable, &mut parts);
    Ok(Output { parts, rows, kept: None })
}

/// It is no part of the loop that uses what it reads: each then has the registers that it needs.
#[inline(never)]
fn read_piece<A>(piece: &mut [MaybeUninit<A>; CHUNK], start: usize, read: &mut impl FnMut(usize) -> A) {
    for (row, arguments) in (start..).zip(piece) {
        arguments.write(read(row));
    }
}

/// All answers of a batch at once; null where an argument is.
///
/// # Errors
/// The function's, and where it did not answer for every row.
pub fn map_batch<T: Write, I: IntoIterator<Item = T>>(live: &Validity<'_>, nullable: bool, answers: Result<I>) -> Result<Output> {
    let rows = live.len();
    let mut builder = T::builder(rows);
    let mut found = 0;
    for answer in answers? {
        match live.is_valid(found) {
            true => answer.append(&mut builder),
            false => builder.push_null(),
        }
        found += 1;
    }
    check_rows(found, rows)?;
    let mut parts = Parts::default();
    finish_result::<T>(builder, nullable, &mut parts);
    Ok(Output { parts, rows, kept: None })
}

fn check_rows(found: usize, rows: usize) -> Result<()> {
    if found == rows { Ok(()) } else { Err(Failure::internal(format!("batch function answered {found} rows for {rows}"))) }
}

/// A filter's verdict. Null keeps nothing, as in SQL.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no verdict: a filter returns bool or Option<bool>",
    label = "says nothing about the row"
)]
pub trait Verdict {
    /// Whether the row stays.
    fn keeps(self) -> bool;
}

impl Verdict for bool {
    #[inline]
    fn keeps(self) -> bool {
        self
    }
}

impl Verdict for Option<bool> {
    #[inline]
    fn keeps(self) -> bool {
        self == Some(true)
    }
}

/// Keeps the rows for which the answer is true.
///
/// # Errors
/// The function's, with the row.
#[inline]
pub fn filter<T: Verdict>(live: &Validity<'_>, mut call: impl FnMut(usize) -> Result<T>) -> Result<Output> {
    let mut bits = vec![0_u8; live.len().div_ceil(8)];
    for_each(live.len(), |row| {
        if live.is_valid(row) && call(row).map_err(|failure| failure.at_row(row))?.keeps() {
            bits[row / 8] |= 1 << (row % 8);
        }
        Ok(())
    })?;
    Ok(kept(bits))
}

/// Keeps the rows for which the answer of a whole batch is true.
///
/// # Errors
/// The function's, and where it did not answer for every row.
pub fn filter_batch<T: Verdict, I: IntoIterator<Item = T>>(live: &Validity<'_>, answers: Result<I>) -> Result<Output> {
    let mut bits = vec![0_u8; live.len().div_ceil(8)];
    let mut found = 0;
    for answer in answers? {
        if live.is_valid(found) && answer.keeps() {
            bits[found / 8] |= 1 << (found % 8);
        }
        found += 1;
    }
    check_rows(found, live.len())?;
    Ok(kept(bits))
}

fn kept(bits: Vec<u8>) -> Output {
    let rows = bits.iter().map(|byte| byte.count_ones() as usize).sum();
    Output { parts: Parts::default(), rows, kept: Some(bits) }
}

/// Any number of answers a row; none where an argument is null.
///
/// # Errors
/// The function's, with the row.
pub fn flat_map<I>(live: &Validity<'_>, mut call: impl FnMut(usize) -> Result<I>) -> Result<Output>
where
    I: IntoIterator<Item: Write>,
{
    let mut builder = <I::Item as Write>::builder(live.len());
    let mut rows = 0;
    for row in (0..live.len()).filter(|&row| live.is_valid(row)) {
        for item in call(row).map_err(|failure| failure.at_row(row))? {
            item.append(&mut builder);
            rows += 1;
        }
    }
    let mut parts = Parts::default();
    finish_result::<I::Item>(builder, false, &mut parts);
    Ok(Output { parts, rows, kept: None })
}

/// What a stateful function still has at the end of its partition.
///
/// # Errors
/// The function's.
pub fn rest<I, J>(_same_as: impl FnOnce() -> Result<I>, items: Result<J>) -> Result<Option<Output>>
where
    I: IntoIterator<Item: Write>,
    J: IntoIterator<Item = I::Item>,
{
    let mut items = Some(items?);
    // The function's own failure ends the call above, so that no row is named for it.
    flat_map(&Validity::all(1), |_| items.take().ok_or_else(|| Failure::internal("rows were taken twice"))).map(Some)
}

/// The result schema of a call that is never made.
pub fn schema_of<T: Write>(_call: impl FnOnce() -> Result<T>, nullable: bool) -> Schema {
    result_schema::<T>(nullable)
}

/// The same where the call gives many.
pub fn schema_of_items<I: IntoIterator<Item: Write>>(_call: impl FnOnce() -> Result<I>, nullable: bool) -> Schema {
    result_schema::<I::Item>(nullable)
}

/// A value of any type for a call that is never made.
#[allow(clippy::unreachable, clippy::panic, reason = "only types are taken from the call")]
pub fn never<T>() -> T {
    unreachable!("called for its type only")
}
