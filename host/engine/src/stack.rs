//! Room for recursion: parsers and planners walk trees by it, and the threads of a server have little stack.

use std::future::{Future, poll_fn};
use std::pin::pin;

/// Stack for parsing and planning what a caller wrote. Its depth is bounded by `azora_spec::limits`; most of this is never
/// touched.
const STACK_BYTES: usize = 64 << 20;

/// Runs a future on a large stack.
pub(crate) async fn deep<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(move |context| stacker::grow(STACK_BYTES, || future.as_mut().poll(context))).await
}
