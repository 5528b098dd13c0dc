//! A whole job: `POST /rdd/process` and `POST /api/v1/jobs` take the same shape.

use crate::limits::{JOB_TIME_MAX, OPERATIONS_MAX, OTHER_INPUTS_MAX, PARTITIONS_MAX};
use crate::wire::fields::{Fields, Unknown, child, expected};
use crate::wire::suggest::meant;
use crate::wire::{dataframe, input, operation, sink, sql};
use crate::{Code, Failure, Frame, Input, JobOptions, JobSpec, OnError, Operation, Query, Sink};
use serde_json::Value;
use std::time::Duration;

/// Longest name of a job, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Reads a job: `{name?, data | dataset | source | input, operations, sink?, options?}`.
///
/// Without any input it reads the dataset that was written last; without operations it collects. The same value always
/// gives the same answer, so a stored request stands for its job. `unknown` is about the top level and `options`; inside
/// an operation, a function, an input or a sink an unknown field is always refused, since skipping one there would change
/// what the job does.
///
/// # Errors
/// A [`Failure`] that blames the caller, with the pointer of the first thing that is wrong.
pub fn job_spec(request: &Value, unknown: Unknown) -> Result<JobSpec, Failure> {
    let mut fields = Fields::of(request, "")?;
    let name = name(&mut fields)?;
    let query = sql::read(&mut fields)?;
    let input = match &query {
        // A query names its tables itself; the job's own rows are one more, where there are any.
        Some(_) if !["input", "data", "dataset", "source"].iter().any(|name| fields.has(name)) => {
            input::read(&mut fields)?;
            Input::Inline(Vec::new())
        }
        _ => input::read(&mut fields)?,
    };
    let frame = dataframe::read(&mut fields)?;
    let (operations, written) = match (query, frame) {
        (None, None) => operations(&mut fields)?,
        (query, frame) => tabular(&mut fields, query, frame)?,
    };
    let given = fields.value("sink").map(|value| sink::read(value, fields.pointer("sink"))).transpose()?;
    let sink = match (given, written) {
        (Some(_), Some((at, _))) => {
            let message = "the job has a sink of its own already";
            return Err(Failure::new(Code::RequestField, message).at(format!("/operations/{at}")).hint("name the sink in one place"));
        }
        (Some(sink), None) | (None, Some((_, sink))) => sink,
        (None, None) => Sink::Collect,
    };
    check_write(&operations, &sink)?;
    let options = fields.value("options").map(|value| options(value, fields.pointer("options"), unknown)).transpose()?;
    fields.finish(unknown)?;
    Ok(JobSpec { name, input, operations, sink, options: options.unwrap_or_default() })
}

fn name(fields: &mut Fields<'_>) -> Result<Option<String>, Failure> {
    let name = fields.text("name")?;
    if name.is_some_and(|text| text.chars().nth(NAME_CHARS_MAX).is_some()) {
        return Err(Failure::new(Code::RequestField, format!("the name has more than {NAME_CHARS_MAX} characters")).at("/name"));
    }
    Ok(name.map(str::to_owned))
}

/// The operations, and the sink that one of them names with its index.
type Read = (Vec<Operation>, Option<(usize, Sink)>);

/// A query and a frame as operations.
fn tabular(fields: &mut Fields<'_>, query: Option<(Query, Option<Sink>)>, frame: Option<(Frame, Option<Sink>)>) -> Result<Read, Failure> {
    if fields.array("operations")?.is_some_and(|list| !list.is_empty()) {
        let message = "a job has 'operations', or 'sql' and 'frame', and not both";
        return Err(Failure::new(Code::RequestField, message).at(fields.pointer("operations")).hint("keep the rows of one as a dataset"));
    }
    let mut operations = Vec::new();
    let mut written = None;
    if let Some((query, sink)) = query {
        if sink.is_some() && frame.as_ref().is_some_and(|(frame, _)| !frame.steps.is_empty()) {
            let message = "CREATE TABLE keeps what its query answers, so nothing can follow it";
            return Err(Failure::new(Code::RequestField, message).at(fields.pointer("frame")));
        }
        operations.push(Operation::Sql(Box::new(query)));
        written = sink;
    }
    if let Some((frame, sink)) = frame {
        operations.push(Operation::Frame(Box::new(frame)));
        written = sink.or(written);
    }
    Ok((operations, written.map(|sink| (0, sink))))
}

fn operations(fields: &mut Fields<'_>) -> Result<Read, Failure> {
    let values = fields.array("operations")?.unwrap_or_default();
    let pointer = fields.pointer("operations");
    if values.len() > OPERATIONS_MAX {
        let message = format!("{} operations, at most {OPERATIONS_MAX} are allowed", values.len());
        return Err(Failure::new(Code::RequestField, message).at(pointer));
    }
    let mut operations: Vec<Operation> = Vec::with_capacity(values.len());
    let mut written = None;
    for (at, value) in values.iter().enumerate() {
        let pointer = child(&pointer, &at.to_string());
        if let Some(action) = operations.last().filter(|operation| operation.is_action()) {
            let message = format!("'{}' ends a job, nothing can follow it", action.name());
            return Err(Failure::new(Code::OperationInvalid, message).at(pointer));
        }
        let (operation, sink) = operation::read(value, pointer)?;
        operations.push(operation);
        written = sink.map(|sink| (at, sink));
    }
    let others = operations.iter().filter(|operation| matches!(operation, Operation::Combine { .. })).count();
    if others > OTHER_INPUTS_MAX {
        let message = format!("{others} operations with a second input, at most {OTHER_INPUTS_MAX} are allowed");
        return Err(Failure::new(Code::RequestField, message).at(pointer).hint("write parts to datasets, and combine those"));
    }
    Ok((operations, written))
}

/// `write` needs somewhere to write to.
fn check_write(operations: &[Operation], sink: &Sink) -> Result<(), Failure> {
    match operations.last() {
        Some(Operation::Write) if *sink == Sink::Collect => {
            let pointer = format!("/operations/{}", operations.len().saturating_sub(1));
            let hint = r#"for example {"type":"write","sink":{"type":"parquet","path":"out/orders"}}"#;
            Err(Failure::new(Code::RequestField, "'write' needs a 'sink'").at(pointer).hint(hint))
        }
        _ => Ok(()),
    }
}

fn options(value: &Value, pointer: String, unknown: Unknown) -> Result<JobOptions, Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let mut options = JobOptions { parallelism: fields.size("parallelism", 1..=PARTITIONS_MAX as u64)?, ..JobOptions::default() };
    let longest = u64::try_from(JOB_TIME_MAX.as_millis()).unwrap_or(u64::MAX);
    if let Some(timeout_ms) = fields.integer("timeoutMs", 1..=longest)? {
        options.time_max = Duration::from_millis(timeout_ms);
    }
    if let Some(value) = fields.value("onError") {
        options.on_error = on_error(value, fields.pointer("onError"))?;
    }
    if let Some(name) = fields.text("deadLetters")? {
        options.dead_letters = Some(input::parse_name(name, fields.pointer("deadLetters"))?);
    }
    if let Some(value) = fields.value("limits") {
        limits(value, fields.pointer("limits"), unknown, &mut options)?;
    }
    fields.finish(unknown)?;
    Ok(options)
}

fn on_error(value: &Value, pointer: String) -> Result<OnError, Failure> {
    match value.as_str() {
        Some("fail") => Ok(OnError::Fail),
        Some("skip") => Ok(OnError::Skip),
        Some("dead-letter" | "deadLetter") => Ok(OnError::DeadLetter),
        _ => {
            let failure = expected("'fail', 'skip' or 'dead-letter'", value).at(pointer);
            Err(Failure { hint: value.as_str().and_then(|text| meant(text, ["fail", "skip", "dead-letter"])), ..failure })
        }
    }
}

/// A job may narrow what its guests may use, never widen it.
fn limits(value: &Value, pointer: String, unknown: Unknown, options: &mut JobOptions) -> Result<(), Failure> {
    let mut fields = Fields::of(value, pointer)?;
    let guest = &mut options.guest;
    let narrow = |fields: &mut Fields<'_>, name, limit: &mut usize| -> Result<(), Failure> {
        if let Some(size) = fields.size(name, 1..=*limit as u64)? {
            *limit = size;
        }
        Ok(())
    };
    narrow(&mut fields, "memoryBytes", &mut guest.memory_bytes_max)?;
    narrow(&mut fields, "tableElements", &mut guest.table_elements_max)?;
    narrow(&mut fields, "outputRows", &mut guest.output_rows_max)?;
    narrow(&mut fields, "outputBytes", &mut guest.output_bytes_max)?;
    narrow(&mut fields, "logBytes", &mut guest.log_bytes_max)?;
    if let Some(calls) = fields.integer("hostCalls", 0..=guest.host_calls_max)? {
        guest.host_calls_max = calls;
    }
    let longest = u64::try_from(guest.call_time_max.as_millis()).unwrap_or(u64::MAX);
    if let Some(time_ms) = fields.integer("callTimeMs", 1..=longest)? {
        guest.call_time_max = Duration::from_millis(time_ms);
    }
    fields.finish(unknown)
}
