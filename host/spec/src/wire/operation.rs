//! One operation of a job, by the names and the argument names that Spark gave them.

use crate::limits::PARTITIONS_MAX;
use crate::wire::fields::{Fields, Unknown, child, expected, shown};
use crate::wire::suggest::meant;
use crate::wire::{cache, combination, function, sink};
use crate::{Buckets, CacheLevel, Code, Combination, Failure, FileFormat, NamedAggregate, Operation, Sink, SortOrder};
use serde_json::Value;

/// How many elements `take`, `takeOrdered` and `top` give where the request does not say.
const TAKE_DEFAULT: usize = 10;
/// Most buckets of a histogram, and most entries of `aggregates`.
const LIST_MAX: usize = 10_000;

/// Every name that [`read`] takes.
const NAMES: &[&str] = &[
    "map",
    "filter",
    "flatMap",
    "mapPartitions",
    "mapValues",
    "keyBy",
    "keys",
    "values",
    "reduce",
    "fold",
    "aggregate",
    "reduceByKey",
    "groupByKey",
    "aggregateByKey",
    "countByKey",
    "countByValue",
    "distinct",
    "sortBy",
    "sortByKey",
    "sample",
    "takeSample",
    "take",
    "takeOrdered",
    "top",
    "first",
    "zipWithIndex",
    "count",
    "countDistinct",
    "sum",
    "mean",
    "min",
    "max",
    "stats",
    "histogram",
    "isEmpty",
    "collect",
    "foreach",
    "write",
    "cache",
    "persist",
    "unpersist",
    "repartition",
    "coalesce",
    "glom",
    "join",
    "leftOuterJoin",
    "rightOuterJoin",
    "fullOuterJoin",
    "cogroup",
    "union",
    "intersection",
    "subtract",
    "subtractByKey",
    "cartesian",
    "zip",
    "saveAsTextFile",
    "saveAsParquet",
    "saveAsParquetFile",
    "saveAsCsv",
    "saveAsNdjson",
    "saveAsJson",
    "saveAsDataset",
    "saveAsTable",
];

/// Reads one operation, and the sink where it names one.
pub(super) fn read(value: &Value, pointer: String) -> Result<(Operation, Option<Sink>), Failure> {
    if let Value::String(name) = value {
        let hint = format!(r#"write {{"type":"{}"}}"#, shown(name));
        return Err(expected("an object with 'type'", value).at(pointer).hint(hint));
    }
    let mut fields = Fields::of(value, pointer)?;
    let name = fields.required_text("type")?;
    let (operation, sink) = match written(name, &mut fields)? {
        Some((operation, sink)) => (operation, sink),
        None => (plain(name, &mut fields)?, None),
    };
    fields.finish(Unknown::Refuse)?;
    Ok((operation, sink))
}

/// The spellings of `write`, which all name or need a sink.
fn written(name: &str, fields: &mut Fields<'_>) -> Result<Option<(Operation, Option<Sink>)>, Failure> {
    let file = |fields: &mut Fields<'_>, format| sink::file_fields(fields, Some(format)).map(Some);
    let sink = match name {
        "write" | "foreach" => {
            if fields.has("function") {
                let message = "'foreach' takes a sink in place of a function: a lambda has no side effects here";
                let hint = r#"for example {"type":"foreach","sink":{"type":"dataset","name":"orders"}}"#;
                return Err(Failure::new(Code::OperationInvalid, message).at(fields.pointer("function")).hint(hint));
            }
            let pointer = fields.pointer("sink");
            fields.value("sink").map(|value| sink::read(value, pointer)).transpose()?
        }
        "saveAsTextFile" => file(fields, FileFormat::Text)?,
        "saveAsParquet" | "saveAsParquetFile" => file(fields, FileFormat::Parquet)?,
        "saveAsCsv" => file(fields, FileFormat::Csv)?,
        "saveAsNdjson" => file(fields, FileFormat::Ndjson)?,
        "saveAsJson" => file(fields, FileFormat::Json)?,
        "saveAsDataset" | "saveAsTable" => Some(sink::dataset_fields(fields)?),
        _ => return Ok(None),
    };
    Ok(Some((Operation::Write, sink)))
}

fn plain(name: &str, fields: &mut Fields<'_>) -> Result<Operation, Failure> {
    let main = |fields: &mut Fields<'_>| function::required(fields, name, &["function"]);
    Ok(match name {
        "map" => Operation::Map(main(fields)?),
        "filter" => Operation::Filter(main(fields)?),
        "flatMap" => Operation::FlatMap(main(fields)?),
        "mapPartitions" => Operation::MapPartitions(main(fields)?),
        "mapValues" => Operation::MapValues(main(fields)?),
        "keyBy" => Operation::KeyBy(function::required(fields, name, &["function", "key"])?),
        "keys" => Operation::Keys,
        "values" => Operation::Values,
        "reduce" => Operation::Reduce(main(fields)?),
        "fold" => Operation::Fold { zero: zero(fields)?, function: function::required(fields, name, &["function", "op"])? },
        "aggregate" if names_plugin(fields) => Operation::AggregateWith(main(fields)?),
        "aggregateByKey" if names_plugin(fields) => Operation::AggregateByKeyWith(main(fields)?),
        "aggregate" => return aggregate(fields),
        "aggregateByKey" => {
            let (zero, seq) = (zero(fields)?, function::required(fields, name, &["seq", "seqOp"])?);
            let comb = fields.name_of(&["comb", "combOp"])?;
            Operation::AggregateByKey { zero, seq, comb: function::named(fields, comb)? }
        }
        "reduceByKey" => Operation::ReduceByKey {
            function: function::required(fields, name, &["function", "reduce"])?,
            key: function::named(fields, "key")?,
            value: function::named(fields, "value")?,
        },
        "groupByKey" => Operation::GroupByKey,
        "countByKey" => Operation::CountByKey,
        "countByValue" => Operation::CountByValue,
        "distinct" => Operation::Distinct,
        "sortBy" => Operation::SortBy { function: function::optional(fields, &["function", "key"])?, order: order(fields)? },
        "sortByKey" => Operation::SortByKey(order(fields)?),
        "sample" => return sample(fields),
        "takeSample" => return take_sample(fields),
        "histogram" => Operation::Histogram(buckets(fields)?),
        "cache" | "persist" => Operation::Cache(cache::kept(fields, name, CacheLevel::Memory)?),
        "unpersist" => Operation::Unpersist(cache::name(fields)?),
        "repartition" => Operation::Repartition(partitions(fields)?),
        "coalesce" => Operation::Coalesce(partitions(fields)?),
        _ => match Combination::parse(name) {
            Some(how) => Operation::Combine { how, other: Box::new(combination::other(fields)?) },
            None => return short(name, fields),
        },
    })
}

/// Whether an aggregate of a plugin is meant.
fn names_plugin(fields: &Fields<'_>) -> bool {
    fields.has("plugin") || fields.has("function")
}

/// Operations without a function.
fn short(name: &str, fields: &mut Fields<'_>) -> Result<Operation, Failure> {
    Ok(match name {
        "take" => Operation::Take(how_many(fields)?),
        "takeOrdered" => Operation::TakeOrdered(how_many(fields)?),
        "top" => Operation::Top(how_many(fields)?),
        "first" => Operation::First,
        "zipWithIndex" => Operation::ZipWithIndex,
        "count" => Operation::Count,
        "countDistinct" => Operation::CountDistinct,
        "sum" => Operation::Sum,
        "mean" | "avg" | "average" => Operation::Mean,
        "min" => Operation::Min,
        "max" => Operation::Max,
        "stats" => Operation::Stats,
        "isEmpty" => Operation::IsEmpty,
        "collect" => Operation::Collect,
        "glom" => Operation::Glom,
        _ => return Err(unknown(name, fields)),
    })
}

fn unknown(name: &str, fields: &Fields<'_>) -> Failure {
    let pointer = fields.pointer("type");
    let failure = Failure::new(Code::OperationUnknown, format!("unknown operation '{}'", shown(name))).at(pointer);
    failure.hint(meant(name, NAMES.iter().copied()).unwrap_or_else(|| format!("operations are {}", NAMES.join(", "))))
}

/// The start value, which must be there and may be `null`.
fn zero(fields: &mut Fields<'_>) -> Result<Value, Failure> {
    let (own, spark) = (fields.present("zero"), fields.present("zeroValue"));
    own.or(spark).cloned().ok_or_else(|| fields.missing("zero"))
}

fn aggregate(fields: &mut Fields<'_>) -> Result<Operation, Failure> {
    if let Some(entries) = fields.array("aggregates")? {
        let pointer = fields.pointer("aggregates");
        if entries.is_empty() || entries.len() > LIST_MAX {
            return Err(Failure::new(Code::RequestField, format!("expected 1 to {LIST_MAX} aggregates, got {}", entries.len())).at(pointer));
        }
        let named = entries.iter().enumerate().map(|(at, entry)| named_aggregate(entry, child(&pointer, &at.to_string())));
        return named.collect::<Result<_, _>>().map(Operation::Aggregates);
    }
    if !fields.has("seq") && !fields.has("seqOp") && !fields.has("zero") && !fields.has("zeroValue") {
        let hint = r#"{"type":"aggregate","aggregates":["count","sum"]} or {"type":"aggregate","zero":0,"seq":"(acc, x) => …","comb":"(a, b) => …"}"#;
        return Err(fields.missing("aggregates").hint(hint));
    }
    Ok(Operation::Aggregate {
        zero: zero(fields)?,
        seq: function::required(fields, "aggregate", &["seq", "seqOp"])?,
        comb: function::required(fields, "reduce", &["comb", "combOp"])?,
    })
}

fn named_aggregate(entry: &Value, pointer: String) -> Result<NamedAggregate, Failure> {
    const AGGREGATES: &[&str] = &["count", "sum", "mean", "min", "max", "countDistinct", "bitXor", "countIf"];
    if entry.is_object() {
        let mut fields = Fields::of(entry, pointer)?;
        let function = function::named(&mut fields, "countIf")?.ok_or_else(|| fields.missing("countIf"))?;
        fields.finish(Unknown::Refuse)?;
        return Ok(NamedAggregate::CountIf(function));
    }
    match entry.as_str() {
        Some("count") => Ok(NamedAggregate::Count),
        Some("sum") => Ok(NamedAggregate::Sum),
        Some("mean" | "avg") => Ok(NamedAggregate::Mean),
        Some("min") => Ok(NamedAggregate::Min),
        Some("max") => Ok(NamedAggregate::Max),
        Some("countDistinct") => Ok(NamedAggregate::CountDistinct),
        Some("bitXor") => Ok(NamedAggregate::BitXor),
        text => {
            let failure = expected("an aggregate", entry).at(pointer);
            let all = r#"aggregates are "count", "sum", "mean", "min", "max", "countDistinct", "bitXor" and {"countIf": lambda}"#;
            Err(failure.hint(text.and_then(|text| meant(text, AGGREGATES.iter().copied())).unwrap_or_else(|| all.to_owned())))
        }
    }
}

fn order(fields: &mut Fields<'_>) -> Result<SortOrder, Failure> {
    let (ascending, descending) = (fields.flag("ascending")?, fields.flag("descending")?);
    match (ascending, descending) {
        (Some(ascending), Some(descending)) if ascending == descending => {
            Err(Failure::new(Code::RequestField, "'ascending' and 'descending' contradict each other").at(fields.pointer("descending")))
        }
        (Some(false), _) | (_, Some(true)) => Ok(SortOrder::Descending),
        _ => Ok(SortOrder::Ascending),
    }
}

fn how_many(fields: &mut Fields<'_>) -> Result<usize, Failure> {
    let name = fields.name_of(&["n", "num"])?;
    Ok(fields.size(name, 0..=u64::from(u32::MAX))?.unwrap_or(TAKE_DEFAULT))
}

fn sample(fields: &mut Fields<'_>) -> Result<Operation, Failure> {
    let with_replacement = fields.flag("withReplacement")?.unwrap_or(false);
    let fraction = fields.number("fraction")?.ok_or_else(|| fields.missing("fraction"))?;
    let fraction_max = if with_replacement { 1000.0 } else { 1.0 };
    if !(0.0..=fraction_max).contains(&fraction) {
        let message = format!("expected a fraction from 0 to {fraction_max}, got {fraction}");
        return Err(Failure::new(Code::RequestField, message).at(fields.pointer("fraction")));
    }
    Ok(Operation::Sample { with_replacement, fraction, seed: seed(fields)? })
}

fn take_sample(fields: &mut Fields<'_>) -> Result<Operation, Failure> {
    let with_replacement = fields.flag("withReplacement")?.unwrap_or(false);
    let name = fields.name_of(&["n", "num"])?;
    let n = fields.size(name, 0..=u64::from(u32::MAX))?.ok_or_else(|| fields.missing("n"))?;
    Ok(Operation::TakeSample { with_replacement, n, seed: seed(fields)? })
}

/// Absent seeds are 0, so that a request always stands for the same rows.
fn seed(fields: &mut Fields<'_>) -> Result<u64, Failure> {
    match fields.value("seed") {
        None => Ok(0),
        // Spark's seeds are signed; any 64 bits are as good as any other.
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_i64().map(i64::cast_unsigned))
            .ok_or_else(|| expected("an integer of 64 bits", value).at(fields.pointer("seed"))),
    }
}

fn buckets(fields: &mut Fields<'_>) -> Result<Buckets, Failure> {
    let pointer = fields.pointer("buckets");
    let Some(Value::Array(values)) = fields.value("buckets") else {
        let count = fields.size("buckets", 1..=LIST_MAX as u64)?;
        return count.map(Buckets::Count).ok_or_else(|| fields.missing("buckets").hint("a number of buckets, or a list of edges"));
    };
    let edges: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(at, value)| value.as_f64().ok_or_else(|| expected("a number", value).at(child(&pointer, &at.to_string()))))
        .collect::<Result<_, _>>()?;
    if edges.len() < 2 || edges.len() > LIST_MAX || !edges.is_sorted_by(|left, right| left < right) {
        return Err(
            Failure::new(Code::RequestField, format!("expected 2 to {LIST_MAX} edges in ascending order, without repeats")).at(pointer)
        );
    }
    Ok(Buckets::Edges(edges))
}

fn partitions(fields: &mut Fields<'_>) -> Result<usize, Failure> {
    let name = fields.name_of(&["numPartitions", "partitions", "n"])?;
    fields.size(name, 1..=PARTITIONS_MAX as u64)?.ok_or_else(|| fields.missing("numPartitions"))
}
