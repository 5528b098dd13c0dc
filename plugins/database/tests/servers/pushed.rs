//! Conditions that go to the server: every row that the total order of fractions, and the order of moments, lets through has
//! to come back, whatever the server thinks of zeros, NaN, zones and digits; and others have to stay behind.

use crate::lab::{Place, files, source};
use crate::mongodb;
use ::mongodb::bson::{Bson, DateTime, Document, doc};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::kernels::cmp;
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use azora_connect::{Compare, Condition, Constant, Outcome, ReadRequest, Rejects, Source};
use azora_services::{MariaDb, Postgres};
use azora_spec::OnError;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::sync::Arc;

const COMPARES: [Compare; 5] = [Compare::Equal, Compare::Less, Compare::AtMost, Compare::More, Compare::AtLeast];
const MICROS: i64 = 1_000_000;
/// 2024-02-29 at noon.
const NOON: i64 = 1_709_208_000 * MICROS;

/// Fractions at which orders differ.
fn floats() -> Vec<f64> {
    let edges = [0.0, 0.1, 0.3, 1.0, 1e-310, 5e-324, 1e300, f64::MAX, 9_007_199_254_740_993.0, 16_777_217.0, 0.1_f32.into()];
    edges.into_iter().flat_map(|edge: f64| [edge, -edge, edge.next_up(), edge.next_down()]).filter(|edge| edge.is_finite()).collect()
}

/// The column of all rows that come back, as numbers of 64 bits.
async fn column(source: &Arc<dyn Source>, conditions: Vec<Condition>, at: usize, of: &DataType) -> ArrayRef {
    let request = ReadRequest { projection: Some(vec![at]), conditions, ..ReadRequest::new(8192, 8 << 20) };
    let mut found: Vec<ArrayRef> = Vec::new();
    for split in source.plan(1).await.unwrap() {
        let mut reader = source.open(&split, None, request.clone()).await.unwrap();
        while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
            found.push(cast(batch.column(0), of).unwrap());
        }
    }
    let parts: Vec<&dyn Array> = found.iter().map(AsRef::as_ref).collect();
    if parts.is_empty() { arrow::array::new_empty_array(of) } else { arrow::compute::concat(&parts).unwrap() }
}

/// The values for which a comparison is true, as bits in order.
fn kept(values: &ArrayRef, compare: Compare, constant: &ArrayRef) -> Vec<u64> {
    let constant = arrow::array::Scalar::new(Arc::clone(constant));
    let holds = match compare {
        Compare::Equal => cmp::eq(values, &constant),
        Compare::Less => cmp::lt(values, &constant),
        Compare::AtMost => cmp::lt_eq(values, &constant),
        Compare::More => cmp::gt(values, &constant),
        Compare::AtLeast => cmp::gt_eq(values, &constant),
    }
    .unwrap();
    let left = filter(values, &holds).unwrap();
    let mut bits: Vec<u64> = match left.data_type() {
        DataType::Float64 => left.as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()).collect(),
        _ => left.as_primitive::<Int64Type>().values().iter().map(|value| value.cast_unsigned()).collect(),
    };
    bits.sort_unstable();
    bits
}

/// Every comparison of a column with some constants; gives how many rows stayed behind.
async fn check(source: &Arc<dyn Source>, name: &str, constants: impl Fn(&DataType) -> Vec<Constant>) -> usize {
    let at = source.schema().index_of(name).unwrap();
    let own = source.schema().field(at).data_type().clone();
    let of = if own.is_floating() { DataType::Float64 } else { DataType::Int64 };
    let all = column(source, Vec::new(), at, &of).await;
    let mut behind = 0;
    for constant in constants(&own) {
        let scalar: ArrayRef = match &constant {
            Constant::Float(number) => Arc::new(Float64Array::from(vec![*number])),
            Constant::Moment { at, .. } => Arc::new(Int64Array::from(vec![*at])),
            other => panic!("{other}"),
        };
        for compare in COMPARES {
            let condition = Condition { column: at, compare, value: constant.clone() };
            let some = column(source, vec![condition], at, &of).await;
            assert_eq!(kept(&some, compare, &scalar), kept(&all, compare, &scalar), "{name} {} {constant}", compare.sql());
            behind += all.len() - some.len();
        }
    }
    behind
}

fn of_floats(own: &DataType) -> Vec<Constant> {
    let single = |number: f64| f64::from(number as f32);
    let edges = [floats(), vec![f64::INFINITY, f64::NEG_INFINITY]].concat().into_iter();
    let edges = edges.map(|number| if *own == DataType::Float32 { single(number) } else { number });
    edges.map(Constant::Float).collect()
}

fn of_moments(own: &DataType) -> Vec<Constant> {
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = own else { panic!("{own}") };
    let edges = [0, NOON, NOON + 1, NOON - 1, NOON + 500_000, -62_135_596_800 * MICROS, i64::MAX, -1];
    edges.map(|at| Constant::Moment { at, unit: TimeUnit::Microsecond, is_instant: zone.is_some() }).into()
}

/// Every comparison of the tables `f`, `s`, `t` and `z`, each with a column of its name.
async fn check_tables<P: Place>(server: &P) {
    for (table, constants) in [("f", of_floats as fn(&DataType) -> Vec<Constant>), ("s", of_floats), ("t", of_moments), ("z", of_moments)] {
        let source = source(P::CONNECTOR, server.config(json!({"table": table}))).await.unwrap();
        let behind = check(&source, table, constants).await;
        assert!(behind > 50, "{table}: {behind}");
    }
}

/// Rows of one column as VALUES; `write` makes the literal.
fn values<T>(of: Vec<T>, write: impl Fn(T) -> String) -> String {
    of.into_iter().map(|value| format!("({})", write(value))).collect::<Vec<_>>().join(", ")
}

const TIMES: &str = "('1970-01-01 00:00:00'), ('2024-02-29 12:00:00'), ('2024-02-29 12:00:00.000001'), ('2024-02-29 11:59:59.999999'), ('2024-02-29 12:00:01')";

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_leaves_no_row_behind_that_is_wanted() {
    let server = Postgres::start().unwrap();
    let doubles = values(floats(), |number| format!("'{number:e}'::float8"));
    server
        .run(&format!(
            "CREATE TABLE f (f float8); INSERT INTO f VALUES {doubles}, ('NaN'), (-('NaN'::float8)), ('Infinity'), ('-Infinity'), (NULL); \
             CREATE TABLE s (s float4); INSERT INTO s SELECT f::float4 FROM f WHERE f IS NULL OR abs(f) < 1e30 AND (f = 0 OR abs(f) > 1e-30); \
             INSERT INTO s VALUES ('NaN'), (-('NaN'::float4)), ('Infinity'), ('-Infinity'); \
             CREATE TABLE t (t timestamp); INSERT INTO t VALUES {TIMES}, ('0044-03-15 12:00 BC'), (NULL); \
             SET timezone = 'Asia/Kolkata'; CREATE TABLE z (z timestamptz); INSERT INTO z VALUES {TIMES}; INSERT INTO z SELECT t AT TIME ZONE 'UTC' FROM t"
        ))
        .unwrap();
    check_tables(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_leaves_no_row_behind_that_is_wanted() {
    let server = MariaDb::start().unwrap();
    let doubles = values(floats(), |number| format!("{number:e}"));
    server
        .run(&format!(
            "CREATE TABLE f (f DOUBLE); INSERT INTO f VALUES {doubles}, (NULL); \
             CREATE TABLE s (s FLOAT); INSERT INTO s SELECT f FROM f WHERE abs(f) < 1e30 AND (f = 0 OR abs(f) > 1e-30); \
             CREATE TABLE t (t DATETIME(6)); INSERT INTO t VALUES {TIMES}, (NULL); \
             SET time_zone = '+05:30'; CREATE TABLE z (z TIMESTAMP(6) NULL); INSERT INTO z VALUES {}, (NULL)",
            TIMES.replace("1970-01-01 00", "1970-01-02 00")
        ))
        .unwrap();
    check_tables(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_leaves_no_row_behind_that_is_wanted() {
    let connection = Connection::open(files().roots[0].join("pushed.db")).unwrap();
    connection.execute_batch("CREATE TABLE f (f REAL); CREATE TABLE w (w)").unwrap();
    for number in [floats(), vec![f64::INFINITY, f64::NEG_INFINITY]].concat() {
        for table in ["f", "w"] {
            connection.execute(&format!("INSERT INTO {table} VALUES (?1)"), [number]).unwrap();
        }
    }
    // Whole numbers in a column that keeps them as they are. Those that no fraction holds are bad records.
    let whole = [1_i64 << 53, (1 << 53) - 1, -(1 << 53), 16_777_217, 0, 7];
    for number in whole {
        connection.execute("INSERT INTO w VALUES (?1)", [number]).unwrap();
    }
    drop(connection);
    let config = |table: &str, more: Value| json!({"path": "pushed.db", "table": table, "types": more});
    for (table, config) in [("f", config("f", json!({}))), ("w", config("w", json!({"w": "float64"})))] {
        let source = source("sqlite", config).await.unwrap();
        let constants = |own: &DataType| {
            let whole = whole.iter().map(|number| Constant::Float(*number as f64));
            of_floats(own).into_iter().chain(whole).collect()
        };
        let behind = check(&source, table, constants).await;
        assert!(behind > 50, "{table}: {behind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_leaves_no_row_behind_that_is_wanted() {
    let server = mongodb::server();
    let mut documents: Vec<Document> = floats().into_iter().map(|number| doc! {"f": number}).collect();
    documents.extend([doc! {"f": 7}, doc! {"f": 1_i64 << 53}, doc! {"f": 0}, doc! {"f": Bson::Null}, doc! {"g": 1}]);
    mongodb::fill(&server, "pushed_f", documents).await;
    let moments = [0, NOON / 1000, NOON / 1000 + 1, NOON / 1000 - 1, -62_135_596_800_000, -1];
    mongodb::fill(&server, "pushed_z", moments.map(|at| doc! {"z": DateTime::from_millis(at)}).into()).await;
    for (name, types) in [("f", json!({"f": "float64"})), ("z", json!({"z": "timestamp"}))] {
        let source = source("mongodb", server.config(json!({"collection": format!("pushed_{name}"), "types": types}))).await.unwrap();
        let constants = |own: &DataType| match own {
            DataType::Timestamp(unit, zone) => {
                let edges = [0, 1, -1, NOON, NOON + 1, NOON - 1, NOON + 500, i64::MAX / 1000];
                let parts = if *unit == TimeUnit::Millisecond { 1000 } else { 1 };
                edges.map(|at| Constant::Moment { at: at / parts, unit: *unit, is_instant: zone.is_some() }).into()
            }
            own => of_floats(own),
        };
        let behind = check(&source, name, constants).await;
        assert!(behind > 50, "{name}: {behind}");
    }
}

/// What a column is told to be and what documents hold may differ: such values are converted or bad records, with a condition
/// as without one.
#[tokio::test(flavor = "multi_thread")]
async fn mongodb_sends_documents_of_other_types() {
    let server = mongodb::server();
    let numbers = [
        doc! {"n": 1, "t": "1"},
        doc! {"n": 5_i64, "t": 5},
        doc! {"n": "5", "t": true},
        doc! {"n": 5.0, "t": "5"},
        doc! {"n": 9, "t": "9"},
    ];
    mongodb::fill(&server, "pushed_types", numbers.into()).await;
    for (name, of, value, is_left) in [("n", "int64", Constant::Integer(5), 2), ("t", "string", Constant::Text("5".to_owned()), 2)] {
        let config = server.config(json!({"collection": "pushed_types", "columns": [name], "types": {(name): of}}));
        let source = source("mongodb", config).await.unwrap();
        let read = async |conditions: Vec<Condition>| {
            let rejects = Rejects::new(OnError::Skip);
            let request = ReadRequest { conditions, rejects: rejects.clone(), ..ReadRequest::new(8192, 8 << 20) };
            let mut rows = 0;
            let splits = source.plan(1).await.unwrap();
            let mut reader = source.open(&splits[0], None, request).await.unwrap();
            while let Outcome::Batch(batch, _) = reader.read().await.unwrap() {
                rows += batch.num_rows();
            }
            (rows, rejects.count())
        };
        let (all, refused) = read(Vec::new()).await;
        let (some, still) = read(vec![Condition { column: 0, compare: Compare::Equal, value }]).await;
        assert_eq!((all - some, still), (is_left, refused), "{name}: {all} rows, {refused} refused");
    }
}
