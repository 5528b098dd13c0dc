//! The note that a call could not be answered as JavaScript would, by throwing. The first one counts.

use crate::text::Text;

#[unsafe(link_section = ".data.failure")]
static mut FAILURE: u64 = 0;

/// Notes a failure; a kernel that runs on gets harmless values and asks at the end of the batch.
#[cold]
#[inline(never)]
#[optimize(size)]
pub fn note(message: &'static str) {
    // SAFETY: the instance has one thread.
    unsafe {
        if FAILURE == 0 {
            FAILURE = Text::constant(message).packed();
        }
    }
}

/// The message of the first failure since the instance started, as a string; 0 where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn failure() -> u64 {
    // SAFETY: the instance has one thread.
    unsafe { FAILURE }
}
