//! Texts of Parquet files, which plans read as views for a while: whatever a query does with them, it answers what it does
//! over an Arrow file of the same rows, which is read as it is. And columns without nulls, which stay so.

use crate::support::Fixture;
use datafusion::arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use std::fs::File;
use std::sync::Arc;

/// Rows, in row groups that extremes of texts can leave out.
const ROWS: usize = 3_000;
const ROW_GROUP: usize = 500;

/// `id` ascending, `kind` of five short texts, `name` long and ascending, `note` with nulls and empty texts; the second
/// table's `kind` is a dictionary and its `name` a view.
fn batch(is_other: bool) -> RecordBatch {
    let kinds = ["MAIL", "SHIP", "AIR", "", "größer"];
    let kind = (0..ROWS).map(|at| kinds[at * 7 % 5]);
    let name = (0..ROWS).map(|at| format!("a name longer than twelve bytes {at:05}"));
    let note = (0..ROWS).map(|at| [None, Some(""), Some("n"), Some("a note that is rather long")][at % 4]);
    let (kind, name): (ArrayRef, ArrayRef) = match is_other {
        true => (Arc::new(kind.collect::<DictionaryArray<Int32Type>>()), Arc::new(StringViewArray::from_iter_values(name))),
        false => (Arc::new(StringArray::from_iter_values(kind)), Arc::new(StringArray::from_iter_values(name))),
    };
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("kind", kind.data_type().clone(), is_other),
        Field::new("name", name.data_type().clone(), false),
        Field::new("note", DataType::Utf8, true),
    ];
    let ids = Int64Array::from_iter_values(0..i64::try_from(ROWS).unwrap());
    let columns = vec![Arc::new(ids) as ArrayRef, kind, name, Arc::new(note.collect::<StringArray>())];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Two tables, `t` and `u`, as Parquet and as Arrow files.
fn tables(fixture: &Fixture) -> [Value; 2] {
    let folder = fixture.files.path();
    let (mut parquet, mut arrow) = (json!({}), json!({}));
    for (table, is_other) in [("t", false), ("u", true)] {
        let (rows, path) = (batch(is_other), folder.join(format!("{table}.parquet")));
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(ROW_GROUP)).build();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        parquet[table] = json!({"source": {"type": "parquet", "path": path}});
        // The plain types of the same rows: what is compared is what is done with them.
        let (rows, path) = (batch(false), folder.join(format!("{table}.arrow")));
        let mut writer = FileWriter::try_new(File::create(&path).unwrap(), &rows.schema()).unwrap();
        writer.write(&rows).unwrap();
        writer.finish().unwrap();
        arrow[table] = json!({"source": {"type": "arrow", "path": path}});
    }
    [parquet, arrow]
}

const QUERIES: [&str; 28] = [
    "SELECT id FROM t WHERE kind = 'MAIL' ORDER BY id",
    "SELECT kind, name FROM t WHERE kind = 'MAIL' AND name < 'a name longer than twelve bytes 00700' ORDER BY name",
    "SELECT * FROM u WHERE kind IN ('SHIP', 'größer', NULL) ORDER BY id",
    "SELECT id FROM u WHERE kind NOT IN ('SHIP', 'AIR') OR note IS NULL ORDER BY id",
    "SELECT id, note FROM t WHERE note LIKE 'a%' ORDER BY id",
    "SELECT id, note FROM t WHERE note NOT ILIKE 'A NOTE%' ORDER BY id",
    "SELECT id FROM t WHERE note IS NULL ORDER BY id",
    "SELECT id FROM t WHERE 'n' <= note ORDER BY id",
    "SELECT id FROM t WHERE upper(kind) = 'MAIL' ORDER BY id",
    "SELECT id, kind FROM t WHERE upper(kind) = 'MAIL' AND kind <> 'SHIP' ORDER BY id",
    "SELECT id FROM t WHERE kind = note ORDER BY id",
    "SELECT kind, count(*) AS n FROM u WHERE id > 100 GROUP BY kind ORDER BY kind",
    "SELECT kind, note, count(*) AS n, sum(id) AS ids FROM u GROUP BY kind, note ORDER BY kind, note",
    "SELECT kind, max(name) AS last, count(DISTINCT note) AS notes FROM t GROUP BY kind ORDER BY kind",
    "SELECT kind || '!' AS k, count(*) AS n FROM u GROUP BY kind || '!' ORDER BY k",
    "SELECT DISTINCT kind, note FROM t WHERE id % 3 = 0 ORDER BY kind, note",
    "SELECT kind AS k, kind AS l, substr(name, 30) AS s FROM t WHERE id < 20 ORDER BY id",
    "SELECT a.k, a.n, b.id FROM (SELECT kind AS k, count(*) AS n FROM u WHERE note = 'n' GROUP BY kind) AS a JOIN t AS b ON a.k = b.kind WHERE b.id < 9 ORDER BY b.id",
    "SELECT t.name, u.note FROM t JOIN u ON t.name = u.name AND t.kind = 'AIR' WHERE u.note IS NOT NULL ORDER BY t.name",
    "SELECT kind, count(*) AS n FROM t GROUP BY ROLLUP(kind) ORDER BY kind NULLS FIRST",
    "SELECT kind, n FROM (SELECT kind, count(*) AS n FROM t WHERE id >= 10 GROUP BY kind) WHERE n > 100 AND kind > 'B' ORDER BY kind",
    "SELECT count(*) AS n FROM t WHERE id NOT IN (SELECT id FROM u WHERE kind = 'MAIL')",
    "SELECT count(*) AS n FROM t WHERE note NOT IN (SELECT note FROM u WHERE kind = 'MAIL')",
    "SELECT id FROM t WHERE name = (SELECT max(name) FROM u WHERE kind = 'MAIL')",
    "SELECT kind FROM t WHERE kind = 'MAIL' UNION ALL SELECT note FROM u WHERE note = 'n' AND id < 20 ORDER BY kind",
    "SELECT t.kind, u.id AS other FROM t LEFT JOIN u ON t.id = u.id AND u.kind = 'AIR' WHERE t.id < 12 ORDER BY t.id",
    "SELECT note, row_number() OVER (PARTITION BY kind ORDER BY id) AS place FROM t WHERE kind = 'SHIP' AND id < 40 ORDER BY id",
    "SELECT kind FROM t WHERE kind = 'NONE'",
];

#[test]
fn texts_answer_the_same_whatever_they_are_read_as() {
    let fixture = Fixture::new();
    let [parquet, arrow] = tables(&fixture);
    let mut rows = 0;
    for query in QUERIES {
        let run = |tables: &Value, partitions| fixture.run(&json!({"sql": query, "tables": tables}), partitions).unwrap();
        let expect = run(&arrow, 1);
        rows += expect.as_array().unwrap().len();
        for partitions in [1, 3] {
            assert_eq!(run(&parquet, partitions), expect, "{partitions} partitions: {query}");
        }
    }
    assert!(rows > 5_000, "hardly any rows: {rows}");
}

#[test]
fn texts_are_copied_behind_filters_and_groups() {
    let fixture = Fixture::new();
    let [parquet, _] = tables(&fixture);
    let check = |query: &str, copies: &[&str]| {
        let plan = fixture.plan(&json!({"sql": query, "tables": parquet}), 2).unwrap().explain();
        let cast = plan.lines().filter(|line| line.contains("AS Utf8")).map(|line| line.trim_start().split(':').next().unwrap());
        assert_eq!(cast.collect::<Vec<_>>(), copies, "{query}: {plan}");
        let scan = plan.find("DataSourceExec").unwrap();
        assert!(plan.find("AS Utf8").is_none_or(|cast| cast < scan), "{query}: {plan}");
    };
    check("SELECT id FROM t WHERE kind = 'MAIL'", &[]);
    check("SELECT name FROM t WHERE kind = 'MAIL'", &["ProjectionExec"]);
    check("SELECT kind, count(*) FROM t GROUP BY kind", &["ProjectionExec"]);
    check("SELECT kind, name FROM t", &[]);
    check("SELECT upper(kind) FROM t", &[]);
}

#[test]
fn a_column_without_nulls_stays_one() {
    let fixture = Fixture::new();
    let [parquet, _] = tables(&fixture);
    // Where neither side has nulls, `NOT IN` is a plain anti join.
    let plan = |query: &str| fixture.plan(&json!({"sql": query, "tables": parquet}), 2).unwrap().explain();
    let plain = plan("SELECT id FROM t WHERE id NOT IN (SELECT id FROM u WHERE kind = 'MAIL')");
    assert!(!plain.contains("null_aware"), "{plain}");
    let aware = plan("SELECT id FROM t WHERE note NOT IN (SELECT note FROM u WHERE kind = 'MAIL')");
    assert!(aware.contains("null_aware"), "{aware}");
}
