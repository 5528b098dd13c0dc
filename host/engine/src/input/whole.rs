//! Files that are read from the beginning to the end, one split each: their one schema, and which file a split names. What is in
//! them is the business of their formats.

use crate::files::Files;
use crate::pins::FilePin;
use azora_connect::Split;
use azora_spec::{Code, Failure};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use std::sync::Arc;

/// Bytes that are read at a time.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// Files of one schema.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) files: Arc<Files>,
    pins: Vec<FilePin>,
    pub(super) schema: SchemaRef,
}

impl Whole {
    /// Reads the schema of every file, as `schema` finds it.
    pub(super) fn new(
        files: Arc<Files>,
        pins: Vec<FilePin>,
        schema: impl Fn(&Files, &FilePin) -> Result<SchemaRef, Failure>,
    ) -> Result<Self, Failure> {
        let mut one: Option<SchemaRef> = None;
        for pin in &pins {
            let of = schema(&files, pin)?;
            let both = one.take().map_or(Some(Arc::clone(&of)), |first| merged(&first, &of));
            match both {
                Some(both) => one = Some(both),
                None => {
                    let message = format!("the columns of '{}' are not those of the files before it", pin.path.escape_debug());
                    return Err(Failure::new(Code::FileFormat, message).at("/path"));
                }
            }
        }
        let schema = one.ok_or_else(|| Failure::new(Code::PathMissing, "there is no file"))?;
        Ok(Self { files, pins, schema })
    }

    /// A split for each file, with a rough guess at its rows.
    pub(super) fn plan(&self) -> Vec<Split> {
        self.pins.iter().enumerate().map(|(at, pin)| Split { payload: at.to_string(), rows: Some(pin.bytes / 64 + 1) }).collect()
    }

    /// The number of a split's file.
    pub(super) fn file_of(split: &Split) -> Option<usize> {
        split.payload.parse().ok()
    }

    /// A split's file.
    pub(super) fn pin(&self, split: &Split) -> Result<&FilePin, Failure> {
        let pin = Self::file_of(split).and_then(|at| self.pins.get(at));
        pin.ok_or_else(|| Failure::new(Code::Internal, "a split that this source did not make"))
    }
}

/// The columns of two files, where they are the same; null where one of them may be.
fn merged(first: &SchemaRef, next: &SchemaRef) -> Option<SchemaRef> {
    if first.fields() == next.fields() {
        return Some(Arc::clone(first));
    }
    let pairs = || first.fields().iter().zip(next.fields());
    let is_same = first.fields().len() == next.fields().len()
        && pairs().all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type() && a.metadata() == b.metadata());
    let field = |(a, b): (&Arc<Field>, &Arc<Field>)| a.as_ref().clone().with_nullable(a.is_nullable() || b.is_nullable());
    is_same.then(|| Arc::new(Schema::new_with_metadata(pairs().map(field).collect::<Vec<_>>(), first.metadata().clone())))
}
