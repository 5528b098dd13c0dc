//! One object on its way to the store: whole where it is small, else in pieces.

use crate::connector::Bucket;
use crate::error::{self, Named};
use crate::listing::path;
use crate::manifest::Part;
use azora_spec::Failure;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// Bytes of one piece of an upload; S3 takes no smaller ones but the last.
pub(super) const PIECE_BYTES: usize = 8 << 20;

/// An object that is being made. A drop gives up its pieces.
#[derive(Debug)]
pub(super) struct Upload {
    store: Arc<dyn ObjectStore>,
    key: String,
    what: Named,
    open: Option<Box<dyn MultipartUpload>>,
    bytes: u64,
}

impl Upload {
    pub(super) fn new(bucket: &Bucket, key: String) -> Self {
        Self { store: Arc::clone(&bucket.store), what: bucket.named(&key), key, open: None, bytes: 0 }
    }

    /// Sends a piece.
    pub(super) async fn piece(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        self.bytes += bytes.len() as u64;
        let failed = |error: object_store::Error| error::store(&error, &self.what);
        if self.open.is_none() {
            self.open = Some(self.store.put_multipart(&path(&self.key)).await.map_err(failed)?);
        }
        match &mut self.open {
            Some(open) => open.put_part(bytes.into()).await.map_err(failed),
            None => Ok(()),
        }
    }

    /// Sends the rest, so that the object is there.
    pub(super) async fn finish(mut self, rest: Vec<u8>, rows: u64) -> Result<Part, Failure> {
        let what = self.what.clone();
        let failed = |error: object_store::Error| error::store(&error, &what);
        let mut etag = None;
        if self.open.is_some() {
            if !rest.is_empty() {
                self.piece(rest).await?;
            }
            if let Some(open) = &mut self.open {
                // What stores say of an object that was made of pieces is not the same everywhere.
                open.complete().await.map_err(failed)?;
            }
            self.open = None;
        } else {
            self.bytes += rest.len() as u64;
            etag = self.store.put(&path(&self.key), rest.into()).await.map_err(failed)?.e_tag;
        }
        Ok(Part { key: std::mem::take(&mut self.key), rows, bytes: self.bytes, etag })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(mut open), Ok(runtime)) = (self.open.take(), tokio::runtime::Handle::try_current()) else { return };
        let what = self.what.clone();
        runtime.spawn(async move {
            if let Err(error) = open.abort().await {
                tracing::info!(%error, %what, "an unfinished upload is left to the bucket's own rules");
            }
        });
    }
}
