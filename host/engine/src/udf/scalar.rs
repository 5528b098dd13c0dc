//! A lambda or a plugin's map as a DataFusion scalar function: whole batches go through the sandbox, never single rows.
//!
//! The types of the arguments are known when a call is planned, so each set of types is bound once. Which tier runs a
//! lambda, and what it answers, is decided in `scalar::lambda`.

mod lambda;

use crate::lambda::said;
use crate::node::{Kernel, KernelSource, external};
use crate::plan::fitted;
use crate::relation::{CurrentRun, Misfit, PlanContext};
use crate::{Catalog, PluginEntry};
use azora_connect::element::{JSON_KEY, TUPLE_KEY, VALUE};
use azora_sandbox::{CancelFlag, FunctionDecl, FunctionKind, Instance, Origin, Sandbox};
use azora_spec::limits::{BATCH_ROWS, GuestLimits};
use azora_spec::{Code, Failure, Function};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StructArray, new_empty_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
pub(crate) use lambda::Probe;
use lambda::{Called, Decision};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Most rows of one call. An operator may hand in more.
const ROWS_MAX: usize = 8 * BATCH_ROWS;
/// Instances that wait for the next batch; one for each thread that computes is enough.
const IDLE_MAX: usize = 64;

/// The function under a name; `returns` is the type that its answers shall have, where somebody says. Failures point to a
/// place in the request.
///
/// # Errors
/// Where there is no such plugin or function, or it is not a map.
pub(crate) fn scalar_udf(
    ctx: &PlanContext,
    name: &str,
    function: &Function,
    returns: Option<DataType>,
    pointer: &str,
) -> std::result::Result<ScalarUDF, Failure> {
    if !matches!(function, Function::Plugin { .. }) {
        ctx.notes.meet();
    }
    let body = match function {
        Function::Lambda(text) | Function::Declared { text, .. } => Body::Lambda(Called {
            name: name.to_owned(),
            text: text.clone(),
            returns,
            sandbox: ctx.sandbox.clone(),
            lambdas: Arc::clone(&ctx.lambdas),
            notes: Arc::clone(&ctx.notes),
            limits: ctx.options.guest,
            pointer: pointer.to_owned(),
        }),
        Function::Plugin { plugin, function, config, .. } => {
            let entry = ctx.plugin(plugin)?;
            let decl = declared(&entry, function.as_deref())?.clone();
            Body::Plugin { entry, decl: Box::new(decl), config: serde_json::Value::Object(config.clone()).to_string() }
        }
    };
    let function = GuestFunction {
        name: name.to_owned(),
        body,
        sandbox: ctx.sandbox.clone(),
        catalog: Arc::clone(&ctx.catalog),
        limits: ctx.options.guest,
        run: Arc::clone(&ctx.run),
        pointer: pointer.to_owned(),
        bound: Mutex::default(),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    Ok(ScalarUDF::new_from_impl(function))
}

/// What a sample of the arguments has to go through before the type of a call's answers is known; none where it is, or
/// the function is none of ours.
///
/// # Errors
/// What is wrong with the lambda.
pub(crate) fn probe_of(function: &ScalarUDF, arguments: &[FieldRef]) -> std::result::Result<Option<Probe>, Failure> {
    let Some(ours) = function.inner().downcast_ref::<GuestFunction>() else { return Ok(None) };
    let (Body::Lambda(called), arguments) = (&ours.body, plain(arguments)) else { return Ok(None) };
    if ours.kept(&arguments.iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>()).is_some() {
        return Ok(None);
    }
    match called.decide(&arguments)? {
        Decision::Open(probe) => Ok(Some(probe)),
        Decision::Bound(_) => Ok(None),
    }
}

fn declared<'a>(entry: &'a PluginEntry, name: Option<&str>) -> std::result::Result<&'a FunctionDecl, Failure> {
    let maps: Vec<&FunctionDecl> = entry.manifest.functions.iter().filter(|decl| decl.kind == FunctionKind::Map).collect();
    let found = match (name, maps.as_slice()) {
        (Some(name), _) => maps.iter().find(|decl| decl.name == name).copied(),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let known: Vec<&str> = maps.iter().map(|decl| decl.name.as_str()).collect();
        let message = match name {
            Some(name) => format!("plugin '{}' has no map '{}'", entry.manifest.name, name.escape_debug()),
            None => format!("plugin '{}' has {} maps: name one", entry.manifest.name, known.len()),
        };
        Failure::new(Code::PluginFunctionUnknown, message).hint(format!("its maps are {}", known.join(", ")))
    })
}

#[derive(Debug)]
enum Body {
    Lambda(Called),
    Plugin { entry: PluginEntry, decl: Box<FunctionDecl>, config: String },
}

/// The function and what it was bound to so far.
#[derive(Debug)]
struct GuestFunction {
    name: String,
    body: Body,
    sandbox: Sandbox,
    catalog: Arc<dyn Catalog>,
    limits: GuestLimits,
    run: Arc<CurrentRun>,
    pointer: String,
    bound: Mutex<HashMap<Vec<Field>, Arc<Bound>>>,
    signature: Signature,
}

/// A function bound to types of arguments.
struct Bound {
    kernel: Arc<Kernel>,
    /// Columns that the guest wants, in its order.
    needed: SchemaRef,
    /// What a call answers.
    result: FieldRef,
    idle: Mutex<Vec<(Instance, CancelFlag)>>,
}

/// What a call is bound to.
enum Binding {
    Known(Arc<Bound>),
    /// A sample has to tell first what it answers; until then it has this type.
    Open(DataType),
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("input", &self.kernel.bound).finish_non_exhaustive()
    }
}

// Within one plan a name means one function.
impl PartialEq for GuestFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.run, &other.run)
    }
}

impl Eq for GuestFunction {}

impl Hash for GuestFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Bound {
    /// With answers of a type, or of the one that the guest makes: its one column, or a struct of several.
    fn new(kernel: Arc<Kernel>, returns: Option<DataType>) -> std::result::Result<Self, Failure> {
        let plan = kernel.plan();
        let made = match plan.output.fields().as_ref() {
            [field] => field.as_ref().clone().with_nullable(true),
            fields => Field::new(VALUE, DataType::Struct(fields.to_vec().into()), true),
        };
        let result = match returns {
            Some(of) if of != *made.data_type() => Field::new(VALUE, of, true),
            _ => made,
        };
        let needed = Arc::new(kernel.bound.project(&plan.needs).map_err(|error| crate::failure_of(error.into()))?);
        Ok(Self { result: Arc::new(result), kernel, needed, idle: Mutex::default() })
    }
}

/// Arguments without what does not change the function: their names, whether they hold null, and metadata that is not ours.
fn plain(arguments: &[FieldRef]) -> Vec<FieldRef> {
    let plain = |field: &FieldRef| {
        let ours = field.metadata().iter().filter(|(key, _)| matches!(key.as_str(), JSON_KEY | TUPLE_KEY));
        let metadata = ours.map(|(key, value)| (key.clone(), value.clone())).collect();
        Arc::new(Field::new("", field.data_type().clone(), true).with_metadata(metadata))
    };
    arguments.iter().map(plain).collect()
}

impl GuestFunction {
    fn failed(&self, bound: &Bound, error: azora_sandbox::Error) -> DataFusionError {
        let failure = match said(&bound.kernel.source, &error, false) {
            Some(told) => {
                if let Some(wider) = told.wider {
                    self.run.misfit(Misfit { kernel: Arc::clone(&bound.kernel), wider });
                }
                told.failure
            }
            None => Failure::from(error),
        };
        // A row of the batch in hand says nothing to the caller.
        external(self.located(Failure { row: None, ..failure }))
    }

    fn located(&self, failure: Failure) -> Failure {
        if failure.pointer.is_none() { failure.at(&self.pointer) } else { failure }
    }

    /// The function for arguments.
    fn bind(&self, arguments: &[FieldRef]) -> Result<Binding> {
        let arguments = plain(arguments);
        let key: Vec<Field> = arguments.iter().map(|field| field.as_ref().clone()).collect();
        if let Some(bound) = self.kept(&key) {
            return Ok(Binding::Known(bound));
        }
        let bound = match &self.body {
            Body::Lambda(called) => match called.decide(&arguments).map_err(|failure| external(self.located(failure)))? {
                Decision::Bound(bound) => bound,
                Decision::Open(probe) => return Ok(Binding::Open(called.notes.guessed(&probe.key))),
            },
            Body::Plugin { entry, decl, config } => {
                self.bind_plugin(entry, decl, config, &arguments).map_err(|failure| external(self.located(failure)))?
            }
        };
        let bound = Arc::new(bound);
        self.bound.lock().insert(key, Arc::clone(&bound));
        Ok(Binding::Known(bound))
    }

    /// What was bound before. A plan that stands may lose what says that a text is JSON: then types decide alone.
    fn kept(&self, key: &[Field]) -> Option<Arc<Bound>> {
        let bound = self.bound.lock();
        let is_settled = matches!(&self.body, Body::Lambda(called) if called.notes.is_closed());
        let same = |known: &[Field]| is_settled && known.iter().map(Field::data_type).eq(key.iter().map(Field::data_type));
        bound.get(key).or_else(|| bound.iter().find(|(known, _)| same(known)).map(|(_, bound)| bound)).cloned()
    }

    fn bind_plugin(
        &self,
        entry: &PluginEntry,
        decl: &FunctionDecl,
        config: &str,
        arguments: &[FieldRef],
    ) -> std::result::Result<Bound, Failure> {
        let names = decl.params.fields().iter().map(|param| param.name().clone());
        let names: Vec<String> = names.chain((0..).map(|at| format!("arg{at}"))).take(arguments.len()).collect();
        let fields: Vec<Field> = names.iter().zip(arguments).map(|(name, of)| Field::new(name, of.data_type().clone(), true)).collect();
        let input: SchemaRef = Arc::new(Schema::new(fields));
        let failed = |error: azora_sandbox::Error| Failure { row: None, ..Failure::from(error) };
        let component = self.sandbox.load(&entry.digest, &|| self.catalog.plugin_bytes(&entry.digest)).map_err(failed)?;
        let transform = component.bind(&decl.name, &input, config, self.limits).map_err(failed)?;
        let source = KernelSource {
            origin: Origin::Plugin,
            digest: entry.digest,
            function: decl.name.clone(),
            config: config.to_owned(),
            label: decl.name.clone(),
        };
        let kernel = Kernel::new(source, self.limits, input, transform).map_err(crate::failure_of)?;
        Bound::new(Arc::new(kernel), None)
    }

    fn call(&self, bound: &Bound, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let of_rows = RecordBatchOptions::new().with_row_count(Some(rows));
        let cast = |(column, field): (&ArrayRef, &FieldRef)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                cast_with_options(column, field.data_type(), &options)
            }
        };
        let columns = columns.iter().zip(bound.kernel.bound.fields()).map(cast).collect::<std::result::Result<Vec<_>, _>>()?;
        let input = RecordBatch::try_new_with_options(Arc::clone(&bound.kernel.bound), columns, &of_rows)?;
        let needed = bound.kernel.plan().needs.iter().filter_map(|at| input.columns().get(*at)).cloned().collect();
        let needed = RecordBatch::try_new_with_options(Arc::clone(&bound.needed), needed, &of_rows)?;
        let idle = bound.idle.lock().pop();
        let (mut instance, flag) = match idle.filter(|(_, flag)| !flag.is_cancelled()) {
            Some(idle) => idle,
            None => {
                let flag = self.run.flag();
                (bound.kernel.transform().start_with(flag.clone()).map_err(|error| self.failed(bound, error))?, flag)
            }
        };
        let processed = instance.process(&needed).map_err(|error| self.failed(bound, error))?;
        let made = bound.kernel.plan().assemble(&input, processed).map_err(|error| self.failed(bound, error))?;
        if made.num_rows() != rows {
            let message = format!("the function '{}' made {} rows of {rows}", self.name, made.num_rows());
            return Err(external(self.located(Failure::new(Code::PluginOutput, message))));
        }
        let mut waiting = bound.idle.lock();
        if waiting.len() < IDLE_MAX {
            waiting.push((instance, flag));
        }
        let made: ArrayRef = match made.columns() {
            [column] => Arc::clone(column),
            _ => Arc::new(StructArray::from(made)),
        };
        if made.data_type() == bound.result.data_type() {
            return Ok(made);
        }
        // Only what somebody says that it returns is cast.
        cast_with_options(&made, bound.result.data_type(), &options).map_err(|error| external(self.located(self.unlike(bound, &error))))
    }

    fn unlike(&self, bound: &Bound, error: &arrow::error::ArrowError) -> Failure {
        let message = format!("'{}' answered what is no {}: {error}", self.name, bound.result.data_type());
        Failure::new(Code::LambdaResultType, message).hint("answer that type, or let RETURNS name another")
    }
}

impl ScalarUDFImpl for GuestFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Body::Plugin { decl, .. } = &self.body else { return Ok(types.to_vec()) };
        let params = decl.params.fields();
        if params.is_empty() {
            return Ok(types.to_vec());
        }
        let wanted = || params.iter().map(|param| format!("{}: {}", param.name(), param.data_type())).collect::<Vec<_>>().join(", ");
        if params.len() != types.len() {
            let message = format!("function '{}' takes {} arguments, and {} were given", self.name, params.len(), types.len());
            return Err(external(self.located(Failure::new(Code::SqlInvalid, message).hint(format!("its arguments are {}", wanted())))));
        }
        let fit = |(given, param): (&DataType, &FieldRef)| {
            // A literal such as 2.5 or a DECIMAL column is meant where a DOUBLE is wanted.
            fitted(given, param.data_type()).ok_or_else(|| {
                let message = format!("argument '{}' of function '{}' is {}, not {given}", param.name(), self.name, param.data_type());
                external(self.located(Failure::new(Code::SqlType, message).hint(format!("its arguments are {}", wanted()))))
            })
        };
        types.iter().zip(params).map(fit).collect()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let arguments: Vec<FieldRef> = types.iter().map(|of| Arc::new(Field::new("", of.clone(), true))).collect();
        Ok(match self.bind(&arguments)? {
            Binding::Known(bound) => bound.result.data_type().clone(),
            Binding::Open(guess) => guess,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(match self.bind(args.arg_fields)? {
            Binding::Known(bound) => bound.result.as_ref().clone().with_name(&self.name),
            Binding::Open(guess) => Field::new(&self.name, guess, true),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let Binding::Known(bound) = self.bind(&args.arg_fields)? else { return internal_err!("a function runs before its type is known") };
        let are_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if are_constant { 1 } else { rows };
        let columns = args.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        if columns.iter().any(|column| column.len() != rows) {
            return internal_err!("arguments of different lengths");
        }
        let rows_max = match bound.kernel.plan().batch_rows {
            0 => ROWS_MAX,
            wish => wish.min(ROWS_MAX),
        };
        let mut parts = Vec::with_capacity(rows.div_ceil(rows_max));
        for start in (0..rows).step_by(rows_max) {
            let length = rows_max.min(rows - start);
            let part: Vec<ArrayRef> = columns.iter().map(|column| column.slice(start, length)).collect();
            parts.push(self.call(&bound, &part, length)?);
        }
        let made = match parts.as_slice() {
            [] => new_empty_array(bound.result.data_type()),
            [one] => Arc::clone(one),
            many => concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
        };
        if are_constant {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&made, 0)?));
        }
        Ok(ColumnarValue::Array(made))
    }
}
