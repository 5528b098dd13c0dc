//! A lambda or a plugin's map as a DataFusion scalar function: whole batches go through the sandbox, never single rows.
//!
//! The types of the arguments are known when a call is planned, so each set of types is bound once.

use crate::lambda::{self, Lambdas};
use crate::node::external;
use crate::plan::fitted;
use crate::relation::{CurrentRun, PlanContext};
use crate::{Catalog, PluginEntry};
use azora_connect::element::{self, VALUE};
use azora_expression::{End, Lambda, Pipeline, Step};
use azora_sandbox::{CancelFlag, FunctionDecl, FunctionKind, Instance, Sandbox, Transform};
use azora_spec::limits::{BATCH_ROWS, GuestLimits};
use azora_spec::{Code, Failure, Function};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StructArray, new_empty_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Most rows of one call. An operator may hand in more.
const ROWS_MAX: usize = 8 * BATCH_ROWS;
/// Instances that wait for the next batch; one for each thread that computes is enough.
const IDLE_MAX: usize = 64;

/// The function under a name. Failures point to a place in the request.
///
/// # Errors
/// Where there is no such plugin or function, or it is not a map.
pub(crate) fn scalar_udf(ctx: &PlanContext, name: &str, function: &Function, pointer: &str) -> std::result::Result<ScalarUDF, Failure> {
    let body = match function {
        Function::Lambda(text) => Body::Lambda(text.clone()),
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
        lambdas: Arc::clone(&ctx.lambdas),
        limits: ctx.options.guest,
        run: Arc::clone(&ctx.run),
        pointer: pointer.to_owned(),
        bound: Mutex::default(),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    Ok(ScalarUDF::new_from_impl(function))
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
    Lambda(String),
    Plugin { entry: PluginEntry, decl: Box<FunctionDecl>, config: String },
}

/// The function and what it was bound to so far.
#[derive(Debug)]
struct GuestFunction {
    name: String,
    body: Body,
    sandbox: Sandbox,
    catalog: Arc<dyn Catalog>,
    lambdas: Arc<Lambdas>,
    limits: GuestLimits,
    run: Arc<CurrentRun>,
    pointer: String,
    bound: Mutex<HashMap<Vec<DataType>, Arc<Bound>>>,
    signature: Signature,
}

/// A function bound to types of arguments.
struct Bound {
    transform: Transform,
    input: SchemaRef,
    /// Columns that the guest wants, in its order.
    needed: SchemaRef,
    idle: Mutex<Vec<(Instance, CancelFlag)>>,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("input", &self.input).finish_non_exhaustive()
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
    fn new(transform: Transform, input: SchemaRef) -> Result<Self> {
        let needed = Arc::new(input.project(&transform.plan().needs)?);
        Ok(Self { transform, input, needed, idle: Mutex::default() })
    }

    /// What it makes: its one column, or a struct of several.
    fn result(&self) -> FieldRef {
        match self.transform.plan().output.fields().as_ref() {
            [field] => Arc::new(field.as_ref().clone().with_nullable(true)),
            fields => Arc::new(Field::new(VALUE, DataType::Struct(fields.to_vec().into()), true)),
        }
    }
}

impl GuestFunction {
    fn failed(&self, error: azora_sandbox::Error) -> DataFusionError {
        external(self.located(Failure { row: None, ..Failure::from(error) }))
    }

    fn located(&self, failure: Failure) -> Failure {
        if failure.pointer.is_none() { failure.at(&self.pointer) } else { failure }
    }

    fn bind(&self, types: &[DataType]) -> Result<Arc<Bound>> {
        if let Some(bound) = self.bound.lock().get(types) {
            return Ok(Arc::clone(bound));
        }
        let bound = match &self.body {
            Body::Lambda(text) => self.bind_lambda(text, types).map_err(|failure| external(self.located(failure)))?,
            Body::Plugin { entry, decl, config } => {
                let names = decl.params.fields().iter().map(|param| param.name().clone());
                let names: Vec<String> = names.chain((0..).map(|at| format!("arg{at}"))).take(types.len()).collect();
                let fields: Vec<Field> = names.iter().zip(types).map(|(name, of)| Field::new(name, of.clone(), true)).collect();
                let input: SchemaRef = Arc::new(Schema::new(fields));
                let component =
                    self.sandbox.load(&entry.digest, &|| self.catalog.plugin_bytes(&entry.digest)).map_err(|error| self.failed(error))?;
                let transform = component.bind(&decl.name, &input, config, self.limits).map_err(|error| self.failed(error))?;
                Bound::new(transform, input)?
            }
        };
        let bound = Arc::new(bound);
        self.bound.lock().insert(types.to_vec(), Arc::clone(&bound));
        Ok(bound)
    }

    fn bind_lambda(&self, text: &str, types: &[DataType]) -> std::result::Result<Bound, Failure> {
        let (text, count) = with_one_parameter(text);
        if count != types.len() {
            let message = format!("function '{}' takes {count} arguments, and {} were given", self.name, types.len());
            return Err(Failure::new(Code::SqlInvalid, message));
        }
        let given = match types {
            [one] => element::scalar(one.clone(), true),
            many => element::tuple(&many.iter().map(|of| Field::new("", of.clone(), true)).collect::<Vec<_>>()),
        };
        let columns = lambda::element(&given)?;
        let Some(seen) = columns.element else {
            return Err(Failure::new(Code::LambdaType, "a named lambda takes arguments of one type each, and these are mixed"));
        };
        let pipeline = Pipeline { input: seen, steps: vec![Step::Map(Lambda::new(&text, 0))], end: End::Rows };
        let kernel =
            self.lambdas.bind(&self.sandbox, pipeline, self.limits).map_err(|refused| refused.at(std::slice::from_ref(&self.pointer)))?;
        Bound::new(kernel.transform().clone(), Arc::clone(&kernel.bound)).map_err(crate::failure_of)
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
        let columns = columns.iter().zip(bound.input.fields()).map(cast).collect::<std::result::Result<Vec<_>, _>>()?;
        let input = RecordBatch::try_new_with_options(Arc::clone(&bound.input), columns, &of_rows)?;
        let needed = bound.transform.plan().needs.iter().filter_map(|at| input.columns().get(*at)).cloned().collect();
        let needed = RecordBatch::try_new_with_options(Arc::clone(&bound.needed), needed, &of_rows)?;
        let idle = bound.idle.lock().pop();
        let (mut instance, flag) = match idle.filter(|(_, flag)| !flag.is_cancelled()) {
            Some(idle) => idle,
            None => {
                let flag = self.run.flag();
                (bound.transform.start_with(flag.clone()).map_err(|error| self.failed(error))?, flag)
            }
        };
        let processed = instance.process(&needed).map_err(|error| self.failed(error))?;
        let made = bound.transform.plan().assemble(&input, processed).map_err(|error| self.failed(error))?;
        if made.num_rows() != rows {
            let message = format!("the function '{}' made {} rows of {rows}", self.name, made.num_rows());
            return Err(external(self.located(Failure::new(Code::PluginOutput, message))));
        }
        let mut waiting = bound.idle.lock();
        if waiting.len() < IDLE_MAX {
            waiting.push((instance, flag));
        }
        Ok(match made.columns() {
            [column] => Arc::clone(column),
            _ => Arc::new(StructArray::from(made)),
        })
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
        Ok(self.bind(types)?.result().data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(self.bind(&types)?.result().as_ref().clone().with_name(&self.name)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let bound = self.bind(&types)?;
        let are_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if are_constant { 1 } else { rows };
        let columns = args.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        if columns.iter().any(|column| column.len() != rows) {
            return internal_err!("arguments of different lengths");
        }
        let mut parts = Vec::with_capacity(rows.div_ceil(ROWS_MAX));
        for start in (0..rows).step_by(ROWS_MAX) {
            let length = ROWS_MAX.min(rows - start);
            let part: Vec<ArrayRef> = columns.iter().map(|column| column.slice(start, length)).collect();
            parts.push(self.call(&bound, &part, length)?);
        }
        let made = match parts.as_slice() {
            [] => new_empty_array(bound.result().data_type()),
            [one] => Arc::clone(one),
            many => concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
        };
        if are_constant {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&made, 0)?));
        }
        Ok(ColumnarValue::Array(made))
    }
}

/// A lambda of several parameters takes them as one tuple: `(a, b) => …` becomes `([a, b]) => …`.
fn with_one_parameter(text: &str) -> (String, usize) {
    let inner = text.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'));
    match inner {
        Some((names, body)) if !names.contains(['{', '[', '(']) => match names.split(',').filter(|name| !name.trim().is_empty()).count() {
            count @ (0 | 1) => (text.to_owned(), count),
            count => (format!("([{names}]){body}"), count),
        },
        _ => (text.to_owned(), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::with_one_parameter;

    #[test]
    fn parameters_become_one() {
        let check = |text: &str, expect: &str, count: usize| assert_eq!(with_one_parameter(text), (expect.to_owned(), count));
        check("x => x + 1", "x => x + 1", 1);
        check("(x) => x", "(x) => x", 1);
        check("(a, b) => a + b", "([a, b]) => a + b", 2);
        check("({a}) => a", "({a}) => a", 1);
        check("() => 1", "() => 1", 0);
    }
}
