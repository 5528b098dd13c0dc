//! What the names in SQL mean: tables, DataFusion's functions, functions of the job, and `plugin.function`.

use super::{fault, sets};
use crate::PluginEntry;
use crate::plan::HIDDEN;
use crate::plan::plugin::check_config;
use crate::relation::PlanContext;
use crate::udf::aggregate::{aggregate_udf, bind_aggregate};
use crate::udf::bounded::bounded;
use crate::udf::lists::array_agg;
use crate::udf::moments;
use crate::udf::scalar::scalar_udf;
use azora_sandbox::{FunctionDecl, FunctionKind};
use azora_spec::wire::{plugin_function, suggestion};
use azora_spec::{Code, DatasetName, Failure, Function};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DataFusionError, Result, TableReference, plan_err};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, Volatility, WindowUDF, lit,
};
use datafusion::sql::sqlparser::ast::ObjectName;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

/// DataFusion's functions by their names.
struct BuiltIn {
    scalar: HashMap<String, Arc<ScalarUDF>>,
    higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    aggregate: HashMap<String, Arc<AggregateUDF>>,
    window: HashMap<String, Arc<WindowUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(|| {
    macro_rules! by_name {
        ($functions:expr) => {
            $functions
                .into_iter()
                .flat_map(|function| {
                    let names: Vec<String> =
                        std::iter::once(function.name().to_owned()).chain(function.aliases().iter().cloned()).collect();
                    names.into_iter().map(move |name| (name, Arc::clone(&function)))
                })
                .collect()
        };
    }
    let mut aggregate: HashMap<String, Arc<AggregateUDF>> = by_name!(SessionStateDefaults::default_aggregate_functions());
    aggregate.insert("sum".to_owned(), Arc::new(super::sum::checked_sum()));
    aggregate.insert("array_agg".to_owned(), array_agg());
    let steady = [moments::avg(), moments::variance(), moments::variance_of_all(), moments::deviation(), moments::deviation_of_all()];
    let steady: HashMap<String, Arc<AggregateUDF>> = by_name!(steady.into_iter().chain(moments::of_pairs()).map(Arc::new));
    aggregate.extend(steady);
    let mut scalar: HashMap<String, Arc<ScalarUDF>> = by_name!(SessionStateDefaults::default_scalar_functions().into_iter().map(bounded));
    // Standard SQL's name of it.
    if let Some(signum) = scalar.get("signum").cloned() {
        scalar.insert("sign".to_owned(), signum);
    }
    BuiltIn {
        scalar,
        higher_order: by_name!(SessionStateDefaults::default_higher_order_functions()),
        aggregate,
        window: by_name!(SessionStateDefaults::default_window_functions()),
        planners: SessionStateDefaults::default_expr_planners(),
    }
});

/// The names that one text may use.
pub(in crate::plan) struct Names<'a> {
    pub(super) ctx: &'a PlanContext,
    functions: &'a BTreeMap<String, Function>,
    tables: HashMap<String, Arc<dyn TableSource>>,
    made: Mutex<HashMap<String, Arc<ScalarUDF>>>,
    /// A function that could not be made, and why.
    failure: Mutex<Option<(String, Failure)>>,
    pub(super) pointer: String,
}

/// What a function does with rows.
pub(super) struct Kind {
    pub(super) kind: FunctionKind,
    /// Whether it says which arguments it takes.
    pub(super) takes_arguments: bool,
}

impl<'a> Names<'a> {
    /// Without tables. Failures of functions at run time point to `pointer`.
    pub(in crate::plan) fn new(ctx: &'a PlanContext, functions: &'a BTreeMap<String, Function>, pointer: &str) -> Self {
        Self { ctx, functions, tables: HashMap::new(), made: Mutex::default(), failure: Mutex::default(), pointer: pointer.to_owned() }
    }

    pub(super) fn add_table(&mut self, name: String, plan: LogicalPlan) {
        self.tables.insert(name, provider_as_source(Arc::new(ViewTable::new(plan, None))));
    }

    /// The failure that a caller sees: why a function could not be made, where that was the reason.
    pub(in crate::plan) fn blame(&self, error: DataFusionError, text: &str) -> Failure {
        if let Some((name, failure)) = self.failure.lock().take() {
            return match fault::word(text, &name) {
                Some(position) if failure.position.is_none() => failure.position(position),
                _ => failure,
            };
        }
        let known: Vec<String> = self.udf_names().into_iter().chain(self.udaf_names()).chain(self.udwf_names()).collect();
        fault::of_sql(error, text, &known)
    }

    /// Name, type and nullability of a table's columns, as rows.
    pub(super) fn columns_of(&self, name: &ObjectName, text: &str, known: &[DatasetName]) -> std::result::Result<Vec<Vec<Expr>>, Failure> {
        let plain = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect::<Vec<_>>().join(".");
        let table = self.tables.get(&plain).ok_or_else(|| fault::unknown_table(&plain, text, known))?;
        let row = |field: &Arc<Field>| {
            vec![lit(field.name().clone()), lit(super::type_word(field.data_type())), lit(if field.is_nullable() { "YES" } else { "NO" })]
        };
        Ok(table.schema().fields().iter().map(row).collect())
    }

    /// The plan with columns that have one name each and no qualifier, so that rows can be objects.
    pub(super) fn named_once(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let qualifiers = qualifiers(&plan)?;
        let mut taken = HashSet::new();
        let mut columns = Vec::with_capacity(plan.schema().fields().len());
        for (qualifier, field) in plan.schema().iter() {
            let mut plain = field.name().clone();
            for table in &qualifiers {
                plain = plain.replace(&format!("{table}."), "");
            }
            if plain.starts_with(HIDDEN) {
                return plan_err!("a column's name may not start with '{HIDDEN}'");
            }
            let (mut name, mut at) = (plain.clone(), 1);
            while !taken.insert(name.clone()) {
                name = format!("{plain}_{at}");
                at += 1;
            }
            columns.push(Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(name));
        }
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }

    /// Why planning cannot go on, at a name.
    pub(super) fn fail(&self, name: &str, failure: Failure) {
        *self.failure.lock() = Some((name.to_owned(), failure));
    }

    /// A function that the job names, or a plugin's.
    pub(super) fn named_function(&self, name: &str) -> Option<Function> {
        self.functions.get(name).cloned().or_else(|| plugin_function(name))
    }

    /// What a function does. A lambda in the place of rows makes any number of them.
    pub(super) fn kind(&self, function: &Function) -> std::result::Result<Kind, Failure> {
        match function {
            Function::Lambda(_) | Function::Declared { .. } => Ok(Kind { kind: FunctionKind::FlatMap, takes_arguments: false }),
            Function::Plugin { .. } => {
                let (decl, _) = self.declared(function, None)?;
                Ok(Kind { kind: decl.kind, takes_arguments: !decl.params.fields().is_empty() })
            }
        }
    }

    /// What a plugin says of the function that is meant, and the plugin. Where none is named, it is the only one, or the only
    /// one of a kind.
    fn declared(&self, function: &Function, kind: Option<FunctionKind>) -> std::result::Result<(FunctionDecl, PluginEntry), Failure> {
        let Function::Plugin { plugin, function, .. } = function else { return Err(crate::Error::Broken("a plugin's function").into()) };
        let entry = self.ctx.plugin(plugin)?;
        let found = match (function, entry.manifest.functions.as_slice()) {
            (Some(name), all) => all.iter().find(|decl| decl.name == *name),
            (None, [only]) => Some(only),
            (None, all) => {
                let mut fitting = all.iter().filter(|decl| Some(decl.kind) == kind);
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        if let Some(decl) = found.cloned() {
            return Ok((decl, entry));
        }
        let known: Vec<&str> = entry.manifest.functions.iter().map(|decl| decl.name.as_str()).collect();
        let all = || format!("its functions are {}", known.join(", "));
        let Some(name) = function else {
            let message = format!("plugin '{}' has several functions; say which", entry.manifest.name);
            return Err(Failure::new(Code::PluginFunctionUnknown, message).hint(all()));
        };
        let message = format!("plugin '{}' has no function '{}'", entry.manifest.name, name.escape_debug());
        let failure = Failure::new(Code::PluginFunctionUnknown, message);
        Err(failure.hint(suggestion(name, known.iter().copied(), "its functions are")))
    }

    /// A function over columns of a row: a lambda, or a plugin's map.
    fn function(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if let Some(udf) = self.made.lock().get(name) {
            return Some(Arc::clone(udf));
        }
        let function = self.named_function(name)?;
        let is_named = self.functions.contains_key(name);
        let made = match self.kind(&function).map(|kind| kind.kind) {
            // The planner asks for aggregates afterwards.
            Ok(FunctionKind::Aggregate) => return None,
            Ok(FunctionKind::FlatMap | FunctionKind::MapPartitions) if matches!(function, Function::Plugin { .. }) => {
                let failure = Failure::new(Code::SqlInvalid, format!("'{}' makes rows, so it stands in FROM", name.escape_debug()));
                Err(failure.hint(format!("for example SELECT * FROM {}((SELECT column FROM table))", name.escape_debug())))
            }
            Ok(_) => self.returns(&function).and_then(|returns| scalar_udf(self.ctx, name, &function, returns, &self.pointer)),
            Err(failure) => Err(failure),
        };
        match made {
            Ok(udf) => {
                let udf = Arc::new(udf);
                self.made.lock().insert(name.to_owned(), Arc::clone(&udf));
                Some(udf)
            }
            Err(failure) => {
                if !matches!(failure.code, Code::PluginUnknown) || is_named {
                    self.fail(name, failure);
                }
                None
            }
        }
    }

    /// The type that a function's answers shall have, where somebody says.
    fn returns(&self, function: &Function) -> std::result::Result<Option<DataType>, Failure> {
        let Function::Declared { returns, .. } = function else { return Ok(None) };
        super::type_of_name(self, returns).map(Some).map_err(|failure| {
            let failure = Failure { position: None, ..failure };
            Failure { message: format!("RETURNS {}: {}", returns.escape_debug(), failure.message), ..failure }.at(&self.pointer)
        })
    }

    /// A plugin's aggregate under the name by which a text calls it.
    fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        let function = self.named_function(name)?;
        match self.kind(&function) {
            Ok(kind) if kind.kind == FunctionKind::Aggregate => {}
            // The planner asked for a function before, and knows what is wrong.
            _ => return None,
        }
        match self.plugin_aggregate(name, &function) {
            Ok(aggregate) => Some(Arc::new(aggregate)),
            Err(failure) => {
                self.fail(name, failure.at(&self.pointer));
                None
            }
        }
    }

    /// A plugin's aggregate, by its declared arguments.
    pub(in crate::plan) fn plugin_aggregate(&self, name: &str, function: &Function) -> std::result::Result<AggregateUDF, Failure> {
        let (decl, entry) = self.declared(function, Some(FunctionKind::Aggregate))?;
        if decl.kind != FunctionKind::Aggregate {
            let message = format!("function '{}' is of kind {}, and an aggregate is needed", decl.name, decl.kind.as_str());
            let known = entry.manifest.functions.iter().filter(|decl| decl.kind == FunctionKind::Aggregate);
            let known: Vec<&str> = known.map(|decl| decl.name.as_str()).collect();
            let hint = match known.as_slice() {
                [] => format!("plugin '{}' has no aggregates", entry.manifest.name),
                known => format!("its aggregates are {}", known.join(", ")),
            };
            return Err(Failure::new(Code::PluginFunctionUnknown, message).hint(hint));
        }
        let Function::Plugin { config, .. } = function else { return Err(crate::Error::Broken("a plugin's function").into()) };
        check_config(&self.pointer, config, &decl)?;
        // Whether a column has nulls is not known before the call is planned; what they mean is the guest's business.
        let nullable = |param: &Arc<Field>| param.as_ref().clone().with_nullable(true);
        let input: SchemaRef = Arc::new(Schema::new(decl.params.fields().iter().map(nullable).collect::<Vec<_>>()));
        let config = serde_json::Value::Object(config.clone()).to_string();
        let aggregate = bind_aggregate(self.ctx, &entry, &decl, &input, &config)?;
        Ok(aggregate_udf(name, aggregate, input, self.ctx, &self.pointer))
    }

    /// The names of a plugin's function's arguments.
    pub(in crate::plan) fn params(&self, function: &Function) -> std::result::Result<Vec<String>, Failure> {
        let (decl, _) = self.declared(function, Some(FunctionKind::Aggregate))?;
        Ok(decl.params.fields().iter().map(|param| param.name().clone()).collect())
    }

    /// One of DataFusion's functions, unless it answers another thing each time: a job that is computed again after a
    /// crash must make the same rows.
    fn built_in(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let udf = BUILT_IN.scalar.get(&name.to_ascii_lowercase())?;
        if udf.signature().volatility != Volatility::Volatile {
            return Some(Arc::clone(udf));
        }
        let failure = Failure::new(
            Code::SqlUnsupported,
            format!("{}() is not available: a job that goes on after a crash must make the same rows", udf.name()),
        );
        self.fail(name, failure.hint("derive values from columns, for example by md5(column), or use the operation 'sample' with a seed"));
        None
    }
}

/// Names of tables and aliases in a plan, the longest first.
fn qualifiers(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut found = HashSet::new();
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::SubqueryAlias(alias) => drop(found.insert(alias.alias.to_string())),
            LogicalPlan::TableScan(scan) => drop(found.insert(scan.table_name.to_string())),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut found: Vec<String> = found.into_iter().collect();
    found.sort_by_key(|name| std::cmp::Reverse(name.len()));
    Ok(found)
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let plain = if name.schema().is_none() { name.table().to_owned() } else { name.to_string() };
        match self.tables.get(&plain) {
            Some(table) => Ok(Arc::clone(table)),
            None => plan_err!("table '{plain}' not found"),
        }
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &BUILT_IN.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if self.functions.contains_key(name) {
            return self.function(name);
        }
        if name == sets::NUMBER {
            return Some(sets::mark());
        }
        if BUILT_IN.scalar.contains_key(&name.to_ascii_lowercase()) { self.built_in(name) } else { self.function(name) }
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        self.called(name, args)
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        BUILT_IN.higher_order.get(&name.to_ascii_lowercase()).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        // What the job names itself wins, as it does among functions.
        let own = if self.functions.contains_key(name) { self.aggregate(name) } else { None };
        own.or_else(|| BUILT_IN.aggregate.get(&name.to_ascii_lowercase()).cloned()).or_else(|| self.aggregate(name))
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        BUILT_IN.window.get(&name.to_ascii_lowercase()).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.ctx.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        BUILT_IN.scalar.keys().chain(self.functions.keys()).cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        BUILT_IN.higher_order.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        BUILT_IN.aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        BUILT_IN.window.keys().cloned().collect()
    }
}

/// A column of that name, or the failure that says which there are.
pub(crate) fn known_column(names: &[String], wanted: &str) -> std::result::Result<(), Failure> {
    if names.iter().any(|name| name == wanted) {
        return Ok(());
    }
    let failure = Failure::new(Code::ColumnUnknown, format!("there is no column '{}'", wanted.escape_debug()));
    Err(failure.hint(suggestion(wanted, names.iter().map(String::as_str), "columns are")))
}
