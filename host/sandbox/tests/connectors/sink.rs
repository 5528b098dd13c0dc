//! The example of a sink: nothing is visible before the commit, and a commit that is asked for twice does nothing new.

use crate::shelf::Shelf;
use crate::{World, object};
use arrow::array::{Float64Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int32Type, SchemaRef};
use azora_connect::{Connector as _, Sink, Token, WriterId};
use azora_sandbox::PluginConnectorKind;
use azora_spec::{Code, JobId};
use serde_json::json;
use std::sync::Arc;

fn batch() -> RecordBatch {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from(vec![1, 2, i64::MAX])) as _, false),
        ("name", Arc::new(StringArray::from(vec![Some("a\n\"ü"), None, Some("")])) as _, true),
        ("price", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(f64::NAN)])) as _, true),
        ("list", Arc::new(lists) as _, true),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_500_000)]).with_timezone("UTC")) as _, true),
    ])
    .unwrap()
}

async fn prepare(sink: &dyn Sink, id: WriterId, batches: &[RecordBatch], schema: &SchemaRef) -> Token {
    let mut writer = sink.open(id, Arc::clone(schema)).await.unwrap();
    for batch in batches {
        writer.write(batch.clone()).await.unwrap();
    }
    writer.prepare().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_visible_after_the_commit_and_once() {
    let (world, shelf) = (World::new(16), Shelf::start().await);
    let connector = world.example("shelf", PluginConnectorKind::Sink, &shelf.grants());
    let sink = connector.sink(&object(shelf.config())).await.unwrap();
    sink.check().await.unwrap();
    let (job, schema) = (JobId::generate(), batch().schema());
    let id = |partition| WriterId { job, partition, attempt: 0, epoch: 0 };
    let mut tokens = vec![prepare(&*sink, id(0), &[batch(), batch()], &schema).await];
    tokens.push(prepare(&*sink, id(1), &[], &schema).await);
    tokens.push(prepare(&*sink, id(2), &[batch().slice(1, 1)], &schema).await);
    assert!(shelf.rows().is_empty());
    assert_eq!(shelf.parts.lock().staged.len(), 2);
    // The process dies here: what goes on has the configuration and the tokens, nothing else.
    drop(sink);
    let sink = world.example("shelf", PluginConnectorKind::Sink, &shelf.grants()).sink(&object(shelf.config())).await.unwrap();
    shelf.parts.lock().forgetful = 1;
    let receipt = sink.commit(job, 0, Arc::clone(&schema), &tokens).await.unwrap();
    assert_eq!((receipt.rows, receipt.outputs), (7, vec!["shelf@1.0.0/parts".to_owned()]));
    let again = sink.commit(job, 0, schema, &tokens).await.unwrap();
    assert_eq!(again.rows, 7);
    let rows = shelf.rows();
    assert_eq!(rows.len(), 7);
    assert_eq!(shelf.parts.lock().commits, 3, "the lost answer, its repetition, and the second commit");
    assert_eq!(rows[0], json!({"id": 1, "name": "a\n\"ü", "price": 0.5, "list": [1, null], "at": "1970-01-01T00:00:00Z"}));
    assert_eq!(rows[2], json!({"id": 2, "name": null, "price": null, "list": null, "at": null}));
    assert_eq!(rows[6], json!({"id": i64::MAX, "name": "", "price": null, "list": [], "at": "1970-01-01T00:00:01.500Z"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_leaves_nothing_and_may_come_twice() {
    let (world, shelf) = (World::new(16), Shelf::start().await);
    let connector = world.example("shelf", PluginConnectorKind::Sink, &shelf.grants());
    let sink = connector.sink(&object(shelf.config())).await.unwrap();
    let (job, schema) = (JobId::generate(), batch().schema());
    let token = prepare(&*sink, WriterId { job, partition: 0, attempt: 3, epoch: 9 }, &[batch()], &schema).await;
    assert_eq!(shelf.parts.lock().staged.keys().next().unwrap(), &format!("{job}-9-00000-3"));
    sink.abort(job, 9, std::slice::from_ref(&token)).await.unwrap();
    sink.abort(job, 9, std::slice::from_ref(&token)).await.unwrap();
    assert!(shelf.parts.lock().staged.is_empty() && shelf.rows().is_empty());
    let failure = sink.commit(job, 9, schema, &[token]).await.unwrap_err();
    assert_eq!(failure.code, Code::PluginFailed);
    assert!(failure.message.contains("409"), "{failure}");
}
