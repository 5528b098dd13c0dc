//! A plugin's function on a few rows: a job that is never recorded.

use crate::error::Error;
use crate::shared::{Shared, blocking};
use crate::views::TryRequest;
use azora_connect::Token;
use azora_engine::{Progress, RunContext, StageUpdate};
use azora_sandbox::{FunctionDecl, FunctionKind, Manifest};
use azora_spec::{Code, Failure, Function, Input, JobId, JobOptions, JobSpec, Operation, PluginRef, Sink};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest trial.
const TRY_TIME_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Unheard;

impl Progress for Unheard {
    fn prepared(&self, _partition: usize, _token: &Token) -> Result<(), Failure> {
        Ok(())
    }

    fn update(&self, _update: StageUpdate) {}
}

impl Shared {
    /// Plans a job and says how its lambdas would run.
    pub(crate) async fn explain(&self, spec: JobSpec) -> Result<azora_engine::Explained, Failure> {
        let _place = self.place()?;
        let context = self.context.options().unwrap_or(self.options.context);
        let planned = match timeout(TRY_TIME_MAX, self.engine.plan(&spec, &context, None)).await {
            Ok(planned) => planned?,
            Err(_) => return Err(Error::Timeout { seconds: TRY_TIME_MAX.as_secs() }.into()),
        };
        // Compiling again for the text takes milliseconds of computing.
        blocking(move || planned.explained()).await
    }

    /// Calls a function on some rows and answers what it made of them.
    pub(crate) async fn try_plugin(&self, reference: &PluginRef, request: TryRequest) -> Result<Value, Failure> {
        if request.rows.len() > TryRequest::ROWS_MAX {
            return Err(Error::Field { pointer: "/rows", message: format!("a trial takes at most {} rows", TryRequest::ROWS_MAX) }.into());
        }
        let _place = self.place()?;
        let row = self.catalog.row(reference)?;
        let spec = spec(&row.digest.to_string(), &self.catalog.manifest(&row)?.0, request)?;
        let mut ticket = self.turns.reserve();
        ticket.ready();
        let _turn = ticket.turn().await.ok_or(Error::Draining)?;
        let context = self.context.options().unwrap_or(self.options.context);
        let planned = self.engine.plan(&spec, &context, None).await?;
        let id = JobId::generate();
        let cancel = CancellationToken::new();
        let _guard = cancel.clone().drop_guard();
        let run = RunContext { job: id, attempt: 0, prepared: BTreeMap::new(), progress: Arc::new(Unheard), cancel };
        let tokens = match timeout(TRY_TIME_MAX, self.engine.run(&planned, run)).await {
            Ok(Ok(tokens)) => tokens,
            Ok(Err(failure)) => {
                self.engine.abort(&planned, id, &[]).await?;
                return Err(failure);
            }
            Err(_) => {
                self.engine.abort(&planned, id, &[]).await?;
                return Err(Error::Timeout { seconds: TRY_TIME_MAX.as_secs() }.into());
            }
        };
        self.engine.commit(&planned, id, &tokens).await?;
        let result = self.engine.result(id, planned.description(), &tokens)?;
        let answer = azora_engine::format::to_json_value(&result, azora_spec::limits::RESULT_INLINE_BYTES_MAX).await;
        let engine = self.engine.clone();
        blocking(move || engine.remove_result(id)).await??;
        answer
    }
}

fn spec(digest: &str, manifest: &Manifest, request: TryRequest) -> Result<JobSpec, Failure> {
    let declared = function(manifest, request.function.as_deref())?;
    let function = Function::Plugin {
        plugin: digest.parse()?,
        function: Some(declared.name.clone()),
        config: request.config,
        columns: request.columns,
        keep_as: None,
    };
    let operation = match declared.kind {
        FunctionKind::Map => Operation::Map(function),
        FunctionKind::Filter => Operation::Filter(function),
        FunctionKind::FlatMap => Operation::FlatMap(function),
        FunctionKind::MapPartitions => Operation::MapPartitions(function),
        FunctionKind::Aggregate => Operation::AggregateWith(function),
    };
    let options = JobOptions { parallelism: Some(1), time_max: TRY_TIME_MAX, ..JobOptions::default() };
    Ok(JobSpec { name: None, input: Input::Inline(request.rows), operations: vec![operation], sink: Sink::Collect, options })
}

fn function<'a>(manifest: &'a Manifest, name: Option<&str>) -> Result<&'a FunctionDecl, Failure> {
    let found = match (name, manifest.functions.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), functions) => functions.iter().find(|function| function.name == name),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = manifest.functions.iter().map(|function| function.name.as_str()).collect();
        let message = match name {
            Some(name) => format!("plugin {} has no function '{}'", manifest.name, name.escape_debug()),
            None => format!("plugin {} has {} functions: name one", manifest.name, names.len()),
        };
        Failure::new(Code::PluginFunctionUnknown, message).at("/function").hint(format!("functions are {}", names.join(", ")))
    })
}
