//! What happens to a dataset between a crash in the middle of a commit and the repetition of that commit.

use super::world::{Outside, ROWS, World, submission};
use azora_spec::{Code, JobId, JobState, milestone};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Threads on which a job ends where its commit has taken effect and nothing is recorded of that.
const DYING: &str = "dying";

/// Starts a job that writes the dataset `d` from the gated source, and ends the server behind its commit.
fn die_behind_the_commit(dir: &Path, outside: &Arc<Outside>, mode: &str) -> JobId {
    milestone::watch(|point| {
        let is_dying = std::thread::current().name() == Some(DYING);
        assert!(!is_dying || point != "committed", "as ordered");
    });
    let world = World::start_on(DYING, dir, outside, |_| {});
    let request = json!({"source": {"partitions": 2}, "sink": "d", "mode": mode});
    let id = world.run(world.handle.submit(submission(request))).unwrap().id;
    let version = dir.join("data/datasets/d").join(id.to_string());
    world.run(async {
        while !version.exists() {
            tokio::task::yield_now().await;
        }
    });
    world.kill();
    id
}

fn write(world: &World, rows: &[i64], mode: &str) -> JobId {
    let request = json!({"data": rows, "sink": "d", "mode": mode});
    world.run(world.handle.submit(submission(request))).unwrap().id
}

fn rows(world: &World) -> Vec<i64> {
    let request = json!({"dataset": "d"});
    let ended = world.run(world.handle.run(super::world::decode(&request).unwrap(), request.clone())).unwrap();
    let Value::Array(rows) = world.run(azora_engine::format::to_json_value(&ended.result.unwrap(), 1 << 20)).unwrap() else {
        panic!("rows are a list")
    };
    let mut rows: Vec<i64> = rows.iter().map(|row| row.as_i64().unwrap()).collect();
    rows.sort_unstable();
    rows
}

/// The source of the first job is not there for a while after the restart, so that others could be faster.
#[test]
fn a_commit_that_a_crash_interrupted_comes_before_those_of_later_jobs() {
    let gated = || 0..2 * ROWS;
    for (mode, later, expect) in [
        ("append", "append", gated().chain([1000, 2000]).collect::<Vec<_>>()),
        ("append", "overwrite", vec![2000]),
        ("overwrite", "append", gated().chain([2000]).collect()),
        ("overwrite", "overwrite", vec![2000]),
    ] {
        let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
        let world = World::start(dir.path(), &outside);
        let first = write(&world, &[1000], "overwrite");
        assert_eq!(world.wait(first).state, JobState::Succeeded);
        world.kill();
        let interrupted = die_behind_the_commit(dir.path(), &outside, mode);
        outside.ledger.lock().source_failures = vec![Code::ConnectorUnavailable; 5];
        let world = World::start(dir.path(), &outside);
        let after = write(&world, &[2000], later);
        assert_eq!((world.wait(after).state, world.wait(interrupted).state), (JobState::Succeeded, JobState::Succeeded));
        assert_eq!(world.handle.dataset(&"d".parse().unwrap()).unwrap().job, after, "{mode}, then {later}: an older version came back");
        let mut expect = expect;
        expect.sort_unstable();
        assert_eq!(rows(&world), expect, "{mode}, then {later}");
    }
}

/// More jobs than runners wait for the dataset of a commit that is to be repeated; it needs no runner.
#[test]
fn jobs_that_wait_for_a_dataset_do_not_keep_its_commit_from_being_repeated() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.wait(write(&world, &[1000], "overwrite")).state, JobState::Succeeded);
    world.kill();
    let interrupted = die_behind_the_commit(dir.path(), &outside, "append");
    outside.ledger.lock().source_failures = vec![Code::ConnectorUnavailable; 5];
    let world = World::start_with(dir.path(), &outside, |options| options.running_max = 1);
    let after: Vec<JobId> = (0..3).map(|row| write(&world, &[2000 + row], "append")).collect();
    assert_eq!(world.wait(interrupted).state, JobState::Succeeded);
    assert!(after.iter().all(|id| world.wait(*id).state == JobState::Succeeded));
    assert_eq!(rows(&world), (0..2 * ROWS).chain([1000, 2000, 2001, 2002]).collect::<Vec<_>>());
}
