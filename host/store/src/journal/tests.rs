//! The journal against torn, cut and flipped files.

use super::segment::HEADER_BYTES;
use super::{Journal, Lsn, Options};
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestRunner};
use std::path::{Path, PathBuf};

fn options(directory: &Path, segment_bytes: u64) -> Options {
    Options { directory: directory.join("journal"), segment_bytes }
}

fn payloads(from: usize, n: usize) -> Vec<Vec<u8>> {
    (from..from + n).map(|at| format!("record {at} {}", "x".repeat(at % 97)).into_bytes()).collect()
}

fn all(journal: &Journal) -> Vec<Vec<u8>> {
    journal.bases().into_iter().flat_map(|base| journal.scan(base).unwrap()).map(|(_, payload)| payload).collect()
}

fn write(directory: &Path, segment_bytes: u64, n: usize) -> Vec<Lsn> {
    let (journal, _) = Journal::open(options(directory, segment_bytes)).unwrap();
    let lsns = payloads(0, n).chunks(7).flat_map(|chunk| journal.append(chunk).unwrap()).collect();
    journal.flush_blocking(journal.end()).unwrap();
    lsns
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    files.sort();
    files
}

#[test]
fn records_survive_and_are_found_by_position_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let lsns = write(dir.path(), 1000, 200);
    assert!(segments(dir.path()).len() > 5);
    let (journal, opened) = Journal::open(options(dir.path(), 1000)).unwrap();
    assert_eq!((opened.records, opened.holes, opened.is_tail_cut), (200, 0, false));
    for (lsn, expect) in lsns.iter().zip(payloads(0, 200)) {
        assert_eq!(journal.read(*lsn).unwrap(), expect);
    }
    assert_eq!(all(&journal), payloads(0, 200));
}

#[test]
fn an_unflushed_record_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(options(dir.path(), 1 << 20)).unwrap();
    let lsns = journal.append(&payloads(0, 3)).unwrap();
    assert_eq!(journal.read(lsns[2]).unwrap(), payloads(2, 1)[0]);
    assert!(journal.read(journal.end()).is_err());
}

#[test]
fn a_record_over_the_limit_is_refused_and_one_over_the_segment_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(options(dir.path(), 4096)).unwrap();
    assert!(journal.append(&[vec![0; super::RECORD_BYTES_MAX + 1]]).is_err());
    let large = vec![7; 100_000];
    let lsns = journal.append(&[b"a".to_vec(), large.clone(), b"b".to_vec()]).unwrap();
    assert_eq!(journal.read(lsns[1]).unwrap(), large);
    assert_eq!(journal.read(lsns[2]).unwrap(), b"b");
}

#[test]
fn the_tail_may_be_cut_anywhere() {
    let model = payloads(0, 40);
    let check = |cut: u64, garbage: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let lsns = write(dir.path(), 1 << 20, 40);
        let path = &segments(dir.path())[0];
        let end = lsns[39] + 16 + model[39].len() as u64;
        let cut = cut % (end + 1);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(HEADER_BYTES + cut).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, garbage, HEADER_BYTES + cut).unwrap();
        drop(file);
        let (journal, _) = Journal::open(options(dir.path(), 1 << 20)).unwrap();
        let whole = lsns.iter().zip(&model).take_while(|(lsn, payload)| **lsn + 16 + payload.len() as u64 <= cut).count();
        assert_eq!(all(&journal), model[..whole], "cut at {cut}");
        // What comes after the cut is found again, and nothing of what was cut.
        journal.append(&payloads(1000, 5)).unwrap();
        drop(journal);
        let (journal, opened) = Journal::open(options(dir.path(), 1 << 20)).unwrap();
        assert_eq!((opened.holes, opened.is_tail_cut), (0, false));
        let mut expect = model[..whole].to_vec();
        expect.extend(payloads(1000, 5));
        assert_eq!(all(&journal), expect, "appended after a cut at {cut}");
    };
    let inputs = (any::<u64>(), prop::collection::vec(any::<u8>(), 0..40));
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&inputs.prop_map(|(cut, garbage)| (cut, garbage)), |(cut, garbage)| {
            check(cut, &garbage);
            Ok(())
        })
        .unwrap();
}

#[test]
fn flipped_bits_cost_only_the_records_that_they_hit() {
    let model = payloads(0, 300);
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let inputs = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8_u32), 1..8);
    runner
        .run(&inputs, |flips| {
            let dir = tempfile::tempdir().unwrap();
            let lsns = write(dir.path(), 3000, 300);
            let files = segments(dir.path());
            let mut hit = Vec::new();
            for (file, byte, bit) in flips {
                let path = &files[file.index(files.len())];
                let base: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
                let mut bytes = std::fs::read(path).unwrap();
                let used = usize::try_from(
                    lsns.iter()
                        .zip(&model)
                        .rev()
                        .find(|(lsn, _)| **lsn >= base && **lsn < base + bytes.len() as u64)
                        .map_or(0, |(lsn, payload)| lsn - base + 16 + payload.len() as u64),
                )
                .unwrap();
                let at = usize::try_from(HEADER_BYTES).unwrap() + byte.index(used.max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                    hit.push(base + at as u64 - HEADER_BYTES);
                }
                std::fs::write(path, bytes).unwrap();
            }
            let (journal, _) = Journal::open(options(dir.path(), 3000)).unwrap();
            let read = all(&journal);
            for (lsn, payload) in lsns.iter().zip(&model) {
                let is_hit = hit.iter().any(|at| at >= lsn && *at < lsn + 16 + payload.len() as u64);
                if !is_hit {
                    assert!(read.contains(payload), "the record at {lsn} was lost, hit were {hit:?}");
                }
            }
            assert!(read.iter().all(|payload| model.contains(payload)), "a record that was never written");
            Ok(())
        })
        .unwrap();
}

#[test]
fn many_waiters_share_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(options(dir.path(), 1 << 20)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let journal = std::sync::Arc::new(journal);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|at| {
                let journal = std::sync::Arc::clone(&journal);
                tokio::spawn(async move {
                    journal.append(&payloads(at, 1)).unwrap();
                    journal.flush_to(journal.end()).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(all(&journal).len(), 200);
}

#[test]
fn a_newer_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1 << 20, 3);
    let path = &segments(dir.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    bytes[8] = 2;
    let checksum = crc32fast::hash(&bytes[..24]).to_le_bytes();
    bytes[24..28].copy_from_slice(&checksum);
    std::fs::write(path, bytes).unwrap();
    assert!(matches!(Journal::open(options(dir.path(), 1 << 20)), Err(crate::Error::Newer { found: 2, .. })));
}
