//! Write Azora Spark plugins in Rust: plain functions in, a WebAssembly component out.
//!
//! ```
//! use azora_guest::prelude::*;
//!
//! /// Great-circle distance in kilometres.
//! #[map]
//! fn haversine(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
//!     let (p1, p2) = (lat1.to_radians(), lat2.to_radians());
//!     let a = ((p2 - p1) / 2.0).sin().powi(2) + p1.cos() * p2.cos() * ((lon2 - lon1).to_radians() / 2.0).sin().powi(2);
//!     2.0 * 6371.0 * a.sqrt().asin()
//! }
//!
//! /// Adults stay.
//! #[filter]
//! fn is_adult(age: i64) -> bool {
//!     age >= 18
//! }
//!
//! plugin! { name: "geo", version: "1.0.0", functions: [haversine, is_adult] }
//! # fn main() {}
//! ```
//!
//! The functions stay plain functions: `cargo test` runs their tests on the author's machine. For a component, build the
//! crate as a `cdylib` for `wasm32-unknown-unknown` and encode it (`examples/transform-rust` shows all of it).
//!
//! - `#[map]`: one answer a row. `#[map(batch)]` gets and gives whole columns ([`Column`] in, `Vec` out).
//! - `#[filter]`: rows with `true` stay. `#[flat_map]`: any number of answers a row.
//! - `#[map_partitions]` and `#[aggregate]`: on the impl block of a type that remembers.
//! - [`Source`] and [`Sink`]: a connector, in a plugin of its own: `plugin! { sources: [Feed], capabilities: [http_client] }`
//!   (`examples/connector-rust-source` and `examples/connector-rust-sink` show all of it).
//! - `#[derive(Row)]`: a struct that is a row or a struct column. `#[derive(Config)]`: what a job says once.
//!
//! A row with a null in an argument that is no `Option` is not given to the function: its answer is null, or it is
//! dropped by a filter, a flat map and an aggregate, as SQL does. A panic is reported to the job's log and ends it.
//!
//! Off WebAssembly nothing is exported.

mod aggregate;
mod array;
mod binding;
#[doc(hidden)]
pub mod bindings;
mod column;
mod config;
mod connector;
mod decimal;
mod failure;
mod function;
mod host;
mod json;
pub mod log;
mod plugin;
mod read;
mod records;
mod rows;
mod schema;
mod sink;
mod source;
mod time;
mod validity;
mod wire;
mod write;

pub use aggregate::{Aggregate, OpenedAggregate};
pub use azora_guest_macros::{Config, Row, aggregate, filter, flat_map, map, map_partitions, plugin};
pub use column::Column;
pub use config::{Config, ConfigValue};
pub use connector::{Capability, ConnectorDeclaration};
pub use decimal::{Decimal, DecimalError};
pub use failure::{Failure, FailureCode, Result};
pub use function::{Declaration, Function, Kind, Opened};
pub use host::{clock, http, random, secrets, state};
pub use json::Json;
pub use plugin::{Plugin, check};
pub use read::{Item, Read};
pub use records::{Record, Records};
pub use schema::{DataType, Element, Field, IntervalUnit, Schema, TimeUnit};
pub use sink::{Sink, Writer};
pub use source::{Next, Source, Split, Wanted};
pub use time::{Date, Timestamp};
pub use write::{Builder, Write};

/// Everything that a plugin's source needs.
pub mod prelude {
    pub use crate::{
        Column, Config, Date, Decimal, Failure, Json, Next, Records, Row, Schema, Sink, Source, Split, Timestamp, Wanted, Writer,
        aggregate, clock, filter, flat_map, http, log, map, map_partitions, plugin, random, secrets, state,
    };
}

/// What the macros' output names; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::aggregate::update;
    pub use crate::array::Array;
    pub use crate::binding::{Arguments, Binding, Param};
    pub use crate::config::{field as config_field, object_schema, property_schema, read as read_config};
    pub use crate::connector::{Capability, ConnectorDeclaration};
    pub use crate::plugin::Exported;
    pub use crate::records::Record;
    pub use crate::rows::{filter, filter_batch, flat_map, map, map_batch, never, rest, schema_of, schema_of_items};
    pub use crate::sink::{End, OpenedSink, Writer, end as end_sink, open as open_sink};
    pub use crate::source::{OpenedSource, Split, open as open_source, plan as plan_source};
    pub use crate::validity::{Validity, ValidityBuilder};
    pub use crate::write::Parts;
    pub use crate::{
        Aggregate, Builder, Column, Config, ConfigValue, DataType, Declaration, Element, Failure, Field, Function, Item, Json, Kind,
        Opened, OpenedAggregate, Plugin, Read, Result, Schema, Write, check,
    };
}
