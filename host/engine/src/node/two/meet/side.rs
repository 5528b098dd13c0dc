//! One side of a meeting: the row at which it stands.

use super::KEY;
use super::slots::{Place, Slots};
use crate::node::position;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::row::{OwnedRow, Row, RowConverter, Rows};
use datafusion::common::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use std::sync::Arc;

pub(super) struct Side {
    stream: SendableRecordBatchStream,
    converter: Arc<RowConverter>,
    key: usize,
    /// The values' column, where this side has them.
    value: Option<usize>,
    leaves: Vec<usize>,
    key_type: DataType,
    value_type: Option<DataType>,
    current: Option<Current>,
    is_ended: bool,
}

struct Current {
    /// The keys, in a form that compares as bytes.
    rows: Rows,
    at: usize,
    slot: usize,
}

impl Side {
    pub(super) fn new(
        stream: SendableRecordBatchStream,
        schema: &Schema,
        leaves: &[String],
        value: &str,
        converter: Arc<RowConverter>,
    ) -> Result<Self> {
        let key = position(schema, KEY)?;
        let value = schema.column_with_name(value);
        Ok(Self {
            stream,
            converter,
            key,
            value: value.map(|(at, _)| at),
            leaves: leaves.iter().map(|leaf| position(schema, leaf)).collect::<Result<_>>()?,
            key_type: schema.field(key).data_type().clone(),
            value_type: value.map(|(_, field)| field.data_type().clone()),
            current: None,
            is_ended: false,
        })
    }

    pub(super) fn key_type(&self) -> &DataType {
        &self.key_type
    }

    /// Null where this side has no values.
    pub(super) fn value_type(&self) -> DataType {
        self.value_type.clone().unwrap_or(DataType::Null)
    }

    /// Whether rows have to be loaded before one can be looked at.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_ended && self.current.is_none()
    }

    /// The key of the row at hand; nothing at the end.
    pub(super) fn row(&self) -> Option<Row<'_>> {
        self.current.as_ref().map(|current| current.rows.row(current.at))
    }

    /// Whether the row at hand has this key.
    pub(super) fn is_at(&self, key: &OwnedRow) -> bool {
        self.row().is_some_and(|row| row == key.row())
    }

    /// Where the row at hand lies. There must be one.
    pub(super) fn place(&self) -> Place {
        self.current.as_ref().map_or(super::NONE, |current| (current.slot, current.at))
    }

    /// Steps over the row at hand.
    pub(super) fn next(&mut self) -> Place {
        let place = self.place();
        if let Some(current) = &mut self.current {
            current.at += 1;
            if current.at == current.rows.num_rows() {
                self.current = None;
            }
        }
        place
    }

    /// The slot of the row at hand.
    pub(super) fn slot(&mut self) -> Option<&mut usize> {
        self.current.as_mut().map(|current| &mut current.slot)
    }

    /// Takes the next batch.
    pub(super) async fn load(&mut self, slots: &mut Slots, side: usize) -> Result<()> {
        while self.is_waiting() {
            let Some(batch) = self.stream.next().await.transpose()? else {
                self.is_ended = true;
                return Ok(());
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let leaves: Vec<ArrayRef> = self.leaves.iter().map(|&at| Arc::clone(batch.column(at))).collect();
            let rows = self.converter.convert_columns(&leaves)?;
            let value = self.value.map(|at| Arc::clone(batch.column(at)));
            let slot = slots.add(side, Arc::clone(batch.column(self.key)), value, rows.size())?;
            self.current = Some(Current { rows, at: 0, slot });
        }
        Ok(())
    }
}
