//! Where a job's rows come from: inline JSON, a dataset, files below a root, or a connector.

mod arrow_file;
mod avro_file;
mod conditions;
#[cfg(test)]
mod conformance;
mod file;
mod folders;
pub(crate) mod inline;
mod others;
mod parquet;
mod scan;
mod text;
mod whole;

pub(crate) use parquet::{Footers, late_texts};

use crate::files::{DATA_ROOT, Files};
use crate::pins::{DatasetPin, FilePin, InputPins, SplitPin};
use crate::plan::sql;
use crate::relation::{PlanContext, Read, Relation};
use crate::{Catalog, DatasetEntry, Error, Options, failure_of, guests};
use azora_connect::element::Element;
use azora_connect::{Connector as _, Half, Registry, Split, bad};
use azora_spec::{Code, DatasetName, Failure, FileFormat, FrameStep, Input, JobSpec, OnError, Operation};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Fields, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlanBuilder;
use folders::{Folders, WithFolders};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Inline rows up to this number stay in one partition where the job does not ask for more: starting a second one costs
/// more than it saves.
const ONE_PARTITION_ROWS_MAX: usize = 1024;

/// Most columns of a source, those inside of structs counted. Planning takes more than linear time in them.
pub(crate) const COLUMNS_MAX: usize = 10_000;

/// What reading needs of the engine.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) files: &'a Arc<Files>,
    pub(crate) registry: &'a Registry,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) options: &'a Options,
    /// Where connectors of plugins come from.
    pub(crate) guests: &'a PlanContext,
}

/// A failure to reach or to enter a server, with what was wanted there: connectors name the server, and the object where
/// they come as far as that. Labels hold no secret.
pub(crate) fn wanting(failure: Failure, label: &str) -> Failure {
    let object = label.rsplit('/').next().unwrap_or_default();
    let is_about = matches!(failure.code, Code::ConnectorUnavailable | Code::ConnectorDenied | Code::ConnectorMissing);
    let failure = match (failure.code, &failure.hint) {
        (Code::ConnectorUnavailable, None) => failure.hint("check host and port, and that the server runs and may be reached from here"),
        _ => failure,
    };
    if !is_about || object.is_empty() || failure.message.contains(object) {
        return failure;
    }
    Failure { message: format!("{} (for {label})", failure.message), ..failure }
}

/// Partitions that a job aims at.
pub(crate) fn parallelism(spec: &JobSpec, catalog: &dyn Catalog, default: usize) -> usize {
    let shows_partitions = |operation: &Operation| {
        matches!(operation, Operation::Glom | Operation::Repartition(_) | Operation::Coalesce(_) | Operation::MapPartitions(_))
    };
    let is_small = |input: &Input| matches!(input, Input::Inline(rows) if rows.len() <= ONE_PARTITION_ROWS_MAX);
    let is_easy = |operation: &Operation| match operation {
        Operation::Combine { other, .. } => is_small(&other.input) && !other.operations.iter().any(shows_partitions),
        Operation::Frame(frame) => frame.steps.iter().filter_map(FrameStep::other).all(is_small),
        // What is wrong with a text is said where it is planned.
        Operation::Sql(query) => sql::inputs(query, catalog).is_ok_and(|inputs| inputs.iter().all(|(input, _)| is_small(input))),
        operation => !shows_partitions(operation),
    };
    match spec.options.parallelism {
        Some(parallelism) => parallelism.max(1),
        None if is_small(&spec.input) && spec.operations.iter().all(is_easy) => 1,
        None => default.max(1),
    }
}

/// Whether a source of this type is read by the engine itself: `file`, or a format's name.
pub(crate) fn is_file(connector: &str) -> bool {
    connector == "file" || FileFormat::parse(connector).is_ok()
}

/// The members of a source's configuration that say what happens to records that are no rows; the engine reads them itself.
pub(crate) const BAD_RECORDS: [&str; 2] = ["badRecords", "deadLetters"];

/// What is the connector's own of a source's configuration, what happens to records that are no rows, and where they are kept.
type Told = (Map<String, Value>, OnError, Option<DatasetName>);

/// A source's configuration without the members that say what happens to records that are no rows, and these.
pub(crate) fn bad_records(config: &Map<String, Value>) -> Result<Told, Failure> {
    let mut config = config.clone();
    let [policy, name] = BAD_RECORDS.map(|name| config.shift_remove(name).filter(|value| !value.is_null()));
    let policy = match policy {
        None => OnError::Fail,
        Some(word) => bad::policy(word.as_str().unwrap_or_default())?,
    };
    let name = match name {
        None => None,
        Some(Value::String(name)) => Some(name.parse().map_err(|failure: Failure| failure.at("/deadLetters"))?),
        Some(_) => return Err(Failure::new(Code::ConnectorConfig, "'deadLetters' is the name of a dataset").at("/deadLetters")),
    };
    Ok((config, policy, name))
}

/// JSON Schema of a file source.
pub(crate) fn file_schema() -> Value {
    file::schema()
}

/// What is wrong with the configuration of a file source, without looking at files.
pub(crate) fn file_fault(config: &Map<String, Value>) -> Option<Failure> {
    bad_records(config).and_then(|(config, ..)| file::Config::read("file", &config)).err()
}

/// Whether a name ends as files of a known format do.
pub(crate) fn has_format(name: &str) -> bool {
    file::by_extension(name).is_some()
}

/// The type of a word in a request's schema.
pub(crate) fn type_of_word(word: &str) -> Option<DataType> {
    file::data_type(word)
}

/// The input with "the last dataset" replaced by its name.
pub(crate) fn resolve(catalog: &dyn Catalog, input: &Input) -> Result<Input, Failure> {
    match input {
        Input::LastDataset => last(catalog).map(Input::Dataset),
        other => Ok(other.clone()),
    }
}

fn last(catalog: &dyn Catalog) -> Result<DatasetName, Failure> {
    catalog.last_dataset().ok_or_else(|| {
        Failure::new(Code::DatasetNone, "the request has no data, and no dataset was made yet")
            .hint("give 'data', 'dataset' or 'source', or call POST /ingest first")
    })
}

impl Inputs<'_> {
    /// A job's first rows as a plan, and what was decided about them.
    pub(crate) async fn of_job(
        &self,
        spec: &JobSpec,
        state: &SessionState,
        pins: Option<&InputPins>,
    ) -> Result<(Relation, InputPins), Failure> {
        if let (Input::Inline(rows), [Operation::Frame(frame), ..]) = (&spec.input, spec.operations.as_slice()) {
            let rows = match &frame.schema {
                Some(columns) => inline::typed(rows, columns)?,
                None => inline::with_timestamps(inline::batch(rows, false)?)?,
            };
            return Ok((self.in_partitions(rows, state)?, InputPins::Inline));
        }
        self.relation(&spec.input, inline::wants_pairs(&spec.operations), state, pins).await
    }

    /// The rows of an input as a plan, and what was decided about them. `pairs` is about rows in the request, see
    /// [`inline::batch`].
    pub(crate) async fn relation(
        &self,
        input: &Input,
        pairs: bool,
        state: &SessionState,
        pins: Option<&InputPins>,
    ) -> Result<(Relation, InputPins), Failure> {
        match input {
            Input::Inline(rows) => Ok((self.inline(rows, pairs, state)?, InputPins::Inline)),
            Input::Dataset(name) => self.dataset(name, state, pins).await,
            // What was the last dataset when the job was planned may not be it any more.
            Input::LastDataset if matches!(pins, Some(InputPins::Dataset(_))) => {
                let pinned = pins.and_then(InputPins::dataset_name).ok_or(Error::Damaged { what: "the pins of a job" })?;
                self.dataset(&pinned, state, pins).await
            }
            Input::LastDataset => self.dataset(&last(self.catalog)?, state, pins).await,
            Input::Source { connector, config } if is_file(connector) => {
                let (config, bad) = self.tolerated(config)?;
                let config = file::Config::read(connector, &config)?;
                let files = match pins {
                    Some(InputPins::Files { files }) => files.clone(),
                    _ => file::find(self.files, &config, self.options.files_max)?,
                };
                let relation = self.files_relation(&config, files.clone(), bad, state).await?;
                Ok((relation, InputPins::Files { files }))
            }
            Input::Source { connector, config } => {
                let (config, bad) = self.tolerated(config)?;
                let (source, from) = if connector == guests::PLUGIN {
                    let (guest, config) = self.guests.guest(Half::Source, &config).await?;
                    (guest.source(&config).await.map_err(guests::inside_config)?, guest.label(&config))
                } else {
                    let found = self.registry.get(connector)?;
                    let label = found.label(&config);
                    (found.source(&config).await.map_err(|failure| wanting(failure, &label))?, label)
                };
                if !source.is_bounded() {
                    let message = format!("'{connector}' never ends, so a job cannot read all of it");
                    return Err(Failure::new(Code::ConnectorConfig, message)
                        .hint("say where it ends: by 'maxRows' or 'maxMs', or without 'follow'"));
                }
                let parallelism = state.config().target_partitions();
                let splits = match pins {
                    Some(InputPins::Splits { splits }) => {
                        splits.iter().map(|pin| Split { payload: pin.payload.clone(), rows: pin.rows }).collect()
                    }
                    _ => source.plan(parallelism).await?,
                };
                let pinned = InputPins::Splits {
                    splits: splits.iter().map(|split| SplitPin { payload: split.payload.clone(), rows: split.rows }).collect(),
                };
                self.guests.keep_read(Read { source: Arc::clone(&source), splits: splits.clone() });
                let table = scan::SourceTable::new(source, splits, parallelism, scan::Place::Network);
                Ok((table.with_bad_records(bad, connector).read_from(&from).relation(state)?, pinned))
            }
        }
    }

    /// The connector's own configuration, and what happens to bad records, which the job remembers.
    fn tolerated(&self, config: &Map<String, Value>) -> Result<(Map<String, Value>, OnError), Failure> {
        let (config, policy, name) = bad_records(config)?;
        self.guests.tolerance.lock().note(policy, name).map_err(|failure| failure.at("/deadLetters"))?;
        Ok((config, policy))
    }

    fn inline(&self, rows: &[Value], pairs: bool, state: &SessionState) -> Result<Relation, Failure> {
        self.in_partitions(inline::batch(rows, pairs)?, state)
    }

    fn in_partitions(&self, (schema, batch): (SchemaRef, RecordBatch), state: &SessionState) -> Result<Relation, Failure> {
        let partitions = inline::split(&batch, state.config().target_partitions());
        let table = MemTable::try_new(batch.schema(), partitions).map_err(failure_of)?;
        relation(state, Arc::new(table), Element::of(&schema))
    }

    async fn dataset(&self, name: &DatasetName, state: &SessionState, pins: Option<&InputPins>) -> Result<(Relation, InputPins), Failure> {
        let pin = match pins {
            Some(InputPins::Dataset(pin)) => pin.clone(),
            _ => self.pin_dataset(&self.catalog.dataset(name)?)?,
        };
        let relation = self.parquet(pin.files.clone(), Folders::default(), state).await?;
        Ok((relation, InputPins::Dataset(pin)))
    }

    fn pin_dataset(&self, entry: &DatasetEntry) -> Result<DatasetPin, Failure> {
        pin_dataset(self.files, entry)
    }

    async fn files_relation(
        &self,
        config: &file::Config,
        files: Vec<FilePin>,
        bad: OnError,
        state: &SessionState,
    ) -> Result<Relation, Failure> {
        let format = config.format_of(&files)?;
        let folders = Folders::of(self.files, config, &files)?;
        let read = match format {
            FileFormat::Parquet => self.parquet(files, folders, state).await?,
            FileFormat::Arrow => {
                let source = blocking(arrow_file::ArrowSource::new(Arc::clone(self.files), files)).await?;
                self.local(WithFolders::new(source, folders)?, OnError::Fail, state).await?
            }
            FileFormat::Avro => {
                let source = blocking(avro_file::AvroSource::new(Arc::clone(self.files), files)).await?;
                self.local(WithFolders::new(source, folders)?, OnError::Fail, state).await?
            }
            FileFormat::Json | FileFormat::Ndjson | FileFormat::Csv | FileFormat::Text => {
                let settings = text::Settings::new(config, format, self.options).with_bad_records(bad).without(&folders.fields);
                let source = blocking(text::TextSource::new(Arc::clone(self.files), files, settings)).await?;
                self.local(WithFolders::new(source, folders)?, bad, state).await?
            }
        };
        config.select(read)
    }

    async fn local(&self, source: impl azora_connect::Source + 'static, bad: OnError, state: &SessionState) -> Result<Relation, Failure> {
        let parallelism = state.config().target_partitions();
        let source: Arc<dyn azora_connect::Source> = Arc::new(source);
        let splits = source.plan(parallelism).await?;
        scan::SourceTable::new(source, splits, parallelism, scan::Place::Local).with_bad_records(bad, "file").relation(state)
    }

    async fn parquet(&self, files: Vec<FilePin>, folders: Folders, state: &SessionState) -> Result<Relation, Failure> {
        let table = blocking(parquet::ParquetTable::new(Arc::clone(self.files), files, folders)).await?;
        let element = table.element();
        relation(state, Arc::new(table), element)
    }
}

/// A dataset's version with its files.
fn pin_dataset(files: &Arc<Files>, entry: &DatasetEntry) -> Result<DatasetPin, Failure> {
    let damaged = || Failure::from(Error::Damaged { what: "the catalog's entry of a dataset" });
    let version = entry.directory.file_name().and_then(|name| name.to_str()).ok_or_else(damaged)?;
    let directory = crate::sink::dataset::directory(entry.name.as_str(), version);
    let pin = |file: &String| file::pin(files, DATA_ROOT, &format!("{directory}/{file}"));
    let files = entry.files.iter().map(pin).collect::<Result<_, _>>()?;
    Ok(DatasetPin { name: entry.name.to_string(), version: version.to_owned(), files })
}

/// The columns of a dataset, with what an element is; none where it has no file.
pub(crate) fn dataset_schema(files: &Arc<Files>, entry: &DatasetEntry) -> Result<SchemaRef, Failure> {
    let pin = pin_dataset(files, entry)?;
    // Where files do not fit one another, reading the dataset says so; the columns of the first one are those that it has.
    let all = parquet::schema(files, &pin.files).or_else(|_| parquet::schema(files, pin.files.get(..1).unwrap_or_default()));
    all.map(Arc::new)
}

/// Runs work that reads files where it may wait. A panic of a reader over broken input becomes a failure.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading the head of a file ended early");
        Err(Failure::new(Code::FileFormat, "a file is damaged"))
    })
}

/// Refuses more columns than planning can bear.
fn check_width(fields: &Fields) -> Result<(), Failure> {
    if flat_count(fields) > COLUMNS_MAX {
        return Err(Failure::new(
            Code::DataInvalid,
            format!("the rows have more than {COLUMNS_MAX} columns, those inside of objects counted"),
        ));
    }
    Ok(())
}

fn flat_count(fields: &Fields) -> usize {
    let inside = |of: &DataType| match of {
        DataType::Struct(fields) => flat_count(fields),
        DataType::List(item) | DataType::LargeList(item) => flat_count(&Fields::from(vec![Arc::clone(item)])),
        _ => 0,
    };
    fields.iter().map(|field| 1 + inside(field.data_type())).sum()
}

/// A table's rows as elements.
fn relation(state: &SessionState, table: Arc<dyn TableProvider>, element: Element) -> Result<Relation, Failure> {
    let schema = element.schema(table.schema().fields().clone());
    check_width(schema.fields())?;
    let plan =
        LogicalPlanBuilder::scan("input", provider_as_source(table), None).and_then(LogicalPlanBuilder::build).map_err(failure_of)?;
    Ok(Relation { frame: DataFrame::new(state.clone(), plan), schema })
}
