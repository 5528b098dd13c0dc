//! The macros of the guest SDK. Each turns a function, a type or an impl block into calls of the SDK; what those calls
//! do is there, not here.
//!
//! The entry points below only hand over; every module has an `expand` that works on token streams, so that tests can
//! read what it makes and how it refuses.

mod config;
mod function;
mod names;
mod plugin;
mod row;
mod signature;
mod stateful;

use proc_macro::TokenStream;

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// One answer a row.
///
/// `#[map(batch)]` takes whole columns, `#[map(name = "other")]` names it for jobs. A parameter `#[config] c: &C` gets
/// the job's configuration. The function may return a `Result`.
#[proc_macro_attribute]
pub fn map(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(function::expand(function::Kind::Map, options.into(), item.into()))
}

/// Rows with `true` stay; takes the options of `#[map]`.
#[proc_macro_attribute]
pub fn filter(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(function::expand(function::Kind::Filter, options.into(), item.into()))
}

/// Any number of answers a row: the function returns something to iterate over. Takes `name`.
#[proc_macro_attribute]
pub fn flat_map(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(function::expand(function::Kind::FlatMap, options.into(), item.into()))
}

/// On the impl block of a type that is one partition's memory: `fn row(&mut self, …)` and `fn finish(&mut self)` return
/// something to iterate over. The memory starts as `Default`, or by `fn new(config: &C)`.
#[proc_macro_attribute]
pub fn map_partitions(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(stateful::expand(stateful::Kind::MapPartitions, options.into(), item.into()))
}

/// On the impl block of a type that is one group's state and derives `Default` and `Row`: `fn update(&mut self, …)`,
/// `fn merge(&mut self, other: Self)` and `fn finish(self)`, which gives the answer.
#[proc_macro_attribute]
pub fn aggregate(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(stateful::expand(stateful::Kind::Aggregate, options.into(), item.into()))
}

/// A struct that is a row, or a struct column. `#[row(rename = "other")]` on a field names its column.
#[proc_macro_derive(Row, attributes(row))]
pub fn row(item: TokenStream) -> TokenStream {
    finish(row::expand(item.into()))
}

/// A struct that is a function's configuration. `#[config(default = …)]` on a field makes it optional,
/// `#[config(rename = "other")]` names its key. The `///` comments become descriptions.
#[proc_macro_derive(Config, attributes(config))]
pub fn config(item: TokenStream) -> TokenStream {
    finish(config::expand(item.into()))
}

/// Makes the crate a plugin: `plugin! { functions: [a, b], aggregates: [c] }`, or `plugin! { sources: [A], sinks: [B],
/// capabilities: [http_client, secrets] }` for connectors; and `name`, `version` and `doc` where they are not the crate's
/// own. To be written once.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    finish(plugin::expand(input.into()))
}
