//! The columns of JSON values, by looking at the first of them.

use super::fetch::{Fetch, Fetched, Limits, Part};
use super::offsets;
use crate::client::Entered;
use crate::config::{Reading, Start};
use crate::error::Error;
use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use azora_connect::json::{self, MixedTypes};
use azora_spec::Failure;
use serde_json::Value;

/// Most partitions that are looked at.
const PARTITIONS_MAX: usize = 8;
/// Fewest records of each of them.
const ROWS_MIN: usize = 20;

/// The schema of elements of the values. The same records are looked at each time, as long as the topic keeps them.
pub(crate) fn infer(reading: &Reading, entered: &Entered) -> Result<SchemaRef, Failure> {
    // What is not written yet has no types; what was written before is like it.
    let looked = match reading.start {
        Start::Latest => Reading { start: Start::Earliest, is_followed: false, ..reading.clone() },
        _ => Reading { is_followed: false, ..reading.clone() },
    };
    let parts = offsets::parts(&looked, entered)?;
    let each = (reading.sample_rows / parts.len().clamp(1, PARTITIONS_MAX)).max(ROWS_MIN);
    let mut values: Vec<Value> = Vec::new();
    for part in parts.into_iter().take(PARTITIONS_MAX) {
        read(part, each, reading, entered, &mut values)?;
    }
    json::infer(&values, MixedTypes::Json)
}

fn read(part: Part, rows: usize, reading: &Reading, entered: &Entered, values: &mut Vec<Value>) -> Result<(), Error> {
    let limits = Limits { rows, bytes: json::SAMPLE_BYTES_MAX / PARTITIONS_MAX, has_around: false, has_headers: false };
    let mut fetch = Fetch::new(entered, &reading.group, part, limits)?;
    let (mut left, mut bytes) = (rows, 0);
    while left > 0 && bytes < limits.bytes {
        let Fetched::Chunk(chunk) = fetch.next(|| false)? else { return Ok(()) };
        for at in 0..chunk.values.len().min(left) {
            bytes += chunk.values.value(at).len();
            // A record that is no JSON is a bad record, when it is read.
            if let Ok(value) = serde_json::from_slice(chunk.values.value(at)) {
                values.push(value);
            }
        }
        left = left.saturating_sub(chunk.values.len());
    }
    Ok(())
}
