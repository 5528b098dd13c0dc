//! The kernel's static data: constants and fixed places behind the runtime's own data.

use std::collections::HashMap;

/// Bytes at fixed addresses.
#[derive(Debug)]
pub(super) struct Statics {
    base: u32,
    bytes: Vec<u8>,
    texts: HashMap<String, u32>,
}

impl Statics {
    pub(super) fn new(base: u32) -> Self {
        Self { base, bytes: Vec::new(), texts: HashMap::new() }
    }

    pub(super) fn base(&self) -> u32 {
        self.base
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Zeroed bytes at a multiple of 8.
    pub(super) fn reserve(&mut self, bytes: usize) -> u32 {
        self.place(&vec![0; bytes])
    }

    /// These bytes at a multiple of 8.
    pub(super) fn place(&mut self, bytes: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.base + u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// A string constant; equal texts share their place.
    pub(super) fn text(&mut self, text: &str) -> u32 {
        if let Some(at) = self.texts.get(text) {
            return *at;
        }
        let at = self.place(text.as_bytes());
        self.texts.insert(text.to_owned(), at);
        at
    }

    /// A string constant as `pointer | bytes << 32`.
    pub(super) fn packed(&mut self, text: &str) -> i64 {
        let at = i64::from(self.text(text));
        at | i64::try_from(text.len()).unwrap_or(0) << 32
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) {
        let start = (at - self.base) as usize;
        if let Some(place) = self.bytes.get_mut(start..start + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}
