//! What jobs need around them: results, datasets, ingests, plugins that are not there.

use super::world::{Outside, ROWS, World, decode, submission};
use crate::{IngestRequest, TryRequest};
use azora_spec::{Code, JobState, WriteMode};
use serde_json::{Value, json};

fn answer(world: &World, request: &Value) -> Value {
    let ended = world.run(world.handle.run(decode(request).unwrap(), request.clone())).unwrap();
    world.run(azora_engine::format::to_json_value(&ended.result.unwrap(), 1 << 20)).unwrap()
}

fn versions(world_dir: &std::path::Path, dataset: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(world_dir.join("data/datasets").join(dataset))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[test]
fn a_waited_for_job_answers_and_its_result_can_be_read_again() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let request = json!({"data": [1, 2, 3]});
    assert_eq!(answer(&world, &request), json!([1, 2, 3]));
    let id = world.run(world.handle.submit(submission(request))).unwrap().id;
    assert!(world.wait(id).has_result);
    world.kill();
    let world = World::start(dir.path(), &outside);
    let result = world.run(world.handle.result(id)).unwrap();
    assert_eq!(world.run(azora_engine::format::to_json_value(&result, 1 << 20)).unwrap(), json!([1, 2, 3]));
}

#[test]
fn a_job_whose_caller_died_with_the_server_does_not_run_again() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start(dir.path(), &outside);
    let handle = world.handle.clone();
    let request = json!({"source": {"partitions": 1}});
    let task = world.spawn(async move { handle.run(decode(&request).unwrap(), request).await.map(drop) });
    let id = world.run(async {
        loop {
            if let Some(job) = world.handle.list(crate::ListQuery::default()).await.unwrap().jobs.first() {
                return job.id;
            }
            tokio::task::yield_now().await;
        }
    });
    world.until_event(id, "running");
    world.kill();
    drop(task);
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.wait(id).state, JobState::Cancelled);
}

#[test]
fn a_caller_that_goes_away_cancels_what_it_waited_for() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start(dir.path(), &outside);
    let handle = world.handle.clone();
    let request = json!({"source": {"partitions": 1}});
    let task = world.spawn(async move { handle.run(decode(&request).unwrap(), request).await.map(drop) });
    let id = world.run(async {
        loop {
            if let Some(job) = world.handle.list(crate::ListQuery::default()).await.unwrap().jobs.first() {
                return job.id;
            }
            tokio::task::yield_now().await;
        }
    });
    world.until_event(id, "running");
    task.abort();
    assert_eq!(world.wait(id).state, JobState::Cancelled);
}

#[test]
fn a_version_of_a_dataset_goes_when_its_last_reader_has_ended() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start_with(dir.path(), &outside, |options| options.running_max = 1);
    let write = |data: Value, mode: &str| {
        let request = json!({"data": data, "sink": "numbers", "mode": mode});
        world.run(world.handle.submit(submission(request))).map(|submitted| submitted.id)
    };
    let first = write(json!([1, 2]), "error").unwrap();
    assert_eq!(world.wait(first).state, JobState::Succeeded);
    assert_eq!(write(json!([3]), "error").unwrap_err().code, Code::DatasetExists);
    // A reader of the first version is planned and has to wait, because another job holds the only runner.
    outside.gate.send_replace(0);
    let holder = world.submit(1);
    world.until_event(holder, "running");
    let second = write(json!([4, 5, 6]), "overwrite").unwrap();
    let reader = world.run(world.handle.submit(submission(json!({"dataset": "numbers"})))).unwrap().id;
    outside.gate.send_replace(usize::MAX);
    assert_eq!(world.wait(second).state, JobState::Succeeded);
    assert_eq!(world.wait(reader).state, JobState::Succeeded);
    let result = world.run(world.handle.result(reader)).unwrap();
    assert_eq!(
        world.run(azora_engine::format::to_json_value(&result, 1 << 20)).unwrap(),
        json!([1, 2]),
        "the reader had pinned the first version"
    );
    let view = world.handle.dataset(&"numbers".parse().unwrap()).unwrap();
    assert_eq!((view.rows, view.job, view.is_last), (3, second, true));
    assert_eq!(answer(&world, &json!({"dataset": "numbers"})), json!([4, 5, 6]));
    world.run(world.handle.shutdown(std::time::Duration::from_secs(10)));
    assert_eq!(versions(dir.path(), "numbers"), [second.to_string()]);
    world.kill();
    let world = World::start(dir.path(), &outside);
    assert_eq!(answer(&world, &json!({"dataset": "numbers"})), json!([4, 5, 6]));
    world.run(world.handle.delete_dataset(&"numbers".parse().unwrap())).unwrap();
    assert_eq!(world.handle.dataset(&"numbers".parse().unwrap()).unwrap_err().code, Code::DatasetUnknown);
}

#[test]
fn an_ingest_keeps_a_file_as_a_dataset() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    std::fs::write(dir.path().join("files/people.csv"), "name,age\nAnn,31\nBob,42\n").unwrap();
    let config = json!({"path": dir.path().join("files/people.csv")}).as_object().unwrap().clone();
    let request = IngestRequest {
        connector: "file".to_owned(),
        config,
        parallelism: Some(2),
        dataset: Some("people".parse().unwrap()),
        mode: WriteMode::Overwrite,
        ttl: None,
    };
    let view = world.run(world.handle.ingest(request.clone())).unwrap();
    assert_eq!((view.rows, view.partitions, view.dataset.as_str()), (2, 2, "people"));
    assert!(view.source.starts_with("file://"));
    assert_eq!(answer(&world, &json!({"dataset": "people"})), json!([{"name": "Ann", "age": 31}, {"name": "Bob", "age": 42}]));
    let elsewhere = json!({"path": "/etc/passwd"}).as_object().unwrap().clone();
    let refused = world.run(world.handle.ingest(IngestRequest { config: elsewhere, dataset: None, ..request })).unwrap_err();
    assert_eq!(refused.blame(), azora_spec::Blame::Caller);
}

#[test]
fn a_gated_source_is_read_whole_into_a_dataset() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let request = json!({"source": {"partitions": 3}, "sink": "rows"});
    let id = world.run(world.handle.submit(submission(request))).unwrap().id;
    world.wait(id);
    assert_eq!(world.handle.dataset(&"rows".parse().unwrap()).unwrap().rows, 3 * ROWS as u64);
    let append = json!({"data": [7], "sink": "rows", "mode": "append"});
    let id = world.run(world.handle.submit(submission(append))).unwrap().id;
    assert_eq!(world.wait(id).state, JobState::Succeeded);
    assert_eq!(world.handle.dataset(&"rows".parse().unwrap()).unwrap().rows, 3 * ROWS as u64 + 1);
}

#[test]
fn plugins_that_are_not_there_are_refused_by_name() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    for reference in ["geo", "geo@1.0.0", &format!("sha256:{}", "0".repeat(64))] {
        let reference = reference.parse().unwrap();
        assert_eq!(world.handle.plugin(&reference).unwrap_err().code, Code::PluginUnknown);
        assert_eq!(world.run(world.handle.delete_plugin(&reference)).unwrap_err().code, Code::PluginUnknown);
        let trial = TryRequest { rows: vec![json!(1)], ..TryRequest::default() };
        assert_eq!(world.run(world.handle.try_plugin(&reference, trial)).unwrap_err().code, Code::PluginUnknown);
    }
    let refused = world.run(world.handle.upload_plugin(b"no component".to_vec())).unwrap_err();
    assert_eq!(refused.blame(), azora_spec::Blame::Caller, "{refused}");
    assert!(world.handle.plugins().unwrap().is_empty());
}
