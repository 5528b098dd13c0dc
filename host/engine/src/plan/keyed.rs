//! Operations by key, and counts of elements.

use super::{Answer, Builder, ORDINAL, OperationAt, Rows};
use crate::failure_of;
use crate::fuse::{Known, known};
use crate::node::{Exchange, Fold, IndexMode, Runs, SortKey, Source};
use azora_connect::element::{self, Element};
use azora_expression::{End, Step};
use azora_spec::{Failure, Function};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::{Expr, lit, when};
use serde_json::Value;
use std::sync::Arc;

/// How many, in a column of that name.
const COUNT: &str = "__azora_count";

impl Builder<'_> {
    pub(super) fn reduce_by_key(
        &mut self,
        step: &OperationAt<'_>,
        function: &Function,
        key: Option<&Function>,
        value: Option<&Function>,
    ) -> Result<(), Failure> {
        let text = step.lambda(function, "function")?;
        if let Some(key) = key {
            self.chain.push_step(Step::KeyBy, step.lambda(key, "key")?, &step.pointer, "key");
        }
        if let Some(value) = value {
            self.chain.push_step(Step::MapValues, step.lambda(value, "value")?, &step.pointer, "value");
        }
        self.flush()?;
        self.pair(step)?;
        let value = self.rows.schema.field(1).clone();
        match known(text) {
            Some(known) if is_native(known, &value) => self.reduce_natively(step, known, &value)?,
            _ => {
                let reduce = End::ReduceRuns(self.chain.lambda(text, &step.pointer, "function"));
                self.fold_runs(step, reduce)?;
            }
        }
        self.by_key_in_order(step)
    }

    pub(super) fn aggregate_by_key(&mut self, step: &OperationAt<'_>, zero: &Value, seq: &Function) -> Result<(), Failure> {
        self.pair(step)?;
        let seq = self.chain.lambda(step.lambda(seq, "seq")?, &step.pointer, "seq");
        let operation = seq.operation;
        self.fold_runs(step, End::AggregateRuns { zero: zero.clone(), seq, operation })?;
        self.by_key_in_order(step)
    }

    pub(super) fn group_by_key(&mut self, step: &OperationAt<'_>) -> Result<(), Failure> {
        self.pair(step)?;
        let (key, value) = (self.rows.schema.field(0).clone(), self.rows.schema.field(1).clone());
        let item = Arc::new(value.with_name("item"));
        let list = Field::new(element::part(1), DataType::List(Arc::clone(&item)), false);
        self.runs(step, Fold::Collect(item), key, list)?;
        self.by_key_in_order(step)
    }

    pub(super) fn count_by_key(&mut self, step: &OperationAt<'_>) -> Result<Answer, Failure> {
        self.pair(step)?;
        let key = self.rows.column(&element::part(0))?;
        self.rows.build(Element::Tuple, |plan| plan.aggregate([key], [count(lit(1)).alias(element::part(1))]))?;
        self.rows.sort(&[element::part(0)], false, None)?;
        Ok(Answer::rows())
    }

    pub(super) fn count_by_value(&mut self, _: &OperationAt<'_>) -> Result<Answer, Failure> {
        let columns = self.rows.names();
        let (whole, source) = self.rows.packed(&element::part(0));
        let groups = columns.iter().map(|name| self.rows.column(name)).collect::<Result<Vec<_>, _>>()?;
        let kind = Element::of(&self.rows.schema);
        self.rows.build(kind, |plan| plan.aggregate(groups, [count(lit(1)).alias(COUNT)]))?;
        self.rows.sort(&columns, false, None)?;
        let schema = element::tuple(&[whole, Field::new(COUNT, DataType::Int64, false)]);
        self.rows.project(schema, vec![source, Source::column(COUNT)])?;
        Ok(Answer::rows())
    }

    pub(super) fn count_distinct(&mut self) -> Result<Answer, Failure> {
        self.rows.distinct()?;
        self.count()
    }

    /// By the engine's own aggregates, which combine before rows are spread.
    fn reduce_natively(&mut self, step: &OperationAt<'_>, known: Known, value: &Field) -> Result<(), Failure> {
        let (key, column) = (self.rows.column(&element::part(0))?, self.rows.column(&element::part(1))?);
        let aggregate = match known {
            Known::Sum => return self.sum_by_key(step, key, column, value),
            Known::Least => min(column),
            Known::Greatest => max(column),
        };
        self.rows.build(Element::Tuple, |plan| plan.aggregate([key], [aggregate.alias(element::part(1))]))
    }

    fn sum_by_key(&mut self, step: &OperationAt<'_>, key: Expr, column: Expr, value: &Field) -> Result<(), Failure> {
        const SUM: &str = "__azora_sum";
        const NUMBERS: &str = "__azora_numbers";
        let exact = super::numbers::ExactSum::new(column.clone(), value.data_type(), &step.pointer);
        let (partial, part) = (exact.aggregate().alias(SUM), element::part(1));
        let nullable = value.is_nullable();
        let mut aggregates = vec![partial];
        if nullable {
            aggregates.push(count(column).alias(NUMBERS));
            aggregates.push(count(lit(1)).alias(COUNT));
        }
        self.rows.build(Element::Tuple, |plan| plan.aggregate([key], aggregates))?;
        let (key, sum) = (self.rows.column(&element::part(0))?, exact.result(self.rows.column(SUM)?));
        let sum = if nullable {
            // In JavaScript null + null is 0, while one null alone stays what it is.
            let only_nulls = self.rows.column(NUMBERS)?.eq(lit(0_i64)).and(self.rows.column(COUNT)?.gt(lit(1_i64)));
            let zero = if value.data_type() == &DataType::Int64 { lit(0_i64) } else { lit(0_f64) };
            when(only_nulls, zero).otherwise(sum).map_err(failure_of)?
        } else {
            sum
        };
        self.rows.build(Element::Tuple, |plan| plan.project([key, sum.alias(part)]))
    }

    /// By a kernel that sees the values of one key after the other.
    fn fold_runs(&mut self, step: &OperationAt<'_>, end: End) -> Result<(), Failure> {
        let chain = std::mem::take(&mut self.chain);
        let kernel = self.bind_whole(&chain, &end).map_err(|refused| refused.at(chain.pointers()))?;
        let (key, output) = (self.rows.schema.field(0).clone(), Arc::clone(&kernel.plan().output));
        let made = match output.fields().as_ref() {
            [field] => field.as_ref().clone(),
            fields if Element::of(&output) == Element::Tuple => {
                element::tuple_field(&element::part(1), &fields.iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>(), false)
            }
            fields => Field::new(element::part(1), DataType::Struct(fields.to_vec().into()), false),
        };
        self.runs(step, Fold::Kernel(kernel), key, made)
    }

    fn runs(&mut self, step: &OperationAt<'_>, fold: Fold, key: Field, value: Field) -> Result<(), Failure> {
        self.rows.index(IndexMode::Ordinal, ORDINAL)?;
        let keys = self.rows.leaves(&element::part(0))?;
        let mut order: Vec<SortKey> = keys.iter().map(|column| SortKey { column: column.clone(), is_descending: false }).collect();
        order.push(SortKey { column: ORDINAL.to_owned(), is_descending: false });
        let exchange = Exchange { partitions: self.ctx.partitions.max(1), hash: vec![element::part(0)], order };
        let runs = Runs { fold, exchange, key: element::part(0), value: element::part(1), pointer: format!("{}/function", step.pointer) };
        self.rows.replace(runs, element::tuple(&[key, value]))
    }

    pub(super) fn by_key_in_order(&mut self, step: &OperationAt<'_>) -> Result<(), Failure> {
        if step.is_order_seen { self.rows.sort(&[element::part(0)], false, None) } else { Ok(()) }
    }

    /// `count` by the engine.
    pub(super) fn count(&mut self) -> Result<Answer, Failure> {
        self.rows.build(Element::Scalar, |plan| plan.aggregate(Vec::<Expr>::new(), [count(lit(1)).alias(element::VALUE)]))?;
        Ok(Answer::single())
    }

    pub(super) fn is_empty(&mut self) -> Result<Answer, Failure> {
        self.rows.pass_through(crate::node::Gather::first(1))?;
        self.count()?;
        let number = self.rows.column(element::VALUE)?;
        self.rows.build(Element::Scalar, |plan| plan.project([number.eq(lit(0_i64)).alias(element::VALUE)]))?;
        Ok(Answer::single())
    }

    /// The least or greatest element, by the engine.
    pub(super) fn extreme(&mut self, step: &OperationAt<'_>) -> Result<Answer, Failure> {
        let is_comparable = |field: &Field| !field.data_type().is_nested() && field.data_type() != &DataType::Null;
        let is_scalar = Element::of(&self.rows.schema) == Element::Scalar;
        match self.rows.schema.fields().first() {
            Some(field) if is_scalar && is_comparable(field) => {}
            // No element has a value at all.
            Some(field) if is_scalar && field.data_type() == &DataType::Null => {
                self.rows.pass_through(crate::node::Gather::first(0))?;
                return Ok(Answer::existing(step));
            }
            _ => {
                let what = self.described();
                return Err(step
                    .invalid(format!("'{}' works on numbers, strings and dates, and elements are {what} here", step.operation.name()))
                    .hint("map to the value to compare, or use takeOrdered and top for whole elements"));
            }
        }
        let value = self.rows.column(element::VALUE)?;
        let found = if matches!(step.operation, azora_spec::Operation::Min) { min(value) } else { max(value) };
        self.rows.build(Element::Scalar, |plan| plan.aggregate(Vec::<Expr>::new(), [found.alias(element::VALUE)]))?;
        let value = self.rows.column(element::VALUE)?;
        self.rows.build(Element::Scalar, |plan| plan.filter(value.is_not_null()))?;
        Ok(Answer::existing(step))
    }
}

impl Rows {
    /// Columns to sort by in place of one: itself, or its leaves, added as hidden columns.
    pub(super) fn leaves(&mut self, column: &str) -> Result<Vec<String>, Failure> {
        let present = self.plan.schema().as_arrow().clone();
        let field = present.field_with_name(column).map_err(|error| failure_of(error.into()))?;
        let mut leaves = Vec::new();
        super::rows::leaves_of(field, &Source::column(column), &mut leaves);
        if matches!(leaves.as_slice(), [(_, Source::Column(_))]) {
            return Ok(vec![column.to_owned()]);
        }
        let mut all: Vec<(Field, Source)> =
            present.fields().iter().map(|field| (field.as_ref().clone(), Source::column(field.name()))).collect();
        let mut names = Vec::new();
        for (at, (data_type, source)) in leaves.into_iter().enumerate() {
            let name = format!("{}leaf{at}", super::HIDDEN);
            all.push((Field::new(&name, data_type, true), source));
            names.push(name);
        }
        self.put(Arc::new(crate::node::Project::new(all)))?;
        Ok(names)
    }
}

/// Whether an aggregate of the engine answers what JavaScript would for such values.
fn is_native(known: Known, value: &Field) -> bool {
    match (known, value.data_type()) {
        (Known::Sum, DataType::Int64 | DataType::Float64) => true,
        // Math.max(null, -1) is 0, and Math.min has its own mind about NaN.
        (Known::Least | Known::Greatest, DataType::Int64) | (Known::Greatest, DataType::Float64) => !value.is_nullable(),
        _ => false,
    }
}
