//! Points on the way of a job at which a test may end the process, by name. In a build without debug assertions there are
//! none: [`pass`] does nothing there, and nobody can listen.

#[cfg(debug_assertions)]
use std::sync::OnceLock;

/// Who is told of every point that is passed.
#[cfg(debug_assertions)]
static WATCHER: OnceLock<Box<dyn Fn(&'static str) + Send + Sync>> = OnceLock::new();

/// Says that a point is reached. What it names has happened, or, where the name ends in `?`, comes next.
#[inline]
pub fn pass(name: &'static str) {
    #[cfg(debug_assertions)]
    if let Some(watcher) = WATCHER.get() {
        watcher(name);
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Hears of every point from here on. The first one who listens is the only one; answers whether it is this one.
#[cfg(debug_assertions)]
pub fn watch(watcher: impl Fn(&'static str) + Send + Sync + 'static) -> bool {
    WATCHER.set(Box::new(watcher)).is_ok()
}
