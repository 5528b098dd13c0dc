//! Rows that are kept on disk by wish outlive the process: a note beside their files says which rows they are. Notes are
//! written behind the files, flushed, and read when a cache is opened; what no note names is removed then.
//!
//! A note counts for the program that wrote it alone: another one may compute other rows by the same operations.

use super::part::Part;
use super::{Cache, Entry, Kept, Known, Place};
use azora_spec::{CacheLevel, Digest};
use datafusion::arrow::ipc::reader::StreamReader;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// The ending of notes.
const ENDING: &str = "note";
/// Largest note.
const NOTE_BYTES_MAX: u64 = 4 << 20;

/// A note on disk, which goes with the entry that it is about.
#[derive(Debug)]
pub(super) struct Note(PathBuf);

impl Drop for Note {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, "a note about kept rows could not be removed");
        }
    }
}

/// Notes rows, where all of them are in files. Where that fails they go with the process.
pub(super) fn write(cache: &Cache, known: &Known, kept: &Kept, made_at_ms: u64) -> Option<Note> {
    let path = cache.directory.join(format!("{}.{ENDING}", known.key.to_string().replace(':', "-")));
    match written(cache, &path, known, kept, made_at_ms) {
        Ok(()) => Some(Note(path)),
        Err(error) => {
            tracing::warn!(%error, "kept rows will end with the process");
            drop(fs::remove_file(path));
            None
        }
    }
}

fn written(cache: &Cache, path: &Path, known: &Known, kept: &Kept, made_at_ms: u64) -> io::Result<()> {
    let mut parts = Vec::with_capacity(kept.parts.len());
    for part in &kept.parts {
        let file = part.file().ok_or_else(|| io::Error::other("a part is not in a file"))?;
        File::open(file)?.sync_all()?;
        let name = file.file_name().and_then(|name| name.to_str());
        parts.push(json!({"file": name, "rows": part.rows, "bytes": part.bytes(Place::Disk)}));
    }
    let name = known.name.as_ref().map(ToString::to_string);
    let note = json!({"program": program()?, "key": known.key.to_string(), "name": name, "madeAtMs": made_at_ms, "parts": parts});
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, note.to_string())?;
    File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(&cache.directory)?.sync_all()
}

/// The program that runs.
fn program() -> io::Result<String> {
    let found = fs::metadata(std::env::current_exe()?)?;
    let since = found.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(format!("{} {} {}", env!("CARGO_PKG_VERSION"), found.len(), since.as_nanos()))
}

/// What earlier processes kept, the newest first, as far as there is room; everything else in the directory is removed.
pub(super) fn read(cache: &Arc<Cache>) -> io::Result<Vec<(Digest, Entry)>> {
    let listed = match fs::read_dir(&cache.directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let paths = listed.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let program = program().ok();
    let is_note = |path: &&Path| path.extension().is_some_and(|ending| ending == ENDING);
    let all = paths.iter().map(PathBuf::as_path);
    let mut notes: Vec<(u64, &Path, Value)> = all.filter(is_note).filter_map(|path| noted(path, program.as_deref())).collect();
    notes.sort_by_key(|(made_at_ms, _, _)| std::cmp::Reverse(*made_at_ms));
    let (mut entries, mut named) = (Vec::new(), HashSet::new());
    for (made_at_ms, path, note) in notes {
        if let Some((key, known, kept)) = entry(cache, &note) {
            named.extend(kept.parts.iter().filter_map(|part| part.file().map(Path::to_path_buf)));
            named.insert(path.to_path_buf());
            let note = Some(Note(path.to_path_buf()));
            entries.push((key, Entry { kept: Arc::new(kept), known, note, used: 0, hits: 0, made_at_ms, used_at_ms: made_at_ms }));
        }
    }
    for path in paths.iter().filter(|path| !named.contains(*path)) {
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    // The first is used next to never, the last is the one that was made last.
    entries.reverse();
    Ok(entries)
}

/// A note of this program's, and when it was written.
fn noted<'a>(path: &'a Path, program: Option<&str>) -> Option<(u64, &'a Path, Value)> {
    let mut text = String::new();
    File::open(path).ok()?.take(NOTE_BYTES_MAX).read_to_string(&mut text).ok()?;
    let note: Value = serde_json::from_str(&text).ok()?;
    let is_ours = program.is_some() && note.get("program").and_then(Value::as_str) == program;
    is_ours.then_some((note.get("madeAtMs")?.as_u64()?, path, note))
}

/// The rows that a note names, if all of them are there and have room.
fn entry(cache: &Arc<Cache>, note: &Value) -> Option<(Digest, Known, Kept)> {
    let key = Digest::parse(note.get("key")?.as_str()?)?;
    let name = match note.get("name")? {
        Value::Null => None,
        name => Some(name.as_str()?.parse().ok()?),
    };
    let mut parts = Vec::new();
    for part in note.get("parts")?.as_array()? {
        let (file, bytes) = (PathBuf::from(part.get("file")?.as_str()?), part.get("bytes")?.as_u64()?);
        // A name, and no way out of the directory.
        let name: OsString = file.file_name()?.to_owned();
        let path = cache.directory.join(&name);
        if file.as_os_str() != name || fs::metadata(&path).ok()?.len() != bytes {
            return None;
        }
        parts.push((path, part.get("rows")?.as_u64()?, bytes));
    }
    let schema = StreamReader::try_new(BufReader::new(File::open(&parts.first()?.0).ok()?), None).ok()?.schema();
    if !cache.has_room(Place::Disk, parts.iter().map(|(_, _, bytes)| bytes).sum()) {
        return None;
    }
    let parts = parts.into_iter().map(|(path, rows, bytes)| Part::found(cache, path, rows, bytes)).collect::<Option<Vec<_>>>()?;
    let known = Known { key, name, level: CacheLevel::Disk };
    Some((key, known, Kept { parts, schema }))
}
