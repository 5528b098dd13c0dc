//! Aggregates in windows. Those whose values grow with their rows (`array_agg`, `string_agg`, what plugins make) get a bound: each
//! row has a value of its own, and a list of all rows before it for each of 300,000 rows is 360 GB, of which DataFusion keeps
//! no account. Those that cannot take a row back work over frames that move all the same.

mod replay;

use crate::node::external;
use azora_spec::limits::{BATCH_ROWS, VALUES_BYTES_MAX};
use azora_spec::{Code, Failure};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, LogicalPlan, ReversedUDAF, Signature, WindowFunctionDefinition,
};
use replay::Replay;
use std::sync::Arc;

/// The plan with aggregates in windows that have a bound and may move.
pub(crate) fn framed(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Window(window) = &node else { return Ok(Transformed::no(node)) };
        let schema = Arc::clone(window.input.schema());
        node.map_expressions(|expr| {
            expr.transform_up(|part| {
                if !matches!(part, Expr::WindowFunction(_)) {
                    return Ok(Transformed::no(part));
                }
                let is_nested = part.get_type(schema.as_ref()).is_ok_and(|data_type| data_type.is_nested());
                let Expr::WindowFunction(mut window) = part else { return Ok(Transformed::no(part)) };
                let WindowFunctionDefinition::AggregateUDF(function) = &window.fun else {
                    return Ok(Transformed::no(Expr::WindowFunction(window)));
                };
                let grows = is_nested || function.name() == "string_agg";
                if !grows && window.params.window_frame.start_bound.is_unbounded() {
                    return Ok(Transformed::no(Expr::WindowFunction(window)));
                }
                window.fun = WindowFunctionDefinition::AggregateUDF(Framed::udf(Arc::clone(function), grows));
                Ok(Transformed::yes(Expr::WindowFunction(window)))
            })
        })
    })
    .data()
}

/// The aggregate, with accumulators that count or replay.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Framed {
    function: Arc<AggregateUDF>,
    /// Whether an answer is the larger the more rows it is of.
    grows: bool,
}

impl Framed {
    fn udf(function: Arc<AggregateUDF>, grows: bool) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Self { function, grows }))
    }

    fn counting(&self, inner: Box<dyn Accumulator>) -> Box<dyn Accumulator> {
        if !self.grows {
            return inner;
        }
        Box::new(Counting { name: self.function.name().to_owned(), inner, rows: 0, answers: 0, bytes: 0 })
    }
}

impl AggregateUDFImpl for Framed {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.function.window_function_schema_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.function.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.function.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.function.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.counting(self.function.accumulator(args)?))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let inner = self.function.create_sliding_accumulator(args.clone())?;
        // DataFusion's takes values back but not that there were any: nothing but nulls came out as 0.
        let takes_back = inner.supports_retract_batch() && self.function.name() != "bit_xor";
        Ok(self.counting(if takes_back { inner } else { Box::new(Replay::new(&self.function, &args)) }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.function.state_fields(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.function.order_sensitivity()
    }

    /// DataFusion reads a window backwards where that spares a sort, and lists came out in the order in which it reads.
    fn reverse_expr(&self) -> ReversedUDAF {
        match self.function.reverse_udf() {
            _ if self.grows => ReversedUDAF::NotSupported,
            ReversedUDAF::Reversed(other) => ReversedUDAF::Reversed(Self::udf(other, false)),
            same => same,
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    /// The value of an empty frame.
    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.function.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.function.supports_null_handling_clause()
    }
}

/// One partition of a window.
#[derive(Debug)]
struct Counting {
    name: String,
    inner: Box<dyn Accumulator>,
    /// Rows since the last answer. Where a frame is all of a partition there is one answer, and each of its rows gets a copy.
    rows: usize,
    /// Rows that were answered of about a batch, and the bytes of their answers.
    answers: usize,
    bytes: usize,
}

impl Accumulator for Counting {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows += values.first().map_or(0, |values| values.len());
        self.inner.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        let rows = std::mem::take(&mut self.rows).max(1);
        self.answers += rows;
        self.bytes = self.bytes.saturating_add(value.size().saturating_mul(rows));
        if self.bytes > VALUES_BYTES_MAX {
            let message = format!(
                "the values that {}() makes for {} rows of a window take {} bytes, more than {VALUES_BYTES_MAX}",
                self.name, self.answers, self.bytes
            );
            let hint = "narrow the frame, ROWS BETWEEN 100 PRECEDING AND CURRENT ROW for example, or aggregate with GROUP BY and join";
            return Err(external(Failure::new(Code::DataInvalid, message).hint(hint)));
        }
        if self.answers >= BATCH_ROWS {
            (self.answers, self.bytes) = (0, 0);
        }
        Ok(value)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}
