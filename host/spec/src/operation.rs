//! The RDD operations, by the names that Spark gave them.

use crate::{Code, Combination, Failure, Frame, OtherInput, PluginRef, Query};
use serde_json::{Map, Value};

/// What an operation calls.
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    /// A JavaScript arrow function.
    Lambda(String),
    /// The same under a name in SQL or a frame, with the type that its answers shall have.
    Declared {
        /// The arrow function.
        text: String,
        /// A type of SQL.
        returns: String,
    },
    /// A function of an uploaded component.
    Plugin {
        /// Which plugin.
        plugin: PluginRef,
        /// Which of its functions; may be absent where it has exactly one.
        function: Option<String>,
        /// Its configuration.
        config: Map<String, Value>,
        /// The columns it gets as arguments, in order. Where absent: the columns named like its parameters, or the
        /// element itself where it has one parameter and elements are scalars.
        columns: Option<Vec<String>>,
        /// `map` only: keep the row and add the answer under this name, in place of becoming it.
        keep_as: Option<String>,
    },
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortOrder {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// One JSON array of rows, or one JSON value a line; told apart by the first character.
    Json,
    /// One JSON value a line.
    Ndjson,
    /// RFC 4180.
    Csv,
    /// One row `{text}` a line.
    Text,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC stream or file.
    Arrow,
    /// Avro object container file.
    Avro,
}

impl FileFormat {
    /// The word used in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Text => "text",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Avro => "avro",
        }
    }

    /// The format of that word; `jsonl`, `txt` and `ipc` are taken too.
    ///
    /// # Errors
    /// [`Code::RequestField`], naming the known formats.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "json" => Ok(Self::Json),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            "text" | "txt" => Ok(Self::Text),
            "parquet" => Ok(Self::Parquet),
            "arrow" | "ipc" => Ok(Self::Arrow),
            "avro" => Ok(Self::Avro),
            _ => Err(Failure::new(Code::RequestField, format!("unknown format '{}'", text.escape_debug()))
                .hint("formats are json, ndjson, csv, text, parquet, arrow and avro")),
        }
    }
}

/// One step of a job. Element conventions (scalar, object, tuple) are those of `azora-connect`.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Each element becomes one element.
    Map(Function),
    /// Elements for which the function is truthy stay.
    Filter(Function),
    /// Each element becomes the elements of a list.
    FlatMap(Function),
    /// Whole batches go through a plugin.
    MapPartitions(Function),
    /// Pairs keep their key; the function gets the value.
    MapValues(Function),
    /// Elements become `[f(x), x]`.
    KeyBy(Function),
    /// Pairs become their keys.
    Keys,
    /// Pairs become their values.
    Values,
    /// Elements become one, by `(a, b) => …`; an empty input is [`Code::OperationEmpty`].
    Reduce(Function),
    /// As `reduce`, with a start value that is also the answer for an empty input.
    Fold {
        /// Start value.
        zero: Value,
        /// `(accumulator, x) => accumulator`.
        function: Function,
    },
    /// `seq` folds elements into an accumulator, `comb` joins accumulators of partitions.
    Aggregate {
        /// Start value.
        zero: Value,
        /// `(accumulator, x) => accumulator`.
        seq: Function,
        /// `(accumulator, accumulator) => accumulator`.
        comb: Function,
    },
    /// Named aggregates over the elements: `count`, `sum`, `mean`, `min`, `max`, `countDistinct`, `bitXor`, or a count of
    /// the elements for which a lambda is truthy. The answer is a list in the same order.
    Aggregates(Vec<NamedAggregate>),
    /// One pair per key, by `(a, b) => …`. `key` and `value` make the pairs first where they are given.
    ReduceByKey {
        /// `(a, b) => …`.
        function: Function,
        /// `x => key`.
        key: Option<Function>,
        /// `x => value`.
        value: Option<Function>,
    },
    /// One pair `[key, values]` per key.
    GroupByKey,
    /// As `aggregate`, per key.
    AggregateByKey {
        /// Start value of every key.
        zero: Value,
        /// `(accumulator, value) => accumulator`.
        seq: Function,
        /// `(accumulator, accumulator) => accumulator`; may be absent: rows of a key meet in one partition.
        comb: Option<Function>,
    },
    /// All elements become one, by an aggregate of a plugin.
    AggregateWith(Function),
    /// The values of each key become one, by an aggregate of a plugin.
    AggregateByKeyWith(Function),
    /// How often each key occurs, as pairs.
    CountByKey,
    /// How often each element occurs, as pairs.
    CountByValue,
    /// Each element once.
    Distinct,
    /// Sorted by `x => key`, nulls last.
    SortBy {
        /// `x => key`; the element itself where absent.
        function: Option<Function>,
        /// Direction.
        order: SortOrder,
    },
    /// Pairs sorted by key.
    SortByKey(SortOrder),
    /// A random part of the elements; the same seed and input give the same part.
    Sample {
        /// May elements come twice?
        with_replacement: bool,
        /// Expected part of the input, at least 0; at most 1 without replacement.
        fraction: f64,
        /// Seed.
        seed: u64,
    },
    /// Exactly `n` random elements, or all where there are fewer.
    TakeSample {
        /// May elements come twice?
        with_replacement: bool,
        /// How many.
        n: usize,
        /// Seed.
        seed: u64,
    },
    /// The first `n` elements in order.
    Take(usize),
    /// The smallest `n`, in order.
    TakeOrdered(usize),
    /// The largest `n`, in descending order.
    Top(usize),
    /// The first element; an empty input is [`Code::OperationEmpty`].
    First,
    /// Elements become `[x, index]`.
    ZipWithIndex,
    /// How many elements.
    Count,
    /// How many distinct elements.
    CountDistinct,
    /// Their sum; 0 for none.
    Sum,
    /// Their mean; null for none.
    Mean,
    /// The smallest; an empty input is [`Code::OperationEmpty`].
    Min,
    /// The largest; an empty input is [`Code::OperationEmpty`].
    Max,
    /// `{count, sum, mean, min, max, variance, stdev}` (population, as Spark's StatCounter).
    Stats,
    /// `[edges, counts]` as Spark gives them.
    Histogram(Buckets),
    /// Whether there is no element.
    IsEmpty,
    /// All elements.
    Collect,
    /// The elements go to a sink; the answer is what was written.
    Write,
    /// Rows are kept for later jobs that begin the same way.
    Cache(crate::Cached),
    /// Rows that were kept there, or under a name, are let go.
    Unpersist(Option<crate::DatasetName>),
    /// That many partitions, rows spread by hash.
    Repartition(usize),
    /// At most that many partitions, neighbours joined.
    Coalesce(usize),
    /// One list per partition.
    Glom,
    /// Nulls, distinct values and extremes of every column. Not part of requests: datasets are asked for it.
    Statistics,
    /// Operations on rows with named columns.
    Frame(Box<Frame>),
    /// A SQL query; the job's own rows are its table `input`.
    Sql(Box<Query>),
    /// Both inputs become one.
    Combine {
        /// How.
        how: Combination,
        /// The second input.
        other: Box<OtherInput>,
    },
}

/// One entry of [`Operation::Aggregates`].
#[derive(Debug, Clone, PartialEq)]
pub enum NamedAggregate {
    /// How many elements.
    Count,
    /// Sum.
    Sum,
    /// Mean.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// How many distinct elements.
    CountDistinct,
    /// Exclusive or of integers.
    BitXor,
    /// How many elements satisfy a lambda.
    CountIf(Function),
}

/// The buckets of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub enum Buckets {
    /// That many of equal width between the smallest and the largest element.
    Count(usize),
    /// Ascending edges; the last bucket is closed.
    Edges(Vec<f64>),
}

impl Operation {
    /// The name used in requests.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Map(_) => "map",
            Self::Filter(_) => "filter",
            Self::FlatMap(_) => "flatMap",
            Self::MapPartitions(_) => "mapPartitions",
            Self::MapValues(_) => "mapValues",
            Self::KeyBy(_) => "keyBy",
            Self::Keys => "keys",
            Self::Values => "values",
            Self::Reduce(_) => "reduce",
            Self::Fold { .. } => "fold",
            Self::Aggregate { .. } | Self::Aggregates(_) | Self::AggregateWith(_) => "aggregate",
            Self::ReduceByKey { .. } => "reduceByKey",
            Self::GroupByKey => "groupByKey",
            Self::AggregateByKey { .. } | Self::AggregateByKeyWith(_) => "aggregateByKey",
            Self::CountByKey => "countByKey",
            Self::CountByValue => "countByValue",
            Self::Distinct => "distinct",
            Self::SortBy { .. } => "sortBy",
            Self::SortByKey(_) => "sortByKey",
            Self::Sample { .. } => "sample",
            Self::TakeSample { .. } => "takeSample",
            Self::Take(_) => "take",
            Self::TakeOrdered(_) => "takeOrdered",
            Self::Top(_) => "top",
            Self::First => "first",
            Self::ZipWithIndex => "zipWithIndex",
            Self::Count => "count",
            Self::CountDistinct => "countDistinct",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Stats => "stats",
            Self::Histogram(_) => "histogram",
            Self::IsEmpty => "isEmpty",
            Self::Collect => "collect",
            Self::Write => "write",
            Self::Cache(_) => "cache",
            Self::Unpersist(_) => "unpersist",
            Self::Repartition(_) => "repartition",
            Self::Coalesce(_) => "coalesce",
            Self::Glom => "glom",
            Self::Statistics => "statistics",
            Self::Combine { how, .. } => how.name(),
            Self::Frame(_) => "frame",
            Self::Sql(_) => "sql",
        }
    }

    /// Whether it ends the job: its answer is a value (or the rows themselves), not a new set of elements.
    #[must_use]
    pub const fn is_action(&self) -> bool {
        matches!(
            self,
            Self::Reduce(_)
                | Self::Fold { .. }
                | Self::Aggregate { .. }
                | Self::Aggregates(_)
                | Self::AggregateWith(_)
                | Self::CountByKey
                | Self::CountByValue
                | Self::TakeSample { .. }
                | Self::Take(_)
                | Self::TakeOrdered(_)
                | Self::Top(_)
                | Self::First
                | Self::Count
                | Self::CountDistinct
                | Self::Sum
                | Self::Mean
                | Self::Min
                | Self::Max
                | Self::Stats
                | Self::Histogram(_)
                | Self::IsEmpty
                | Self::Statistics
                | Self::Collect
                | Self::Write
        )
    }
}
