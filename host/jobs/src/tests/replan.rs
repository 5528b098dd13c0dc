//! A lambda that answers other types later than it did at first: the job is planned again, and its rows are there once.

use super::world::{Outside, ROWS, World, rows, submission};
use azora_spec::{Code, JobId, JobState};
use serde_json::{Value, json};

/// Partitions with more rows than a sample has.
const PARTITIONS: usize = 12;
/// The first row of the last partition, which no sample reaches.
const LATE: i64 = (PARTITIONS as i64 - 1) * ROWS;

/// Whole numbers, but for one late fraction.
fn job(sink: &str) -> Value {
    let text = format!("x => new Map([[{LATE}, {LATE}.5]]).get(x) ?? BigInt(x)");
    json!({"source": {"partitions": PARTITIONS}, "sink": sink, "map": text})
}

/// What the ledger holds of it, in tenths.
fn expected() -> Vec<i64> {
    rows(PARTITIONS).into_iter().map(|row| if row == LATE { row * 10 + 5 } else { row * 10 }).collect()
}

fn lambdas(world: &World, id: JobId) -> Vec<String> {
    world.run(world.handle.get(id)).unwrap().lambdas.into_iter().map(|used| used.tier).collect()
}

#[test]
fn a_late_type_plans_the_job_again_and_its_rows_are_there_once() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let id = world.run(world.handle.submit(submission(job("gated")))).unwrap().id;
    world.until_event(id, "replanned");
    let view = world.wait(id);
    assert_eq!((view.state, view.attempts, view.partitions_prepared), (JobState::Succeeded, 2, PARTITIONS));
    let ledger = outside.ledger.lock();
    assert_eq!(ledger.visible[&id], expected());
    assert_eq!((ledger.n_commits, ledger.aborted.as_slice()), (1, &[id][..]));
    drop(ledger);
    assert_eq!(lambdas(&world, id), ["interpreted"]);
}

#[test]
fn a_job_that_was_planned_again_goes_on_with_that_plan_after_a_kill() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.ledger.lock().gate_at_abort = Some(6);
    let world = World::start(dir.path(), &outside);
    let id = world.run(world.handle.submit(submission(job("gated")))).unwrap().id;
    world.until_event(id, "replanned");
    world.run(async {
        while world.handle.get(id).await.unwrap().partitions_prepared < 6 {
            tokio::task::yield_now().await;
        }
    });
    world.kill();
    outside.gate.send_replace(usize::MAX);
    let world = World::start(dir.path(), &outside);
    let view = world.wait(id);
    assert_eq!((view.state, view.attempts), (JobState::Succeeded, 3));
    let ledger = outside.ledger.lock();
    assert_eq!(ledger.visible[&id], expected());
    // Twice, once for each plan: what the second plan had prepared was not run again.
    assert_eq!((ledger.opened[&0], ledger.opened[&5]), (2, 2));
    assert_eq!((ledger.n_commits, ledger.aborted.as_slice()), (1, &[id][..]));
}

#[test]
fn a_job_ends_where_what_one_plan_had_prepared_cannot_be_removed() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.ledger.lock().abort_failures.push(Code::Internal);
    let world = World::start(dir.path(), &outside);
    let id = world.run(world.handle.submit(submission(job("gated")))).unwrap().id;
    let view = world.wait(id);
    // Nothing of another plan may be left beside the rows of the new one, so the job does not go on.
    assert_eq!((view.state, view.failure.map(|failure| failure.code)), (JobState::Failed, Some(Code::Internal)));
    assert!(outside.ledger.lock().visible.is_empty());
}

#[test]
fn a_caller_that_waits_gets_the_wider_answer() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let mut request = job("gated");
    request.as_object_mut().unwrap().remove("sink");
    let spec = super::world::decode(&request).unwrap();
    let ended = world.run(world.handle.run(spec, request)).unwrap();
    let result = ended.result.unwrap();
    let answer = world.run(azora_engine::format::to_json_value(&result, 1 << 20)).unwrap();
    assert_eq!(answer[usize::try_from(LATE).unwrap()], json!(1100.5));
    assert_eq!(answer.as_array().unwrap().len(), PARTITIONS * 100);
}
