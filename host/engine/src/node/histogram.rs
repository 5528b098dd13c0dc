//! Counts numbers by buckets, as Spark's `histogram`: every bucket is closed below and open above, but the last, which is
//! closed on both sides. Numbers outside of all buckets, NaN and nulls are not counted.

use super::pass::{Survey, fold_partitions};
use super::{Operator, Task, batch, external, glom};
use azora_spec::{Buckets, Code, Failure};
use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use std::sync::Arc;

/// Numbers to one tuple of edges and counts.
#[derive(Debug)]
pub(crate) struct Histogram {
    pub(crate) buckets: Buckets,
    /// Where in the request it was asked for.
    pub(crate) pointer: String,
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, false))
}

impl Histogram {
    fn edges(&self, surveys: &[Survey]) -> Result<Vec<f64>, Failure> {
        let Buckets::Count(count) = &self.buckets else { return Ok(self.fixed_edges()) };
        let least = surveys.iter().map(|survey| survey.least).fold(f64::INFINITY, f64::min);
        let greatest = surveys.iter().map(|survey| survey.greatest).fold(f64::NEG_INFINITY, f64::max);
        if !least.is_finite() || !greatest.is_finite() {
            return Err(Failure::new(Code::OperationEmpty, "a histogram needs at least one number, and finite ones only")
                .at(&self.pointer)
                .hint("give the edges of the buckets, or filter the elements first"));
        }
        if least == greatest {
            return Ok(vec![least, greatest]);
        }
        let span = greatest - least;
        let inner = (0..*count).map(|step| least + step as f64 * span / *count as f64);
        Ok(inner.chain([greatest]).collect())
    }

    fn fixed_edges(&self) -> Vec<f64> {
        match &self.buckets {
            Buckets::Edges(edges) => edges.clone(),
            Buckets::Count(_) => Vec::new(),
        }
    }
}

/// The numbers of the one column.
fn numbers(rows: &RecordBatch) -> Result<impl Iterator<Item = f64>> {
    match rows.columns().first().and_then(|column| column.as_primitive_opt::<Float64Type>()) {
        Some(column) => Ok(column.iter().flatten()),
        None => internal_err!("a histogram takes one column of numbers"),
    }
}

fn look(survey: &mut Survey, rows: &RecordBatch) -> Result<()> {
    for number in numbers(rows)? {
        if number.is_nan() {
            // Carried on, so that the caller hears of it.
            survey.least = f64::NEG_INFINITY;
        }
        survey.rows += 1;
        survey.least = survey.least.min(number);
        survey.greatest = survey.greatest.max(number);
    }
    Ok(())
}

/// The bucket of a number, if it is in one.
fn bucket(edges: &[f64], number: f64) -> Option<usize> {
    let (first, last) = (*edges.first()?, *edges.last()?);
    if !(number >= first && number <= last) {
        return None;
    }
    let above = edges.partition_point(|&edge| edge <= number);
    Some(above.saturating_sub(1).min(edges.len().saturating_sub(2)))
}

impl Operator for Histogram {
    fn name(&self) -> &'static str {
        "Histogram"
    }

    fn describe(&self) -> String {
        match &self.buckets {
            Buckets::Count(count) => format!("buckets={count}"),
            Buckets::Edges(edges) => format!("edges={edges:?}"),
        }
    }

    fn fields(&self, _: &Schema) -> Result<Fields> {
        Ok(Fields::from(vec![
            Field::new("_1", DataType::List(item(DataType::Float64)), false),
            Field::new("_2", DataType::List(item(DataType::Int64)), false),
        ]))
    }

    fn needs(&self, input: &Schema, _: &[usize]) -> Result<Vec<usize>> {
        Ok((0..input.fields().len()).collect())
    }

    fn partitions(&self, _: usize) -> usize {
        1
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&task.schema);
        let rows = stream::once(async move {
            let surveys = match self.buckets {
                Buckets::Count(_) => task.first_pass.run(&task.context, look).await?,
                Buckets::Edges(_) => Arc::from([]),
            };
            let edges: Arc<[f64]> = self.edges(&surveys).map_err(external)?.into();
            let (of, len) = (Arc::clone(&edges), edges.len().saturating_sub(1));
            let count = move |counts: &mut Vec<i64>, rows: &RecordBatch| {
                for number in numbers(rows)? {
                    if let Some(count) = bucket(&of, number).and_then(|at| counts.get_mut(at)) {
                        *count += 1;
                    }
                }
                Ok(())
            };
            let parts = fold_partitions(&task.input, &task.context, move || vec![0_i64; len], count).await?;
            let counts: Int64Array = (0..len).map(|at| parts.iter().filter_map(|part| part.get(at)).sum::<i64>()).collect();
            let edges: ArrayRef = Arc::new(Float64Array::from(edges.to_vec()));
            let edges: ArrayRef = Arc::new(glom::lists(&item(DataType::Float64), edges, [len + 1])?);
            let counts: ArrayRef = Arc::new(glom::lists(&item(DataType::Int64), Arc::new(counts), [len])?);
            batch(&task.schema, vec![edges, counts], 1)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn the_last_bucket_is_closed() {
        let edges = [0.0, 1.0, 2.0, 4.0];
        let found: Vec<Option<usize>> = [-0.1, 0.0, 0.9, 1.0, 2.0, 3.9, 4.0, 4.1, f64::NAN].map(|number| bucket(&edges, number)).into();
        assert_eq!(found, [None, Some(0), Some(0), Some(1), Some(2), Some(2), Some(2), None, None]);
    }
}
