//! The context that `/spark/init` opens: resolved settings, kept in memory. A restart begins without one, as the seed did;
//! jobs that were accepted keep the settings they were accepted with.

use crate::error::Error;
use crate::shared::Shared;
use crate::views::{ContextRequest, ContextView};
use azora_engine::ContextOptions;
use azora_spec::{Failure, Function, limits};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Smallest memory of a context: below it not even one sort can run.
const MEMORY_BYTES_MIN: usize = 8 << 20;
/// Longest text of a name or a master.
const TEXT_CHARS_MAX: usize = 256;
/// Most entries of `ingestionEngines`, which is only kept and shown.
const ENGINES_MAX: usize = 64;

/// The open context, if there is one.
#[derive(Debug, Default)]
pub(crate) struct ContextCell {
    open: Mutex<Option<(ContextView, ContextOptions)>>,
    /// Functions that queries made; they end with the context.
    functions: Mutex<BTreeMap<String, Function>>,
}

impl ContextCell {
    /// What jobs get from the open context.
    pub(crate) fn options(&self) -> Option<ContextOptions> {
        self.open.lock().as_ref().map(|(_, options)| *options)
    }
}

impl Shared {
    /// Opens a context in place of the one that is open.
    pub(crate) fn init_context(&self, request: ContextRequest) -> Result<ContextView, Failure> {
        self.check_open()?;
        let (view, options) = resolve(request, self.options.processors, self.options.context.threads)?;
        *self.context.open.lock() = Some((view.clone(), options));
        Ok(view)
    }

    /// Closes the context. Answers whether there was one. Its jobs go on.
    pub(crate) fn stop_context(&self) -> bool {
        self.context.functions.lock().clear();
        self.context.open.lock().take().is_some()
    }

    /// Names functions for the queries to come.
    pub(crate) fn add_functions(&self, functions: BTreeMap<String, Function>) -> Result<(), Failure> {
        for (name, function) in &functions {
            azora_engine::check_function(name, function).map_err(|failure| failure.at("/query"))?;
        }
        let mut known = self.context.functions.lock();
        let added = functions.keys().filter(|name| !known.contains_key(*name)).count();
        if known.len() + added > limits::SQL_NAMES_MAX {
            return Err(field("/query", format!("a context keeps at most {} functions", limits::SQL_NAMES_MAX)));
        }
        known.extend(functions);
        Ok(())
    }

    pub(crate) fn functions(&self) -> BTreeMap<String, Function> {
        self.context.functions.lock().clone()
    }

    pub(crate) fn context_view(&self) -> Option<ContextView> {
        self.context.open.lock().as_ref().map(|(view, _)| view.clone())
    }
}

fn resolve(request: ContextRequest, processors: usize, threads_max: usize) -> Result<(ContextView, ContextOptions), Failure> {
    let app_name = short("/appName", request.app_name.unwrap_or_else(|| "azora-spark-app".to_owned()))?;
    let master = short("/master", request.master.unwrap_or_else(|| "local[*]".to_owned()))?;
    let executor_memory = request.executor_memory.unwrap_or_else(|| "2g".to_owned());
    let memory_bytes = memory(&executor_memory)?;
    let executors = local_executors(&master, processors)?;
    let default_parallelism = request.default_parallelism.unwrap_or(8);
    let parallelism = default_parallelism as usize;
    if parallelism == 0 || parallelism > limits::PARTITIONS_MAX {
        return Err(field("/defaultParallelism", format!("defaultParallelism is a number from 1 to {}", limits::PARTITIONS_MAX)));
    }
    let ingestion_engines = request.ingestion_engines.unwrap_or_else(|| ["kafka", "redis", "database"].map(str::to_owned).to_vec());
    if ingestion_engines.len() > ENGINES_MAX {
        return Err(field("/ingestionEngines", format!("ingestionEngines has at most {ENGINES_MAX} entries")));
    }
    let view = ContextView {
        app_name,
        master,
        executor_memory,
        executor_cores: request.executor_cores.unwrap_or(2),
        num_executors: request.num_executors.unwrap_or(4),
        default_parallelism,
        ingestion_engines,
        enable_streaming: request.enable_streaming.unwrap_or(true),
        enable_ml: request.enable_ml.unwrap_or(true),
        executors,
        memory_bytes,
    };
    let options = ContextOptions { parallelism, threads: executors.min(threads_max).max(1), memory_bytes };
    Ok((view, options))
}

/// Threads of a local master; masters of clusters are refused.
fn local_executors(master: &str, processors: usize) -> Result<usize, Failure> {
    let wrong = || field("/master", format!("'{}' is no master: use local, local[k] or local[*]", master.escape_debug()));
    if master.contains("://") || matches!(master, "yarn" | "mesos" | "kubernetes") {
        return Err(field(
            "/master",
            format!("master '{}' names a cluster, which this version cannot use: use local, local[k] or local[*]", master.escape_debug()),
        ));
    }
    if master == "local" {
        return Ok(1);
    }
    let inner = master.strip_prefix("local[").and_then(|rest| rest.strip_suffix(']')).ok_or_else(wrong)?;
    if inner == "*" {
        return Ok(processors.max(1));
    }
    inner.parse().ok().filter(|executors| (1..=limits::PARTITIONS_MAX).contains(executors)).ok_or_else(wrong)
}

/// `2g`, `512m`, `1.5g`, `1024` (MiB, as Spark has it).
fn memory(text: &str) -> Result<usize, Failure> {
    let wrong =
        || field("/executorMemory", format!("'{}' is no size: use a number with k, m, g or t, such as 2g or 512m", text.escape_debug()));
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = lower.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "b" => 0,
        "k" | "kb" | "kib" => 10,
        "" | "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = digits.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    let bytes = number * f64::from(2_u32).powi(shift);
    if bytes < MEMORY_BYTES_MIN as f64 || bytes > (1_u64 << 50) as f64 {
        return Err(field("/executorMemory", format!("executorMemory is at least {}m and at most 1024t", MEMORY_BYTES_MIN >> 20)));
    }
    // Between 8 MiB and 1 PiB, so neither sign nor size is lost.
    Ok(bytes as usize)
}

fn short(pointer: &'static str, text: String) -> Result<String, Failure> {
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(field(pointer, format!("the text is at most {TEXT_CHARS_MAX} characters long")));
    }
    Ok(text)
}

fn field(pointer: &'static str, message: String) -> Failure {
    Error::Field { pointer, message }.into()
}

#[cfg(test)]
mod tests {
    use super::{local_executors, memory, resolve};
    use crate::views::ContextRequest;

    #[test]
    fn sizes_are_read_as_spark_reads_them() {
        let check = |text: &str, expect: Option<usize>| assert_eq!(memory(text).ok(), expect, "{text}");
        check("2g", Some(2 << 30));
        check("512m", Some(512 << 20));
        check("512MB", Some(512 << 20));
        check("1024", Some(1 << 30));
        check("1.5g", Some(3 << 29));
        check("65536k", Some(64 << 20));
        for wrong in ["", "g", "-1g", "1e3g", "2x", "2 g", "nan", "inf", "1k", "99999999t", "1..5g"] {
            check(wrong, None);
        }
    }

    #[test]
    fn masters_of_clusters_are_refused() {
        let check = |master: &str, expect: Option<usize>| assert_eq!(local_executors(master, 6).ok(), expect, "{master}");
        check("local", Some(1));
        check("local[3]", Some(3));
        check("local[*]", Some(6));
        for wrong in ["local[0]", "local[-1]", "local[x]", "local[", "yarn", "spark://h:7077", "azora://h:4302", ""] {
            check(wrong, None);
        }
    }

    #[test]
    fn the_defaults_are_the_seeds() {
        let (view, options) = resolve(ContextRequest::default(), 4, 2).unwrap();
        assert_eq!((view.app_name.as_str(), view.master.as_str(), view.executor_memory.as_str()), ("azora-spark-app", "local[*]", "2g"));
        assert_eq!((view.executor_cores, view.num_executors, view.default_parallelism), (2, 4, 8));
        assert_eq!((view.executors, options.threads, options.parallelism, options.memory_bytes), (4, 2, 8, 2 << 30));
        assert_eq!(view.ingestion_engines, ["kafka", "redis", "database"]);
    }
}
