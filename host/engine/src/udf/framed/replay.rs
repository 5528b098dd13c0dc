//! An aggregate over a window that moves, for aggregates that cannot take a row back: the rows of the frame are kept, and
//! aggregated anew for each answer.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, internal_err, not_impl_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use std::collections::VecDeque;
use std::sync::Arc;

/// What an accumulator is made of.
#[derive(Debug)]
struct Recipe {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Recipe {
    fn make(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

/// The rows of a frame, as the arguments of the aggregate.
#[derive(Debug)]
pub(super) struct Replay {
    recipe: Recipe,
    /// The oldest first.
    rows: VecDeque<Vec<ArrayRef>>,
}

impl Replay {
    pub(super) fn new(function: &Arc<AggregateUDF>, args: &AccumulatorArgs<'_>) -> Self {
        let recipe = Recipe {
            function: Arc::clone(function),
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        };
        Self { recipe, rows: VecDeque::new() }
    }

    /// All rows as one piece.
    fn whole(&mut self) -> Result<Option<&[ArrayRef]>> {
        if self.rows.len() > 1 {
            let columns = self.rows.front().map_or(0, Vec::len);
            let whole = (0..columns).map(|at| {
                let pieces: Vec<&dyn Array> = self.rows.iter().filter_map(|piece| piece.get(at)).map(AsRef::as_ref).collect();
                concat(&pieces)
            });
            let whole = whole.collect::<std::result::Result<Vec<_>, _>>()?;
            self.rows = VecDeque::from([whole]);
        }
        Ok(self.rows.front().map(Vec::as_slice))
    }
}

impl Accumulator for Replay {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if values.first().is_some_and(|values| !values.is_empty()) {
            self.rows.push_back(values.to_vec());
        }
        Ok(())
    }

    /// Rows leave in the order in which they came.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut left = values.first().map_or(0, |values| values.len());
        while left > 0 {
            let Some(oldest) = self.rows.front_mut() else { return internal_err!("more rows leave a frame than came") };
            let rows = oldest.first().map_or(0, |values| values.len());
            if rows > left {
                for values in oldest {
                    *values = values.slice(left, rows - left);
                }
                return Ok(());
            }
            left -= rows;
            self.rows.pop_front();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut accumulator = self.recipe.make()?;
        if let Some(rows) = self.whole()? {
            accumulator.update_batch(rows)?;
        }
        accumulator.evaluate()
    }

    fn size(&self) -> usize {
        let rows = self.rows.iter().flatten().map(|values| values.get_array_memory_size());
        size_of::<Self>() + rows.sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("a frame is never merged")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        not_impl_err!("a frame is never merged")
    }
}
