//! A JavaScript engine (QuickJS-ng) as a component of `azora:plugin`: it runs the lambdas that the typed compiler does
//! not take, over batches of columns.
//!
//! What an instance does is said by the configuration that it is opened with, see `config`. It imports nothing but `log`:
//! no clock, no chance, no files. Which lambdas come here, and what types their answers have, is the host's to decide.

mod allocator;
mod chain;
mod config;
mod engine;
mod input;
mod kind;
mod output;
mod plugin;
mod value;

pub use plugin::Interpreter;

azora_guest::bindings::export_transform_plugin!(Interpreter with_types_in azora_guest::bindings);
