//! Jobs through the handle, over the real engine: a source that waits at gates and a sink that keeps a ledger outlive the
//! server, which is killed at each state and started again.

#[cfg(debug_assertions)]
mod between;
mod life;
mod replan;
mod surroundings;
mod world;
