//! The dataset of a job's dead letters, and the one token that says what a run refused. The letters become visible with the
//! job's own rows, in the same record, or not at all.

use super::{Ledger, Letter, Refused};
use crate::catalog::Catalog;
use crate::files::Files;
use crate::sink::{dataset, part::PartToken};
use crate::{DatasetEntry, Error, input};
use azora_connect::element::Element;
use azora_connect::{Sink, Token, WriterId};
use azora_spec::{Code, DatasetName, Failure, JobId, OnError, WriteMode, limits};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The dataset of jobs whose own rows go to none.
const NAME: &str = "dead-letters";

/// What planning finds out about rows that may be left out.
#[derive(Debug, Default)]
pub(crate) struct Tolerance {
    /// Whether some may be left out at all.
    is_any: bool,
    /// Whether some are kept.
    is_keeping: bool,
    /// Where the request wants them, and where it says so.
    name: Option<DatasetName>,
}

impl Tolerance {
    pub(crate) const fn is_keeping(&self) -> bool {
        self.is_keeping
    }

    /// Notes what a source or the options say. Failures point into what said it.
    pub(crate) fn note(&mut self, policy: OnError, name: Option<DatasetName>) -> Result<(), Failure> {
        self.is_any |= policy != OnError::Fail;
        self.is_keeping |= policy == OnError::DeadLetter;
        let Some(name) = name else { return Ok(()) };
        if policy != OnError::DeadLetter {
            let failure = Failure::new(Code::RequestField, "'deadLetters' names a dataset, but nothing is kept there");
            return Err(failure.hint("say 'dead-letter' for 'badRecords' of a source, or for 'onError' of the options"));
        }
        match &self.name {
            Some(other) if *other != name => {
                let message = format!("the dead letters of a job go to one dataset, and '{other}' was named before");
                Err(Failure::new(Code::RequestField, message))
            }
            _ => {
                self.name = Some(name);
                Ok(())
            }
        }
    }
}

/// Where a job's dead letters go.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// None where rows are only counted.
    to: Option<(DatasetName, dataset::DatasetSink)>,
    letters_max: usize,
}

/// What the token says.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    part: Option<PartToken>,
    refused: Vec<Refused>,
}

impl Keeper {
    /// The keeper of a job; none where no row may be left out. `own` is the dataset that the job itself writes.
    pub(crate) fn new(
        tolerance: &Tolerance,
        own: Option<&DatasetName>,
        (files, catalog): (&Arc<Files>, &Arc<dyn Catalog>),
        letters_max: usize,
    ) -> Result<Option<Self>, Failure> {
        if !tolerance.is_any {
            return Ok(None);
        }
        if !tolerance.is_keeping {
            return Ok(Some(Self { to: None, letters_max }));
        }
        let name = match (&tolerance.name, own) {
            (Some(name), Some(own)) if name == own => {
                let failure = Failure::new(Code::RequestField, "the dead letters of a job cannot go where its rows go");
                return Err(failure.at("/options/deadLetters"));
            }
            (Some(name), _) => name.clone(),
            (None, Some(own)) => format!("{own}-{NAME}").parse().map_err(|failure: Failure| {
                failure.at("/options/deadLetters").hint("the name is made of the sink's; give 'deadLetters', a shorter one")
            })?,
            (None, None) => NAME.parse()?,
        };
        let sink = dataset::DatasetSink::new(Arc::clone(files), Arc::clone(catalog), name.clone(), WriteMode::Append);
        Ok(Some(Self { to: Some((name, sink)), letters_max }))
    }

    /// Whether the dataset, if it is there, holds dead letters.
    pub(crate) fn check(&self, files: &Arc<Files>, catalog: &dyn Catalog) -> Result<(), Failure> {
        let Some((name, _)) = &self.to else { return Ok(()) };
        let entry = match catalog.dataset(name) {
            Ok(entry) => entry,
            Err(failure) if failure.code == Code::DatasetUnknown => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let found = input::dataset_schema(files, &entry)?;
        let columns = |schema: &SchemaRef| -> Vec<(String, DataType)> {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        if columns(&found) == columns(&schema()) {
            return Ok(());
        }
        Err(Failure::new(Code::DatasetExists, format!("the dataset '{name}' is there already, and does not hold dead letters"))
            .at("/options/deadLetters")
            .hint("name another dataset in 'deadLetters'"))
    }

    /// The dataset's name, where there is one.
    pub(crate) fn name(&self) -> Option<&DatasetName> {
        self.to.as_ref().map(|(name, _)| name)
    }

    pub(crate) const fn letters_max(&self) -> usize {
        self.letters_max
    }

    /// Writes what a run refused and makes it durable, invisible as yet.
    pub(crate) async fn prepare(&self, ledger: &Ledger, job: JobId, attempt: u32) -> Result<Token, Failure> {
        let refused = ledger.refused();
        let letters = ledger.take();
        let part = match &self.to {
            Some((_, sink)) if !letters.is_empty() => {
                let id = WriterId { job, partition: 0, attempt, epoch: 0 };
                let mut writer = sink.open(id, schema()).await?;
                for rows in letters.chunks(limits::BATCH_ROWS) {
                    writer.write(batch(job, rows)?).await?;
                }
                Some(PartToken::read(&writer.prepare().await?)?)
            }
            _ => None,
        };
        serde_json::to_string(&Kept { part, refused }).map(Token).map_err(|_| Error::Broken("a token is JSON").into())
    }

    /// Makes the letters of a token a version of the dataset, which no catalog names yet.
    pub(crate) async fn commit(&self, job: JobId, token: &Token) -> Result<(), Failure> {
        if let (Some((_, sink)), Some(part)) = (&self.to, read(token)?.part) {
            let part = serde_json::to_string(&part).map_err(|_| Error::Broken("a token is JSON"))?;
            sink.commit(job, 0, schema(), &[Token(part)]).await?;
        }
        Ok(())
    }

    /// Removes what was prepared or committed for a job that does not succeed.
    pub(crate) async fn abort(&self, job: JobId) -> Result<(), Failure> {
        match &self.to {
            Some((_, sink)) => sink.abort(job, 0, &[]).await,
            None => Ok(()),
        }
    }

    /// The version that a committed job made; none where it has no dead letters.
    pub(crate) fn entry(&self, files: &Files, job: JobId, token: &Token) -> Result<Option<DatasetEntry>, Failure> {
        match (&self.to, read(token)?.part) {
            (Some((name, _)), Some(_)) => dataset::entry(files, name, job).map(Some),
            _ => Ok(None),
        }
    }
}

/// The counts of a token.
pub(crate) fn refused(token: &Token) -> Result<Vec<Refused>, Failure> {
    Ok(read(token)?.refused)
}

fn read(token: &Token) -> Result<Kept, Failure> {
    serde_json::from_str(&token.0).map_err(|_| Error::Damaged { what: "the token of what a job left out" }.into())
}

/// The columns of dead letters.
fn schema() -> SchemaRef {
    let text = |name: &str, is_nullable| Field::new(name, DataType::Utf8, is_nullable);
    let number = |name: &str, is_nullable| Field::new(name, DataType::Int64, is_nullable);
    Element::Object.schema(vec![
        text("job", false),
        text("source", false),
        number("partition", false),
        number("row", true),
        text("position", true),
        text("code", false),
        text("message", false),
        text("record", false),
    ])
}

fn batch(job: JobId, letters: &[(String, usize, Letter)]) -> Result<RecordBatch, Failure> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let job = job.to_string();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(letters.iter().map(|_| job.as_str()))),
        Arc::new(StringArray::from_iter_values(letters.iter().map(|(source, ..)| source))),
        Arc::new(Int64Array::from_iter_values(letters.iter().map(|(_, partition, _)| number(*partition as u64)))),
        Arc::new(letters.iter().map(|(.., letter)| letter.row.map(number)).collect::<Int64Array>()),
        Arc::new(letters.iter().map(|(.., letter)| letter.position.as_deref()).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(letters.iter().map(|(.., letter)| letter.code.as_str()))),
        Arc::new(StringArray::from_iter_values(letters.iter().map(|(.., letter)| letter.message.as_str()))),
        Arc::new(StringArray::from_iter_values(letters.iter().map(|(.., letter)| letter.record.as_str()))),
    ];
    RecordBatch::try_new(schema(), columns).map_err(|error| crate::error::arrow_failure(&error))
}
