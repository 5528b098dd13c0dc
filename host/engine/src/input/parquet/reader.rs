//! Reads the bytes of pinned Parquet files: each file is opened once, footers are not read again, and a file that was
//! changed after the job had been planned is never mixed with what it was.

use super::footers::Footer;
use crate::files::Files;
use crate::pins::FilePin;
use azora_spec::Failure;
use bytes::Bytes;
use datafusion::common::{Result, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

/// Makes readers of the files of one table.
#[derive(Debug)]
pub(super) struct PinnedReaders {
    files: Arc<Files>,
    by_path: HashMap<Path, (FilePin, Arc<Footer>)>,
}

impl PinnedReaders {
    pub(super) fn new(files: Arc<Files>) -> Self {
        Self { files, by_path: HashMap::new() }
    }

    pub(super) fn add(&mut self, path: Path, pin: FilePin, footer: Arc<Footer>) {
        self.by_path.insert(path, (pin, footer));
    }
}

impl ParquetFileReaderFactory for PinnedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let Some((pin, footer)) = self.by_path.get(&file.object_meta.location) else {
            return internal_err!("a file that was not planned");
        };
        let place = Place { files: Arc::clone(&self.files), pin: pin.clone(), opened: OnceLock::new() };
        let read = MetricBuilder::new(metrics).counter("bytes_scanned", partition);
        Ok(Box::new(PinnedReader { place: Arc::new(place), footer: Arc::clone(footer), read }))
    }
}

/// One file, opened when it is read first.
#[derive(Debug)]
struct Place {
    files: Arc<Files>,
    pin: FilePin,
    opened: OnceLock<File>,
}

impl Place {
    fn file(&self) -> Result<&File, Failure> {
        if self.opened.get().is_none() {
            let file = crate::input::file::open(&self.files, &self.pin)?;
            // Two that come at the same time opened the same file.
            drop(self.opened.set(file));
        }
        self.opened.get().ok_or_else(|| crate::Error::Broken("an opened file").into())
    }

    fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure> {
        let file = self.file()?;
        let read = ranges.iter().map(|range| self.read_one(file, range)).collect::<io::Result<Vec<_>>>();
        let read = read.map_err(|error| crate::error::io_failure(&error))?;
        // Written in place while it was read, it would be neither the one nor the other.
        crate::input::file::check(file, &self.pin)?;
        Ok(read)
    }

    fn read_one(&self, file: &File, range: &Range<u64>) -> io::Result<Bytes> {
        // The place comes from the file's own footer: it must lie inside the file before memory is taken for it.
        if range.start > range.end || range.end > self.pin.bytes {
            return Err(io::Error::other(Failure::new(
                azora_spec::Code::FileFormat,
                format!("'{}' says that rows lie outside of it", self.pin.path.escape_debug()),
            )));
        }
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }
}

/// Reads one file.
struct PinnedReader {
    place: Arc<Place>,
    footer: Arc<Footer>,
    read: Count,
}

impl AsyncFileReader for PinnedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut read = self.get_byte_ranges(vec![range]).await?;
            read.pop().ok_or_else(|| ParquetError::General("one range was read".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.read.add(usize::try_from(bytes).unwrap_or(usize::MAX));
        let place = Arc::clone(&self.place);
        async move {
            match tokio::task::spawn_blocking(move || place.read(&ranges)).await {
                Ok(read) => read.map_err(|failure| ParquetError::External(Box::new(failure))),
                Err(_) => Err(ParquetError::General("reading was interrupted".to_owned())),
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(&'a mut self, _: Option<&'a ArrowReaderOptions>) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let metadata = Arc::clone(&self.footer.metadata);
        async move { Ok(metadata) }.boxed()
    }
}
