//! The suite on the connector that it is tried on first.

use super::MemoryConnector;
use crate::conformance::{self, Expect, Promise, SinkCase, sample};
use crate::{Connector, Sink};
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn the_source_conforms() {
    let memory = MemoryConnector::default();
    let batches = sample::nested();
    memory.insert("t", sample::nested_schema(), batches.clone());
    memory.insert("empty", sample::nested_schema(), Vec::new());
    let source = memory.source(json!({"table": "t"}).as_object().unwrap()).await.unwrap();
    conformance::source(&source, &Expect::of(&batches)).await.unwrap();
    let empty = memory.source(json!({"table": "empty"}).as_object().unwrap()).await.unwrap();
    conformance::source(&empty, &Expect::of(&[])).await.unwrap();
}

#[tokio::test]
async fn a_lost_row_does_not_conform() {
    let memory = MemoryConnector::default();
    memory.insert("t", sample::flat_schema(), vec![sample::flat()[0].slice(1, 2)]);
    let source = memory.source(json!({"table": "t"}).as_object().unwrap()).await.unwrap();
    let faults = conformance::source(&source, &Expect::of(&[sample::flat()[0].slice(0, 3)])).await.unwrap_err();
    assert!(faults.contains("missing"), "{faults}");
}

struct Case(MemoryConnector);

#[async_trait]
impl SinkCase for Case {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        self.0.sink(json!({"table": target}).as_object().unwrap()).await.unwrap()
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        conformance::texts(&self.0.rows(target))
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
}

#[tokio::test]
async fn the_sink_conforms() {
    conformance::sink(&Case(MemoryConnector::default())).await.unwrap();
}
