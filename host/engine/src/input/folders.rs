//! Columns that stand in the names of folders (`country=ZA/…`), beside those in the files of any format; positions and the
//! sizes of batches, which are the same for all formats.

use super::file::Config;
use crate::Error;
use crate::files::{Files, base_of};
use crate::pins::FilePin;
use async_trait::async_trait;
use azora_connect::element::{ELEMENT_KEY, Element};
use azora_connect::{Outcome, Position, ReadRequest, Reader, Source, Split, hive, rows_within};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// The columns of the folders, and their values for each file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folders {
    pub(crate) fields: Vec<Field>,
    values: Vec<Vec<Option<String>>>,
}

impl Folders {
    /// What the folders below the configured paths say.
    pub(crate) fn of(files: &Files, config: &Config, pins: &[FilePin]) -> Result<Self, Failure> {
        let bases: Vec<String> = config.paths.iter().filter_map(|path| files.locate(path).ok()).map(|at| base_of(&at.path)).collect();
        let below = |pin: &FilePin| {
            // The longest of them that the file lies below; a file that was named itself lies below none.
            let base = bases.iter().filter(|base| pin.path.strip_prefix(base.as_str()).is_some_and(|rest| !rest.is_empty()));
            base.max_by_key(|base| base.len()).and_then(|base| pin.path.get(base.len()..)).unwrap_or_default().to_owned()
        };
        let keys: Vec<String> = pins.iter().map(below).collect();
        let fields = hive::columns(keys.iter().map(String::as_str), "").map_err(|failure| failure.at("/path"))?;
        let values = keys.iter().map(|key| hive::pairs(key, "").into_iter().map(|(_, value)| value).collect()).collect();
        Ok(Self { fields, values })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The columns of the files, then those of the folders.
    pub(crate) fn beside(&self, inner: &Schema) -> Result<SchemaRef, Failure> {
        if self.is_empty() {
            return Ok(Arc::new(inner.clone()));
        }
        let refused = |message: String| Failure::new(Code::FileFormat, message).at("/path");
        if Element::of(inner) != Element::Object {
            return Err(refused("folders name columns, but the rows are no objects".to_owned()));
        }
        if let Some(twice) = self.fields.iter().find(|field| inner.field_with_name(field.name()).is_ok()) {
            return Err(refused(format!("'{}' is a column of the rows and of the folders", twice.name().escape_debug())));
        }
        let fields: Vec<Field> = inner.fields().iter().map(|field| field.as_ref().clone()).chain(self.fields.iter().cloned()).collect();
        let mut metadata = inner.metadata().clone();
        metadata.insert(ELEMENT_KEY.to_owned(), Element::Object.as_str().to_owned());
        Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
    }

    /// The values of a file, for plans.
    pub(crate) fn scalars(&self, file: usize) -> Vec<ScalarValue> {
        let value = |(field, value): (&Field, &Option<String>)| match field.data_type() {
            DataType::Int64 => ScalarValue::Int64(value.as_ref().and_then(|text| text.parse().ok())),
            _ => ScalarValue::Utf8(value.clone()),
        };
        self.fields.iter().zip(self.values.get(file).map(Vec::as_slice).unwrap_or_default()).map(value).collect()
    }
}

/// A source whose splits are each of one file.
pub(crate) trait OfFiles: Source {
    /// The number of a split's file.
    fn file_of(&self, split: &Split) -> Option<usize>;
}

/// Files and their folders as one source.
#[derive(Debug)]
pub(crate) struct WithFolders<S> {
    inner: S,
    folders: Arc<Folders>,
    schema: SchemaRef,
}

impl<S: OfFiles> WithFolders<S> {
    pub(crate) fn new(inner: S, folders: Folders) -> Result<Self, Failure> {
        let schema = folders.beside(&inner.schema())?;
        Ok(Self { inner, folders: Arc::new(folders), schema })
    }
}

#[async_trait]
impl<S: OfFiles> Source for WithFolders<S> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    async fn plan(&self, parallelism: usize) -> Result<Vec<Split>, Failure> {
        self.inner.plan(parallelism).await
    }

    async fn open(&self, split: &Split, position: Option<&Position>, mut request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        let file = self.inner.file_of(split).ok_or_else(|| Failure::new(Code::Internal, "a split that this source did not make"))?;
        let own = self.schema.fields().len() - self.folders.fields.len();
        let wanted = request.projection.take().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        request.projection = Some(wanted.iter().copied().filter(|at| *at < own).collect());
        let schema = Arc::new(self.schema.project(&wanted).map_err(|error| crate::error::arrow_failure(&error))?);
        let mut next = 0;
        let columns = wanted
            .into_iter()
            .map(|at| match at.checked_sub(own) {
                Some(folder) => Column::Folder(folder),
                None => {
                    next += 1;
                    Column::Own(next - 1)
                }
            })
            .collect();
        let foreign = |_| Failure::new(Code::Internal, "a position that this source did not make");
        let skip = position.map(|position| position.0.parse().map_err(foreign)).transpose()?.unwrap_or(0);
        let (rows_max, bytes_max) = (request.batch_rows, request.batch_bytes);
        let inner = self.inner.open(split, None, request).await?;
        let (folders, rest) = (Arc::clone(&self.folders), None);
        Ok(Box::new(FolderReader { inner, folders, file, columns, schema, skip, at: skip, rest, rows_max, bytes_max }))
    }
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Own(usize),
    Folder(usize),
}

#[derive(Debug)]
struct FolderReader {
    inner: Box<dyn Reader>,
    folders: Arc<Folders>,
    file: usize,
    columns: Vec<Column>,
    schema: SchemaRef,
    /// Rows that are still to be passed over, since they were given before.
    skip: u64,
    /// Rows given so far, which is the position.
    at: u64,
    /// The rest of a batch that was larger than asked for, and where it begins.
    rest: Option<(RecordBatch, usize)>,
    rows_max: usize,
    bytes_max: usize,
}

impl FolderReader {
    /// The rows at hand that are not given yet, as many as are wanted.
    fn part(&mut self) -> Option<(RecordBatch, Position)> {
        let (batch, from) = self.rest.take()?;
        let rows = rows_within(&batch, from, self.rows_max, self.bytes_max);
        if from + rows < batch.num_rows() {
            self.rest = Some((batch.clone(), from + rows));
        }
        self.at += rows as u64;
        Some((batch.slice(from, rows), Position(self.at.to_string())))
    }

    /// A batch of the files with the columns that are wanted.
    fn beside(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let rows = batch.num_rows();
        let column = |column: &Column| -> Option<ArrayRef> {
            match *column {
                Column::Own(at) => batch.columns().get(at).cloned(),
                Column::Folder(at) => {
                    let value = self.folders.values.get(self.file)?.get(at)?;
                    Some(hive::array(self.folders.fields.get(at)?, value.as_deref(), rows))
                }
            }
        };
        let columns = self.columns.iter().map(column).collect::<Option<Vec<_>>>().ok_or(Error::Broken("the columns of a source"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        batch.map_err(|error| crate::error::arrow_failure(&error))
    }
}

#[async_trait]
impl Reader for FolderReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        loop {
            if let Some((batch, position)) = self.part() {
                return Ok(Outcome::Batch(batch, position));
            }
            let batch = match self.inner.read().await? {
                Outcome::Batch(batch, _) => batch,
                other => return Ok(other),
            };
            let passed = batch.num_rows().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= passed as u64;
            if passed < batch.num_rows() {
                self.rest = Some((self.beside(&batch)?, passed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, file_sink, inline, job};
    use azora_spec::{Code, FileFormat, WriteMode};
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn folders_are_columns_of_every_format() {
        for format in [FileFormat::Csv, FileFormat::Ndjson, FileFormat::Parquet, FileFormat::Arrow, FileFormat::Avro] {
            let (bench, word) = (Bench::new(), format.as_str());
            for (folder, id) in
                [("country=PL/year=2024", 1), ("country=ZA/year=2024", 2), ("country=__HIVE_DEFAULT_PARTITION__/year=2025", 3)]
            {
                let rows = inline(json!([{"id": id, "s": "x"}, {"id": id * 10, "s": "y"}]));
                let sink = file_sink(&format!("t/{folder}/a.{word}"), format, WriteMode::ErrorIfExists);
                bench.run(&job(rows, Vec::new(), sink)).await.unwrap();
            }
            let expect = json!([
                {"id": 1, "s": "x", "country": "PL", "year": 2024}, {"id": 10, "s": "y", "country": "PL", "year": 2024},
                {"id": 2, "s": "x", "country": "ZA", "year": 2024}, {"id": 20, "s": "y", "country": "ZA", "year": 2024},
                {"id": 3, "s": "x", "country": null, "year": 2025}, {"id": 30, "s": "y", "country": null, "year": 2025},
            ]);
            let mut read = bench.read(json!({"path": "t", "format": word})).await.unwrap();
            read.as_array_mut().unwrap().sort_by_key(|row| row["id"].as_i64().map(|id| (id % 9, id)));
            assert_eq!(read, expect, "{word}");
            let two = bench.read(json!({"path": "t/*/year=2024/*", "columns": ["year", "id"]})).await.unwrap();
            assert_eq!(
                two,
                json!([{"year": 2024, "id": 1}, {"year": 2024, "id": 10}, {"year": 2024, "id": 2}, {"year": 2024, "id": 20}]),
                "{word}"
            );
            let one = bench.read(json!({"path": "t", "columns": ["country"], "format": word})).await.unwrap();
            assert_eq!(one.as_array().map(Vec::len), Some(6), "{word}");
            let typed = json!({"path": "t/country=PL", "columns": ["year"], "types": ["utf8"], "format": word});
            assert_eq!(bench.read(typed).await.unwrap(), json!(["2024", "2024"]), "{word}");
            let bare = bench.read(json!({"path": format!("t/country=PL/year=2024/a.{word}")})).await.unwrap();
            assert_eq!(bare, json!([{"id": 1, "s": "x"}, {"id": 10, "s": "y"}]), "{word}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn folders_that_do_not_fit_are_refused() {
        let bench = Bench::new();
        bench.put("a/x=1/f.csv", "id\n1\n");
        bench.put("a/y=1/f.csv", "id\n1\n");
        bench.put("b/id=1/f.csv", "id\n1\n");
        bench.put("c/x=1/f.ndjson", "1\n2\n");
        for path in ["a", "b", "c"] {
            let failure = bench.read(json!({"path": path})).await.unwrap_err();
            assert_eq!((failure.code, failure.pointer.as_deref()), (Code::FileFormat, Some("/path")), "{path}: {failure}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn avro_comes_back_and_damage_is_told() {
        let bench = Bench::new();
        let rows = json!([{"id": 1, "s": "a", "l": [1, 2], "o": {"x": 1.5}}, {"id": null, "s": null, "l": [], "o": {"x": null}}]);
        bench.run(&job(inline(rows.clone()), Vec::new(), file_sink("a.avro", FileFormat::Avro, WriteMode::ErrorIfExists))).await.unwrap();
        assert_eq!(bench.read(json!({"path": "a.avro"})).await.unwrap(), rows);
        let bytes = std::fs::read(bench.root().join("a.avro")).unwrap();
        for cut in [0, 3, bytes.len() / 2] {
            bench.put("cut.avro", &bytes[..cut]);
            assert_eq!(bench.read(json!({"path": "cut.avro"})).await.unwrap_err().code, Code::FileFormat, "{cut}");
        }
        bench.put("odd.avro", "nonsense");
        assert_eq!(bench.read(json!({"path": "odd.avro"})).await.unwrap_err().code, Code::FileFormat);
    }
}
