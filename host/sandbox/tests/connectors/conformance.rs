//! The suite that every connector runs, over both examples.

use crate::api::{self, Api, Behaviour, COLLECTIONS};
use crate::shelf::Shelf;
use crate::{World, object, open_source};
use async_trait::async_trait;
use azora_connect::conformance::{self, Expect, Promise, SinkCase};
use azora_connect::{Connector as _, Sink, json};
use azora_sandbox::PluginConnectorKind;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_a_source_does_what_every_source_must() {
    let (world, api) = (World::new(64), Api::start(Behaviour::default()).await);
    let connector = world.example("feed", PluginConnectorKind::Source, &api.grants());
    let source = open_source(&connector, json!({"url": api.url(), "pageRows": 300})).await.unwrap();
    let rows: Vec<Value> = COLLECTIONS.iter().flat_map(|(_, rows)| (0..*rows).map(api::item)).collect();
    let expected = json::batch(&source.schema(), &rows).unwrap();
    conformance::source(&source, &Expect::of(&[expected])).await.unwrap();
}

struct Case {
    world: World,
    shelves: Mutex<HashMap<String, Arc<Shelf>>>,
}

impl Case {
    async fn shelf(&self, target: &str) -> Arc<Shelf> {
        let known = self.shelves.lock().get(target).cloned();
        match known {
            Some(shelf) => shelf,
            None => {
                let shelf = Arc::new(Shelf::start().await);
                self.shelves.lock().insert(target.to_owned(), Arc::clone(&shelf));
                shelf
            }
        }
    }
}

#[async_trait]
impl SinkCase for Case {
    async fn sink(&self, target: &str) -> Arc<dyn Sink> {
        let shelf = self.shelf(target).await;
        let connector = self.world.example("shelf", PluginConnectorKind::Sink, &shelf.grants());
        connector.sink(&object(shelf.config())).await.unwrap()
    }

    async fn rows(&self, target: &str) -> Vec<String> {
        let rows = self.shelf(target).await.rows();
        // One spelling of numbers on both sides.
        let batches = self.batches();
        conformance::texts(&[json::batch(&batches[0].schema(), &rows).unwrap()])
    }

    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_a_sink_does_what_every_sink_must() {
    let case = Case { world: World::new(64), shelves: Mutex::default() };
    conformance::sink(&case).await.unwrap();
}
