//! Looking at jobs, living and ended: views, lists, events, results, waiting, cancelling, deleting.

use crate::board::view_of;
use crate::error::Error;
use crate::events;
use crate::float;
use crate::live::{Outcome, now_ms};
use crate::shared::{Shared, blocking};
use crate::views::{JobEvent, JobView, ListQuery, OutputView, Page};
use azora_engine::{JobResult, LambdaUse, Pins, Refused, Warning};
use azora_spec::{Code, Failure, JobId, JobState, limits};
use azora_store::{Event, JobRow, RefusedRecord, WarningRecord};
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::{Value, json};
use std::sync::Arc;

impl Shared {
    pub(crate) fn get(&self, id: JobId) -> Result<JobView, Failure> {
        let row = self.store.job(id);
        let (lambdas, mut warnings) = row.as_ref().map(|row| self.lambdas(row)).unwrap_or_default();
        let ending = row.as_ref().map(|row| self.store.ending(row)).transpose()?.flatten();
        warnings.extend(ending.iter().flat_map(|ending| ending.warnings.iter().cloned()).map(warning));
        if let Some(live) = self.find(id) {
            return Ok(JobView { lambdas, warnings, ..live.view() });
        }
        let row = row.ok_or(Error::JobUnknown(id))?;
        let mut view = JobView { lambdas, warnings, ..self.view_of_row(id, &row) };
        if let Some(ending) = ending {
            view.failure = ending.failure;
            view.output = (view.state == JobState::Succeeded).then_some(OutputView {
                rows: ending.rows,
                bytes: ending.bytes,
                outputs: ending.outputs,
            });
            view.stages = ending.stages.into_iter().map(view_of).collect();
            view.refused = ending.refused.into_iter().map(refused).collect();
            view.dead_letters = ending.dead_letters.and_then(|name| name.parse().ok());
        }
        Ok(view)
    }

    /// How a job's lambdas run and what they were probably not meant to mean, as its pins say. A record that cannot be read
    /// says nothing: the view is for people.
    fn lambdas(&self, row: &JobRow) -> (Vec<LambdaUse>, Vec<Warning>) {
        let pins = self.store.pins(row).ok().flatten().and_then(|text| Pins::from_json(&text).ok());
        pins.map(|pins| (pins.lambdas().to_vec(), pins.warnings().to_vec())).unwrap_or_default()
    }

    pub(crate) fn list(&self, query: &ListQuery) -> Result<Page, Failure> {
        let limit = match query.limit {
            0 => limits::PAGE_ROWS_DEFAULT,
            limit if limit > limits::PAGE_ROWS_MAX => {
                return Err(
                    Error::Field { pointer: "/limit", message: format!("limit is a number from 1 to {}", limits::PAGE_ROWS_MAX) }.into()
                );
            }
            limit => limit,
        };
        let cursor = |text: &String| {
            let wrong = Error::Field { pointer: "/cursor", message: "the cursor is not one that a page gave".to_owned() };
            text.parse::<JobId>().map_err(|_| wrong)
        };
        let before = query.cursor.as_ref().map(cursor).transpose()?;
        // One more than asked for tells whether there is another page.
        let mut rows = self.store.jobs(before, query.state, limit + 1);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|(id, _)| id.to_string());
        let view = |(id, row): &(JobId, JobRow)| match self.find(*id) {
            Some(live) => JobView { stages: Vec::new(), ..live.view() },
            None => self.view_of_row(*id, row),
        };
        Ok(Page { jobs: rows.iter().map(view).collect(), next })
    }

    fn view_of_row(&self, id: JobId, row: &JobRow) -> JobView {
        let state = row.state();
        let ended = row.ended.as_ref();
        JobView {
            id,
            name: row.name.clone(),
            state,
            attempts: row.attempts,
            accepted_at_ms: row.accepted_at_ms,
            planned_at_ms: row.planned_at_ms,
            started_at_ms: row.started_at_ms,
            ended_at_ms: ended.map(|ended| ended.at_ms),
            is_cancel_requested: row.is_cancel_requested,
            partitions: row.partitions,
            partitions_prepared: self.store.n_prepared(id).min(row.partitions.unwrap_or(usize::MAX)),
            lambdas: Vec::new(),
            warnings: Vec::new(),
            stages: Vec::new(),
            refused: Vec::new(),
            dead_letters: None,
            failure: ended.and_then(azora_store::EndedRow::failure),
            output: ended.filter(|_| state == JobState::Succeeded).map(|ended| OutputView {
                rows: ended.rows,
                bytes: ended.bytes,
                outputs: Vec::new(),
            }),
            has_result: ended.is_some_and(|ended| ended.has_result),
        }
    }

    /// Cancels a job; one that has ended stays as it is. Durable before it is answered, or a crash would run it again.
    pub(crate) async fn cancel(&self, id: JobId) -> Result<JobView, Failure> {
        let Some(live) = self.find(id) else { return self.get(id) };
        if !live.board.lock().is_cancel_requested {
            self.store.commit(&[Event::CancelRequested { job: id, at_ms: now_ms() }]).await?;
            live.board.lock().is_cancel_requested = true;
            live.cancel.cancel();
        }
        Ok(live.view())
    }

    /// Deletes an ended job with its result.
    pub(crate) async fn delete(&self, id: JobId) -> Result<(), Failure> {
        if self.find(id).is_some() {
            return Err(Error::NotFinished(id).into());
        }
        if self.store.job(id).is_none() {
            return Err(Error::JobUnknown(id).into());
        }
        self.store.delete_job(id).await?;
        let engine = self.engine.clone();
        blocking(move || engine.remove_result(id)).await?
    }

    pub(crate) async fn wait(&self, id: JobId) -> Result<JobView, Failure> {
        if let Some(live) = self.find(id)
            && matches!(live.wait().await, Outcome::Left)
        {
            return Err(Error::Draining.into());
        }
        self.get(id)
    }

    pub(crate) fn events(&self, id: JobId, after: u64) -> Result<BoxStream<'static, JobEvent>, Failure> {
        if let Some(live) = self.find(id) {
            return Ok(events::follow(Arc::clone(&live.events), after).boxed());
        }
        let view = self.get(id)?;
        let last_seq = self.store.job(id).and_then(|row| row.ended).map_or(0, |ended| ended.last_seq);
        Ok(stream::iter(past(&view, last_seq).into_iter().filter(move |event| event.seq > after)).boxed())
    }

    pub(crate) async fn result(&self, id: JobId) -> Result<JobResult, Failure> {
        if self.find(id).is_some() {
            return Err(Error::NotFinished(id).into());
        }
        let row = self.store.job(id).ok_or(Error::JobUnknown(id))?;
        let ending = self.store.ending(&row)?.ok_or(Error::NotFinished(id))?;
        match (row.state(), ending.result) {
            (JobState::Succeeded, Some(description)) => {
                let tokens: Vec<_> = self.tokens(id)?.into_values().collect();
                let engine = self.engine.clone();
                blocking(move || engine.result(id, &description, &tokens)).await?
            }
            (JobState::Succeeded, None) => Err(Error::NoResult(id, "its rows went to its sink").into()),
            (JobState::Cancelled, _) => Err(Error::NoResult(id, "it was cancelled").into()),
            _ => Err(Error::NoResult(id, "it failed").into()),
        }
    }

    /// The request as it was submitted, without secrets.
    pub(crate) fn request(&self, id: JobId) -> Result<Value, Failure> {
        let row = self.store.job(id).ok_or(Error::JobUnknown(id))?;
        let text = self.store.request(&row)?.ok_or(Error::NoResult(id, "its request was not kept, because its caller waited for it"))?;
        let record = self.seal.open(id, &text)?;
        Ok(self.masked(float::thaw(record.get("body").cloned().unwrap_or_default())))
    }
}

fn refused(record: RefusedRecord) -> Refused {
    Refused { code: Code::parse(&record.code).unwrap_or(Code::Internal), reason: record.reason, rows: record.rows }
}

fn warning(record: WarningRecord) -> Warning {
    let WarningRecord { code, message, hint, pointer } = record;
    Warning { code, message, hint, pointer, line: None, column: None, excerpt: None }
}

/// The events of a job whose own list is gone.
fn past(view: &JobView, last_seq: u64) -> Vec<JobEvent> {
    let mut events = vec![JobEvent { seq: 1, at_ms: view.accepted_at_ms, kind: JobState::Accepted.as_str(), data: json!({}) }];
    if let Some(at_ms) = view.planned_at_ms {
        events.push(JobEvent { seq: 2, at_ms, kind: JobState::Planned.as_str(), data: json!({"partitions": view.partitions}) });
    }
    if let Some(at_ms) = view.started_at_ms {
        events.push(JobEvent {
            seq: 3,
            at_ms,
            kind: JobState::Running.as_str(),
            data: json!({"attempt": view.attempts.saturating_sub(1)}),
        });
    }
    let data = match (&view.failure, &view.output) {
        (Some(failure), _) => json!({"code": failure.code.as_str(), "message": failure.message}),
        (None, Some(output)) => json!({"rows": output.rows, "bytes": output.bytes}),
        (None, None) => json!({}),
    };
    events.push(JobEvent { seq: last_seq.max(4), at_ms: view.ended_at_ms.unwrap_or_default(), kind: view.state.as_str(), data });
    events
}
