//! The store as its callers see it: what was durable is there again, whatever happened to the files.

use super::{Options, Retention, Store};
use crate::event::{Accepted, ContextRecord, DatasetCommitted, Ending, Event, Keyed, PluginAdded};
use crate::index::Tables;
use crate::{Blob, Error};
use azora_spec::{Code, Digest, Failure, JobId, JobState};
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

fn open(dir: &Path) -> Store {
    Store::open(&Options { segment_bytes: 16 << 10, ..Options::new(dir) }).unwrap()
}

fn accepted(job: JobId, at_ms: u64) -> Event {
    let context = ContextRecord { parallelism: 8, threads: 2, memory_bytes: 1 << 30 };
    Event::Accepted(Accepted {
        job,
        at_ms,
        name: Some("n".to_owned()),
        request: Some(Blob::Inline("{}".to_owned())),
        context,
        is_waited_for: false,
    })
}

fn planned(job: JobId) -> Event {
    replanned(job, 0)
}

fn replanned(job: JobId, revision: u32) -> Event {
    let pins = Blob::Inline(if revision == 0 { "pins".to_owned() } else { format!("pins {revision}") });
    Event::Planned { job, at_ms: 2, pins, partitions: 2, revision }
}

fn prepared(job: JobId, partition: u32, token: &str, revision: u32) -> Event {
    Event::Prepared { job, partition, token: token.to_owned(), revision }
}

fn ended(job: JobId, state: JobState, at_ms: u64) -> Event {
    let failure = (state != JobState::Succeeded).then(|| Failure::new(Code::LambdaThrew, "it threw").at("/operations/0").row(3));
    Event::Ended(Ending {
        job,
        at_ms,
        state,
        failure,
        rows: 5,
        bytes: 50,
        outputs: vec!["out".to_owned()],
        result: Some("{}".to_owned()),
        stages: Vec::new(),
        refused: Vec::new(),
        dead_letters: None,
        warnings: Vec::new(),
        last_seq: 9,
    })
}

fn write(store: &Store, events: &[Event]) {
    store.append(events).unwrap();
}

fn rows(store: &Store) -> Tables {
    let tables = store.inner.tables.read();
    let mut copy = Tables { live_bytes: tables.live_bytes, ..Tables::default() };
    copy.jobs = tables.jobs.iter().map(|(id, job)| (*id, crate::index::Job { row: job.row.clone(), tokens: job.tokens.clone() })).collect();
    copy.plugins.clone_from(&tables.plugins);
    copy.datasets.clone_from(&tables.datasets);
    copy.keys.clone_from(&tables.keys);
    copy
}

#[test]
fn a_job_is_there_again_with_all_that_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let job = JobId::generate();
    let store = open(dir.path());
    write(&store, &[accepted(job, 1), planned(job), Event::Started { job, at_ms: 3, attempt: 0 }]);
    write(&store, &[prepared(job, 1, "t1", 0), prepared(job, 0, "t0", 0)]);
    write(&store, &[Event::CommitBegun { job, at_ms: 4 }]);
    drop(store);
    let store = open(dir.path());
    let row = store.job(job).unwrap();
    assert_eq!((row.state(), row.attempts, row.partitions, row.is_commit_begun), (JobState::Running, 1, Some(2), true));
    assert_eq!(store.request(&row).unwrap().as_deref(), Some("{}"));
    assert_eq!(store.pins(&row).unwrap().as_deref(), Some("pins"));
    assert_eq!(store.tokens(job).unwrap().into_iter().collect::<Vec<_>>(), [(0, "t0".to_owned()), (1, "t1".to_owned())]);
    assert_eq!(store.unfinished().len(), 1);
    write(&store, &[ended(job, JobState::Failed, 5)]);
    drop(store);
    let store = open(dir.path());
    let row = store.job(job).unwrap();
    let ending = store.ending(&row).unwrap().unwrap();
    assert_eq!(row.state(), JobState::Failed);
    assert_eq!(ending.failure, Some(Failure::new(Code::LambdaThrew, "it threw").at("/operations/0").row(3)));
    assert!(store.unfinished().is_empty());
}

#[test]
fn another_plan_forgets_what_was_prepared_for_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let job = JobId::generate();
    let check = |store: &Store, pins: &str, tokens: &[(u32, &str)]| {
        let row = store.job(job).unwrap();
        assert_eq!(store.pins(&row).unwrap().as_deref(), Some(pins));
        let tokens: Vec<_> = tokens.iter().map(|(partition, token)| (*partition, (*token).to_owned())).collect();
        assert_eq!(store.tokens(job).unwrap().into_iter().collect::<Vec<_>>(), tokens);
    };
    let store = open(dir.path());
    write(&store, &[accepted(job, 1), planned(job), prepared(job, 0, "old", 0), prepared(job, 1, "old", 0)]);
    write(&store, &[replanned(job, 1)]);
    check(&store, "pins 1", &[]);
    write(&store, &[prepared(job, 1, "new", 1)]);
    // As compaction leaves them behind: older facts after younger ones.
    write(&store, &[prepared(job, 0, "old", 0), planned(job)]);
    check(&store, "pins 1", &[(1, "new")]);
    drop(store);
    let store = open(dir.path());
    check(&store, "pins 1", &[(1, "new")]);
    // A partition of a plan that comes later.
    write(&store, &[prepared(job, 0, "newest", 2)]);
    assert_eq!(store.tokens(job).unwrap().into_values().collect::<Vec<_>>(), ["newest"]);
    write(&store, &[replanned(job, 2)]);
    let expect = rows(&store);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(dir.path());
    assert_eq!(rows(&store), expect);
    check(&store, "pins 2", &[(0, "newest")]);
}

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = Store::open(&Options::new(dir.path())).unwrap_err();
    assert!(matches!(&error, Error::Locked { owner, .. } if *owner == std::process::id().to_string()), "{error}");
    drop(store);
    open(dir.path());
}

#[test]
fn a_directory_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    std::fs::write(dir.path().join("FORMAT"), "2\n").unwrap();
    assert!(matches!(Store::open(&Options::new(dir.path())), Err(Error::Newer { found: 2, .. })));
}

#[test]
fn a_newer_record_is_refused() {
    let newer = br#"{"v":2,"e":"accepted"}"#;
    assert!(matches!(Event::decode(newer, 0), Err(Error::Newer { found: 2, .. })));
    assert!(matches!(Event::decode(br#"{"v":1,"e":"unheard"}"#, 0), Err(Error::Damaged { .. })));
}

/// Fills a store with a bit of everything and gives its rows.
fn fill(dir: &Path) -> Tables {
    let store = open(dir);
    for at in 0..200_u32 {
        let job = JobId::generate();
        write(&store, &[accepted(job, u64::from(at)), planned(job)]);
        write(&store, &[Event::Keyed(Keyed { key: format!("key {at}"), body_digest: Digest::of(b"body"), job, at_ms: 1 })]);
        write(&store, &[Event::Started { job, at_ms: 3, attempt: 0 }, prepared(job, 0, &format!("token {at}"), 0)]);
        match at % 4 {
            0 => write(&store, &[ended(job, JobState::Succeeded, 7)]),
            1 => write(&store, &[ended(job, JobState::Cancelled, 8)]),
            2 => write(&store, &[Event::Deleted { job }]),
            _ => {}
        }
    }
    let manifest = json!({"any": ["thing", 1]});
    let digest = Digest::of(b"wasm");
    store.write_plugin(&digest, b"wasm").unwrap();
    let added = PluginAdded { digest, name: "geo".parse().unwrap(), version: "1.0.0".parse().unwrap(), bytes: 4, at_ms: 1, manifest };
    write(&store, &[Event::PluginAdded(added)]);
    let committed = DatasetCommitted {
        name: "d".parse().unwrap(),
        directory: "datasets/d/1".to_owned(),
        files: vec!["a".to_owned()],
        rows: 1,
        bytes: 2,
        at_ms: 3,
        ordinal: 4,
        job: JobId::generate(),
        expires_at_ms: Some(5),
    };
    write(&store, &[Event::DatasetCommitted(committed)]);
    rows(&store)
}

fn files_of(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_of(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn the_index_may_be_lost_cut_or_flipped() {
    let source = tempfile::tempdir().unwrap();
    let expect = fill(source.path());
    let check = |what: &str, spoil: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        copy(source.path(), dir.path());
        spoil(&dir.path().join("index"));
        let store = open(dir.path());
        assert_eq!(rows(&store), expect, "{what}");
        drop(store);
        assert_eq!(rows(&open(dir.path())), expect, "{what}, opened again");
    };
    check("untouched", &|_| {});
    check("deleted", &|index| std::fs::remove_dir_all(index).unwrap());
    check("emptied", &|index| files_of(index).iter().for_each(|file| std::fs::write(file, b"").unwrap()));
    for part in 1..6 {
        check("cut", &|index| {
            for file in files_of(index) {
                let bytes = std::fs::read(&file).unwrap();
                std::fs::write(&file, &bytes[..bytes.len() * part / 6]).unwrap();
            }
        });
        check("flipped", &|index| {
            for file in files_of(index) {
                let mut bytes = std::fs::read(&file).unwrap();
                for at in (part * 37..bytes.len()).step_by(997) {
                    bytes[at] ^= 1 << (at % 8);
                }
                std::fs::write(&file, bytes).unwrap();
            }
        });
    }
    check("of another journal", &|index| {
        std::fs::remove_dir_all(index).unwrap();
        let other = tempfile::tempdir().unwrap();
        let store = open(other.path());
        for _ in 0..2000 {
            write(&store, &[accepted(JobId::generate(), 1)]);
        }
        drop(store);
        copy(&other.path().join("index"), index);
    });
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn long_texts_lie_in_files_and_go_with_their_job() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (job, other) = (JobId::generate(), JobId::generate());
    let text = "y".repeat(200_000);
    let blob = store.keep_blob(job, "request", text.clone()).unwrap();
    assert!(matches!(blob, Blob::File { .. }));
    let Event::Accepted(event) = accepted(job, 1) else { panic!("not accepted") };
    write(&store, &[Event::Accepted(Accepted { request: Some(blob.clone()), ..event })]);
    // Kept for an event that never came: the next start removes it.
    store.keep_blob(other, "request", text.clone()).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.request(&store.job(job).unwrap()).unwrap(), Some(text));
    assert_eq!(files_of(&dir.path().join("jobs")).len(), 1);
    std::fs::write(&files_of(&dir.path().join("jobs"))[0], "changed").unwrap();
    assert!(matches!(store.read_blob(&blob), Err(Error::Damaged { .. })));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.delete_job(job)).unwrap();
    assert!(files_of(&dir.path().join("jobs")).is_empty());
    assert!(store.job(job).is_none());
}

#[test]
fn plugin_bytes_are_checked_and_uploads_cut_short_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let digest = Digest::of(b"wasm");
    let store = open(dir.path());
    assert_eq!(store.read_plugin(&digest).as_deref(), Some(&b"wasm"[..]));
    let stray = Digest::of(b"stray");
    store.write_plugin(&stray, b"stray").unwrap();
    drop(store);
    let store = open(dir.path());
    assert!(store.read_plugin(&stray).is_none());
    std::fs::write(dir.path().join("plugins").join(format!("{}.wasm", digest.to_hex())), b"evil").unwrap();
    assert!(store.read_plugin(&digest).is_none());
}

#[test]
fn upkeep_drops_the_old_and_keeps_the_journal_small() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = JobId::generate();
    write(&store, &[accepted(first, 1), planned(first), prepared(first, 0, "kept", 0)]);
    let retention = Retention { ended_jobs_max: 50, key_age_max: Duration::from_millis(10), ..Retention::default() };
    for round in 0..40 {
        for _ in 0..50 {
            let job = JobId::generate();
            write(
                &store,
                &[accepted(job, 1), planned(job), Event::Started { job, at_ms: 1, attempt: 0 }, ended(job, JobState::Succeeded, 1)],
            );
            write(&store, &[Event::Keyed(Keyed { key: job.to_string(), body_digest: Digest::of(b""), job, at_ms: round * 100 })]);
        }
        while store.upkeep(&retention, round * 100).unwrap().removed_segments > 0 {}
    }
    let before = rows(&store);
    assert_eq!(before.jobs.len(), 51);
    assert_eq!(before.keys.len(), 50);
    let segments = files_of(&dir.path().join("journal")).len();
    assert!(segments < 30, "{segments} segments");
    drop(store);
    // From the copy, and from what compaction left of the journal.
    assert_eq!(rows(&open(dir.path())), before);
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(dir.path());
    assert_eq!(rows(&store), before);
    assert_eq!(store.tokens(first).unwrap()[&0], "kept");
    assert_eq!(store.request(&store.job(first).unwrap()).unwrap().as_deref(), Some("{}"));
}

#[test]
fn the_oldest_results_go_where_all_together_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let jobs: Vec<JobId> = (0..5).map(|_| JobId::generate()).collect();
    for job in &jobs {
        // Each of 50 bytes.
        write(&store, &[accepted(*job, 1), ended(*job, JobState::Succeeded, 1)]);
    }
    let upkeep = store.upkeep(&Retention { result_bytes_max: 120, ..Retention::default() }, 1).unwrap();
    assert_eq!(upkeep.dropped_jobs, [jobs[2], jobs[1], jobs[0]]);
    assert!(store.job(jobs[3]).is_some());
}

#[test]
fn lists_are_newest_first_and_filtered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let jobs: Vec<JobId> = (0..5).map(|_| JobId::generate()).collect();
    for (at, job) in jobs.iter().enumerate() {
        write(&store, &[accepted(*job, 1)]);
        if at % 2 == 0 {
            write(&store, &[ended(*job, JobState::Failed, 2)]);
        }
    }
    let ids = |before, state, limit| store.jobs(before, state, limit).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(None, None, 2), [jobs[4], jobs[3]]);
    assert_eq!(ids(Some(jobs[3]), None, 10), [jobs[2], jobs[1], jobs[0]]);
    assert_eq!(ids(None, Some(JobState::Failed), 10), [jobs[4], jobs[2], jobs[0]]);
    assert_eq!(ids(None, Some(JobState::Accepted), 10), [jobs[3], jobs[1]]);
}

/// What a generated history does to one of a few jobs.
#[derive(Debug, Clone)]
enum Step {
    Accept(usize),
    Plan(usize, u32),
    Start(usize, u32),
    Prepare(usize, u32),
    End(usize, bool),
    Delete(usize),
    Reopen,
    LoseIndex,
    Upkeep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let job = 0..6_usize;
    let step = (0..12_u32, job, 0..4_u32, any::<bool>()).prop_map(|(kind, job, n, flag)| match kind {
        0 | 1 => Step::Accept(job),
        2 | 3 => Step::Plan(job, n / 2),
        4 => Step::Start(job, n),
        5 | 6 => Step::Prepare(job, n),
        7 => Step::End(job, flag),
        8 => Step::Delete(job),
        9 => Step::Reopen,
        10 => Step::LoseIndex,
        _ => Step::Upkeep,
    });
    prop::collection::vec(step, 1..60)
}

#[test]
fn any_history_is_read_back_as_the_rows_in_memory_had_it() {
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    runner
        .run(&steps(), |steps| {
            let dir = tempfile::tempdir().unwrap();
            let mut jobs: Vec<JobId> = (0..6).map(|_| JobId::generate()).collect();
            let mut store = open(dir.path());
            for step in steps {
                match step {
                    Step::Accept(at) => write(&store, &[accepted(jobs[at], at as u64)]),
                    Step::Plan(at, revision) => write(&store, &[replanned(jobs[at], revision)]),
                    Step::Start(at, attempt) => write(&store, &[Event::Started { job: jobs[at], at_ms: 1, attempt }]),
                    Step::Prepare(at, partition) => {
                        let token = "t".repeat(20_000 * (partition as usize + 1) / 4);
                        write(&store, &[prepared(jobs[at], partition, &token, partition / 3)]);
                    }
                    Step::End(at, good) => write(&store, &[ended(jobs[at], if good { JobState::Succeeded } else { JobState::Failed }, 1)]),
                    Step::Delete(at) => {
                        write(&store, &[Event::Deleted { job: jobs[at] }]);
                        // An id never comes back.
                        jobs[at] = JobId::generate();
                    }
                    Step::Upkeep => {
                        store.upkeep(&Retention { ended_jobs_max: 2, ..Retention::default() }, 1).unwrap();
                        for job in &mut jobs {
                            if store.job(*job).is_none() {
                                *job = JobId::generate();
                            }
                        }
                    }
                    Step::Reopen | Step::LoseIndex => {
                        let expect = rows(&store);
                        drop(store);
                        if matches!(step, Step::LoseIndex) {
                            std::fs::remove_dir_all(dir.path().join("index")).unwrap();
                        }
                        store = open(dir.path());
                        assert_eq!(rows(&store), expect);
                    }
                }
            }
            Ok(())
        })
        .unwrap();
}
