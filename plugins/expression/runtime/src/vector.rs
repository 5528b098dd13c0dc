//! 16 bytes at a time. The only file with vector instructions.

use core::arch::wasm32::{
    i8x16_gt, u8x16, u8x16_bitmask, u8x16_eq, u8x16_ge, u8x16_lt, u8x16_splat, u8x16_sub, u8x16_swizzle, u64x2, v128, v128_and, v128_load,
    v128_or, v128_store, v128_xor,
};

/// Bytes per step.
pub const STEP: usize = 16;

/// Bytes that are looked at without a loop where a string is longer than one step.
pub const BLOCK: usize = 64;

/// The bits of the first `left` bytes of a block.
#[inline(always)]
pub fn first_of_block(left: usize) -> u64 {
    if left >= BLOCK { u64::MAX } else { (1u64 << left) - 1 }
}

/// What `bits` says of each step of a block.
#[inline(always)]
fn block(at: *const u8, bits: impl Fn(*const u8) -> u32) -> u64 {
    let step = |n: usize| (bits(at.wrapping_add(n * STEP)) as u64) << (n * STEP);
    step(0) | step(1) | step(2) | step(3)
}

/// Which of 64 bytes are not ASCII.
#[inline(always)]
pub fn wide_in_block(at: *const u8) -> u64 {
    block(at, wide)
}

/// How many UTF-16 units the characters have that begin in the masked bytes of a block.
#[inline(always)]
pub fn units_in_block(at: *const u8, mask: u64) -> u32 {
    (block(at, begins) & mask).count_ones() + (block(at, pairs) & mask).count_ones()
}

/// Which of 64 bytes differ.
#[inline(always)]
pub fn differ_in_block(left: *const u8, right: *const u8) -> u64 {
    let step = |n: usize| (differ(left.wrapping_add(n * STEP), right.wrapping_add(n * STEP)) as u64) << (n * STEP);
    step(0) | step(1) | step(2) | step(3)
}

/// The bits of the first `left` bytes of a step.
#[inline(always)]
pub fn first(left: usize) -> u32 {
    if left >= STEP { 0xFFFF } else { (1u32 << left) - 1 }
}

#[inline(always)]
fn load(at: *const u8) -> v128 {
    // SAFETY: callers point into a string, and 64 bytes behind every string are readable.
    unsafe { v128_load(at.cast()) }
}

/// Which of 16 bytes are not ASCII.
#[inline(always)]
pub fn wide(at: *const u8) -> u32 {
    u8x16_bitmask(load(at)) as u32
}

/// How many UTF-16 units the characters have that begin in the masked bytes.
#[inline(always)]
pub fn units(at: *const u8, mask: u32) -> u32 {
    (begins(at) & mask).count_ones() + (pairs(at) & mask).count_ones()
}

/// Which of 16 bytes begin a character.
#[inline(always)]
fn begins(at: *const u8) -> u32 {
    u8x16_bitmask(i8x16_gt(load(at), u8x16_splat(0xBF))) as u32
}

/// Which of 16 bytes begin a character of two units.
#[inline(always)]
fn pairs(at: *const u8) -> u32 {
    u8x16_bitmask(u8x16_ge(load(at), u8x16_splat(0xF0))) as u32
}

#[inline(always)]
fn store(to: *mut u8, bytes: v128) {
    // SAFETY: callers point inside of a string that is being written, and 64 bytes behind the arena's end are writable.
    unsafe { v128_store(to.cast(), bytes) }
}

/// Copies at least `bytes` bytes, and up to 64 in all. Strings of up to 64 bytes take no loop.
#[inline(always)]
pub fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    store(to, load(from));
    if bytes > STEP {
        for n in 1..BLOCK / STEP {
            store(to.wrapping_add(n * STEP), load(from.wrapping_add(n * STEP)));
        }
        if bytes > BLOCK {
            copy_more(from, to, bytes);
        }
    }
}

#[inline(never)]
fn copy_more(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller owns both places; the new one is fresh.
    unsafe { core::ptr::copy_nonoverlapping(from.wrapping_add(BLOCK), to.wrapping_add(BLOCK), bytes - BLOCK) }
}

/// The place of each byte.
const PLACES: v128 = u8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

/// The bytes before `end`; zeros behind.
#[inline(always)]
fn before(bytes: v128, end: usize) -> v128 {
    v128_and(bytes, u8x16_lt(PLACES, u8x16_splat(end as u8)))
}

/// The bytes moved up by `by` places; zeros before.
#[inline(always)]
fn up(bytes: v128, by: usize) -> v128 {
    u8x16_swizzle(bytes, u8x16_sub(PLACES, u8x16_splat(by as u8)))
}

/// Writes two strings of together at most 16 bytes one behind the other. One store: whoever reads the result at once need
/// not wait for two of them to reach memory.
#[inline(always)]
pub fn join2(to: *mut u8, a: *const u8, a_bytes: usize, b: *const u8) {
    store(to, v128_or(before(load(a), a_bytes), up(load(b), a_bytes)));
}

/// The same for three strings.
#[inline(always)]
pub fn join3(to: *mut u8, a: *const u8, a_bytes: usize, b: *const u8, b_bytes: usize, c: *const u8) {
    let both = a_bytes + b_bytes;
    let first = v128_or(before(load(a), a_bytes), before(up(load(b), a_bytes), both));
    store(to, v128_or(first, up(load(c), both)));
}

/// Writes up to 8 bytes, as 16 for the same reason.
#[inline(always)]
pub fn put(to: *mut u8, bytes: u64) {
    store(to, u64x2(bytes, 0));
}

/// Copies 16 bytes with the ASCII letters from `low` on (26 of them) in the other case.
#[inline(always)]
pub fn flip_case(from: *const u8, to: *mut u8, low: u8) {
    let bytes = load(from);
    let letters = u8x16_lt(u8x16_sub(bytes, u8x16_splat(low)), u8x16_splat(26));
    store(to, v128_xor(bytes, v128_and(letters, u8x16_splat(0x20))));
}

/// Which of 16 bytes differ.
#[inline(always)]
pub fn differ(left: *const u8, right: *const u8) -> u32 {
    !(u8x16_bitmask(u8x16_eq(load(left), load(right))) as u32) & 0xFFFF
}

/// At which of 16 positions `first` stands and `last` stands `gap` bytes behind it.
#[inline(always)]
pub fn candidates(at: *const u8, first: u8, last: u8, gap: usize) -> u32 {
    let begins = u8x16_eq(load(at), u8x16_splat(first));
    let ends = u8x16_eq(load(at.wrapping_add(gap)), u8x16_splat(last));
    u8x16_bitmask(v128_and(begins, ends)) as u32
}
