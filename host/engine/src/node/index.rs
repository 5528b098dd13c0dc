//! Operators that need to know where a row stands: ordinals, global indexes, and the samples made of them.

use super::pass::Survey;
use super::{Operator, Task, batch};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use datafusion::arrow::compute::take_arrays;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlanProperties, SendableRecordBatchStream};
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;

/// Bits of an ordinal that count rows within a partition.
const ORDINAL_ROW_BITS: u32 = 48;
/// Largest mean that one draw from a Poisson distribution handles; larger ones are sums.
const POISSON_MEAN_MAX: f64 = 16.0;

/// What is made of a row's place.
#[derive(Debug, Clone)]
pub(crate) enum IndexMode {
    /// A column that ascends with the order of rows over all partitions, with gaps. Needs no first pass.
    Ordinal,
    /// A column with the row's index over all partitions.
    Position,
    /// Some rows stay: by chance, or each as often as a Poisson distribution says.
    Sample { fraction: f64, seed: u64, with_replacement: bool },
    /// A random column: the rows in its order are in random order.
    Shuffle { seed: u64 },
    /// `n` draws with replacement from all rows; the column numbers the draws.
    Draws { n: usize, seed: u64 },
}

/// Adds a column, or thins rows, by the place of each row.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) mode: IndexMode,
    /// The column it adds.
    pub(crate) column: String,
}

impl Index {
    fn added(&self) -> Option<Field> {
        match self.mode {
            IndexMode::Sample { .. } => None,
            IndexMode::Position => Some(Field::new(&self.column, DataType::Int64, false)),
            IndexMode::Ordinal | IndexMode::Shuffle { .. } | IndexMode::Draws { .. } => {
                Some(Field::new(&self.column, DataType::UInt64, false))
            }
        }
    }

    /// Whether one partition's place among the others matters, given how many there are.
    fn needs_first_pass(&self, partitions: usize) -> bool {
        match self.mode {
            IndexMode::Ordinal => false,
            IndexMode::Position | IndexMode::Sample { .. } | IndexMode::Shuffle { .. } => partitions > 1,
            IndexMode::Draws { .. } => true,
        }
    }
}

impl Operator for Index {
    fn name(&self) -> &'static str {
        "Index"
    }

    fn describe(&self) -> String {
        match &self.mode {
            IndexMode::Ordinal => "ordinal".to_owned(),
            IndexMode::Position => "position".to_owned(),
            IndexMode::Sample { fraction, seed, with_replacement } => {
                format!("sample, fraction={fraction}, seed={seed}{}", if *with_replacement { ", with replacement" } else { "" })
            }
            IndexMode::Shuffle { seed } => format!("shuffle, seed={seed}"),
            IndexMode::Draws { n, seed } => format!("draws, n={n}, seed={seed}"),
        }
    }

    fn fields(&self, input: &Schema) -> Result<Fields> {
        Ok(input.fields().iter().cloned().chain(self.added().map(Arc::new)).collect())
    }

    fn needs(&self, input: &Schema, wanted: &[usize]) -> Result<Vec<usize>> {
        Ok(wanted.iter().copied().filter(|&at| at < input.fields().len()).collect())
    }

    fn open(self: Arc<Self>, task: Task) -> Result<SendableRecordBatchStream> {
        let partitions = task.input.output_partitioning().partition_count();
        let schema = Arc::clone(&task.schema);
        let rows = stream::once(async move {
            let (before, total) = if self.needs_first_pass(partitions) {
                let surveys = task.first_pass.run(&task.context, count).await?;
                let before = surveys.iter().take(task.partition).map(|survey| survey.rows).sum();
                (before, surveys.iter().map(|survey| survey.rows).sum())
            } else {
                (0, 0)
            };
            let placed = Placed { row: before, places: Places::of(&self.mode, task.partition, total)?, schema: Arc::clone(&task.schema) };
            let input = task.stream()?;
            Ok::<_, datafusion::error::DataFusionError>(input.scan(placed, |placed, rows| {
                let placed = rows.and_then(|rows| placed.place(&rows));
                async move { Some(placed) }
            }))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.try_flatten())))
    }
}

fn count(survey: &mut Survey, batch: &RecordBatch) -> Result<()> {
    survey.rows += batch.num_rows() as u64;
    Ok(())
}

/// What one partition does with the place of its next row.
struct Placed {
    row: u64,
    places: Places,
    schema: SchemaRef,
}

enum Places {
    Ordinal {
        partition: u64,
    },
    Position,
    Chance {
        fraction: f64,
        seed: u64,
    },
    Copies {
        fraction: f64,
        seed: u64,
    },
    Shuffle {
        seed: u64,
    },
    /// Draws as (row, number of the draw), ascending.
    Draws(Vec<(u64, u64)>),
}

impl Places {
    fn of(mode: &IndexMode, partition: usize, total: u64) -> Result<Self> {
        Ok(match *mode {
            IndexMode::Ordinal => Self::Ordinal { partition: partition as u64 },
            IndexMode::Position => Self::Position,
            IndexMode::Sample { fraction, seed, with_replacement: false } => Self::Chance { fraction, seed },
            IndexMode::Sample { fraction, seed, with_replacement: true } => Self::Copies { fraction, seed },
            IndexMode::Shuffle { seed } => Self::Shuffle { seed },
            IndexMode::Draws { n, seed } => {
                let mut draws: Vec<(u64, u64)> = Vec::new();
                if total > 0 {
                    draws.extend((0..n as u64).map(|draw| (scaled(random(seed, draw, 0), total), draw)));
                }
                draws.sort_unstable();
                Self::Draws(draws)
            }
        })
    }
}

impl Placed {
    fn place(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        let (first, len) = (self.row, rows.num_rows());
        self.row += len as u64;
        let indices = first..self.row;
        let added: ArrayRef = match &self.places {
            Places::Ordinal { partition } => {
                if self.row >> ORDINAL_ROW_BITS != 0 {
                    return internal_err!("a partition has more rows than can be numbered");
                }
                Arc::new(indices.map(|row| partition << ORDINAL_ROW_BITS | row).collect::<UInt64Array>())
            }
            Places::Position => Arc::new(indices.map(u64::cast_signed).collect::<Int64Array>()),
            Places::Shuffle { seed } => Arc::new(indices.map(|row| random(*seed, row, 0)).collect::<UInt64Array>()),
            Places::Chance { fraction, seed } => {
                let kept = (0..).zip(indices).filter(|&(_, row)| unit(random(*seed, row, 0)) < *fraction).map(|(at, _)| at);
                return self.pick(rows, &kept.collect(), None);
            }
            Places::Copies { fraction, seed } => {
                let copies = (0..).zip(indices).flat_map(|(at, row)| std::iter::repeat_n(at, poisson(*fraction, *seed, row)));
                return self.pick(rows, &copies.collect(), None);
            }
            Places::Draws(draws) => {
                let from = draws.partition_point(|&(row, _)| row < first);
                let to = draws.partition_point(|&(row, _)| row < self.row);
                let here = draws.get(from..to).unwrap_or_default();
                let picked = here.iter().map(|&(row, _)| u32::try_from(row - first).unwrap_or(u32::MAX)).collect();
                let numbers: UInt64Array = here.iter().map(|&(_, draw)| draw).collect();
                return self.pick(rows, &picked, Some(Arc::new(numbers)));
            }
        };
        batch(&self.schema, rows.columns().iter().cloned().chain([added]).collect(), len)
    }

    fn pick(&self, rows: &RecordBatch, picked: &UInt32Array, added: Option<ArrayRef>) -> Result<RecordBatch> {
        let mut columns = take_arrays(rows.columns(), picked, None)?;
        columns.extend(added);
        batch(&self.schema, columns, picked.values().len())
    }
}

/// The `draw`-th random number of a row: a function of its arguments alone, so that parallelism does not show.
fn random(seed: u64, row: u64, draw: u64) -> u64 {
    mix(mix(mix(seed).wrapping_add(row)).wrapping_add(draw))
}

/// The finaliser of SplitMix64 behind its increment.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number in `0..1`, from the 53 bits that a float holds.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// A number in `0..below`.
fn scaled(random: u64, below: u64) -> u64 {
    let wide = u128::from(random) * u128::from(below);
    u64::try_from(wide >> 64).unwrap_or(0)
}

/// A draw from a Poisson distribution, by counting uniform draws until their product is below `e^-mean`.
fn poisson(mean: f64, seed: u64, row: u64) -> usize {
    let (mut left, mut draw, mut total) = (mean, 0, 0);
    while left > 0.0 {
        let limit = (-left.min(POISSON_MEAN_MAX)).exp();
        left -= POISSON_MEAN_MAX;
        let mut product = 1.0;
        loop {
            product *= unit(random(seed, row, draw));
            draw += 1;
            if product <= limit {
                break;
            }
            total += 1;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::{poisson, random, scaled, unit};

    #[test]
    fn draws_have_the_mean_they_should() {
        for mean in [0.0, 0.3, 2.0, 40.0] {
            let total: usize = (0..20_000).map(|row| poisson(mean, 7, row)).sum();
            let found = total as f64 / 20_000.0;
            assert!((found - mean).abs() <= 0.05 * mean.max(0.2), "mean {mean}, found {found}");
        }
        let below: usize = (0..20_000).filter(|&row| unit(random(3, row, 0)) < 0.25).count();
        assert!((4_700..5_300).contains(&below), "{below}");
    }

    #[test]
    fn scaled_numbers_stay_below() {
        assert_eq!(scaled(u64::MAX, 10), 9);
        assert_eq!(scaled(0, 10), 0);
    }
}
