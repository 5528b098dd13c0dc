//! Every hostile connector ends with its code at its call, and its healthy neighbour goes on.

use crate::{World, corpus, drain, object, request, root};
use arrow::array::{Int64Array, RecordBatch};
use azora_connect::{Connector as _, Outcome, WriterId};
use azora_sandbox::{GuestConnector, PluginConnectorKind};
use azora_spec::limits::GuestLimits;
use azora_spec::{Failure, JobId};
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::Duration;

fn limits() -> GuestLimits {
    GuestLimits { call_time_max: Duration::from_millis(200), ..GuestLimits::default() }
}

type At<T> = Result<T, (&'static str, Failure)>;

async fn read(connector: &GuestConnector) -> At<usize> {
    let at = |stage| move |failure| (stage, failure);
    let source = connector.source(&Map::new()).await.map_err(at("plan"))?;
    let splits = source.plan(1).await.map_err(at("plan"))?;
    let mut rows = 0;
    for split in &splits {
        let mut reader = source.open(split, None, request(8192)).await.map_err(at("open"))?;
        loop {
            match reader.read().await {
                Ok(Outcome::Batch(batch, _)) => rows += batch.num_rows(),
                // Its waits are not waited for: they are counted as if they had been.
                Ok(Outcome::Idle(_)) => {}
                Ok(Outcome::End) => break,
                Err(failure) if failure.message.contains(" in open") => return Err(("open", failure)),
                Err(failure) => return Err(("read", failure)),
            }
        }
    }
    Ok(rows)
}

async fn write(connector: &GuestConnector) -> At<u64> {
    let at = |stage| move |failure| (stage, failure);
    let sink = connector.sink(&Map::new()).await.map_err(at("sink-open"))?;
    let batch = RecordBatch::try_from_iter([("value", Arc::new(Int64Array::from(vec![1, 2])) as _)]).unwrap();
    let job = JobId::generate();
    let mut tokens = Vec::new();
    for partition in 0..2 {
        let id = WriterId { job, partition, attempt: 0, epoch: 0 };
        let mut writer = sink.open(id, batch.schema()).await.map_err(at("sink-open"))?;
        writer.write(batch.clone()).await.map_err(at("write"))?;
        tokens.push(writer.prepare().await.map_err(at("prepare"))?);
    }
    sink.abort(job, 0, &tokens[1..]).await.map_err(at("abort"))?;
    sink.commit(job, 0, batch.schema(), &tokens[..1]).await.map(|receipt| receipt.rows).map_err(at("commit"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_connector_ends_with_its_code_and_harms_nobody() {
    let world = World::new(8);
    let healthy = corpus::healthy_connector(&root()).unwrap();
    let source = world.connector(&healthy, PluginConnectorKind::Source, &json!({}), limits()).unwrap();
    let sink = world.connector(&healthy, PluginConnectorKind::Sink, &json!({}), limits()).unwrap();
    let cases = corpus::connector_cases(&root()).unwrap();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let of = |kind| world.connector(&case.bytes, kind, &json!({}), limits());
        let outcome = match (of(PluginConnectorKind::Source), of(PluginConnectorKind::Sink)) {
            (Ok(source), Ok(sink)) => match read(&source).await {
                Ok(_) => write(&sink).await.map(|_| ()),
                Err(failed) => Err(failed),
            },
            (Err(failure), _) | (_, Err(failure)) => Err(("upload", failure)),
        };
        match outcome {
            Err((stage, failure)) if stage == case.stage && failure.code.as_str() == case.code => {
                assert!(failure.message.len() < 5000, "{}: a message of {} bytes", case.name, failure.message.len());
            }
            other => wrong.push(format!("{} must end in {} with {}, but: {other:?}", case.name, case.stage, case.code)),
        }
        assert_eq!(read(&source).await.unwrap(), 1, "the neighbour after {}", case.name);
        assert_eq!(write(&sink).await.unwrap(), 2, "the neighbour after {}", case.name);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_healthy_one_is_read_from_its_splits() {
    let world = World::new(2);
    let healthy = corpus::healthy_connector(&root()).unwrap();
    let connector = world.connector(&healthy, PluginConnectorKind::Source, &json!({}), limits()).unwrap();
    let source = connector.source(&object(json!({}))).await.unwrap();
    let splits = source.plan(3).await.unwrap();
    let read = drain(source.open(&splits[0], None, request(10)).await.unwrap()).await.unwrap();
    assert_eq!((read.len(), read[0].1.0.as_str()), (1, "c"));
    assert!(connector.source(&object(json!({"x": 1}))).await.is_err(), "it takes no configuration");
    assert!(!world.directory.path().join("state").exists(), "nothing was kept");
}
