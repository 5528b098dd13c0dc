//! The example of a source: splits, paging, going on from every position, grants, secrets, failures, cancelling.

use crate::api::{Api, Behaviour, COLLECTIONS};
use crate::{TOKEN, World, open_source, read_split, request};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use azora_connect::{Connector as _, Position};
use azora_sandbox::PluginConnectorKind::Source;
use azora_spec::Code;
use serde_json::json;
use std::time::{Duration, Instant};

fn ids(batches: &[(RecordBatch, Position)]) -> Vec<i64> {
    batches.iter().flat_map(|(batch, _)| batch["id"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn splits_hold_every_row_once_and_go_on_from_every_position() {
    let (world, api) = (World::new(16), Api::start(Behaviour::default()).await);
    let connector = world.example("feed", Source, &api.grants());
    assert_eq!(connector.name(), "feed@1.0.0/pages");
    let source = open_source(&connector, json!({"url": api.url(), "pageRows": 100})).await.unwrap();
    let splits = source.plan(64).await.unwrap();
    assert_eq!(splits.iter().map(|split| split.payload.as_str()).collect::<Vec<_>>(), ["books", "empty", "maps"]);
    for (split, (name, rows)) in splits.iter().zip(COLLECTIONS) {
        let read = read_split(&*source, split, None, 64).await.unwrap();
        assert_eq!(ids(&read), (0..rows).collect::<Vec<_>>(), "{name}");
        assert!(read.iter().all(|(batch, _)| batch.num_rows() <= 64));
    }
    let books = read_split(&*source, &splits[0], None, 64).await.unwrap();
    let whole = concat_batches(&source.schema(), books.iter().map(|(batch, _)| batch)).unwrap();
    assert_eq!(whole["name"].null_count(), 201);
    assert_eq!(whole["name"].as_string::<i32>().value(1), "item 1 ü");
    assert_eq!(whole["tags"].as_list::<i32>().value(7).len(), 3);
    let mut behind = 0;
    for (batch, position) in &books {
        behind += batch.num_rows();
        let rest = read_split(&*source, &splits[0], Some(position), 64).await.unwrap();
        let rest = concat_batches(&source.schema(), rest.iter().map(|(batch, _)| batch)).unwrap();
        assert_eq!(rest, whole.slice(behind, whole.num_rows() - behind), "behind {position:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_projected() {
    let (world, api) = (World::new(16), Api::start(Behaviour::default()).await);
    let connector = world.example("feed", Source, &api.grants());
    let source = open_source(&connector, json!({"url": api.url(), "collections": ["maps"]})).await.unwrap();
    let splits = source.plan(1).await.unwrap();
    let mut wanted = request(100);
    wanted.projection = Some(vec![2, 0]);
    let read = crate::drain(source.open(&splits[0], None, wanted).await.unwrap()).await.unwrap();
    assert_eq!(read[0].0.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["price", "id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_granted_is_named() {
    let (world, api) = (World::new(16), Api::start(Behaviour::default()).await);
    let refusal = async |grants, config| {
        let connector = world.example("feed", Source, &grants);
        open_source(&connector, config).await.unwrap_err()
    };
    let config = json!({"url": api.url()});
    let failure = refusal(json!({}), config.clone()).await;
    assert_eq!(failure.code, Code::PluginNotGranted);
    assert!(failure.message.contains("'http-client'") && failure.message.contains(&api.address.to_string()), "{failure}");
    let failure = refusal(json!({"httpClient": {"hosts": ["example.com"]}}), config).await;
    assert_eq!(failure.code, Code::PluginNotGranted);
    assert!(failure.message.contains(&api.address.to_string()), "{failure}");
    let failure = refusal(api.grants(), json!({"url": api.url(), "tokenSecret": "TOKEN"})).await;
    assert_eq!(failure.code, Code::PluginNotGranted);
    assert!(failure.message.contains("'secrets' for 'TOKEN'"), "{failure}");
    assert_eq!(api.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_the_server_and_no_message() {
    let (world, api) = (World::new(16), Api::start(Behaviour { is_private: true, ..Behaviour::default() }).await);
    let mut grants = api.grants();
    grants["secrets"] = json!(["TOKEN", "OTHER"]);
    let connector = world.example("feed", Source, &grants);
    let source = open_source(&connector, json!({"url": api.url(), "tokenSecret": "TOKEN"})).await.unwrap();
    assert_eq!(source.plan(1).await.unwrap().len(), 3);
    let failure = open_source(&connector, json!({"url": api.url()})).await.unwrap_err();
    assert_eq!(failure.code, Code::PluginRefused);
    assert!(failure.message.contains("401"), "{failure}");
    let failure = open_source(&connector, json!({"url": api.url(), "tokenSecret": "OTHER"})).await.unwrap_err();
    assert!(failure.message.contains("'OTHER'"), "{failure}");
    // A server that repeats the token in an error.
    let echo = axum::Router::new().fallback(|headers: axum::http::HeaderMap| async move {
        (axum::http::StatusCode::BAD_REQUEST, format!("what is {:?}?", headers["authorization"]))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, echo).await });
    let grants = json!({"httpClient": {"hosts": [address.to_string()]}, "secrets": ["TOKEN"]});
    let connector = world.example("feed", Source, &grants);
    let failure = open_source(&connector, json!({"url": format!("http://{address}"), "tokenSecret": "TOKEN"})).await.unwrap_err();
    assert!(failure.message.contains("Bearer ***") && !failure.message.contains(TOKEN), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_server_are_tried_again_and_lose_nothing() {
    let (world, api) = (World::new(16), Api::start(Behaviour { fails_every: 4, ..Behaviour::default() }).await);
    let connector = world.example("feed", Source, &api.grants());
    let source = open_source(&connector, json!({"url": api.url(), "pageRows": 150})).await.unwrap();
    let splits = source.plan(2).await.unwrap();
    let read = read_split(&*source, &splits[0], None, 1000).await.unwrap();
    assert_eq!(ids(&read), (0..1003).collect::<Vec<_>>());
    let down = Api::start(Behaviour { fails_every: 1, ..Behaviour::default() }).await;
    let connector = world.example("feed", Source, &down.grants());
    let failure = open_source(&connector, json!({"url": down.url()})).await.unwrap_err();
    assert_eq!((failure.code, down.requests()), (Code::ConnectorUnavailable, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_host_that_was_not_granted_is_not_followed() {
    let canary = Api::start(Behaviour::default()).await;
    let api = Api::start(Behaviour { redirects_to: Some(canary.url()), ..Behaviour::default() }).await;
    let world = World::new(16);
    let connector = world.example("feed", Source, &api.grants());
    let source = open_source(&connector, json!({"url": api.url()})).await.unwrap();
    let splits = source.plan(1).await.unwrap();
    let failure = read_split(&*source, &splits[0], None, 10).await.unwrap_err();
    assert!(failure.message.contains("redirects to"), "{failure}");
    assert_eq!(canary.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_waits_in_the_host_stops_with_its_reader() {
    let (world, api) = (World::new(1), Api::start(Behaviour { hangs: true, ..Behaviour::default() }).await);
    let connector = world.example("feed", Source, &api.grants());
    let source = open_source(&connector, json!({"url": api.url()})).await.unwrap();
    let splits = source.plan(1).await.unwrap();
    let mut reader = source.open(&splits[0], None, request(10)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), reader.read()).await.is_err());
    assert_eq!(api.hanging(), 1);
    let begun = Instant::now();
    drop(reader);
    // The one instance that there is becomes free, and the server's end of the connection is closed.
    while open_source(&connector, json!({"url": api.url()})).await.is_err() || api.hanging() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(2), "the guest still waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_are_checked_before_the_guest_sees_them() {
    let (world, api) = (World::new(16), Api::start(Behaviour::default()).await);
    let connector = world.example("feed", Source, &api.grants());
    for (config, pointer) in [
        (json!({}), ""),
        (json!({"url": 1}), "/url"),
        (json!({"url": "x", "pageRows": -1}), "/pageRows"),
        (json!({"url": "x", "urls": 1}), "/urls"),
    ] {
        let failure = open_source(&connector, config.clone()).await.unwrap_err();
        assert_eq!((failure.code, failure.pointer.as_deref()), (Code::ConnectorConfig, Some(pointer)), "{config}: {failure}");
    }
    let failure = open_source(&connector, json!({"url": api.url(), "collections": ["boks"]})).await.unwrap_err();
    assert_eq!(failure.code, Code::PluginRefused);
    assert!(failure.message.contains("there are books, empty, maps"), "{failure}");
    assert!(connector.sink(&crate::object(json!({"url": "x"}))).await.is_err());
}
