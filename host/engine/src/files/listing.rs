//! From a path, a directory or a pattern to the files that it means, in a fixed order.

use super::{Files, Located, Root, path_failure};
use azora_spec::{Code, Failure};
use cap_std::fs::Dir;
use glob::{MatchOptions, Pattern};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Deepest directory that is looked into.
const DEPTH_MAX: usize = 16;

/// A file that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) root: usize,
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) modified_ms: i64,
}

/// The files of a caller's path, sorted: one file, all files below a directory, or those that match `*`, `?`, `[…]`
/// and `**`. Names that begin with `.` or `_` are left out, as Spark does, unless the path is exactly one of them.
pub(crate) fn list(files: &Files, text: &str, files_max: usize) -> Result<Vec<Found>, Failure> {
    let located = files.locate(text)?;
    let root = files.root(located.root)?;
    let metadata = if located.path.is_empty() { root.dir.dir_metadata() } else { root.dir.metadata(&located.path) };
    let mut walk = Walk { root, at: &located, found: Vec::new(), files_max };
    match metadata {
        Ok(metadata) if metadata.is_dir() => walk.directory(&located.path, None, 0)?,
        Ok(_) => {
            let found = walk.describe(&located.path)?;
            walk.found.push(found);
        }
        Err(_) if is_pattern(&located.path) => {
            let pattern = Pattern::new(&located.path)
                .map_err(|error| Failure::new(Code::PathMissing, format!("the pattern is not valid: {}", error.msg)).at("/path"))?;
            let base = base(&located.path);
            walk.directory(base, Some(&pattern), 0)?;
        }
        Err(error) => return Err(path_failure(&error, text)),
    }
    let mut found = walk.found;
    if found.is_empty() {
        return Err(Failure::new(Code::PathMissing, format!("there is no file at '{}'", text.escape_debug())).at("/path"));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

struct Walk<'a> {
    root: &'a Root,
    at: &'a Located,
    found: Vec<Found>,
    files_max: usize,
}

impl Walk<'_> {
    fn directory(&mut self, path: &str, pattern: Option<&Pattern>, depth: usize) -> Result<(), Failure> {
        if depth > DEPTH_MAX {
            return Err(Failure::new(Code::PathUnusable, format!("directories nest deeper than {DEPTH_MAX}")).at("/path"));
        }
        let refused = |error: std::io::Error| path_failure(&error, path);
        let opened: Dir;
        let dir = if path.is_empty() {
            &*self.root.dir
        } else {
            opened = self.root.dir.open_dir(path).map_err(refused)?;
            &opened
        };
        for entry in dir.entries().map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(['.', '_']) {
                continue;
            }
            let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            // A linked directory could form a loop; a linked file is opened beneath the root like any other.
            if entry.file_type().map_err(refused)?.is_dir() {
                self.directory(&below, pattern, depth + 1)?;
            } else if pattern.is_none_or(|pattern| pattern.matches_with(&below, MATCHING)) {
                let found = self.describe(&below)?;
                self.found.push(found);
                if self.found.len() > self.files_max {
                    return Err(
                        Failure::new(Code::ConnectorConfig, format!("the path names more than {} files", self.files_max)).at("/path")
                    );
                }
            }
        }
        Ok(())
    }

    fn describe(&self, path: &str) -> Result<Found, Failure> {
        let metadata = self.root.open_file(path)?.metadata().map_err(|error| path_failure(&error, path))?;
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let modified_ms = i64::try_from(modified.as_millis()).unwrap_or(i64::MAX);
        Ok(Found { root: self.at.root, path: path.to_owned(), bytes: metadata.len(), modified_ms })
    }
}

const MATCHING: MatchOptions = MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The directory below which folders may name columns, with the slash behind it: a directory itself, or what stands in front
/// of a pattern. Nothing lies below a file.
pub(crate) fn base_of(path: &str) -> String {
    let base = if is_pattern(path) { base(path) } else { path };
    if base.is_empty() { String::new() } else { format!("{base}/") }
}

/// The directories in front of the first part that is a pattern.
fn base(path: &str) -> &str {
    let end = path.find(['*', '?', '[']).unwrap_or(path.len());
    let front = path.get(..end).unwrap_or_default();
    Path::new(front).parent().filter(|_| !front.ends_with('/')).and_then(Path::to_str).unwrap_or_else(|| front.trim_end_matches('/'))
}
