//! What a JavaScript lambda needs at run time: strings, numbers and the functions of `Math`, with Node's meaning.
//!
//! This crate is compiled to one core WebAssembly module that is checked in; the expression compiler copies from it the
//! functions that a kernel calls. Nothing here knows batches, columns or the plugin contract.
//!
//! Conventions of every exported function:
//! - A string is `pointer | bytes << 32`, UTF-8 in memory and UTF-16 in meaning: lengths and positions count UTF-16
//!   units. A cut through a surrogate pair leaves U+FFFD in place of the half, because UTF-8 cannot hold it.
//! - A list is `pointer | count << 32`, its elements in slots of 8 bytes.
//! - A position, length or limit is an `f64` as JavaScript has it; where JavaScript lets it be left out, the caller
//!   passes what the standard puts there (infinity for an end).
//! - A flag is an `i32`, 0 or 1. `NaN` stands for an `undefined` number, all ones for an `undefined` string.
//! - Arguments are trusted: the caller is a compiler, and the sandbox holds both of them.
//! - Up to 64 bytes behind any string are readable, because the arena keeps that much memory behind its last byte.
//! - A `RangeError` is noted (`failure`), not thrown: the call answers a harmless value, the kernel asks at the end.
//!   Memory that cannot be had is a trap.
//!
//! Where the answers are not Node's: half a surrogate pair is U+FFFD, and stays so when the other half is put beside it;
//! `Math.sin` and `Math.cos` differ in the last place for about two arguments in a hundred; `localeCompare` knows the
//! order of ASCII only and notes a failure for other text. Everything else is the same bit for bit, as the tests of the
//! expression compiler show; upper and lower case are those of Unicode 17, in Node as here.

#![no_std]
// The tables behind the final sigma; the toolchain that builds this crate is pinned by the digest beside the module.
#![feature(case_ignorable, optimize_attribute, titlecase)]

mod arena;

mod case;
mod characters;
mod collate;
mod compose;
mod date;
mod date_text;
mod decimal;
mod failure;
mod fdlibm;
mod format;
mod json;
mod list;
mod logarithm;
mod math;
mod parse;
mod power;
mod search;
mod split;
mod text;
mod trim;
mod units;
mod vector;

/// Reached only if a bound that this crate promises itself is broken; the build turns every panic into a trap.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
