//! Functions of uploaded components: which one is meant, whether it fits the operation, its arguments and its
//! configuration, and what becomes of the columns that it makes.

use super::{Builder, HIDDEN, OperationAt, Rows};
use crate::failure_of;
use crate::node::{Kernel, KernelSource, Meeting, Mode, Source, TransformOperator};
use azora_connect::element::{self, Element};
use azora_sandbox::{FunctionDecl, FunctionKind, Manifest, Origin, Transform};
use azora_spec::wire::suggestion;
use azora_spec::{Code, Failure, Function, Operation, PluginRef, config_schema};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The parts of [`Function::Plugin`].
pub(super) struct Asked<'a> {
    pub(super) plugin: &'a PluginRef,
    function: Option<&'a str>,
    pub(super) config: &'a Map<String, Value>,
    columns: Option<&'a [String]>,
    keep_as: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(function: &'a Function) -> Option<Self> {
        match function {
            Function::Lambda(_) | Function::Declared { .. } => None,
            Function::Plugin { plugin, function, config, columns, keep_as } => {
                Some(Self { plugin, function: function.as_deref(), config, columns: columns.as_deref(), keep_as: keep_as.as_deref() })
            }
        }
    }
}

/// One column that a function gets: its name in the plan, and its type as the function wants it.
pub(super) struct Argument {
    pub(super) column: String,
    pub(super) field: Field,
}

impl Builder<'_> {
    /// An operation with a plugin's function.
    pub(super) fn plugin(&mut self, step: &OperationAt<'_>, function: &Function) -> Result<(), Failure> {
        let Some(asked) = Asked::of(function) else {
            return Err(step
                .invalid("mapPartitions takes a plugin's function")
                .hint(r#"for example {"type":"mapPartitions","plugin":"name@1.0.0"}"#));
        };
        match step.operation {
            Operation::Map(_) => match asked.keep_as {
                Some(name) => self.map_kept(step, &asked, name),
                None => self.replaced(step, &asked, FunctionKind::Map),
            },
            Operation::FlatMap(_) => self.replaced(step, &asked, FunctionKind::FlatMap),
            Operation::MapPartitions(_) if self.is_skipping() => Err(step
                .invalid("'mapPartitions' sees whole partitions, so a row on which it fails cannot be left out")
                .hint("use map, filter or flatMap, or let the job fail: \"onError\": \"fail\"")),
            Operation::MapPartitions(_) => self.replaced(step, &asked, FunctionKind::MapPartitions),
            Operation::Filter(_) => self.filtered(step, &asked),
            Operation::MapValues(_) => self.mapped_values(step, function),
            Operation::KeyBy(_) => self.keyed(step, function),
            other => Err(step.invalid(format!("'{}' takes a lambda, not a plugin's function", other.name()))),
        }
    }

    /// Elements become what the function makes.
    fn replaced(&mut self, step: &OperationAt<'_>, asked: &Asked<'_>, kind: FunctionKind) -> Result<(), Failure> {
        let schema = Arc::clone(&self.rows.schema);
        let kernel = self.bound(step, asked, &schema, kind)?;
        let made = self.made_schema(&kernel);
        let fields: Vec<Field> = made.fields().iter().map(|field| field.as_ref().clone()).collect();
        self.transform(step, kernel, Mode::Replace, kind)?;
        self.rows.schema = made;
        // One column is the element itself; an object of one property is what lambdas are for.
        match fields.as_slice() {
            [field] => {
                let (schema, sources) = Rows::unpacked(field, Source::column(field.name()));
                if field.name() == element::VALUE && schema.fields().len() == 1 && !field.data_type().is_nested() {
                    self.rows.schema = schema;
                    Ok(())
                } else {
                    self.rows.project(schema, sources)
                }
            }
            _ => Ok(()),
        }
    }

    /// Elements stay, and get one column more.
    fn map_kept(&mut self, step: &OperationAt<'_>, asked: &Asked<'_>, name: &str) -> Result<(), Failure> {
        if Element::of(&self.rows.schema) != Element::Object {
            return Err(step
                .invalid("'as' adds a property to objects, and elements are not objects here")
                .at(format!("{}/as", step.pointer)));
        }
        if name.starts_with(HIDDEN) {
            return Err(Failure::new(Code::RequestField, format!("a column's name may not start with '{HIDDEN}'"))
                .at(format!("{}/as", step.pointer)));
        }
        let schema = Arc::clone(&self.rows.schema);
        let kernel = self.bound(step, asked, &schema, FunctionKind::Map)?;
        let made: Vec<FieldRef> = kernel.plan().made.fields().iter().cloned().collect();
        let added = match made.as_slice() {
            [field] => vec![(name.to_owned(), field.as_ref().clone().with_name(name))],
            many => {
                // Several columns become one object.
                let (mut hidden, mut parts) = (Vec::new(), Vec::new());
                for (at, field) in many.iter().enumerate() {
                    hidden.push((format!("{HIDDEN}made{at}"), field.as_ref().clone()));
                    parts.push(field.as_ref().clone());
                }
                self.transform(step, kernel, Mode::Keep(hidden.iter().map(|(name, _)| name.clone()).collect()), FunctionKind::Map)?;
                let whole = Field::new(name, DataType::Struct(parts.into()), false);
                let source = Source::Pack(hidden.into_iter().map(|(name, _)| Source::column(name)).collect());
                return self.rows.with_column(&schema, whole, source);
            }
        };
        self.transform(step, kernel, Mode::Keep(added.iter().map(|(name, _)| name.clone()).collect()), FunctionKind::Map)?;
        match added.into_iter().next() {
            Some((name, field)) => self.rows.with_column(&schema, field, Source::column(name)),
            None => Ok(()),
        }
    }

    fn filtered(&mut self, step: &OperationAt<'_>, asked: &Asked<'_>) -> Result<(), Failure> {
        let schema = Arc::clone(&self.rows.schema);
        let kernel = self.bound(step, asked, &schema, FunctionKind::Filter)?;
        let is_predicate = matches!(kernel.plan().made.fields().as_ref(), [field] if field.data_type() == &DataType::Boolean);
        if !is_predicate && !kernel.plan().made.fields().is_empty() {
            return Err(step.refused("it is declared as a filter, but makes columns"));
        }
        self.transform(step, kernel, if is_predicate { Mode::Predicate } else { Mode::Keep(Vec::new()) }, FunctionKind::Filter)
    }

    /// Columns that a function makes of each element, beside the element: their names.
    pub(super) fn computed_by_plugin(&mut self, step: &OperationAt<'_>, function: &Function, prefix: &str) -> Result<Vec<String>, Failure> {
        let Some(asked) = Asked::of(function) else { return Ok(Vec::new()) };
        let schema = Arc::clone(&self.rows.schema);
        let kernel = self.bound(step, &asked, &schema, FunctionKind::Map)?;
        let names: Vec<String> = (0..kernel.plan().made.fields().len()).map(|at| format!("{prefix}{at}")).collect();
        self.transform(step, kernel, Mode::Keep(names.clone()), FunctionKind::Map)?;
        Ok(names)
    }

    /// `[key, value]` to `[key, f(value)]`.
    fn mapped_values(&mut self, step: &OperationAt<'_>, function: &Function) -> Result<(), Failure> {
        self.pair(step)?;
        let Some(asked) = Asked::of(function) else { return Ok(()) };
        let (key, value) = (self.rows.schema.field(0).clone(), self.rows.schema.field(1).clone());
        let (values, sources) = Rows::unpacked(&value, Source::column(value.name()));
        // The value's columns come beside the key, under names of their own.
        let hidden: Vec<String> = (0..sources.len()).map(|at| format!("{HIDDEN}value{at}")).collect();
        let renamed = values.fields().iter().zip(&hidden).map(|(field, name)| field.as_ref().clone().with_name(name));
        let mut columns = vec![(key.clone(), Source::column(key.name()))];
        columns.extend(renamed.zip(sources));
        self.rows.put(Arc::new(crate::node::Project::new(columns)))?;
        let kernel = self.bound_as(step, &asked, &values, &hidden, FunctionKind::Map)?;
        let (names, field, source) = made_column(&kernel, &element::part(1));
        self.transform(step, kernel, Mode::Keep(names), FunctionKind::Map)?;
        self.rows.project(element::tuple(&[key.clone(), field]), vec![Source::column(key.name()), source])
    }

    /// Elements to `[f(x), x]`.
    fn keyed(&mut self, step: &OperationAt<'_>, function: &Function) -> Result<(), Failure> {
        let Some(asked) = Asked::of(function) else { return Ok(()) };
        let schema = Arc::clone(&self.rows.schema);
        let (whole, whole_source) = self.rows.packed(&element::part(1));
        let kernel = self.bound(step, &asked, &schema, FunctionKind::Map)?;
        let (names, field, source) = made_column(&kernel, &element::part(0));
        self.transform(step, kernel, Mode::Keep(names), FunctionKind::Map)?;
        self.rows.project(element::tuple(&[field, whole]), vec![source, whole_source])
    }

    fn transform(&mut self, step: &OperationAt<'_>, kernel: Arc<Kernel>, mode: Mode, kind: FunctionKind) -> Result<(), Failure> {
        let operator = TransformOperator {
            kernel,
            mode,
            meeting: Meeting::Apart,
            is_stateless: kind != FunctionKind::MapPartitions,
            is_one_to_one: kind == FunctionKind::Map,
            on_error: self.ctx.options.on_error,
            pointer: step.pointer.clone(),
            pointers: Vec::new(),
        };
        self.rows.put(Arc::new(operator))
    }

    fn bound(&self, step: &OperationAt<'_>, asked: &Asked<'_>, schema: &Schema, kind: FunctionKind) -> Result<Arc<Kernel>, Failure> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        self.bound_as(step, asked, schema, &names, kind)
    }

    /// Binds a function to elements of a schema whose columns have other names in the plan.
    fn bound_as(
        &self,
        step: &OperationAt<'_>,
        asked: &Asked<'_>,
        schema: &Schema,
        names: &[String],
        kind: FunctionKind,
    ) -> Result<Arc<Kernel>, Failure> {
        let entry = self.ctx.plugin(asked.plugin).map_err(|failure| failure.at(format!("{}/plugin", step.pointer)))?;
        let decl = chosen(step, asked, &entry.manifest, kind)?;
        check_config(&step.pointer, asked.config, decl)?;
        let arguments = arguments(step, asked, decl, schema, names)?;
        let (columns, fields): (Vec<String>, Vec<Field>) = arguments.into_iter().map(|argument| (argument.column, argument.field)).unzip();
        let bound: SchemaRef = Arc::new(Schema::new(fields));
        let config = Value::Object(asked.config.clone()).to_string();
        let transform = self.bind_component(step, &entry.digest, decl, &bound, &config)?;
        if matches!(kind, FunctionKind::Map) && transform.plan().made.fields().is_empty() {
            return Err(step.refused("it is declared as a map, but makes no column"));
        }
        let source = KernelSource {
            origin: Origin::Plugin,
            digest: entry.digest,
            function: decl.name.clone(),
            config,
            label: format!("{}@{} {}", entry.manifest.name, entry.manifest.version, decl.name),
        };
        Kernel::named(source, self.ctx.options.guest, (bound, columns), transform).map(Arc::new).map_err(failure_of)
    }

    fn bind_component(
        &self,
        step: &OperationAt<'_>,
        digest: &azora_spec::Digest,
        decl: &FunctionDecl,
        bound: &SchemaRef,
        config: &str,
    ) -> Result<Transform, Failure> {
        let component = self
            .ctx
            .sandbox
            .load(digest, &|| self.ctx.catalog.plugin_bytes(digest))
            .map_err(|error| Failure::from(error).at(format!("{}/plugin", step.pointer)))?;
        component.bind(&decl.name, bound, config, self.ctx.options.guest).map_err(|error| Failure::from(error).at(&step.pointer))
    }
}

impl OperationAt<'_> {
    fn refused(&self, why: &str) -> Failure {
        Failure::new(Code::PluginRefused, format!("the function does not do what it declares: {why}")).at(&self.pointer)
    }
}

impl Rows {
    /// Elements of a schema with one column more, or with another in the place of one of that name.
    fn with_column(&mut self, schema: &Schema, field: Field, source: Source) -> Result<(), Failure> {
        let mut columns: Vec<(Field, Source)> =
            schema.fields().iter().map(|field| (field.as_ref().clone(), Source::column(field.name()))).collect();
        match columns.iter_mut().find(|(present, _)| present.name() == field.name()) {
            Some(present) => *present = (field, source),
            None => columns.push((field, source)),
        }
        let (fields, sources): (Vec<Field>, Vec<Source>) = columns.into_iter().unzip();
        self.project(Element::Object.schema(fields), sources)
    }
}

/// What a function makes as one column of that name: hidden names for its columns, the field, and how to make it.
fn made_column(kernel: &Kernel, name: &str) -> (Vec<String>, Field, Source) {
    let made: Vec<Field> = kernel.plan().made.fields().iter().map(|field| field.as_ref().clone()).collect();
    let names: Vec<String> = (0..made.len()).map(|at| format!("{HIDDEN}made{at}")).collect();
    let sources = names.iter().map(Source::column).collect::<Vec<_>>();
    match (made.as_slice(), sources.as_slice()) {
        ([field], [source]) => (names, field.clone().with_name(name), source.clone()),
        _ => (names, Field::new(name, DataType::Struct(made.into()), false), Source::Pack(sources)),
    }
}

/// The function that is meant.
pub(super) fn chosen<'a>(
    step: &OperationAt<'_>,
    asked: &Asked<'_>,
    manifest: &'a Manifest,
    kind: FunctionKind,
) -> Result<&'a FunctionDecl, Failure> {
    let pointer = format!("{}/function", step.pointer);
    let names = || manifest.functions.iter().map(|decl| decl.name.as_str());
    let decl = match (asked.function, manifest.functions.as_slice()) {
        (Some(name), all) => all.iter().find(|decl| decl.name == name).ok_or_else(|| {
            let failure =
                Failure::new(Code::PluginFunctionUnknown, format!("plugin '{}' has no function '{}'", manifest.name, name.escape_debug()));
            failure.at(&pointer).hint(suggestion(name, names(), "its functions are"))
        })?,
        (None, [only]) => only,
        (None, []) => {
            return Err(Failure::new(Code::PluginFunctionUnknown, format!("plugin '{}' has no functions", manifest.name)).at(&pointer));
        }
        (None, _) => {
            let fitting: Vec<&FunctionDecl> = manifest.functions.iter().filter(|decl| decl.kind == kind).collect();
            match fitting.as_slice() {
                [only] => *only,
                _ => {
                    let failure =
                        Failure::new(Code::PluginFunctionUnknown, format!("plugin '{}' has several functions; say which", manifest.name));
                    return Err(failure.at(&pointer).hint(format!("its functions are {}", names().collect::<Vec<_>>().join(", "))));
                }
            }
        }
    };
    // A map of one row each is also a way to go over whole partitions.
    let fits = decl.kind == kind || (kind == FunctionKind::MapPartitions && decl.kind != FunctionKind::Aggregate);
    if fits {
        return Ok(decl);
    }
    let message =
        format!("function '{}' is of kind {}, and '{}' needs {}", decl.name, decl.kind.as_str(), step.operation.name(), kind.as_str());
    Err(Failure::new(Code::PluginFunctionUnknown, message).at(&pointer))
}

/// Checks a configuration against the function's JSON Schema. The call stands at `pointer`.
pub(super) fn check_config(pointer: &str, config: &Map<String, Value>, decl: &FunctionDecl) -> Result<(), Failure> {
    let pointer = format!("{pointer}/config");
    let Some(schema) = &decl.config_schema else {
        if config.is_empty() {
            return Ok(());
        }
        return Err(Failure::new(Code::RequestField, format!("function '{}' takes no configuration", decl.name)).at(pointer));
    };
    config_schema::check(schema, &Value::Object(config.clone())).map_err(|wrong| {
        let failure =
            Failure::new(Code::RequestField, format!("the configuration of function '{}' is wrong: {}", decl.name, wrong.message));
        failure.at(format!("{pointer}{}", wrong.pointer))
    })
}

/// The columns that become a function's arguments.
pub(super) fn arguments(
    step: &OperationAt<'_>,
    asked: &Asked<'_>,
    decl: &FunctionDecl,
    schema: &Schema,
    names: &[String],
) -> Result<Vec<Argument>, Failure> {
    let pointer = format!("{}/columns", step.pointer);
    let find = |wanted: &str| {
        schema.fields().iter().position(|field| field.name() == wanted).ok_or_else(|| {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            let failure = Failure::new(
                Code::OperationInvalid,
                format!("there is no column '{}' for function '{}'", wanted.escape_debug(), decl.name),
            );
            failure.at(&pointer).hint(suggestion(wanted, known, "the columns are"))
        })
    };
    let params = decl.params.fields();
    let is_scalar = Element::of(schema) == Element::Scalar;
    let chosen: Vec<usize> = match asked.columns {
        Some(columns) => columns.iter().map(|name| find(name)).collect::<Result<_, _>>()?,
        None if params.is_empty() => (0..schema.fields().len()).collect(),
        None if is_scalar && params.len() == 1 => vec![0],
        None => params.iter().map(|param| find(param.name())).collect::<Result<_, _>>()?,
    };
    if !params.is_empty() && chosen.len() != params.len() {
        let message = format!("function '{}' takes {} columns, and {} were named", decl.name, params.len(), chosen.len());
        let wanted: Vec<String> = params.iter().map(|param| format!("{}: {}", param.name(), param.data_type())).collect();
        return Err(Failure::new(Code::OperationInvalid, message).at(&pointer).hint(format!("its arguments are {}", wanted.join(", "))));
    }
    let mut arguments = Vec::with_capacity(chosen.len());
    for (place, at) in chosen.into_iter().enumerate() {
        let (given, column) = (schema.field(at), names.get(at).cloned().unwrap_or_default());
        let field = match params.get(place) {
            None => given.clone(),
            Some(param) => {
                let data_type = fitted(given.data_type(), param.data_type()).ok_or_else(|| {
                    let message = format!(
                        "column '{}' is {}, and argument '{}' of function '{}' is {}",
                        given.name(),
                        given.data_type(),
                        param.name(),
                        decl.name,
                        param.data_type()
                    );
                    Failure::new(Code::PluginRefused, message).at(&pointer)
                })?;
                let dressed = if data_type == *param.data_type() { param.as_ref() } else { given };
                Field::new(param.name(), data_type, given.is_nullable()).with_metadata(dressed.metadata().clone())
            }
        };
        arguments.push(Argument { column, field });
    }
    Ok(arguments)
}

/// The type in which a column crosses, where it can without loss.
pub(crate) fn fitted(given: &DataType, wanted: &DataType) -> Option<DataType> {
    if given.equals_datatype(wanted) {
        return Some(wanted.clone());
    }
    let is_fine = match (given, wanted) {
        (DataType::Null, _) => true,
        (given, DataType::Int64) if given.is_integer() => true,
        (given, DataType::Float64) if given.is_numeric() => true,
        (DataType::Int8, DataType::Int16 | DataType::Int32) | (DataType::Int16, DataType::Int32) => true,
        (DataType::Float16 | DataType::Float32, DataType::Float32) => true,
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8 | DataType::LargeUtf8) => true,
        (DataType::Binary | DataType::LargeBinary | DataType::BinaryView, DataType::Binary | DataType::LargeBinary) => true,
        (DataType::Dictionary(_, value), wanted) => return fitted(value, wanted),
        (DataType::Date32 | DataType::Date64, DataType::Timestamp(..)) => true,
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => fineness(*to) >= fineness(*from),
        (DataType::List(from) | DataType::LargeList(from), DataType::List(to)) => {
            fitted(from.data_type(), to.data_type()).is_some_and(|item| item.equals_datatype(to.data_type()))
        }
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len()
                && from.iter().zip(to).all(|(from, to)| {
                    from.name() == to.name()
                        && fitted(from.data_type(), to.data_type()).is_some_and(|part| part.equals_datatype(to.data_type()))
                })
        }
        _ => false,
    };
    is_fine.then(|| wanted.clone())
}

const fn fineness(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::{DataType, TimeUnit, fitted};

    #[test]
    fn columns_cross_without_loss_or_not_at_all() {
        let check = |from: DataType, to: DataType, fits: bool| assert_eq!(fitted(&from, &to).is_some(), fits, "{from} to {to}");
        check(DataType::Int32, DataType::Int64, true);
        check(DataType::Int64, DataType::Float64, true);
        check(DataType::Float64, DataType::Int64, false);
        check(DataType::Utf8View, DataType::Utf8, true);
        check(DataType::Int64, DataType::Utf8, false);
        check(DataType::Timestamp(TimeUnit::Millisecond, None), DataType::Timestamp(TimeUnit::Microsecond, None), true);
        check(DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Timestamp(TimeUnit::Microsecond, None), false);
    }
}
