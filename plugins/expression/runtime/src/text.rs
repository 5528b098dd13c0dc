//! The string as this crate sees it, and the writer that makes one.

use crate::{arena, vector};

/// A string in memory: valid UTF-8, never changed once made.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The first byte.
    pub at: *const u8,
    /// How many bytes.
    pub bytes: usize,
}

/// What stands for `undefined` where a string is expected.
pub const UNDEFINED: u64 = u64::MAX;
/// The character in place of half a surrogate pair.
pub const REPLACEMENT: &str = "\u{FFFD}";

impl Text {
    /// Unpacks an argument.
    #[inline(always)]
    pub fn of(packed: u64) -> Self {
        Self { at: packed as u32 as usize as *const u8, bytes: (packed >> 32) as usize }
    }

    /// Packs a result.
    #[inline(always)]
    pub fn packed(self) -> u64 {
        self.at as usize as u64 | (self.bytes as u64) << 32
    }

    /// A string that is part of this crate.
    #[inline(always)]
    pub fn constant(text: &'static str) -> Self {
        Self { at: text.as_ptr(), bytes: text.len() }
    }

    /// The bytes. They live as long as the arena is not reset, and no exported function keeps them.
    #[inline(always)]
    pub fn slice(self) -> &'static [u8] {
        // SAFETY: a packed string is made by this crate, the compiler or the canonical ABI.
        unsafe { core::slice::from_raw_parts(self.at, self.bytes) }
    }

    /// The characters.
    #[inline(always)]
    pub fn chars(self) -> core::str::Chars<'static> {
        // SAFETY: strings are valid UTF-8; cuts put U+FFFD where they would not be.
        unsafe { core::str::from_utf8_unchecked(self.slice()) }.chars()
    }

    /// The byte at `index`, which must be inside.
    #[inline(always)]
    pub fn byte(self, index: usize) -> u8 {
        // SAFETY: the caller stays inside.
        unsafe { *self.at.add(index) }
    }

    /// From byte `from` to byte `to`, both inside and between characters.
    #[inline(always)]
    pub fn part(self, from: usize, to: usize) -> Self {
        Self { at: self.at.wrapping_add(from), bytes: to - from }
    }

    /// Whether the first `bytes` bytes, which must be inside, are all ASCII.
    #[inline(always)]
    pub fn is_ascii_up_to(self, bytes: usize) -> bool {
        if bytes <= vector::STEP {
            return vector::wide(self.at) & vector::first(bytes) == 0;
        }
        let mut done = 0;
        loop {
            if vector::wide_in_block(self.at.wrapping_add(done)) & vector::first_of_block(bytes - done) != 0 {
                return false;
            }
            done += vector::BLOCK;
            if done >= bytes {
                return true;
            }
        }
    }

    /// Whether all of it is ASCII.
    #[inline(always)]
    pub fn is_ascii(self) -> bool {
        self.is_ascii_up_to(self.bytes)
    }
}

/// A string being written at the arena's end. Nothing else may allocate until it is finished.
#[derive(Debug)]
pub struct Writer {
    start: *mut u8,
    end: *mut u8,
}

impl Writer {
    /// Begins a string of at most `bytes` bytes.
    #[inline(always)]
    pub fn new(bytes: usize) -> Self {
        let start = arena::take(bytes);
        Self { start, end: start }
    }

    /// Appends a string.
    #[inline(always)]
    pub fn text(&mut self, text: Text) {
        vector::copy(text.at, self.end, text.bytes);
        self.end = self.end.wrapping_add(text.bytes);
    }

    /// Appends bytes that are not followed by readable slack.
    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        // SAFETY: the writer was made large enough.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.end, bytes.len()) };
        self.end = self.end.wrapping_add(bytes.len());
    }

    /// Appends one byte of ASCII.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        // SAFETY: the writer was made large enough.
        unsafe { *self.end = byte };
        self.end = self.end.wrapping_add(1);
    }

    /// Appends one character.
    #[inline]
    pub fn char(&mut self, char: char) {
        let mut bytes = [0; 4];
        let n = char.encode_utf8(&mut bytes).len();
        // SAFETY: four bytes fit because the arena has slack behind its last byte.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.end, 4) };
        self.end = self.end.wrapping_add(n);
    }

    /// Where the next byte goes, for callers that write by themselves and then [`advance`](Self::advance).
    #[inline(always)]
    pub fn place(&self) -> *mut u8 {
        self.end
    }

    /// Counts `bytes` bytes as written.
    #[inline(always)]
    pub fn advance(&mut self, bytes: usize) {
        self.end = self.end.wrapping_add(bytes);
    }

    /// The finished string; what was reserved and not written is free again.
    #[inline(always)]
    pub fn finish(self) -> Text {
        arena::close(self.end);
        Text { at: self.start, bytes: self.end as usize - self.start as usize }
    }
}

/// A list being written: slots are filled in order, at most as many as were reserved.
#[derive(Debug)]
pub struct Slots {
    start: *mut u64,
    count: usize,
}

impl Slots {
    /// Begins a list of at most `count` elements.
    #[inline(always)]
    pub fn new(count: usize) -> Self {
        Self { start: arena::take(count * 8).cast(), count: 0 }
    }

    /// Appends an element.
    #[inline(always)]
    pub fn push(&mut self, value: u64) {
        // SAFETY: the list was made large enough.
        unsafe { *self.start.add(self.count) = value };
        self.count += 1;
    }

    /// The finished list, packed.
    #[inline(always)]
    pub fn packed(self) -> u64 {
        self.start as usize as u64 | (self.count as u64) << 32
    }
}

/// The slots of a packed list.
#[inline(always)]
pub fn slots(packed: u64) -> &'static [u64] {
    // SAFETY: a packed list is made by this crate or the compiler.
    unsafe { core::slice::from_raw_parts(packed as u32 as usize as *const u64, (packed >> 32) as usize) }
}
