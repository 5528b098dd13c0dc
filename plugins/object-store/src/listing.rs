//! From a key, a prefix or a pattern to objects that exist, in order of their keys.

use crate::connector::Bucket;
use crate::error::{self, Named};
use crate::manifest;
use azora_spec::{Code, Failure};
use futures::stream::{self, StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::{Deserialize, Serialize};

/// Most objects of one source.
pub(crate) const OBJECTS_MAX: usize = 10_000;
/// Most objects that are looked at for a pattern.
const LISTED_MAX: usize = 1_000_000;
/// Objects whose sizes are asked for at once.
const HEADS_AT_ONCE: usize = 16;

/// An object as it was when the job was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

/// Objects and the prefix below which names such as `country=ZA` are columns.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) objects: Vec<Object>,
    pub(crate) base: String,
}

/// A key as it is: the usual conversion would encode what has a meaning in URLs, and is left to keys that are none.
pub(crate) fn path(key: &str) -> Path {
    Path::parse(key).unwrap_or_else(|_| Path::from(key))
}

fn object(meta: ObjectMeta) -> Object {
    Object { key: meta.location.to_string(), bytes: meta.size, etag: meta.e_tag }
}

const MATCHING: MatchOptions = MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The objects of a key.
pub(crate) async fn find(bucket: &Bucket, key: &str) -> Result<Found, Failure> {
    let what = bucket.named(key);
    let is_pattern = key.contains(['*', '?', '[']);
    if !is_pattern && !key.ends_with('/') && !key.is_empty() {
        match bucket.store.head(&path(key)).await {
            Ok(meta) => return Ok(Found { base: key.to_owned(), objects: vec![object(meta)] }),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error::store(&error, &what)),
        }
    }
    let base = base(key);
    if !is_pattern {
        let commits = manifest::commits(bucket, &base).await?;
        if !commits.is_empty() {
            return committed(bucket, base, &commits).await;
        }
    }
    let pattern = match is_pattern {
        true => Some(
            Pattern::new(key)
                .map_err(|error| Failure::new(Code::ConnectorConfig, format!("the pattern is not valid: {}", error.msg)).at("/key"))?,
        ),
        false => None,
    };
    let objects = list(bucket, &base, pattern.as_ref(), &what).await?;
    if objects.is_empty() {
        return Err(Failure::new(Code::ConnectorMissing, format!("there is no object at {what}")).at("/key"));
    }
    Ok(Found { objects, base })
}

/// What commits say; a prefix on which all commits are empty has no rows.
async fn committed(bucket: &Bucket, base: String, commits: &[manifest::Numbered]) -> Result<Found, Failure> {
    let parts = manifest::visible(commits);
    check_count(parts.len())?;
    let known = |part: manifest::Part| async move {
        if part.etag.is_some() {
            return Ok(Object { key: part.key, bytes: part.bytes, etag: part.etag });
        }
        let what = bucket.named(&part.key);
        bucket.store.head(&path(&part.key)).await.map(object).map_err(|error| error::store(&error, &what))
    };
    let mut objects: Vec<Object> = stream::iter(parts).map(known).buffered(HEADS_AT_ONCE).try_collect().await?;
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Found { objects, base })
}

async fn list(bucket: &Bucket, base: &str, pattern: Option<&Pattern>, what: &Named) -> Result<Vec<Object>, Failure> {
    let prefix = (!base.is_empty()).then(|| path(base));
    let mut listed = bucket.store.list(prefix.as_ref());
    let mut objects = Vec::new();
    let mut seen = 0;
    while let Some(meta) = listed.try_next().await.map_err(|error| error::store(&error, what))? {
        seen += 1;
        if seen > LISTED_MAX {
            return Err(Failure::new(Code::ConnectorConfig, format!("more than {LISTED_MAX} objects below {what}")).at("/key"));
        }
        let key = meta.location.as_ref();
        let below = key.strip_prefix(base).unwrap_or(key);
        // As Spark does: what begins with `.` or `_` is not data, but a partition's name may.
        let is_hidden = below.split('/').any(|part| part.starts_with('.') || (part.starts_with('_') && !part.contains('=')));
        if !is_hidden && meta.size > 0 && pattern.is_none_or(|pattern| pattern.matches_with(key, MATCHING)) {
            objects.push(object(meta));
            check_count(objects.len())?;
        }
    }
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(objects)
}

fn check_count(count: usize) -> Result<(), Failure> {
    if count > OBJECTS_MAX {
        return Err(Failure::new(Code::ConnectorConfig, format!("the key names more than {OBJECTS_MAX} objects")).at("/key"));
    }
    Ok(())
}

/// The part of a key in front of the first pattern, up to a `/`.
fn base(key: &str) -> String {
    match key.find(['*', '?', '[']) {
        Some(end) => key.get(..end).and_then(|front| front.rsplit_once('/')).map_or("", |(front, _)| front).to_owned(),
        None => key.trim_end_matches('/').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn a_pattern_begins_behind_its_base() {
        assert_eq!(base("a/b*/c.csv"), "a");
        assert_eq!(base("*.csv"), "");
        assert_eq!(base("a/b/"), "a/b");
        assert_eq!(base("a/b/x[0-9].json"), "a/b");
    }
}
