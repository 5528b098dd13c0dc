//! The list of commits below a prefix: which objects there are rows. One small object a commit, numbered, made only where
//! its number is free.

use crate::connector::Bucket;
use crate::error;
use crate::listing::path;
use azora_spec::{Code, Failure, JobId};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};

/// Where commits are, below a prefix.
const FOLDER: &str = "_azora/commits";
/// Version of the object that this code writes.
const VERSION: u32 = 1;
/// Most commits of one prefix that are read.
const COMMITS_MAX: usize = 100_000;
/// Numbers that are tried before a commit gives up against others.
const RACES_MAX: usize = 64;

/// One object with rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) key: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// What the store said of it, where that is what it says of it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

/// What one job added in one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    version: u32,
    pub(crate) job: String,
    pub(crate) epoch: u64,
    /// Whether what was committed before is no more.
    #[serde(default)]
    pub(crate) replaces: bool,
    pub(crate) parts: Vec<Part>,
}

impl Commit {
    pub(crate) fn new(job: JobId, epoch: u64, replaces: bool, parts: Vec<Part>) -> Self {
        Self { version: VERSION, job: job.to_string(), epoch, replaces, parts }
    }
}

/// A commit with its number.
pub(crate) type Numbered = (u64, Commit);

fn place(prefix: &str, number: u64) -> Path {
    path(&format!("{prefix}/{FOLDER}/{number:020}.json"))
}

/// All commits of a prefix, in order; none where nothing was ever committed.
pub(crate) async fn commits(bucket: &Bucket, prefix: &str) -> Result<Vec<Numbered>, Failure> {
    let folder = path(&format!("{prefix}/{FOLDER}"));
    let what = || bucket.named(prefix);
    let mut found: Vec<_> = Vec::new();
    let mut listed = bucket.store.list(Some(&folder));
    while let Some(meta) = listed.try_next().await.map_err(|error| error::store(&error, &what()))? {
        let number = meta.location.filename().and_then(|name| name.strip_suffix(".json")).and_then(|digits| digits.parse::<u64>().ok());
        if let Some(number) = number {
            found.push(number);
        }
        if found.len() > COMMITS_MAX {
            return Err(Failure::new(Code::ConnectorAnswer, format!("more than {COMMITS_MAX} commits below {}", what())));
        }
    }
    found.sort_unstable();
    let mut commits = Vec::with_capacity(found.len());
    for number in found {
        if let Some(commit) = read(bucket, prefix, number).await? {
            commits.push((number, commit));
        }
    }
    Ok(commits)
}

async fn read(bucket: &Bucket, prefix: &str, number: u64) -> Result<Option<Commit>, Failure> {
    let at = place(prefix, number);
    let what = bucket.named(at.as_ref());
    let bytes = match bucket.store.get(&at).await {
        Ok(found) => found.bytes().await.map_err(|error| error::store(&error, &what))?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error::store(&error, &what)),
    };
    match serde_json::from_slice::<Commit>(&bytes) {
        Ok(commit) if commit.version <= VERSION => Ok(Some(commit)),
        _ => Err(error::broken(&what, "it is not a commit that this version can read")),
    }
}

/// The commit of one job and epoch, where it is there.
pub(crate) fn of(commits: &[Numbered], job: JobId, epoch: u64) -> Option<&Commit> {
    let job = job.to_string();
    commits.iter().map(|(_, commit)| commit).find(|commit| commit.job == job && commit.epoch == epoch)
}

/// The objects that are rows after these commits.
pub(crate) fn visible(commits: &[Numbered]) -> Vec<Part> {
    let from = commits.iter().rposition(|(_, commit)| commit.replaces).unwrap_or(0);
    commits.get(from..).unwrap_or_default().iter().flat_map(|(_, commit)| commit.parts.clone()).collect()
}

/// Publishes a commit under the next free number. The same job and epoch again changes nothing. With `alone`, another
/// job's commit that is there first makes it fail.
pub(crate) async fn publish(bucket: &Bucket, prefix: &str, commit: &Commit, alone: bool) -> Result<Vec<Numbered>, Failure> {
    let text = serde_json::to_vec(commit).map_err(|_| error::internal("a commit is JSON"))?;
    for _ in 0..RACES_MAX {
        let mut known = commits(bucket, prefix).await?;
        if known.iter().any(|(_, other)| other.job == commit.job && other.epoch == commit.epoch) {
            return Ok(known);
        }
        if alone && known.iter().any(|(_, other)| other.job != commit.job) {
            return Err(exists(bucket, prefix));
        }
        let number = known.last().map_or(0, |(number, _)| number + 1);
        let at = place(prefix, number);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match bucket.store.put_opts(&at, text.clone().into(), options).await {
            // An answer can be lost: what counts is what the store then holds.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(error) => match read(bucket, prefix, number).await {
                Ok(Some(other)) if other == *commit => {}
                _ => return Err(error::store(&error, &bucket.named(at.as_ref()))),
            },
        }
        if read(bucket, prefix, number).await?.as_ref() == Some(commit) {
            known.push((number, commit.clone()));
            return Ok(known);
        }
    }
    Err(Failure::new(Code::ConnectorUnavailable, format!("other jobs commit to {} all the time", bucket.named(prefix))))
}

/// Removes the commits before one that replaces them, and their objects. Whatever is left is invisible.
pub(crate) async fn forget(bucket: &Bucket, prefix: &str, commits: &[Numbered]) {
    let Some(from) = commits.iter().rposition(|(_, commit)| commit.replaces) else { return };
    let kept = visible(commits);
    for (number, commit) in commits.get(..from).unwrap_or_default() {
        let mut is_gone = bucket.store.delete(&place(prefix, *number)).await.is_ok();
        for part in commit.parts.iter().filter(|part| !kept.contains(part)) {
            is_gone &= bucket.store.delete(&path(&part.key)).await.is_ok();
        }
        if !is_gone {
            tracing::info!(prefix, number, "objects of an older commit could not be removed");
        }
    }
}

pub(crate) fn exists(bucket: &Bucket, prefix: &str) -> Failure {
    Failure::new(Code::SinkExists, format!("{} holds rows already", bucket.named(prefix)))
        .hint("choose the mode 'overwrite' or 'append', or another prefix")
        .at("/key")
}

#[cfg(test)]
mod tests {
    use super::{Commit, Part, visible};
    use azora_spec::JobId;

    #[test]
    fn only_what_follows_the_last_replacement_is_visible() {
        let part = |key: &str| Part { key: key.to_owned(), rows: 1, bytes: 1, etag: None };
        let commit = |replaces, keys: &[&str]| Commit::new(JobId::generate(), 0, replaces, keys.iter().map(|key| part(key)).collect());
        let keys = |commits: Vec<Commit>| {
            let numbered: Vec<_> = commits.into_iter().enumerate().map(|(at, commit)| (at as u64, commit)).collect();
            visible(&numbered).into_iter().map(|part| part.key).collect::<Vec<_>>()
        };
        assert!(keys(Vec::new()).is_empty());
        assert_eq!(keys(vec![commit(false, &["a"]), commit(false, &["b"])]), ["a", "b"]);
        assert_eq!(keys(vec![commit(false, &["a"]), commit(true, &["b"]), commit(false, &["c"])]), ["b", "c"]);
    }
}
