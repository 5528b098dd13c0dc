//! The 22 queries of TPC-H over Parquet files at scale 0.01, against DuckDB's answers, which `tests/bench/tpch.py --bless`
//! wrote beside the queries. How long they take at scale 1 is that program's business.

use crate::support::Fixture;
use datafusion::arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::path::Path;
use tpchgen::generators as rows;
use tpchgen_arrow as arrow;

const SCALE: f64 = 0.01;
/// DuckDB's averages and quotients are doubles, DataFusion's decimals with a few digits.
const ABSOLUTE: f64 = 1e-4;
const RELATIVE: f64 = 1e-6;

fn write(folder: &Path, name: &str, batches: impl Iterator<Item = RecordBatch>) -> (String, Value) {
    let path = folder.join(format!("{name}.parquet"));
    let mut batches = batches.peekable();
    let schema = batches.peek().unwrap().schema();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    for batch in batches {
        writer.write(&batch).unwrap();
    }
    writer.close().unwrap();
    (name.to_owned(), json!({"source": {"type": "parquet", "path": path}}))
}

fn tables(folder: &Path) -> Value {
    let tables = [
        write(folder, "customer", arrow::CustomerArrow::new(rows::CustomerGenerator::new(SCALE, 1, 1))),
        write(folder, "lineitem", arrow::LineItemArrow::new(rows::LineItemGenerator::new(SCALE, 1, 1))),
        write(folder, "nation", arrow::NationArrow::new(rows::NationGenerator::new(SCALE, 1, 1))),
        write(folder, "orders", arrow::OrderArrow::new(rows::OrderGenerator::new(SCALE, 1, 1))),
        write(folder, "part", arrow::PartArrow::new(rows::PartGenerator::new(SCALE, 1, 1))),
        write(folder, "partsupp", arrow::PartSuppArrow::new(rows::PartSuppGenerator::new(SCALE, 1, 1))),
        write(folder, "region", arrow::RegionArrow::new(rows::RegionGenerator::new(SCALE, 1, 1))),
        write(folder, "supplier", arrow::SupplierArrow::new(rows::SupplierGenerator::new(SCALE, 1, 1))),
    ];
    Value::Object(Map::from_iter(tables))
}

/// Whether a row is what a line of DuckDB's answer says.
fn is_row(expect: &[String], row: &Value) -> bool {
    let values: Vec<&Value> = row.as_object().unwrap().values().collect();
    let is_same = |(text, value): (&String, &&Value)| match value {
        Value::Null => text.is_empty(),
        Value::String(value) => value == text,
        value => match (text.parse::<f64>(), value.as_f64()) {
            (Ok(a), Some(b)) => (a - b).abs() <= ABSOLUTE.max(RELATIVE * a.abs().max(b.abs())),
            _ => false,
        },
    };
    expect.len() == values.len() && expect.iter().zip(&values).all(is_same)
}

/// Lines of CSV as fields.
fn lines(text: &str) -> Vec<Vec<String>> {
    let mut fields = vec![Vec::new()];
    let (mut field, mut is_quoted) = (String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' | '\n' if !is_quoted => {
                fields.last_mut().unwrap().push(std::mem::take(&mut field));
                if letter == '\n' {
                    fields.push(Vec::new());
                }
            }
            letter => field.push(letter),
        }
    }
    fields.retain(|line| !line.is_empty());
    fields
}

#[test]
fn tpch_answers_what_duckdb_answers() {
    let fixture = Fixture::new();
    let tables = tables(fixture.files.path());
    let folder = super::folder("tpch");
    let mut failed = Vec::new();
    for number in 1..=22 {
        let read = |ending: &str| fs::read_to_string(folder.join(format!("q{number:02}.{ending}"))).unwrap();
        let (query, expect) = (read("sql"), lines(&read("csv")));
        for partitions in [1, 3] {
            let answer = match fixture.run(&json!({"sql": query, "tables": tables}), partitions) {
                Ok(answer) => answer,
                Err(failure) => {
                    failed.push(format!("query {number}, {partitions} partitions: {failure:?}"));
                    continue;
                }
            };
            let answer = answer.as_array().unwrap();
            if answer.len() != expect.len() {
                failed.push(format!("query {number}, {partitions} partitions: {} rows, not {}", answer.len(), expect.len()));
            }
            let wrong = expect.iter().zip(answer).find(|(expect, row)| !is_row(expect, row));
            failed.extend(wrong.map(|(expect, row)| format!("query {number}, {partitions} partitions: {row} is not {expect:?}")));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
