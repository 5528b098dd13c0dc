//! A typed program as one core module: the exports of `azora:plugin/transform` over columns in linear memory.
//!
//! The component around the module is made in `component`, the functions that it imports are joined in by `link`.

mod code;
mod columns;
mod lists;
mod output;
mod plan;
mod process;
mod range;
mod row;
mod statics;
mod unit;
mod value;
mod vector;

pub(crate) use unit::emit;
