//! Text to the job's log. The host keeps a bounded amount of it per instance and counts the rest.

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Every step.
    Trace,
    /// For the author.
    Debug,
    /// For the person who sent the job.
    Info,
    /// Something to look at.
    Warn,
    /// Something that failed.
    Error,
}

/// Writes a line. Off WebAssembly, as in the author's own tests, it goes nowhere.
pub fn write(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::azora::plugin::log as wire;
        let level = match level {
            Level::Trace => wire::Level::Trace,
            Level::Debug => wire::Level::Debug,
            Level::Info => wire::Level::Info,
            Level::Warn => wire::Level::Warn,
            Level::Error => wire::Level::Error,
        };
        wire::log(level, text);
    }
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, text);
}

/// [`write()`] at [`Level::Debug`].
pub fn debug(text: impl AsRef<str>) {
    write(Level::Debug, text.as_ref());
}

/// [`write()`] at [`Level::Info`].
pub fn info(text: impl AsRef<str>) {
    write(Level::Info, text.as_ref());
}

/// [`write()`] at [`Level::Warn`].
pub fn warn(text: impl AsRef<str>) {
    write(Level::Warn, text.as_ref());
}

/// [`write()`] at [`Level::Error`].
pub fn error(text: impl AsRef<str>) {
    write(Level::Error, text.as_ref());
}
