//! What a writer's token says: the objects that it made, or the object that lists them where they are many.

use crate::connector::Bucket;
use crate::error;
use crate::listing::path;
use crate::manifest::Part;
use azora_connect::Token;
use azora_spec::Failure;
use object_store::ObjectStoreExt as _;
use serde::{Deserialize, Serialize};

/// Longest token that holds its objects itself.
const INLINE_BYTES_MAX: usize = 48 << 10;
/// Where lists of objects are, below the prefix. A commit or an abort removes them.
const FOLDER: &str = "_azora/prepared";

/// What one writer prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Prepared {
    /// No object.
    Nothing,
    /// One.
    One(Part),
    /// Several.
    Many {
        /// The objects.
        parts: Vec<Part>,
    },
    /// So many that they stand in an object.
    Listed {
        /// Its key.
        list: String,
    },
}

impl Prepared {
    pub(super) fn of(mut parts: Vec<Part>) -> Self {
        match (parts.len(), parts.pop()) {
            (1, Some(part)) => Self::One(part),
            (_, None) => Self::Nothing,
            (_, Some(last)) => {
                parts.push(last);
                Self::Many { parts }
            }
        }
    }

    /// The token; what it cannot hold is written below the prefix.
    pub(super) async fn token(self, bucket: &Bucket, prefix: &str, name: &str) -> Result<Token, Failure> {
        let text = |prepared: &Self| serde_json::to_string(prepared).map_err(|_| error::internal("a token is JSON"));
        let token = text(&self)?;
        if token.len() <= INLINE_BYTES_MAX {
            return Ok(Token(token));
        }
        let list = format!("{prefix}/{FOLDER}/{name}");
        let what = bucket.named(&list);
        bucket.store.put(&path(&list), token.into_bytes().into()).await.map_err(|error| error::store(&error, &what))?;
        text(&Self::Listed { list }).map(Token)
    }

    /// The objects that tokens name.
    pub(super) async fn parts(bucket: &Bucket, tokens: &[Token]) -> Result<Vec<Part>, Failure> {
        let foreign = || error::internal("a token that this sink did not make");
        let mut parts = Vec::new();
        for token in tokens {
            let mut prepared: Self = serde_json::from_str(&token.0).map_err(|_| foreign())?;
            if let Self::Listed { list } = &prepared {
                let what = bucket.named(list);
                let failed = |error: object_store::Error| error::store(&error, &what);
                let bytes = bucket.store.get(&path(list)).await.map_err(failed)?.bytes().await.map_err(failed)?;
                prepared = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
            }
            match prepared {
                Self::Nothing => {}
                Self::One(part) => parts.push(part),
                Self::Many { parts: many } => parts.extend(many),
                Self::Listed { .. } => return Err(foreign()),
            }
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::Prepared;
    use crate::manifest::Part;

    #[test]
    fn tokens_come_back() {
        let part = |key: &str| Part { key: key.to_owned(), rows: 1, bytes: 2, etag: None };
        for parts in [vec![], vec![part("a")], vec![part("a"), part("b")]] {
            let prepared = Prepared::of(parts);
            let text = serde_json::to_string(&prepared).unwrap();
            assert_eq!(serde_json::from_str::<Prepared>(&text).unwrap(), prepared, "{text}");
        }
        // As they were written before there were folders.
        assert_eq!(serde_json::from_str::<Prepared>("null").unwrap(), Prepared::Nothing);
        assert_eq!(serde_json::from_str::<Prepared>(r#"{"key":"a","rows":1,"bytes":2}"#).unwrap(), Prepared::One(part("a")));
    }
}
