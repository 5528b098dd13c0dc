//! Aggregates as the host calls them: states travel as batches between instances. Off WebAssembly the calls of the
//! contract are plain functions.
#![allow(missing_docs, clippy::expect_used, reason = "helpers of tests end a test as its assertions do")]

use azora_guest::__private::Exported;
use azora_guest::bindings::azora::plugin::batch_types::{DataType, Field, FieldNode, RecordBatch, Schema};
use azora_guest::bindings::exports::azora::plugin::aggregate::Guest;
use azora_guest::prelude::*;

/// The state of a mean.
#[derive(Debug, Default, Row)]
pub struct Mean {
    sum: f64,
    count: i64,
}

/// The mean; null for a group without values.
#[aggregate]
impl Mean {
    fn update(&mut self, x: f64) {
        self.sum += x;
        self.count += 1;
    }

    fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn finish(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

plugin! { name: "aggregates", version: "1.0.0", aggregates: [Mean] }

type Subject = Exported<AzoraPlugin>;

fn field(name: &str, data_type: DataType) -> Field {
    Field { name: name.into(), data_type, nullable: true, children: 0, metadata: vec![] }
}

/// The argument stands behind a column that the aggregate does not want.
fn input() -> Schema {
    Schema { fields: vec![field("other", DataType::Null), field("x", DataType::Int64)], metadata: vec![] }
}

fn rows(values: &[Option<i64>]) -> RecordBatch {
    let length = values.len() as u64;
    let nulls = values.iter().filter(|value| value.is_none()).count() as u64;
    let bits = values.iter().enumerate().fold(0, |bits, (row, value)| bits | u8::from(value.is_some()) << row);
    let bytes = values.iter().flat_map(|value| value.unwrap_or_default().to_le_bytes()).collect();
    let nodes = vec![FieldNode { length, null_count: length }, FieldNode { length, null_count: nulls }];
    RecordBatch { rows: length, nodes, buffers: vec![vec![bits], bytes] }
}

/// The answers in a batch of one nullable float column.
fn answers(batch: &RecordBatch) -> Vec<Option<f64>> {
    let floats = batch.buffers[1].chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    let is_valid = |row: usize| batch.buffers[0].is_empty() || batch.buffers[0][row / 8] >> (row % 8) & 1 == 1;
    floats.enumerate().map(|(row, value)| is_valid(row).then_some(value)).collect()
}

#[test]
fn groups_are_folded_merged_and_handed_out() {
    let plan = Subject::open("mean".into(), input(), "{}".into()).expect("the aggregate opens");
    assert_eq!(plan.state.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["sum", "count"]);
    assert_eq!(plan.result.fields.len(), 1);

    Subject::update(rows(&[Some(1), Some(2), None, Some(6)]), vec![0, 1, 1, 0], 3).expect("rows are taken");
    let states = Subject::state(None).expect("states are given");
    assert_eq!(states.rows, 3);
    // Handed out is forgotten: what comes back counts once.
    Subject::update(rows(&[Some(2)]), vec![0], 1).expect("rows are taken");
    Subject::merge(states, vec![1, 0, 2], 3).expect("states are taken");
    let first = Subject::evaluate(Some(1)).expect("answers are given");
    assert_eq!(answers(&first), [Some(2.0)]);
    let rest = Subject::evaluate(None).expect("answers are given");
    assert_eq!(answers(&rest), [Some(3.5), None]);
    assert_eq!(Subject::evaluate(None).expect("nothing is left").rows, 0);
}

/// So many states that they are fetched ahead of their update; rows are no multiple of what is done at once.
const MANY: u32 = 100_003;

#[test]
fn what_was_not_handed_out_stays_and_counts_on() {
    Subject::open("mean".into(), input(), "{}".into()).expect("the aggregate opens");
    for _ in 0..2 {
        let values: Vec<u8> = (0..MANY).flat_map(|row| i64::from(row).to_le_bytes()).collect();
        let nodes = vec![FieldNode { length: MANY.into(), null_count: MANY.into() }, FieldNode { length: MANY.into(), null_count: 0 }];
        let batch = RecordBatch { rows: MANY.into(), nodes, buffers: vec![vec![], values] };
        Subject::update(batch, (0..MANY).rev().collect(), MANY).expect("rows are taken");
    }
    let first = Subject::state(Some(10)).expect("states are given");
    let second = Subject::state(Some(10)).expect("states are given");
    assert_eq!((first.rows, second.rows), (10, 10));
    // Groups are numbered anew from the first that stayed, which was number 20.
    Subject::update(rows(&[Some(1), Some(4)]), vec![0, MANY - 20], MANY - 19).expect("rows are taken");
    Subject::merge(second, vec![1; 10], MANY - 19).expect("states are taken");
    let rest = answers(&Subject::evaluate(None).expect("answers are given"));
    assert_eq!(rest.len(), MANY as usize - 19);
    let value = |group: u32| f64::from(MANY - 1 - group);
    assert_eq!(rest[0], Some((2.0 * value(20) + 1.0) / 3.0));
    let merged: f64 = (10..20).chain([21]).map(|group| 2.0 * value(group)).sum();
    assert_eq!(rest[1], Some(merged / 22.0));
    assert_eq!(rest[2], Some(value(22)));
    assert_eq!(rest[MANY as usize - 20], Some(4.0));
}

#[test]
fn wrong_groups_are_refused() {
    Subject::open("mean".into(), input(), "{}".into()).expect("the aggregate opens");
    let message = |outcome: Result<(), _>| {
        let failure: azora_guest::bindings::azora::plugin::failures::Failure = outcome.expect_err("it is refused");
        failure.message
    };
    assert_eq!(message(Subject::update(rows(&[Some(1)]), vec![], 1)), "0 groups were given for 1 rows");
    assert_eq!(message(Subject::update(rows(&[Some(1)]), vec![1], 1)), "group 1 is not below 1");
    let unknown = Subject::open("median".into(), input(), "{}".into()).expect_err("it is refused");
    assert_eq!(unknown.message, "plugin 'aggregates' has no function 'median'; it has mean");
}
