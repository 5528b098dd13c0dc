//! One allocator for Rust and the engine's C: two of them would each keep memory from the other.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn realloc(at: *mut c_void, size: usize) -> *mut c_void;
    fn free(at: *mut c_void);
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
}

/// What `malloc` aligns to.
const MALLOC_ALIGN: usize = 8;

struct Libc;

#[global_allocator]
static ALLOCATOR: Libc = Libc;

// SAFETY: the C library's allocator keeps the contract; larger alignments go to `aligned_alloc`, whose blocks `free`
// takes too.
unsafe impl GlobalAlloc for Libc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size may be asked for; the size is a multiple of the alignment, as C wants it.
        unsafe {
            match layout.align() {
                0..=MALLOC_ALIGN => malloc(layout.size()).cast(),
                align => aligned_alloc(align, layout.size().next_multiple_of(align)).cast(),
            }
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, _: Layout) {
        // SAFETY: `at` came from this allocator.
        unsafe { free(at.cast()) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: `at` came from `malloc`.
            return unsafe { realloc(at.cast(), size).cast() };
        }
        // SAFETY: a fresh block of the same alignment takes the bytes of the old one.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(at, new, size.min(layout.size()));
                self.dealloc(at, layout);
            }
            new
        }
    }
}
