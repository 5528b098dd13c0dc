//! A root as an object store, for the readers of DataFusion. Reading only: writers work on the directory itself.

use super::Root;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A read-only view of one root.
#[derive(Debug)]
pub(crate) struct RootStore {
    root: Root,
}

impl RootStore {
    pub(crate) const fn new(root: Root) -> Self {
        Self { root }
    }
}

impl fmt::Display for RootStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.url.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for RootStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let root = self.root.clone();
        let location = location.clone();
        let path = location.clone();
        let (file, meta) = blocking(&path, move || open(&root, &location)).await?;
        let range = match &options.range {
            None => 0..meta.size,
            Some(GetRange::Bounded(range)) => range.start.min(meta.size)..range.end.min(meta.size),
            Some(GetRange::Offset(start)) => (*start).min(meta.size)..meta.size,
            Some(GetRange::Suffix(bytes)) => meta.size.saturating_sub(*bytes)..meta.size,
        };
        options.check_preconditions(&meta)?;
        let payload = GetResultPayload::File(file, path.as_ref().into());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let root = self.root.clone();
        let path = location.clone();
        let ranges = ranges.to_vec();
        blocking(location, move || {
            let (file, meta) = open(&root, &path)?;
            ranges.iter().map(|range| read(&file, &meta, range)).collect()
        })
        .await
    }

    async fn put_opts(&self, location: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only(location))
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only(location))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|location| Err(read_only(&location?))).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::iter([Err(Error::NotImplemented { operation: "list".to_owned(), implementer: self.to_string() })]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotImplemented { operation: "list".to_owned(), implementer: self.to_string() })
    }

    async fn copy_opts(&self, from: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only(from))
    }
}

/// Runs on a thread that may wait for a disk.
async fn blocking<T: Send + 'static>(path: &Path, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            Error::NotFound { path: path.to_string(), source: Box::new(source) }
        } else {
            Error::Generic { store: "root", source: Box::new(source) }
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(failed(io::Error::other("reading was interrupted"))),
    }
}

fn open(root: &Root, location: &Path) -> io::Result<(File, ObjectMeta)> {
    let file = root.open_beneath(location.as_ref())?;
    let metadata = file.metadata()?;
    let last_modified = metadata.modified().map_or_else(|_| DateTime::<Utc>::default(), DateTime::<Utc>::from);
    let meta = ObjectMeta { location: location.clone(), last_modified, size: metadata.len(), e_tag: None, version: None };
    Ok((file, meta))
}

fn read(file: &File, meta: &ObjectMeta, range: &Range<u64>) -> io::Result<Bytes> {
    // The length comes from a file's own footer: it must lie inside the file before memory is taken for it.
    if range.start > range.end || range.end > meta.size {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a range lies outside of the file"));
    }
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

fn read_only(path: &Path) -> Error {
    Error::NotSupported { source: format!("'{path}' is read only").into() }
}
