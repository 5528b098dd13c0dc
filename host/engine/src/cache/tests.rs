//! Kept rows: who finds them, who must not, and what happens where room is short.

use super::{Cache, Kept, Known, Limits, Recorder, Release};
use crate::testing::{Bench, inline, job, source, tree};
use azora_spec::{CacheLevel, Cached, Digest, Frame, FrameStep, Function, Input, JobSpec, Operation, Sink};
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Rows of one partition in the tests of room: a little less than half of [`MEMORY`].
const ROWS: i64 = 60_000;
const MEMORY: u64 = 1 << 20;

fn schema() -> SchemaRef {
    azora_connect::element::scalar(DataType::Int64, false)
}

fn cache(dir: &Path, disk_bytes: u64) -> Arc<Cache> {
    Cache::open(dir, Limits { memory_bytes: MEMORY, disk_bytes }).unwrap()
}

fn known(name: &str, level: CacheLevel) -> Known {
    Known { key: Digest::of(name.as_bytes()), name: Some(name.parse().unwrap()), level }
}

/// Keeps rows from a number on in two partitions.
fn keep(cache: &Arc<Cache>, known: &Known, from: i64) {
    let recording = cache.record(known, &schema(), 2).unwrap();
    for (at, start) in [(0, from), (1, from + ROWS / 2)] {
        let mut recorder = Recorder::new(Arc::clone(&recording), at, &schema());
        for step in 0..3 {
            let (first, last) = (start + step * ROWS / 6, start + (step + 1) * ROWS / 6);
            let batch = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(first..last))]).unwrap();
            recorder.write(&batch);
        }
        recorder.finish();
    }
}

async fn rows(kept: &Kept) -> Vec<i64> {
    let mut all = Vec::new();
    for part in &kept.parts {
        for batch in part.read().try_collect::<Vec<_>>().await.unwrap() {
            all.extend_from_slice(batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values());
        }
    }
    all
}

fn find(cache: &Cache, name: &str) -> Option<Arc<Kept>> {
    cache.find(&Digest::of(name.as_bytes()), &schema(), 2)
}

#[tokio::test]
async fn the_oldest_go_where_memory_is_short() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 1 << 30);
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        keep(&cache, &known(name, CacheLevel::Memory), at as i64);
        if name == "b" {
            assert!(find(&cache, "a").is_some(), "used, so younger than b");
        }
    }
    assert!(find(&cache, "b").is_none() && cache.view().evictions == 1);
    assert_eq!(rows(&find(&cache, "a").unwrap()).await, (0..ROWS).collect::<Vec<_>>());
    assert_eq!(rows(&find(&cache, "c").unwrap()).await, (2..ROWS + 2).collect::<Vec<_>>());
    let view = cache.view();
    assert!(view.memory_bytes <= MEMORY && view.memory_bytes > MEMORY / 2 && view.disk_bytes == 0, "{view:?}");
    assert_eq!(cache.release(&Release::All), 2);
    assert_eq!(cache.view().memory_bytes, 0);
}

#[tokio::test]
async fn what_may_goes_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 1 << 30);
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        keep(&cache, &known(name, CacheLevel::MemoryAndDisk), at as i64);
    }
    keep(&cache, &known("d", CacheLevel::Disk), 3);
    for (at, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert_eq!(rows(&find(&cache, name).unwrap()).await, (at as i64..ROWS + at as i64).collect::<Vec<_>>(), "{name}");
    }
    let view = cache.view();
    assert_eq!(view.evictions, 0);
    assert!(view.memory_bytes <= MEMORY && view.disk_bytes >= 2 * 8 * ROWS as u64, "{view:?}");
    let rows_alone = tree(dir.path()).into_iter().filter(|(path, _)| path.ends_with(".arrow"));
    let on_disk: u64 = rows_alone.map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!(on_disk, view.disk_bytes);
    // Who reads goes on reading what is let go.
    let kept = find(&cache, "d").unwrap();
    assert_eq!(cache.release(&Release::Name("d".parse().unwrap())), 1);
    assert_eq!(rows(&kept).await.len(), ROWS as usize);
    drop(kept);
    cache.release(&Release::All);
    let view = cache.view();
    assert_eq!((view.memory_bytes, view.disk_bytes, tree(dir.path()).len()), (0, 0, 0));
}

#[tokio::test]
async fn what_is_kept_on_disk_by_wish_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    {
        let first = cache(dir.path(), 1 << 30);
        keep(&first, &known("a", CacheLevel::Disk), 0);
        keep(&first, &known("gone", CacheLevel::Disk), 1);
        keep(&first, &known("memory", CacheLevel::Memory), 2);
        keep(&first, &known("both", CacheLevel::MemoryAndDisk), 3);
        keep(&first, &known("b", CacheLevel::Disk), 4);
        first.release(&Release::Name("gone".parse().unwrap()));
        // A process that is killed drops nothing, and so does a cache: its entries hold it.
    }
    std::fs::write(dir.path().join("cache/77.arrow"), b"a writer's that died").unwrap();
    let second = cache(dir.path(), 1 << 30);
    assert_eq!(rows(&find(&second, "a").unwrap()).await, (0..ROWS).collect::<Vec<_>>());
    assert_eq!(rows(&find(&second, "b").unwrap()).await, (4..ROWS + 4).collect::<Vec<_>>());
    assert!(["gone", "memory", "both"].iter().all(|name| find(&second, name).is_none()));
    let view = second.view();
    let names: Vec<_> = view.entries.iter().filter_map(|entry| entry.name.as_ref().map(ToString::to_string)).collect();
    assert_eq!((names.len(), view.entries.iter().map(|entry| entry.rows).sum::<u64>()), (2, 2 * ROWS as u64));
    let files = tree(dir.path());
    assert_eq!(files.len(), 2 * 2 + 2, "two parts and a note each: {:?}", files.keys());
    let on_disk: u64 = files.iter().filter(|(path, _)| path.ends_with(".arrow")).map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!(view.disk_bytes, on_disk);
    // New files take no name that is there.
    keep(&second, &known("c", CacheLevel::Disk), 5);
    assert_eq!(rows(&find(&second, "a").unwrap()).await, (0..ROWS).collect::<Vec<_>>());
    assert_eq!(second.release(&Release::All), 3);
    assert_eq!((second.view().disk_bytes, tree(dir.path()).len()), (0, 0));
}

#[tokio::test]
async fn what_is_damaged_or_has_no_room_is_not_found_again() {
    let dir = tempfile::tempdir().unwrap();
    {
        let first = cache(dir.path(), 1 << 30);
        for (at, name) in ["short", "other", "old", "new"].into_iter().enumerate() {
            keep(&first, &known(name, CacheLevel::Disk), at as i64);
        }
    }
    let directory = dir.path().join("cache");
    let note = |name: &str| directory.join(format!("{}.note", Digest::of(name.as_bytes()).to_string().replace(':', "-")));
    let change = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&std::fs::read(note(name)).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(note(name), value.to_string()).unwrap();
        value
    };
    let short = change("short", &|_| {});
    let part = directory.join(short["parts"][1]["file"].as_str().unwrap());
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[..bytes.len() - 1]).unwrap();
    change("other", &|value| value["program"] = json!("another one"));
    let new = change("new", &|value| value["madeAtMs"] = json!(value["madeAtMs"].as_u64().unwrap() + 1000));
    let room: u64 = new["parts"].as_array().unwrap().iter().map(|part| part["bytes"].as_u64().unwrap()).sum();
    let second = cache(dir.path(), room + room / 2);
    assert!(["short", "other", "old"].iter().all(|name| find(&second, name).is_none()));
    assert_eq!(rows(&find(&second, "new").unwrap()).await, (3..ROWS + 3).collect::<Vec<_>>());
    assert_eq!((second.view().disk_bytes, tree(dir.path()).len()), (room, 3));
}

#[tokio::test]
async fn what_has_no_room_at_all_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 100 << 10);
    for level in [CacheLevel::Disk, CacheLevel::MemoryAndDisk, CacheLevel::Memory] {
        let known = known("large", level);
        let recording = cache.record(&known, &schema(), 1).unwrap();
        assert!(cache.record(&known, &schema(), 1).is_none(), "one at a time");
        let mut recorder = Recorder::new(Arc::clone(&recording), 0, &schema());
        for _ in 0..4 {
            let batch = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(0..ROWS))]).unwrap();
            recorder.write(&batch);
        }
        recorder.finish();
        drop(recording);
        let view = cache.view();
        assert_eq!((view.entries.len(), view.memory_bytes, view.disk_bytes, tree(dir.path()).len()), (0, 0, 0, 0), "{level:?}");
    }
}

#[test]
fn half_of_the_rows_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 1 << 30);
    let recording = cache.record(&known("a", CacheLevel::Memory), &schema(), 2).unwrap();
    Recorder::new(Arc::clone(&recording), 0, &schema()).finish();
    let cut_short = Recorder::new(Arc::clone(&recording), 1, &schema());
    drop((cut_short, recording));
    assert!(find(&cache, "a").is_none());
    assert_eq!(cache.view().memory_bytes, 0);
    // And the next one may try.
    keep(&cache, &known("a", CacheLevel::Memory), 0);
    assert!(find(&cache, "a").is_some());
}

fn lambda(text: &str) -> Function {
    Function::Lambda(text.to_owned())
}

fn cached(level: CacheLevel) -> Operation {
    Operation::Cache(Cached { name: None, level })
}

fn in_three(input: Input, operations: Vec<Operation>) -> JobSpec {
    let mut spec = job(input, operations, Sink::Collect);
    spec.options.parallelism = Some(3);
    spec
}

fn hits(bench: &Bench) -> Vec<u64> {
    bench.engine.cache().entries.iter().map(|entry| entry.hits).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_begin_the_same_way_find_what_was_kept() {
    let bench = Bench::new();
    let rows = || inline((0..300).map(Value::from).collect());
    let begin = |end: Vec<Operation>| {
        let first = [Operation::Map(lambda("x => x * 2")), cached(CacheLevel::MemoryAndDisk)];
        in_three(rows(), first.into_iter().chain(end).collect())
    };
    assert_eq!(bench.answer(&begin(vec![Operation::Count])).await.unwrap(), json!(300));
    assert_eq!(hits(&bench), [0]);
    let entry = bench.engine.cache().entries.remove(0);
    assert_eq!((entry.partitions, entry.rows), (3, 300));
    let all: Vec<i64> = (0..300).map(|x| x * 2).collect();
    assert_eq!(bench.answer(&begin(Vec::new())).await.unwrap(), json!(all));
    assert_eq!(hits(&bench), [3], "all partitions were read from what was kept");
    // Another lambda, another input, other partitions, another way to fail: another beginning.
    let other = in_three(rows(), vec![Operation::Map(lambda("x => x * 3")), cached(CacheLevel::Memory), Operation::Max]);
    assert_eq!(bench.answer(&other).await.unwrap(), json!(897));
    let mut wider = begin(vec![Operation::Count]);
    wider.options.parallelism = Some(2);
    assert_eq!(bench.answer(&wider).await.unwrap(), json!(300));
    let mut fewer = begin(vec![Operation::Count]);
    fewer.input = inline((0..299).map(Value::from).collect());
    assert_eq!(bench.answer(&fewer).await.unwrap(), json!(299));
    let mut skipping = begin(vec![Operation::Count]);
    skipping.options.on_error = azora_spec::OnError::Skip;
    assert_eq!(bench.answer(&skipping).await.unwrap(), json!(300));
    let mut found = hits(&bench);
    found.sort_unstable();
    assert_eq!(found, [0, 0, 0, 3], "jobs that leave rows out keep nothing");
    // `unpersist` behind the same operations.
    let gone = in_three(rows(), vec![Operation::Map(lambda("x => x * 2")), Operation::Unpersist(None), Operation::Count]);
    assert_eq!(bench.answer(&gone).await.unwrap(), json!(300));
    assert_eq!(hits(&bench), [0, 0, 0]);
    assert_eq!(bench.engine.clear_cache(None), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_computed() {
    let bench = Bench::new();
    let spec = || {
        let mut spec = in_three(source(json!({"path": "n.ndjson"})), vec![cached(CacheLevel::Disk), Operation::Count]);
        spec.operations.insert(0, Operation::Filter(lambda("r => r.n > 0")));
        spec
    };
    bench.put("n.ndjson", "{\"n\":1}\n{\"n\":2}\n");
    for _ in 0..2 {
        assert_eq!(bench.answer(&spec()).await.unwrap(), json!(2));
    }
    assert_eq!(hits(&bench).iter().sum::<u64>(), bench.engine.cache().entries[0].partitions as u64);
    bench.put("n.ndjson", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    assert_eq!(bench.answer(&spec()).await.unwrap(), json!(3));
    let data = |rows: i64| job(inline((0..rows).map(Value::from).collect()), Vec::new(), dataset());
    let read = || in_three(Input::Dataset("d".parse().unwrap()), vec![cached(CacheLevel::Memory), Operation::Count]);
    bench.run(&data(5)).await.unwrap();
    assert_eq!(bench.answer(&read()).await.unwrap(), json!(5));
    bench.run(&data(7)).await.unwrap();
    assert_eq!(bench.answer(&read()).await.unwrap(), json!(7));
    // A connector may answer otherwise tomorrow.
    let before = bench.engine.cache().entries.len();
    let memory =
        Input::Source { connector: "memory".to_owned(), config: serde_json::Map::from_iter([("table".to_owned(), json!("numbers"))]) };
    let looked = bench.answer(&in_three(memory, vec![cached(CacheLevel::Memory), Operation::Count])).await;
    assert!(looked.is_ok(), "{looked:?}");
    assert_eq!(bench.engine.cache().entries.len(), before);
}

fn dataset() -> Sink {
    Sink::Dataset { name: "d".parse().unwrap(), mode: azora_spec::WriteMode::Overwrite, ttl: None }
}

fn frame(steps: Vec<FrameStep>) -> JobSpec {
    let rows = inline((0..100).map(|n| json!({"n": n, "odd": n % 2 == 1})).collect());
    in_three(rows, vec![Operation::Frame(Box::new(Frame { schema: None, steps, places: Vec::new(), functions: Default::default() }))])
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_keep_rows_and_chance_is_not_kept() {
    let bench = Bench::new();
    let filter = |text: &str| FrameStep::Filter(azora_spec::Expression::Sql(text.to_owned()));
    let keep = || FrameStep::Cache(Cached { name: Some("odd".parse().unwrap()), level: CacheLevel::Memory });
    let drop_odd = || FrameStep::Drop(vec!["odd".to_owned()]);
    assert_eq!(bench.answer(&frame(vec![filter("odd"), keep(), FrameStep::Count])).await.unwrap(), json!(50));
    let rest = bench.answer(&frame(vec![filter("odd"), keep(), drop_odd(), filter("n < 4"), FrameStep::Collect])).await.unwrap();
    assert_eq!(rest, json!([{"n": 1}, {"n": 3}]));
    assert_eq!(hits(&bench), [3]);
    let chance = frame(vec![filter("now() > TIMESTAMP '2020-01-01T00:00:00Z' OR n < 0"), keep(), FrameStep::Count]);
    assert_eq!(bench.answer(&chance).await.unwrap(), json!(100));
    assert_eq!(hits(&bench).len(), 1);
    // A job that lets go of what it keeps leaves nothing behind.
    let both = frame(vec![filter("n > 9"), keep(), FrameStep::Unpersist(None), FrameStep::Count]);
    assert_eq!(bench.answer(&both).await.unwrap(), json!(90));
    assert_eq!(hits(&bench).len(), 1);
    let by_name = frame(vec![FrameStep::Unpersist(Some("odd".parse().unwrap())), FrameStep::Count]);
    bench.answer(&by_name).await.unwrap();
    assert!(hits(&bench).is_empty());
}

/// What is kept has the order that somebody may see later, though nobody saw it in the first job.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_has_its_order() {
    let bench = Bench::new();
    let rows = || inline((0..200).map(|n| json!(n * 7919 % 50)).collect());
    let spec = |end: Vec<Operation>| in_three(rows(), [Operation::Distinct, cached(CacheLevel::Memory)].into_iter().chain(end).collect());
    assert_eq!(bench.answer(&spec(vec![Operation::Count])).await.unwrap(), json!(50));
    assert_eq!(bench.answer(&spec(Vec::new())).await.unwrap(), json!((0..50).collect::<Vec<_>>()));
    assert!(hits(&bench)[0] > 0);
    // A job that stops early keeps nothing of other partitions.
    let first = in_three(rows(), vec![Operation::Map(lambda("x => x + 1")), cached(CacheLevel::Memory), Operation::Take(1)]);
    assert_eq!(bench.answer(&first).await.unwrap(), json!([1]));
    assert_eq!(hits(&bench).len(), 1);
}
