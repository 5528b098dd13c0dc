//! What every connector must do, as a suite over the traits: its own tests run it against a real server. It knows nothing
//! of any connector.
//!
//! A connector's test is short:
//!
//! ```text
//! let source = connector.source(&config).await?;          // over a table that holds sample::flat()
//! conformance::source(&source, &Expect::of(&sample::flat())).await.unwrap();
//! conformance::sink(&Case { server }).await.unwrap();     // Case implements SinkCase
//! ```
//!
//! Both answer all faults that they found, one a line. Rows are compared as JSON texts, in any order, so a connector may
//! add columns with [`Expect::columns`] left to the ones that it was given.

pub mod sample;
mod sink;
mod source;

pub use sink::{Promise, SinkCase, sink};
pub use source::{Expect, source};

use crate::json::Elements;
use arrow::array::RecordBatch;

/// The rows of batches as JSON texts, in order.
#[must_use]
pub fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let text = |batch: &RecordBatch| {
        let elements = Elements::of(batch, &batch.schema());
        let row = move |row: usize| {
            let mut out = Vec::new();
            elements.row(&mut out, row);
            String::from_utf8_lossy(&out).into_owned()
        };
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    };
    batches.iter().flat_map(text).collect()
}

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Faults {
    found: Vec<String>,
}

impl Faults {
    fn add(&mut self, what: impl Into<String>) {
        self.found.push(what.into());
    }

    fn check(&mut self, is_right: bool, what: impl FnOnce() -> String) {
        if !is_right {
            self.add(what());
        }
    }

    /// Compares rows in any order.
    fn same(&mut self, what: &str, got: &[String], expected: &[String]) {
        let sorted = |rows: &[String]| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            rows
        };
        let (got, expected) = (sorted(got), sorted(expected));
        if got == expected {
            return;
        }
        let less = |from: &[String], of: &[String]| {
            let mut rest = of.to_vec();
            let missing = from.iter().filter(|row| match rest.iter().position(|other| other == *row) {
                Some(at) => {
                    rest.swap_remove(at);
                    false
                }
                None => true,
            });
            missing.take(3).map(|row| row.chars().take(200).collect::<String>()).collect::<Vec<_>>()
        };
        self.add(format!(
            "{what}: {} rows instead of {}; missing {:?}, too many {:?}",
            got.len(),
            expected.len(),
            less(&expected, &got),
            less(&got, &expected)
        ));
    }

    fn end(self) -> Result<(), String> {
        if self.found.is_empty() { Ok(()) } else { Err(self.found.join("\n")) }
    }
}
