//! Memory: one arena that only grows upwards until it is reset. No single allocation is ever freed.

use core::arch::wasm32::{memory_grow, memory_size, unreachable};

/// Bytes that stay readable and writable behind the arena's last byte, so that strings are handled 16 bytes at a time.
pub const SLACK: u64 = 64;
/// How much more than asked the memory grows by, so that it grows rarely.
const GROWTH: u64 = 1 << 20;
const PAGE: u64 = 1 << 16;

/// The arena's bounds. The linker finds this record by the exported name `arena` and writes the addresses that the
/// finished module has: `base` and `top` behind the kernel's static data, `end` the memory's first size.
#[repr(C)]
#[derive(Debug)]
pub struct Arena {
    /// Where a reset goes back to.
    pub base: u32,
    /// The first free byte, a multiple of 8.
    pub top: u32,
    /// The size of the memory.
    pub end: u64,
}

/// The only arena there is; instances are single-threaded.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.arena")]
#[allow(non_upper_case_globals, reason = "the name is that of the export")]
pub static mut arena: Arena = Arena { base: 0, top: 0, end: 0 };

/// Where the bytes of the latest allocation end, if it is a string; 0 if not. A string that ends there can be made longer
/// in its place, because nothing lies behind it.
#[unsafe(link_section = ".data.last")]
static mut LAST: u32 = 0;

/// Grows the memory so that it holds `top` and the slack behind it.
#[cold]
#[inline(never)]
#[optimize(size)]
fn grow(top: u64) {
    // SAFETY: the instance has one thread.
    unsafe {
        arena.end = memory_size(0) as u64 * PAGE;
        if top + SLACK <= arena.end {
            return;
        }
        let missing = (top + SLACK - arena.end).div_ceil(PAGE);
        let generous = (top + SLACK + GROWTH - arena.end).div_ceil(PAGE);
        if memory_grow(0, generous as usize) == usize::MAX && memory_grow(0, missing as usize) == usize::MAX {
            unreachable();
        }
        arena.end = memory_size(0) as u64 * PAGE;
    }
}

/// A place for `bytes` bytes at a multiple of 8. Not zeroed.
#[inline(always)]
pub fn take(bytes: usize) -> *mut u8 {
    // SAFETY: the instance has one thread.
    unsafe {
        let start = arena.top;
        let top = (start as u64 + bytes as u64 + 7) & !7;
        if top + SLACK > arena.end {
            grow(top);
        }
        arena.top = top as u32;
        LAST = 0;
        start as usize as *mut u8
    }
}

/// Makes room for `bytes` bytes behind the string that ends at `end`, if it is the latest allocation.
#[inline(always)]
pub fn extend(end: *const u8, bytes: usize) -> bool {
    // SAFETY: the instance has one thread.
    unsafe {
        let end = end as usize as u32;
        if end != LAST || end == 0 {
            return false;
        }
        let top = (end as u64 + bytes as u64 + 7) & !7;
        if top + SLACK > arena.end {
            grow(top);
        }
        arena.top = top as u32;
        LAST = end + bytes as u32;
        true
    }
}

/// Gives back what lies behind `end`, which must be inside the latest allocation.
#[inline(always)]
pub fn close(end: *const u8) {
    // SAFETY: the instance has one thread.
    unsafe {
        arena.top = (end as usize as u32 + 7) & !7;
        LAST = end as usize as u32;
    }
}

/// A place for `bytes` bytes at a multiple of 8, with 64 bytes behind it that may be read. Not zeroed.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(bytes: u32) -> u32 {
    take(bytes as usize) as usize as u32
}

/// The canonical ABI's allocator. Alignments up to 16 are given to everything that is not small, because batches are
/// read 16 bytes at a time.
#[unsafe(no_mangle)]
pub extern "C" fn cabi_realloc(old: u32, old_bytes: u32, align: u32, bytes: u32) -> u32 {
    // SAFETY: the instance has one thread; the old block is the caller's.
    unsafe {
        if old_bytes != 0 && bytes <= old_bytes {
            return old;
        }
        let align = if bytes >= 64 { align.max(64) } else { align.max(8) } as u64;
        let start = (arena.top as u64 + align - 1) & !(align - 1);
        let top = (start + bytes as u64 + 7) & !7;
        if top + SLACK > arena.end {
            grow(top);
        }
        arena.top = top as u32;
        LAST = 0;
        if old_bytes != 0 {
            core::ptr::copy_nonoverlapping(old as usize as *const u8, start as usize as *mut u8, old_bytes as usize);
        }
        start as u32
    }
}

/// A point to come back to with `arena_release`.
#[unsafe(no_mangle)]
pub extern "C" fn arena_mark() -> u32 {
    // SAFETY: the instance has one thread.
    unsafe { arena.top }
}

/// Frees everything that was allocated after `mark` was taken.
#[unsafe(no_mangle)]
pub extern "C" fn arena_release(mark: u32) {
    // SAFETY: the instance has one thread.
    unsafe {
        arena.top = mark;
        LAST = 0;
    }
}

/// Frees everything but what `arena_keep` kept.
#[unsafe(no_mangle)]
pub extern "C" fn arena_reset() {
    // SAFETY: the instance has one thread.
    unsafe {
        arena.top = arena.base;
        LAST = 0;
    }
}

/// Makes everything that is allocated now survive every reset.
#[unsafe(no_mangle)]
pub extern "C" fn arena_keep() {
    // SAFETY: the instance has one thread.
    unsafe {
        arena.base = arena.top;
        LAST = 0;
    }
}
