//! A plugin's aggregate as a DataFusion aggregate function: partial and merged across partitions, and spilled, where
//! DataFusion does that. What it does with groups is in `groups`, what without in `single`.
//!
//! States are the guest's: they lie in its memory, and leave it as columns where they are merged or spilled.

mod groups;
mod single;

use crate::PluginEntry;
use crate::node::external;
use crate::plan::fitted;
use crate::relation::{CurrentRun, PlanContext};
use azora_sandbox::{Aggregate, AggregateInstance, CancelFlag, FunctionDecl};
use azora_spec::Failure;
use azora_spec::limits::GuestLimits;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::{DataFusionError, Result, not_impl_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};
use groups::Groups;
use single::Single;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The function under a name. `aggregate` is bound to `input`; what comes from calls is cast to that, where nothing is
/// lost by it. Failures point to a place in the request, which may be empty.
pub(crate) fn aggregate_udf(name: &str, aggregate: Aggregate, input: SchemaRef, ctx: &PlanContext, pointer: &str) -> AggregateUDF {
    let function = Function {
        name: name.to_owned(),
        aggregate,
        input,
        limits: ctx.options.guest,
        run: Arc::clone(&ctx.run),
        pointer: pointer.to_owned(),
    };
    AggregateUDF::new_from_impl(PluginAggregate { function: Arc::new(function), signature: Signature::user_defined(Volatility::Immutable) })
}

/// Binds a plugin's aggregate to columns and a configuration (JSON).
///
/// # Errors
/// Where the component is not to be had, or refuses.
pub(crate) fn bind_aggregate(
    ctx: &PlanContext,
    entry: &PluginEntry,
    decl: &FunctionDecl,
    input: &SchemaRef,
    config: &str,
) -> std::result::Result<Aggregate, Failure> {
    let component = ctx.sandbox.load(&entry.digest, &|| ctx.catalog.plugin_bytes(&entry.digest)).map_err(Failure::from)?;
    component.bind_aggregate(&decl.name, input, config, ctx.options.guest).map_err(Failure::from)
}

/// A bound function and its surroundings.
#[derive(Debug)]
struct Function {
    name: String,
    aggregate: Aggregate,
    /// The columns that it is bound to.
    input: SchemaRef,
    limits: GuestLimits,
    run: Arc<CurrentRun>,
    pointer: String,
}

impl Function {
    /// What it answers: its one column, or a struct of several.
    fn result_type(&self) -> DataType {
        match self.aggregate.plan().result.fields().as_ref() {
            [field] => field.data_type().clone(),
            fields => DataType::Struct(fields.to_vec().into()),
        }
    }

    fn result(&self, rows: RecordBatch) -> ArrayRef {
        match rows.columns() {
            [column] => Arc::clone(column),
            _ => Arc::new(StructArray::from(rows)),
        }
    }

    fn failed(&self, error: azora_sandbox::Error) -> DataFusionError {
        // A row of the batch in hand says nothing to the caller.
        let failure = Failure { row: None, ..Failure::from(error) };
        external(if failure.pointer.is_none() && !self.pointer.is_empty() { failure.at(&self.pointer) } else { failure })
    }

    fn start(&self, cancel: CancelFlag) -> Result<AggregateInstance> {
        self.aggregate.start(cancel).map_err(|error| self.failed(error))
    }
}

#[derive(Debug)]
struct PluginAggregate {
    function: Arc<Function>,
    signature: Signature,
}

// One binding is one function.
impl PartialEq for PluginAggregate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.function, &other.function)
    }
}

impl Eq for PluginAggregate {}

impl Hash for PluginAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.function).addr().hash(state);
    }
}

impl AggregateUDFImpl for PluginAggregate {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.function.result_type())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (name, wanted) = (self.name(), self.function.input.fields());
        if given.len() != wanted.len() {
            return plan_err!("function '{name}' takes {} arguments, and {} were given", wanted.len(), given.len());
        }
        let mut types = Vec::with_capacity(given.len());
        for (given, wanted) in given.iter().zip(wanted) {
            match fitted(given, wanted.data_type()) {
                Some(fitted) => types.push(fitted),
                None => {
                    let (argument, wanted) = (wanted.name(), wanted.data_type());
                    return plan_err!("argument '{argument}' of function '{name}' is {wanted}, and {given} was given");
                }
            }
        }
        Ok(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("DISTINCT inside of the plugin function '{}'", self.name());
        }
        Ok(Box::new(Single::new(Groups::new(Arc::clone(&self.function)))))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |field: &FieldRef| Field::new(format_state_name(args.name, field.name()), field.data_type().clone(), true);
        Ok(self.function.aggregate.plan().state.fields().iter().map(|state| Arc::new(field(state))).collect())
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(Arc::clone(&self.function))))
    }
}
