//! A transform as a message to another process: what to bind, by digest and names, never a component's bytes.

use super::kernel::{Kernel, KernelSource};
use super::transform::{Meeting, Mode, TransformOperator};
use super::{NodeExec, external};
use crate::failure_of;
use azora_sandbox::{Component, Origin};
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Digest, Failure, OnError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// Grows with every change that an older reader would misunderstand.
const VERSION: u32 = 3;

/// The message. A promise between processes of one version of the server.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    version: u32,
    is_lambda: bool,
    digest: String,
    function: String,
    config: String,
    label: String,
    /// Where in the request its failures point.
    pointer: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pointers: Vec<String>,
    /// The columns that the function is bound to: an Arrow IPC stream without batches, base64.
    bound: String,
    /// Their names in the plan.
    names: Vec<String>,
    limits: Limits,
    mode: ModeMessage,
    meeting: MeetingMessage,
    is_stateless: bool,
    is_one_to_one: bool,
    on_error: OnErrorMessage,
}

/// What happens to rows on which the function fails.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnErrorMessage {
    Fail,
    Skip,
    DeadLetter,
}

impl OnErrorMessage {
    const fn of(policy: OnError) -> Self {
        match policy {
            OnError::Fail => Self::Fail,
            OnError::Skip => Self::Skip,
            OnError::DeadLetter => Self::DeadLetter,
        }
    }

    const fn read(&self) -> OnError {
        match self {
            Self::Fail => OnError::Fail,
            Self::Skip => OnError::Skip,
            Self::DeadLetter => OnError::DeadLetter,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Limits {
    memory_bytes_max: usize,
    table_elements_max: usize,
    call_ms_max: u64,
    output_rows_max: usize,
    output_bytes_max: usize,
    host_calls_max: u64,
    log_bytes_max: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeMessage {
    Replace,
    Keep(Vec<String>),
    Predicate,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MeetingMessage {
    Apart,
    Together,
    Combine,
}

/// Where a process finds components: by digest, and by who made it.
pub type Components<'a> = &'a dyn Fn(&Digest, Origin) -> std::result::Result<Component, Failure>;

/// A node of a physical plan as bytes, without its input. Nothing where the node is not one that functions run in.
///
/// # Errors
/// Where the node cannot be written down; that is a defect.
pub fn encode_node(plan: &dyn ExecutionPlan) -> std::result::Result<Option<Vec<u8>>, Failure> {
    let Some(node) = plan.downcast_ref::<NodeExec>() else { return Ok(None) };
    let operator: &dyn Any = node.operator();
    match operator.downcast_ref::<TransformOperator>() {
        Some(transform) => transform.encode().map(Some).map_err(failure_of),
        None => Ok(None),
    }
}

/// The node that [`encode_node`] wrote, over an input.
///
/// # Errors
/// Bytes of another version or damaged ones, or a component that is not to be had or refuses.
pub fn decode_node(
    bytes: &[u8],
    input: Arc<dyn ExecutionPlan>,
    components: Components<'_>,
) -> std::result::Result<Arc<dyn ExecutionPlan>, Failure> {
    let transform = TransformOperator::decode(bytes, components).map_err(failure_of)?;
    NodeExec::plan(Arc::new(transform), input).map_err(failure_of)
}

impl TransformOperator {
    fn encode(&self) -> Result<Vec<u8>> {
        let source = &self.kernel.source;
        let message = Message {
            version: VERSION,
            is_lambda: source.origin == Origin::Lambda,
            digest: source.digest.to_string(),
            function: source.function.clone(),
            config: source.config.clone(),
            label: source.label.clone(),
            pointer: self.pointer.clone(),
            pointers: self.pointers.clone(),
            names: self.kernel.names.clone(),
            bound: STANDARD.encode(schema_bytes(&self.kernel.bound)?),
            limits: Limits::of(&self.kernel.limits),
            mode: match &self.mode {
                Mode::Replace => ModeMessage::Replace,
                Mode::Keep(names) => ModeMessage::Keep(names.clone()),
                Mode::Predicate => ModeMessage::Predicate,
            },
            meeting: match self.meeting {
                Meeting::Apart => MeetingMessage::Apart,
                Meeting::Together => MeetingMessage::Together,
                Meeting::Combine => MeetingMessage::Combine,
            },
            is_stateless: self.is_stateless,
            is_one_to_one: self.is_one_to_one,
            on_error: OnErrorMessage::of(self.on_error),
        };
        serde_json::to_vec(&message).map_err(|_| external(damaged()))
    }

    fn decode(bytes: &[u8], components: Components<'_>) -> Result<Self> {
        let message: Message = serde_json::from_slice(bytes).map_err(|_| external(damaged()))?;
        if message.version != VERSION {
            return Err(external(Failure::new(Code::Internal, "a plan comes from another version of the server")));
        }
        let digest = Digest::parse(&message.digest).ok_or_else(|| external(damaged()))?;
        let origin = if message.is_lambda { Origin::Lambda } else { Origin::Plugin };
        let bound = schema_of(&STANDARD.decode(&message.bound).map_err(|_| external(damaged()))?)?;
        let limits = message.limits.read();
        let component = components(&digest, origin).map_err(external)?;
        let transform = component.bind(&message.function, &bound, &message.config, limits).map_err(external)?;
        let source = KernelSource { origin, digest, function: message.function, config: message.config, label: message.label };
        Ok(Self {
            kernel: Arc::new(Kernel::named(source, limits, (bound, message.names), transform)?),
            pointer: message.pointer,
            pointers: message.pointers,
            mode: match message.mode {
                ModeMessage::Replace => Mode::Replace,
                ModeMessage::Keep(names) => Mode::Keep(names),
                ModeMessage::Predicate => Mode::Predicate,
            },
            meeting: match message.meeting {
                MeetingMessage::Apart => Meeting::Apart,
                MeetingMessage::Together => Meeting::Together,
                MeetingMessage::Combine => Meeting::Combine,
            },
            is_stateless: message.is_stateless,
            is_one_to_one: message.is_one_to_one,
            on_error: message.on_error.read(),
        })
    }
}

impl Limits {
    fn of(limits: &GuestLimits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max,
            call_ms_max: u64::try_from(limits.call_time_max.as_millis()).unwrap_or(u64::MAX),
            output_rows_max: limits.output_rows_max,
            output_bytes_max: limits.output_bytes_max,
            host_calls_max: limits.host_calls_max,
            log_bytes_max: limits.log_bytes_max,
        }
    }

    fn read(&self) -> GuestLimits {
        GuestLimits {
            memory_bytes_max: self.memory_bytes_max,
            table_elements_max: self.table_elements_max,
            call_time_max: Duration::from_millis(self.call_ms_max),
            output_rows_max: self.output_rows_max,
            output_bytes_max: self.output_bytes_max,
            host_calls_max: self.host_calls_max,
            log_bytes_max: self.log_bytes_max,
        }
    }
}

fn damaged() -> Failure {
    Failure::new(Code::Internal, "a message with a part of a plan is damaged")
}

fn schema_bytes(schema: &Schema) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    StreamWriter::try_new(&mut bytes, schema)?.finish()?;
    Ok(bytes)
}

fn schema_of(bytes: &[u8]) -> Result<SchemaRef> {
    Ok(StreamReader::try_new(bytes, None)?.schema())
}

#[cfg(test)]
mod tests {
    use super::{Digest, GuestLimits, Meeting, Mode, Origin, TransformOperator};
    use crate::lambda::Lambdas;
    use crate::node::Operator as _;
    use azora_expression::{Element, End, Field, Lambda, Pipeline, Step, Type, compile};
    use azora_sandbox::{CompilerCommand, Options, Sandbox};
    use azora_spec::{Code, Failure};

    #[test]
    fn a_transform_comes_back_from_its_message() {
        let folder = tempfile::tempdir().unwrap();
        let compiler = CompilerCommand { program: "false".into(), args: Vec::new() };
        let sandbox = Sandbox::new(Options::new(folder.path().to_owned(), compiler)).unwrap();
        let pipeline = Pipeline {
            input: Element::Object(vec![Field::new("a", Type::Int64, true), Field::new("b", Type::Utf8, false)]),
            steps: vec![Step::Filter(Lambda::new("r => r.a > 1", 0))],
            end: End::Rows,
        };
        let limits = GuestLimits { output_rows_max: 77, ..GuestLimits::default() };
        let kernel = Lambdas::default().bind(&sandbox, pipeline.clone(), limits).unwrap();
        let operator = TransformOperator {
            kernel,
            mode: Mode::Keep(vec!["made".to_owned()]),
            meeting: Meeting::Combine,
            is_stateless: true,
            is_one_to_one: false,
            on_error: azora_spec::OnError::DeadLetter,
            pointer: "/operations/3".to_owned(),
            pointers: Vec::new(),
        };
        let bytes = operator.encode().unwrap();
        let component = compile(&pipeline).unwrap().component;
        assert!(bytes.len() < 4096 && !bytes.windows(64).any(|window| component.windows(64).any(|part| part == window)));
        let components = |digest: &Digest, origin: Origin| {
            assert_eq!((*digest, origin), (Digest::of(&component), Origin::Lambda));
            sandbox.lambda(&component).map_err(Failure::from)
        };
        let back = TransformOperator::decode(&bytes, &components).unwrap();
        assert_eq!(back.describe(), operator.describe());
        assert_eq!(back.encode().unwrap(), bytes);
        assert_eq!(back.kernel.limits, limits);
        let other = String::from_utf8(bytes).unwrap().replace("\"version\":3", "\"version\":9");
        assert_eq!(crate::failure_of(TransformOperator::decode(other.as_bytes(), &components).unwrap_err()).code, Code::Internal);
    }
}
