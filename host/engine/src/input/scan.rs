//! A connector's source as a table: every partition reads its splits one after the other, no faster than the plan above
//! takes the rows.

use super::conditions::condition;
use crate::letters::Records;
use crate::relation::{Relation, RunScope};
use crate::{Error, failure_of};
use async_trait::async_trait;
use azora_connect::element::Element;
use azora_connect::{Condition, Outcome, ReadRequest, Reader, Rejects, Source, Split};
use azora_spec::{Failure, OnError, limits};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
    SendableRecordBatchStream,
};
use futures::stream::{self, StreamExt};
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Most bytes of one batch that a reader is asked for.
const BATCH_BYTES: usize = 8 << 20;
/// Batches that a network reader may be ahead of the plan.
const AHEAD_BATCHES: usize = 2;

/// Where reading happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the computing thread: reading is mostly decoding.
    Local,
    /// On the threads that wait for networks.
    Network,
}

/// The splits of a source, grouped into partitions.
#[derive(Debug)]
pub(crate) struct SourceTable {
    source: Arc<dyn Source>,
    element: Element,
    schema: SchemaRef,
    partitions: Arc<[Vec<Split>]>,
    place: Place,
    bad_records: OnError,
    /// The connector, for people.
    label: Arc<str>,
    /// The server and what is read there, for people.
    from: Arc<str>,
}

impl SourceTable {
    pub(crate) fn new(source: Arc<dyn Source>, splits: Vec<Split>, parallelism: usize, place: Place) -> Self {
        let schema = source.schema();
        let element = Element::of(&schema);
        // Plans carry no schema metadata: see `Relation`.
        let schema = Arc::new(Schema::new(schema.fields().clone()));
        let partitions = group(splits, parallelism).into();
        Self { source, element, schema, partitions, place, bad_records: OnError::Fail, label: "".into(), from: "".into() }
    }

    /// The same, with what happens to records that are no rows, and the connector that they are said to be of.
    pub(crate) fn with_bad_records(mut self, policy: OnError, label: &str) -> Self {
        self.bad_records = policy;
        self.label = label.into();
        self
    }

    /// The same, with the server and what is read there, as failures name them.
    pub(crate) fn read_from(mut self, from: &str) -> Self {
        self.from = from.into();
        self
    }

    pub(crate) fn relation(self, state: &SessionState) -> Result<Relation, Failure> {
        let schema = self.element.schema(self.schema.fields().clone());
        super::check_width(schema.fields())?;
        let plan = LogicalPlanBuilder::scan("input", provider_as_source(Arc::new(self)), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure_of)?;
        Ok(Relation { frame: DataFrame::new(state.clone(), plan), schema })
    }
}

impl SourceTable {
    fn conditions(&self, filters: &[Expr]) -> Vec<Condition> {
        if !self.source.takes_conditions() {
            return Vec::new();
        }
        filters.iter().filter_map(|filter| condition(filter, &self.schema)).collect()
    }
}

/// Neighbouring splits together, in at most so many partitions of about equal weight.
fn group(splits: Vec<Split>, parallelism: usize) -> Vec<Vec<Split>> {
    let weight = |split: &Split| split.rows.unwrap_or(1).max(1);
    let total: u64 = splits.iter().map(weight).sum();
    let partitions = parallelism.clamp(1, splits.len().max(1));
    let mut groups = vec![Vec::new(); partitions];
    let mut before = 0;
    for split in splits {
        let next = weight(&split);
        let at = (u128::from(before + next / 2) * partitions as u128 / u128::from(total.max(1))) as usize;
        before += next;
        if let Some(group) = groups.get_mut(at.min(partitions - 1)) {
            group.push(split);
        }
    }
    groups
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(self.partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(SourceExec {
            source: Arc::clone(&self.source),
            partitions: Arc::clone(&self.partitions),
            projection: projection.cloned(),
            conditions: self.conditions(filters),
            limit,
            place: self.place,
            bad_records: self.bad_records,
            label: Arc::clone(&self.label),
            from: Arc::clone(&self.from),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let takes = |filter: &&Expr| match self.source.takes_conditions() && condition(filter, &self.schema).is_some() {
            // Servers compare by rules of their own: rows are filtered again.
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(takes).collect())
    }
}

/// Reads the splits.
#[derive(Debug, Clone)]
struct SourceExec {
    source: Arc<dyn Source>,
    partitions: Arc<[Vec<Split>]>,
    projection: Option<Vec<usize>>,
    conditions: Vec<Condition>,
    /// Rows after which a partition may stop.
    limit: Option<usize>,
    place: Place,
    bad_records: OnError,
    label: Arc<str>,
    from: Arc<str>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DisplayAs for SourceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "SourceExec: partitions={}, columns=[{}]", self.partitions.len(), columns.join(", "))?;
        if !self.conditions.is_empty() {
            let all = self.source.schema();
            let shown = |condition: &Condition| {
                let name = all.fields().get(condition.column).map_or("", |field| field.name());
                format!("{name} {} {}", condition.compare.sql(), condition.value)
            };
            write!(f, ", conditions=[{}]", self.conditions.iter().map(shown).collect::<Vec<_>>().join(", "))?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for SourceExec {
    fn name(&self) -> &'static str {
        "SourceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { metrics: ExecutionPlanMetricsSet::new(), ..(*self).clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let splits = self.partitions.get(partition).cloned().ok_or_else(|| DataFusionError::Internal("no such partition".to_owned()))?;
        let schema = self.schema();
        let scope = context.session_config().get_extension::<RunScope>();
        let request = ReadRequest {
            projection: self.projection.clone(),
            conditions: self.conditions.clone(),
            batch_rows: context.session_config().batch_size().clamp(1, limits::BATCH_ROWS),
            batch_bytes: BATCH_BYTES,
            rejects: self.rejects(partition, scope.as_deref()),
        };
        let reading = Reading {
            source: Arc::clone(&self.source),
            splits: splits.into_iter(),
            reader: None,
            request,
            schema: Arc::clone(&schema),
            left: self.limit,
            rows: MetricBuilder::new(&self.metrics).output_rows(partition),
        };
        let batches = match (self.place, scope) {
            (Place::Network, Some(scope)) => reading.elsewhere(&scope),
            (Place::Network, None) | (Place::Local, _) => reading.here(),
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { limit, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }
}

impl SourceExec {
    /// Where the records of a partition go that are no rows.
    fn rejects(&self, partition: usize, scope: Option<&RunScope>) -> Rejects {
        match (self.bad_records, scope.and_then(|scope| scope.ledger.as_ref())) {
            (OnError::Fail, _) => Rejects::new(OnError::Fail).named(Arc::clone(&self.from)),
            (_, None) => Rejects::new(OnError::Skip),
            (policy, Some(ledger)) => {
                // Copies of this node in one plan share the splits, and nothing else does.
                let node = self.partitions.as_ptr() as usize;
                Rejects::handed_to(policy, Arc::new(Records { slot: ledger.slot(&self.label, node, partition), policy }))
            }
        }
    }
}

type Batches = stream::BoxStream<'static, Result<RecordBatch>>;

struct Reading {
    source: Arc<dyn Source>,
    splits: std::vec::IntoIter<Split>,
    reader: Option<Box<dyn Reader>>,
    request: ReadRequest,
    schema: SchemaRef,
    left: Option<usize>,
    rows: Count,
}

impl Reading {
    fn here(self) -> Batches {
        stream::try_unfold(self, |mut reading| async move {
            let batch = reading.next().await.map_err(|failure| DataFusionError::External(Box::new(failure)))?;
            Ok(batch.map(|batch| (batch, reading)))
        })
        .boxed()
    }

    fn elsewhere(mut self, scope: &RunScope) -> Batches {
        let (sender, receiver) = mpsc::channel(AHEAD_BATCHES);
        let cancel = scope.cancel.clone();
        let task = scope.io.spawn(async move {
            let forward = async {
                loop {
                    let next = self.next().await.transpose();
                    let Some(next) = next else { return };
                    let is_last = next.is_err();
                    if sender.send(next).await.is_err() || is_last {
                        return;
                    }
                }
            };
            tokio::select! { () = cancel.cancelled() => {} () = forward => {} }
        });
        let guard = AbortOnDrop(task);
        stream::unfold((receiver, guard), |(mut receiver, mut guard)| async move {
            if let Some(next) = receiver.recv().await {
                return Some((next.map_err(|failure| DataFusionError::External(Box::new(failure))), (receiver, guard)));
            }
            // A closed channel means the end only where the task ended well.
            match (&mut guard.0).await {
                Ok(()) => None,
                Err(error) if error.is_cancelled() => None,
                Err(_) => Some((Err(DataFusionError::External(Box::new(Failure::from(Error::Panicked)))), (receiver, guard))),
            }
        })
        .fuse()
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            if self.reader.is_none() {
                let Some(split) = self.splits.next() else { return Ok(None) };
                self.reader = Some(self.source.open(&split, None, self.request.clone()).await?);
            }
            let Some(reader) = &mut self.reader else { continue };
            match reader.read().await? {
                Outcome::Batch(batch, _) if batch.num_rows() == 0 => tokio::task::yield_now().await,
                Outcome::Batch(batch, _) => return self.checked(batch).map(Some),
                Outcome::Idle(wait) => tokio::time::sleep(wait).await,
                Outcome::End => self.reader = None,
            }
        }
    }

    /// Rows under the plan's schema: a connector's batches may differ in metadata, not in types.
    fn checked(&mut self, batch: RecordBatch) -> Result<RecordBatch, Failure> {
        let rows = self.left.map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
        self.left = self.left.map(|left| left - rows);
        self.rows.add(rows);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let (_, columns, _) = batch.slice(0, rows).into_parts();
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|error| {
            tracing::error!(%error, "a source broke its schema");
            Error::Broken("the columns of a source").into()
        })
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::{Split, group};

    #[test]
    fn splits_stay_in_order_and_none_is_lost() {
        for count in [0, 1, 5, 8, 23] {
            let splits: Vec<Split> = (0..count).map(|at| Split { payload: at.to_string(), rows: Some(1 + at % 3) }).collect();
            for parallelism in [1, 3, 8] {
                let groups = group(splits.clone(), parallelism);
                assert!(!groups.is_empty() && groups.len() <= parallelism);
                assert_eq!(groups.into_iter().flatten().collect::<Vec<_>>(), splits);
            }
        }
    }
}
