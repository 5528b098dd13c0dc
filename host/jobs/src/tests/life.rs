//! One job's life: each state, and a kill in each state.

use super::world::{Outside, World, request, rows, submission};
use crate::{Idempotency, ListQuery};
use azora_connect::Finish;
use azora_spec::{Code, Digest, JobState};
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_job_goes_from_accepted_to_succeeded_and_stays_so() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let id = world.submit(3);
    let view = world.wait(id);
    assert_eq!((view.state, view.attempts, view.partitions, view.partitions_prepared), (JobState::Succeeded, 1, Some(3), 3));
    assert_eq!(view.output.as_ref().map(|output| (output.rows, output.outputs.as_slice())), Some((300, &["ledger".to_owned()][..])));
    assert_eq!(outside.ledger.lock().visible[&id], rows(3));
    let kinds = |world: &World, after| {
        world.run(async {
            world
                .handle
                .events(id, after)
                .await
                .unwrap()
                .map(|event| event.kind)
                .filter(|kind| std::future::ready(*kind != "progress"))
                .collect::<Vec<_>>()
                .await
        })
    };
    assert_eq!(kinds(&world, 0), ["accepted", "planned", "running", "succeeded"]);
    assert_eq!(world.run(world.handle.result(id)).unwrap_err().code, Code::JobNoResult);
    assert_eq!(world.run(world.handle.request(id)).unwrap(), request(3));
    world.kill();
    let world = World::start(dir.path(), &outside);
    let again = world.run(world.handle.get(id)).unwrap();
    assert_eq!((again.state, again.output, again.attempts), (view.state, view.output, view.attempts));
    assert_eq!(kinds(&world, 0), ["accepted", "planned", "running", "succeeded"]);
    assert_eq!(kinds(&world, 3), ["succeeded"]);
    world.run(world.handle.delete(id)).unwrap();
    assert_eq!(world.run(world.handle.get(id)).unwrap_err().code, Code::JobUnknown);
}

/// The source is told of every end once it is durable. What it makes of that changes no job, and neither does a crash then.
#[test]
fn sources_hear_how_a_job_ended() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let noted = world.submit(3);
    assert_eq!(world.wait(noted).state, JobState::Succeeded);
    outside.ledger.lock().open_failures = vec![Code::ConnectorConfig];
    assert_eq!(world.wait(world.submit(2)).state, JobState::Failed);
    world.run(outside.until("the failed one is told", |ledger| ledger.finished.len() == 2));
    outside.gate.send_replace(0);
    let cancelled = world.submit(1);
    world.run(world.handle.cancel(cancelled)).unwrap();
    assert_eq!(world.wait(cancelled).state, JobState::Cancelled);
    world.run(outside.until("the cancelled one is told", |ledger| ledger.finished.len() == 3));
    outside.gate.send_replace(usize::MAX);
    outside.notes.send_replace(false);
    let id = world.submit(4);
    world.run(outside.until("the last one is told", |ledger| ledger.finished.len() == 4));
    assert_eq!(outside.ledger.lock().visible[&id], rows(4));
    world.kill();
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.wait(id).state, JobState::Succeeded);
    // What a source refused stands with the job, and outlives the server.
    let warnings = world.run(world.handle.get(noted)).unwrap().warnings;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!((warning.code.as_str(), warning.line), ("connector.unavailable", None));
    assert!(warning.message.ends_with("did not note what was read: as ordered"), "{warning:?}");
    let ledger = outside.ledger.lock();
    assert_eq!(ledger.finished, [(3, Finish::Succeeded), (2, Finish::Dropped), (1, Finish::Dropped), (4, Finish::Succeeded)]);
    assert_eq!(ledger.n_commits, 2);
}

#[test]
fn a_killed_run_goes_on_with_the_partitions_that_are_missing() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(2);
    let world = World::start(dir.path(), &outside);
    let id = world.submit(4);
    world.run(outside.until("two partitions are prepared", |ledger| ledger.prepared.len() == 2));
    world.run(async {
        while world.handle.get(id).await.unwrap().partitions_prepared < 2 {
            tokio::task::yield_now().await;
        }
    });
    world.kill();
    outside.gate.send_replace(usize::MAX);
    let world = World::start(dir.path(), &outside);
    let view = world.wait(id);
    assert_eq!((view.state, view.attempts), (JobState::Succeeded, 2));
    let ledger = outside.ledger.lock();
    assert_eq!(ledger.visible[&id], rows(4));
    assert_eq!((ledger.opened[&0], ledger.opened[&1]), (1, 1), "prepared partitions ran again");
    assert_eq!(ledger.n_commits, 1);
}

/// What a job reads from may come up later than the server does.
#[test]
fn a_recovered_job_waits_for_its_source() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start(dir.path(), &outside);
    let id = world.submit(2);
    world.run(outside.until("it runs", |ledger| ledger.opened.len() == 2));
    world.kill();
    outside.gate.send_replace(usize::MAX);
    outside.ledger.lock().source_failures = vec![Code::ConnectorUnavailable; 3];
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.wait(id).state, JobState::Succeeded);
    assert_eq!(outside.ledger.lock().visible[&id], rows(2));
    // What no time mends is told at once.
    outside.gate.send_replace(0);
    let id = world.submit(1);
    world.run(outside.until("it runs", |ledger| ledger.opened[&0] == 3));
    world.kill();
    outside.ledger.lock().source_failures = vec![Code::ConnectorMissing];
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.wait(id).failure.unwrap().code, Code::ConnectorMissing);
}

#[test]
fn a_commit_that_nobody_heard_of_is_repeated_with_the_same_tokens() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.commits.send_replace(false);
    let world = World::start(dir.path(), &outside);
    let id = world.submit(2);
    world.run(outside.until("the commit took effect", |ledger| ledger.visible.contains_key(&id)));
    assert_eq!(world.state(id), JobState::Running);
    // Too late to cancel.
    assert!(world.run(world.handle.cancel(id)).unwrap().is_cancel_requested);
    world.kill();
    outside.commits.send_replace(true);
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.wait(id).state, JobState::Succeeded);
    let ledger = outside.ledger.lock();
    assert_eq!(ledger.visible[&id], rows(2));
    assert_eq!((ledger.n_commits, ledger.opened[&0], ledger.opened[&1]), (2, 1, 1));
    assert!(ledger.aborted.is_empty());
}

#[test]
fn jobs_that_waited_for_a_runner_when_the_server_died_run_afterwards() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start_with(dir.path(), &outside, |options| options.running_max = 1);
    let ids: Vec<_> = (0..5).map(|_| world.submit(2)).collect();
    let count = |state: JobState| ids.iter().filter(|id| world.state(**id) == state).count();
    world.run(async {
        while world.handle.health().running < 1 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!((world.handle.health().running, world.handle.health().queued), (1, 4));
    assert!(count(JobState::Planned) >= 4, "four of five wait");
    world.kill();
    outside.gate.send_replace(usize::MAX);
    let world = World::start_with(dir.path(), &outside, |options| options.running_max = 1);
    for id in &ids {
        assert_eq!(world.wait(*id).state, JobState::Succeeded);
        assert_eq!(outside.ledger.lock().visible[id], rows(2));
    }
    assert_eq!(outside.ledger.lock().committed, ids, "first come, first served");
}

#[test]
fn jobs_run_in_the_order_in_which_they_were_accepted() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start_with(dir.path(), &outside, |options| options.running_max = 1);
    let ids: Vec<_> = (0..40).map(|_| world.submit(1)).collect();
    // One that leaves the line holds up nobody.
    world.run(world.handle.cancel(ids[20])).unwrap();
    outside.gate.send_replace(usize::MAX);
    for id in &ids {
        world.wait(*id);
    }
    let expected: Vec<_> = ids.iter().filter(|id| **id != ids[20]).copied().collect();
    assert_eq!(outside.ledger.lock().committed, expected);
}

#[test]
fn a_dataset_ends_for_everybody_but_those_who_read_it() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let short = |options: &mut crate::Options| (options.running_max, options.upkeep_every) = (1, Duration::from_millis(20));
    let world = World::start_with(dir.path(), &outside, short);
    let made = world.run(world.handle.submit(submission(json!({"data": [1, 2, 3], "sink": "d", "ttlSeconds": 1})))).unwrap().id;
    assert_eq!(world.wait(made).state, JobState::Succeeded);
    let name: azora_spec::DatasetName = "d".parse().unwrap();
    assert!(world.handle.dataset(&name).unwrap().expires_at_ms.is_some());
    outside.gate.send_replace(0);
    let first = world.submit(1);
    let reader = world.run(world.handle.submit(submission(json!({"dataset": "d", "sink": "gated"})))).unwrap().id;
    world.run(async {
        while world.handle.dataset(&name).is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Long enough for some rounds of upkeep.
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    let version = dir.path().join("data/datasets/d").join(made.to_string());
    assert!(version.is_dir(), "a job that waits still needs it");
    assert_eq!(world.run(world.handle.submit(submission(json!({"dataset": "d"})))).unwrap_err().code, Code::DatasetUnknown);
    outside.gate.send_replace(usize::MAX);
    world.wait(first);
    assert_eq!(world.wait(reader).state, JobState::Succeeded);
    assert_eq!(outside.ledger.lock().visible[&reader], [1, 2, 3]);
    world.run(async {
        while version.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    // What a crash leaves of a dataset that nobody knows goes with the next start.
    std::fs::create_dir_all(&version).unwrap();
    world.kill();
    let world = World::start(dir.path(), &outside);
    assert!(world.handle.dataset(&name).is_err());
    assert!(!version.exists());
}

#[test]
fn an_end_is_kept_by_appends_and_over_restarts() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let write = |world: &World, request: Value| {
        let id = world.run(world.handle.submit(submission(request))).unwrap().id;
        assert_eq!(world.wait(id).state, JobState::Succeeded);
    };
    let name: azora_spec::DatasetName = "d".parse().unwrap();
    write(&world, json!({"data": [1], "sink": "d", "ttlSeconds": 3600}));
    let end = world.handle.dataset(&name).unwrap().expires_at_ms;
    write(&world, json!({"data": [2], "sink": "d", "mode": "append"}));
    world.kill();
    let world = World::start(dir.path(), &outside);
    let view = world.handle.dataset(&name).unwrap();
    assert_eq!((view.rows, view.expires_at_ms), (2, end));
    world.run(world.handle.expire_dataset(&name, None)).unwrap();
    world.kill();
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.handle.dataset(&name).unwrap().expires_at_ms, None);
    write(&world, json!({"data": [3], "sink": "d", "mode": "overwrite", "ttlSeconds": 60}));
    assert!(world.handle.dataset(&name).unwrap().expires_at_ms < end);
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start_with(dir.path(), &outside, |options| (options.running_max, options.queue_max) = (1, 2));
    let ids: Vec<_> = (0..3).map(|_| world.submit(1)).collect();
    let refused = world.run(world.handle.submit(submission(request(1)))).unwrap_err();
    assert_eq!(refused.code, Code::JobQueueFull);
    outside.gate.send_replace(usize::MAX);
    for id in ids {
        world.wait(id);
    }
    let id = world.submit(1);
    assert_eq!(world.wait(id).state, JobState::Succeeded);
}

#[test]
fn a_cancelled_job_leaves_nothing_and_stays_cancelled() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(1);
    let world = World::start(dir.path(), &outside);
    let id = world.submit(2);
    world.run(outside.until("one partition is prepared", |ledger| ledger.prepared.len() == 1));
    world.run(world.handle.cancel(id)).unwrap();
    let view = world.wait(id);
    assert_eq!((view.state, view.failure.map(|failure| failure.code)), (JobState::Cancelled, Some(Code::JobCancelled)));
    assert!(outside.ledger.lock().prepared.is_empty());
    assert_eq!(world.run(world.handle.cancel(id)).unwrap().state, JobState::Cancelled);
    assert_eq!(world.run(world.handle.result(id)).unwrap_err().code, Code::JobNoResult);
    world.kill();
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.state(id), JobState::Cancelled);
    assert!(outside.ledger.lock().visible.is_empty());
}

#[test]
fn a_queued_job_is_cancelled_without_running() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start_with(dir.path(), &outside, |options| options.running_max = 1);
    let (first, second) = (world.submit(1), world.submit(1));
    world.until_event(first, "running");
    world.run(world.handle.cancel(second)).unwrap();
    assert_eq!(world.wait(second).attempts, 0);
    outside.gate.send_replace(usize::MAX);
    assert_eq!(world.wait(first).state, JobState::Succeeded);
}

#[test]
fn what_the_system_is_to_blame_for_is_tried_again_and_what_the_caller_is_is_not() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let check = |failures: &[Code], state: JobState, attempts: u32| {
        outside.ledger.lock().open_failures = failures.to_vec();
        let id = world.submit(1);
        let view = world.wait(id);
        assert_eq!((view.state, view.attempts), (state, attempts), "{failures:?}");
        assert_eq!(outside.ledger.lock().visible.contains_key(&id), state == JobState::Succeeded);
    };
    check(&[Code::ConnectorUnavailable; 2], JobState::Succeeded, 3);
    check(&[Code::ConnectorUnavailable; 3], JobState::Failed, 3);
    check(&[Code::DataInvalid], JobState::Failed, 1);
    check(&[Code::PluginTrap], JobState::Failed, 1);
}

#[test]
fn a_commit_is_tried_again_and_aborted_where_the_target_refuses() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    outside.ledger.lock().commit_failures = vec![Code::ConnectorUnavailable; 4];
    let id = world.submit(2);
    assert_eq!(world.wait(id).state, JobState::Succeeded);
    outside.ledger.lock().commit_failures = vec![Code::SinkExists];
    let id = world.submit(2);
    let view = world.wait(id);
    assert_eq!((view.state, view.failure.map(|failure| failure.code)), (JobState::Failed, Some(Code::SinkExists)));
    assert_eq!(outside.ledger.lock().aborted, [id]);
}

#[test]
fn a_job_over_its_time_fails() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(0);
    let world = World::start(dir.path(), &outside);
    let mut request = request(1);
    request["timeMs"] = json!(20);
    let id = world.run(world.handle.submit(submission(request))).unwrap().id;
    let view = world.wait(id);
    assert_eq!((view.state, view.failure.map(|failure| failure.code)), (JobState::Failed, Some(Code::JobTimeout)));
}

#[test]
fn one_key_makes_one_job_before_and_after_a_restart() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let keyed = |body: &str| {
        let mut submission = submission(request(1));
        submission.idempotency = Some(Idempotency { key: "k".to_owned(), body_digest: Digest::of(body.as_bytes()) });
        submission
    };
    let handle = world.handle.clone();
    let answers = world.run(async {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (handle, submission) = (handle.clone(), keyed("a"));
                tokio::spawn(async move { handle.submit(submission).await.unwrap() })
            })
            .collect();
        futures::future::join_all(tasks).await
    });
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| answer.id == answers[0].id));
    assert_eq!(answers.iter().filter(|answer| !answer.is_replay).count(), 1);
    assert_eq!(world.run(world.handle.submit(keyed("b"))).unwrap_err().code, Code::IdempotencyMismatch);
    world.kill();
    drop(handle);
    let world = World::start(dir.path(), &outside);
    let again = world.run(world.handle.submit(keyed("a"))).unwrap();
    assert_eq!((again.id, again.is_replay), (answers[0].id, true));
    assert_eq!(world.run(world.handle.list(ListQuery::default())).unwrap().jobs.len(), 1);
}

#[test]
fn a_shutdown_gives_time_and_leaves_the_rest_for_the_next_start() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    outside.gate.send_replace(1);
    let world = World::start(dir.path(), &outside);
    let (short, long) = (world.submit(1), world.submit(2));
    world.run(outside.until("both are as far as they come", |ledger| ledger.prepared.len() == 2));
    world.run(world.handle.shutdown(Duration::from_millis(100)));
    assert_eq!(world.run(world.handle.submit(submission(request(1)))).unwrap_err().code, Code::ServerDraining);
    world.kill();
    outside.gate.send_replace(usize::MAX);
    let world = World::start(dir.path(), &outside);
    assert_eq!(world.state(short), JobState::Succeeded);
    assert_eq!(world.wait(long).state, JobState::Succeeded);
    assert_eq!(outside.ledger.lock().visible[&long], rows(2));
}

#[test]
fn lists_page_through_all_jobs() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let world = World::start(dir.path(), &outside);
    let mut ids: Vec<_> = (0..7).map(|_| world.submit(1)).collect();
    for id in &ids {
        world.wait(*id);
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = world.run(world.handle.list(ListQuery { limit: 3, cursor, state: Some(JobState::Succeeded) })).unwrap();
        found.extend(page.jobs.iter().map(|job| job.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    ids.reverse();
    assert_eq!(found, ids);
    let wrong = ListQuery { cursor: Some("x".to_owned()), ..ListQuery::default() };
    assert_eq!(world.run(world.handle.list(wrong)).unwrap_err().code, Code::RequestField);
}
