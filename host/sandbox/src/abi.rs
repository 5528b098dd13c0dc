//! The WIT types of `azora:plugin` as Rust types that lift and lower directly. Nothing is checked or converted here.
#![expect(dead_code, reason = "variants that only guests make, by lifting")]

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(ComponentType, Lift, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum TimeUnit {
    #[component(name = "second")]
    Second,
    #[component(name = "millisecond")]
    Millisecond,
    #[component(name = "microsecond")]
    Microsecond,
    #[component(name = "nanosecond")]
    Nanosecond,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum IntervalUnit {
    #[component(name = "year-month")]
    YearMonth,
    #[component(name = "day-time")]
    DayTime,
    #[component(name = "month-day-nano")]
    MonthDayNano,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(record)]
pub(crate) struct DecimalType {
    pub(crate) precision: u8,
    pub(crate) scale: i8,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct TimestampType {
    pub(crate) unit: TimeUnit,
    pub(crate) zone: Option<String>,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum DataType {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean,
    #[component(name = "int8")]
    Int8,
    #[component(name = "int16")]
    Int16,
    #[component(name = "int32")]
    Int32,
    #[component(name = "int64")]
    Int64,
    #[component(name = "uint8")]
    UInt8,
    #[component(name = "uint16")]
    UInt16,
    #[component(name = "uint32")]
    UInt32,
    #[component(name = "uint64")]
    UInt64,
    #[component(name = "float16")]
    Float16,
    #[component(name = "float32")]
    Float32,
    #[component(name = "float64")]
    Float64,
    #[component(name = "decimal128")]
    Decimal128(DecimalType),
    #[component(name = "date32")]
    Date32,
    #[component(name = "date64")]
    Date64,
    #[component(name = "time32")]
    Time32(TimeUnit),
    #[component(name = "time64")]
    Time64(TimeUnit),
    #[component(name = "timestamp")]
    Timestamp(TimestampType),
    #[component(name = "duration")]
    Duration(TimeUnit),
    #[component(name = "interval")]
    Interval(IntervalUnit),
    #[component(name = "utf8")]
    Utf8,
    #[component(name = "large-utf8")]
    LargeUtf8,
    #[component(name = "binary")]
    Binary,
    #[component(name = "large-binary")]
    LargeBinary,
    #[component(name = "fixed-size-binary")]
    FixedSizeBinary(u32),
    #[component(name = "struct")]
    Struct,
    #[component(name = "var-list")]
    List,
    #[component(name = "large-var-list")]
    LargeList,
    #[component(name = "fixed-size-list")]
    FixedSizeList(u32),
    #[component(name = "key-value-map")]
    Map(bool),
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct MetadataEntry {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Field {
    pub(crate) name: String,
    #[component(name = "data-type")]
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
    pub(crate) children: u32,
    pub(crate) metadata: Vec<MetadataEntry>,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Schema {
    pub(crate) fields: Vec<Field>,
    pub(crate) metadata: Vec<MetadataEntry>,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(record)]
pub(crate) struct FieldNode {
    pub(crate) length: u64,
    #[component(name = "null-count")]
    pub(crate) null_count: u64,
}

/// A batch on its way in: its buffers are borrowed from Arrow.
#[derive(ComponentType, Lower, Debug, Clone, Copy)]
#[component(record)]
pub(crate) struct BatchIn<'a> {
    pub(crate) rows: u64,
    pub(crate) nodes: &'a [FieldNode],
    pub(crate) buffers: &'a [&'a [u8]],
}

/// A batch on its way out: nothing in it can be trusted.
#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct BatchOut {
    pub(crate) rows: u64,
    pub(crate) nodes: Vec<FieldNode>,
    pub(crate) buffers: Vec<Vec<u8>>,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum RowsKept {
    #[component(name = "all")]
    All,
    #[component(name = "bitmap")]
    Bitmap(Vec<u8>),
    #[component(name = "indices")]
    Indices(Vec<u32>),
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum FailureCode {
    #[component(name = "invalid-input")]
    InvalidInput,
    #[component(name = "unsupported")]
    Unsupported,
    #[component(name = "overflow")]
    Overflow,
    #[component(name = "user")]
    User,
    #[component(name = "internal")]
    Internal,
    #[component(name = "retryable")]
    Retryable,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Failure {
    pub(crate) code: FailureCode,
    pub(crate) message: String,
    pub(crate) row: Option<u64>,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct PassedColumn {
    pub(crate) input: u32,
    pub(crate) name: String,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum Column {
    #[component(name = "made")]
    Made(u32),
    #[component(name = "passed")]
    Passed(PassedColumn),
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Plan {
    pub(crate) made: Schema,
    pub(crate) columns: Vec<Column>,
    pub(crate) needs: Vec<u32>,
    #[component(name = "batch-rows")]
    pub(crate) batch_rows: u32,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Output {
    pub(crate) batch: BatchOut,
    pub(crate) kept: RowsKept,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct AggregatePlan {
    pub(crate) state: Schema,
    #[component(name = "result")]
    pub(crate) result: Schema,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum FunctionKind {
    #[component(name = "map")]
    Map,
    #[component(name = "filter")]
    Filter,
    #[component(name = "flat-map")]
    FlatMap,
    #[component(name = "map-partitions")]
    MapPartitions,
    #[component(name = "aggregate")]
    Aggregate,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Capability {
    #[component(name = "http-client")]
    HttpClient,
    #[component(name = "clock")]
    Clock,
    #[component(name = "random")]
    Random,
    #[component(name = "key-value")]
    KeyValue,
    #[component(name = "secrets")]
    Secrets,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) kind: FunctionKind,
    pub(crate) doc: String,
    pub(crate) params: Schema,
    pub(crate) output: Schema,
    #[component(name = "config-schema")]
    pub(crate) config_schema: String,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum ConnectorKind {
    #[component(name = "source")]
    Source,
    #[component(name = "sink")]
    Sink,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Connector {
    pub(crate) name: String,
    pub(crate) kind: ConnectorKind,
    pub(crate) doc: String,
    #[component(name = "config-schema")]
    pub(crate) config_schema: String,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) doc: String,
    pub(crate) functions: Vec<Function>,
    pub(crate) connectors: Vec<Connector>,
    pub(crate) capabilities: Vec<Capability>,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum LogLevel {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

#[derive(ComponentType, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

/// A part of a source.
#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Split {
    pub(crate) payload: String,
    pub(crate) rows: Option<u64>,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct SourcePlan {
    pub(crate) schema: Schema,
    pub(crate) splits: Vec<Split>,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum ReadOutcome {
    #[component(name = "batch")]
    Batch((BatchOut, String)),
    #[component(name = "idle")]
    Idle(u32),
    #[component(name = "end")]
    End,
}

/// Who writes.
#[derive(ComponentType, Lower, Debug, Clone, Copy)]
#[component(record)]
pub(crate) struct Writer<'a> {
    pub(crate) job: &'a str,
    pub(crate) partition: u32,
    pub(crate) attempt: u32,
    pub(crate) epoch: u64,
}

/// The exports' types, in the order of the WIT. Parameters that borrow are named at the call.
pub(crate) type Answer<T> = (Result<T, Failure>,);
pub(crate) type OpenParams<'a> = (&'a str, &'a Schema, &'a str);
pub(crate) type ProcessParams<'a> = (BatchIn<'a>,);
/// A batch, the group of each of its rows, and how many groups there are now.
pub(crate) type GroupedParams<'a> = (BatchIn<'a>, &'a [u32], u32);
/// How many groups to hand out; all where none.
pub(crate) type FirstParams = (Option<u32>,);
pub(crate) type SourcePlanParams<'a> = (&'a str, &'a str, u32);
/// A connector, its configuration, a split, and the position in it.
pub(crate) type SourceOpenParams<'a> = (&'a str, &'a str, &'a str, Option<&'a str>);
/// Most rows and most bytes.
pub(crate) type ReadParams = (u32, u64);
pub(crate) type SinkOpenParams<'a> = (&'a str, &'a str, &'a Schema, Writer<'a>);
pub(crate) type WriteParams<'a> = (BatchIn<'a>,);
/// A connector, its configuration, and the tokens of all partitions.
pub(crate) type TokensParams<'a> = (&'a str, &'a str, &'a [&'a str]);
