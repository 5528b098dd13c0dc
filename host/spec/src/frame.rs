//! Operations on rows with named columns, and SQL over them. Expressions are texts here: the engine knows their columns.

use crate::{DatasetName, Function, Input, SortOrder};
use serde_json::Value;
use std::collections::BTreeMap;

/// What computes a column or decides about a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A SQL expression; its size and depth are within their limits.
    Sql(String),
    /// A lambda over the row, or a plugin's function over columns.
    Function(Function),
}

/// An expression and the name of its column.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedExpression {
    /// What computes it.
    pub expression: Expression,
    /// Its name; that of the expression where absent.
    pub name: Option<String>,
}

/// A list of frame operations, as one step of a job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    /// The columns' types, where the request says them.
    pub schema: Option<Vec<ColumnType>>,
    /// The operations, in order. Actions (`count`, `show`, …) come last.
    pub steps: Vec<FrameStep>,
    /// Where each stands in the request: a `groupBy` and its `agg` are one operation here. Its own place where absent.
    pub places: Vec<usize>,
    /// Functions that expressions may call, by name.
    pub functions: BTreeMap<String, Function>,
}

impl Frame {
    /// Where the operation of a place stands in a job's request.
    #[must_use]
    pub fn pointer(&self, at: usize) -> String {
        format!("/frame/{}", self.places.get(at).copied().unwrap_or(at))
    }
}

/// A SQL query, as the first step of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The text; its size and depth are within their limits.
    pub text: String,
    /// What stands for `$1`, `$2`, … or `?`, or for `$name`.
    pub params: Params,
    /// Functions that the query may call, by name.
    pub functions: BTreeMap<String, Function>,
    /// Tables besides datasets and files, by name.
    pub tables: BTreeMap<DatasetName, Input>,
}

/// Parameters of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// By position, the first is `$1`.
    Positional(Vec<Value>),
    /// By name.
    Named(BTreeMap<String, Value>),
}

/// A column and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// Its name.
    pub name: String,
    /// The word for its type, one of [`TYPES`].
    pub type_word: String,
    /// Whether it may hold null.
    pub is_nullable: bool,
}

/// Words for types of columns, those of one type together.
pub const TYPES: &[&[&str]] = &[
    &["string", "text", "utf8", "varchar"],
    &["integer", "int64", "bigint", "long", "int"],
    &["int32"],
    &["double", "float64", "number"],
    &["float", "float32"],
    &["boolean", "bool"],
    &["timestamp", "datetime"],
    &["date"],
    &["array"],
    &["object"],
];

/// One operation on a frame.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameStep {
    /// These columns, in this order. `*` stands for all.
    Select(Vec<NamedExpression>),
    /// Rows for which the expression is true.
    Filter(Expression),
    /// Columns are added, or replaced where there is one of that name.
    WithColumns(Vec<(String, Expression)>),
    /// Columns get other names: (old, new).
    Rename(Vec<(String, String)>),
    /// Columns are left out.
    Drop(Vec<String>),
    /// Columns get other types: (column, SQL type or a word of [`TYPES`]). A value that does not fit fails the job.
    Cast(Vec<(String, String)>),
    /// Aggregates by keys.
    Aggregate(Grouping),
    /// Rows of two frames beside one another.
    Join {
        /// The right side.
        other: Input,
        /// Which rows.
        kind: JoinKind,
        /// Which pairs.
        on: JoinOn,
    },
    /// Rows of two frames after one another, or compared.
    Set {
        /// The second frame.
        other: Input,
        /// How.
        kind: SetKind,
    },
    /// Each row once; with columns, one row for each value of these.
    Distinct(Vec<String>),
    /// An order.
    Sort(Vec<SortBy>),
    /// The first rows.
    Limit(usize),
    /// All but the first rows.
    Offset(usize),
    /// A random part; the same seed and input give the same part.
    Sample {
        /// Expected part of the input.
        fraction: f64,
        /// May rows come twice?
        with_replacement: bool,
        /// Seed.
        seed: u64,
    },
    /// A column with a window function.
    Window {
        /// Its name.
        name: String,
        /// The call, for example `row_number()` or `sum(amount)`.
        function: String,
        /// Columns or expressions of the partition.
        partition_by: Vec<String>,
        /// Order in the partition.
        order_by: Vec<SortBy>,
        /// For example `ROWS BETWEEN 2 PRECEDING AND CURRENT ROW`.
        frame: Option<String>,
    },
    /// One row for each element of a list.
    Explode {
        /// The column.
        column: String,
        /// The name of the column of elements.
        name: String,
        /// Whether rows with an empty or no list stay, with null.
        keeps_empty: bool,
    },
    /// Nulls become values: for all columns whose type takes the value, or by column.
    FillNull {
        /// The value of all columns without one of their own.
        all: Option<Value>,
        /// The only columns that `all` is for.
        subset: Option<Vec<String>>,
        /// Values by column.
        by_column: Vec<(String, Value)>,
    },
    /// Rows with fewer than so many values in some columns go.
    DropNull {
        /// The columns; all where absent.
        columns: Option<Vec<String>>,
        /// Least number of values; all of the columns where absent.
        least: Option<usize>,
    },
    /// Values become other values.
    Replace {
        /// The columns; all whose type fits where absent.
        columns: Option<Vec<String>>,
        /// (old, new).
        pairs: Vec<(Value, Value)>,
    },
    /// Rows are kept for later jobs that begin the same way.
    Cache(Cached),
    /// Rows that were kept there, or under a name, are let go.
    Unpersist(Option<DatasetName>),
    /// Partitions: rows are spread over so many, or neighbours are joined where `is_joined`.
    Partitions {
        /// How many.
        n: usize,
        /// Whether no row moves between partitions that stay.
        is_joined: bool,
    },
    /// Columns become rows: one for each of them, with its name and its value.
    Unpivot {
        /// Columns that stay as they are.
        ids: Vec<String>,
        /// Columns that become rows; all others where absent.
        values: Option<Vec<String>>,
        /// The name of the column of names.
        variable: String,
        /// The name of the column of values.
        value: String,
    },
    /// Count, mean, deviation, extremes of columns; an action.
    Describe(Vec<String>),
    /// The same with quartiles; an action.
    Summary(Vec<String>),
    /// The first rows; an action.
    Show(usize),
    /// The first row itself; an action.
    First,
    /// How many rows; an action.
    Count,
    /// All rows; an action.
    Collect,
    /// The rows go to the job's sink; an action.
    Write,
}

/// Keys and aggregates.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// The keys; none means all rows are one group.
    pub keys: Vec<NamedExpression>,
    /// What is computed.
    pub aggregates: Vec<Aggregated>,
    /// Values of a column that become columns.
    pub pivot: Option<Pivot>,
}

/// One aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregated {
    /// Which.
    pub function: AggregateFunction,
    /// Columns or SQL expressions, one for a word; `*` for `count`. The names of its arguments where a plugin's has none.
    pub arguments: Vec<String>,
    /// Which part of the values lies below, for percentiles.
    pub fraction: Option<f64>,
    /// The name of its column.
    pub name: String,
}

/// What computes an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregateFunction {
    /// The engine.
    Word(AggregateWord),
    /// An uploaded aggregate.
    Plugin {
        /// What the request calls it.
        name: String,
        /// Which it is.
        function: Function,
    },
}

/// Values of a column that become columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Pivot {
    /// The column.
    pub column: String,
    /// The values; those that are there, in their order, where absent.
    pub values: Option<Vec<Value>>,
}

/// Most columns that a pivot makes of each aggregate.
pub const PIVOT_VALUES_MAX: usize = 1000;

/// Rows that are kept for later jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// A name for people, and for letting them go.
    pub name: Option<DatasetName>,
    /// Where they are kept.
    pub level: CacheLevel,
}

/// Which pairs of rows a join makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOn {
    /// Columns of both sides that are equal and come out once.
    Using(Vec<String>),
    /// (left, right) columns that are equal.
    Pairs(Vec<(String, String)>),
    /// A SQL expression over `left.` and `right.` columns.
    Condition(String),
    /// Every pair.
    Every,
}

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $about:literal])+ $variant:ident = $first:literal $(| $other:literal)*, )* }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $about])+ $variant, )* }

        impl $name {
            /// The words of requests; the first of each is the usual one.
            pub const WORDS: &'static [&'static str] = &[ $( $first, )* ];

            /// The word used in requests.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $first, )* }
            }

            /// What a word of a request means; letter case, `_` and `-` do not count.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                let plain: String = word.chars().filter(|letter| !matches!(letter, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect();
                $( if [$first, $($other),*].iter().any(|known| known.to_ascii_lowercase() == plain) { return Some(Self::$variant); } )*
                None
            }
        }
    };
}

words! {
    /// An aggregate by its word.
    AggregateWord {
        /// Sum; null for none.
        Sum = "sum",
        /// Mean.
        Mean = "avg" | "mean" | "average",
        /// Smallest.
        Min = "min",
        /// Largest.
        Max = "max",
        /// How many values.
        Count = "count",
        /// How many distinct values.
        CountDistinct = "countDistinct" | "distinct",
        /// Sample standard deviation.
        Stddev = "stddev" | "stddevsamp" | "std",
        /// Population standard deviation.
        StddevPopulation = "stddevPop",
        /// Sample variance.
        Variance = "variance" | "varsamp" | "var",
        /// Population variance.
        VariancePopulation = "varPop",
        /// Median.
        Median = "median",
        /// About the median.
        ApproxMedian = "approxMedian",
        /// The value below which a part of the values lies, between two values where it falls between them.
        Percentile = "percentile" | "percentilecont" | "quantile",
        /// About that value.
        ApproxPercentile = "approxPercentile" | "percentileapprox" | "approxquantile" | "approxpercentilecont",
        /// Sum of the distinct values.
        SumDistinct = "sumDistinct",
        /// About how many distinct values.
        ApproxDistinct = "approxDistinct" | "approxcountdistinct",
        /// The first value in the order of rows.
        First = "first",
        /// The last value in the order of rows.
        Last = "last",
        /// The values as a list.
        CollectList = "collectList" | "arrayagg",
        /// The distinct values as a list.
        CollectSet = "collectSet",
    }
}

words! {
    /// Where rows are kept.
    CacheLevel {
        /// In memory; they go where it is short.
        Memory = "MEMORY" | "memoryonly" | "memoryonlyser",
        /// In files.
        Disk = "DISK" | "diskonly",
        /// In memory, and in files where it is short.
        MemoryAndDisk = "MEMORY_AND_DISK" | "memoryanddisk" | "memoryanddiskser",
    }
}

words! {
    /// Which rows of a join come out.
    JoinKind {
        /// Pairs.
        Inner = "inner",
        /// Pairs, and left rows without one.
        Left = "left" | "leftouter",
        /// Pairs, and right rows without one.
        Right = "right" | "rightouter",
        /// Pairs, and rows of both sides without one.
        Full = "full" | "outer" | "fullouter",
        /// Left rows with a pair, once.
        Semi = "semi" | "leftsemi",
        /// Left rows without a pair.
        Anti = "anti" | "leftanti",
        /// Every pair.
        Cross = "cross",
    }
}

words! {
    /// How two frames become one.
    SetKind {
        /// Rows of both, columns by place.
        Union = "union" | "unionall",
        /// Rows of both, columns by name; missing ones are null.
        UnionByName = "unionByName",
        /// Rows that are in both, once.
        Intersect = "intersect",
        /// Rows that are in both, as often as in both.
        IntersectAll = "intersectAll",
        /// Rows that are not in the second, once.
        Except = "except" | "subtract",
        /// Rows that are not in the second, one for each that is taken away.
        ExceptAll = "exceptAll",
    }
}

/// A key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortBy {
    /// A column or SQL expression.
    pub expression: String,
    /// Direction.
    pub order: SortOrder,
    /// Where nulls come: first in ascending and last in descending order where not said, as in Spark.
    pub nulls_first: Option<bool>,
}

impl FrameStep {
    /// The name used in requests.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Select(_) => "select",
            Self::Filter(_) => "filter",
            Self::WithColumns(_) => "withColumn",
            Self::Rename(_) => "rename",
            Self::Drop(_) => "drop",
            Self::Cast(_) => "cast",
            Self::Aggregate(_) => "groupBy",
            Self::Join { .. } => "join",
            Self::Set { kind, .. } => kind.as_str(),
            Self::Distinct(_) => "distinct",
            Self::Sort(_) => "orderBy",
            Self::Limit(_) => "limit",
            Self::Offset(_) => "offset",
            Self::Sample { .. } => "sample",
            Self::Window { .. } => "window",
            Self::Explode { .. } => "explode",
            Self::FillNull { .. } => "fillna",
            Self::DropNull { .. } => "dropna",
            Self::Replace { .. } => "replace",
            Self::Cache(_) => "cache",
            Self::Unpersist(_) => "unpersist",
            Self::Partitions { is_joined: true, .. } => "coalesce",
            Self::Partitions { .. } => "repartition",
            Self::Unpivot { .. } => "unpivot",
            Self::Describe(_) => "describe",
            Self::Summary(_) => "summary",
            Self::Show(_) => "show",
            Self::First => "first",
            Self::Count => "count",
            Self::Collect => "collect",
            Self::Write => "write",
        }
    }

    /// Whether it ends the job.
    #[must_use]
    pub const fn is_action(&self) -> bool {
        matches!(self, Self::Describe(_) | Self::Summary(_) | Self::Show(_) | Self::First | Self::Count | Self::Collect | Self::Write)
    }

    /// The second frame, where it has one.
    #[must_use]
    pub const fn other(&self) -> Option<&Input> {
        match self {
            Self::Join { other, .. } | Self::Set { other, .. } => Some(other),
            _ => None,
        }
    }
}
