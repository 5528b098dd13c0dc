//! How a table or query is cut into parts: by a column's values, or by the blocks of a table.

use super::session::Session;
use super::source::from;
use crate::config::{Reading, What};
use crate::error::Error;
use crate::source::{Bound, Part, ranges, share};
use crate::sql::{Dialect, Select, Table};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use azora_connect::Split;
use tokio_postgres::types::Type;

const DIALECT: Dialect = Dialect::Postgres;
/// A part has at least so many blocks: 8 MiB where a block has 8 KiB.
const BLOCKS_MIN: u64 = 1024;
/// The first version that reads a range of blocks without reading the others.
const BLOCK_RANGES_SINCE: i32 = 140_000;

/// How a part's rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Not cut.
    Whole,
    /// By blocks of the table.
    Blocks,
    /// By values of the partition column.
    Range,
    /// The same, and the column is unique and never null, so that rows are read in its order and can be continued.
    Key,
}

/// What is known of a table or query before it is read.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) cut: Cut,
    rows: Option<u64>,
    blocks: u64,
    column: Option<Measure>,
}

/// How values of a partition column are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Number,
    Days,
    Micros,
}

impl Origin {
    /// Looks at a table's size and at the partition column's type.
    pub(super) async fn find(session: &Session, reading: &Reading) -> Result<Self, Error> {
        let mut origin = Self { cut: Cut::Whole, rows: None, blocks: 0, column: None };
        if let What::Table(table) = &reading.what {
            origin.table(session, table).await?;
        }
        if let Some(column) = &reading.partition_column {
            origin.column = Some(measure(session, reading, column).await?);
            let is_key = match &reading.what {
                What::Table(table) => is_unique(session, table, column).await?,
                What::Query(_) => false,
            };
            origin.cut = if is_key { Cut::Key } else { Cut::Range };
        }
        Ok(origin)
    }

    async fn table(&mut self, session: &Session, table: &Table) -> Result<(), Error> {
        let sql = "SELECT c.relkind::text, c.reltuples::float8, c.relhassubclass, current_setting('server_version_num')::int4, \
                   CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::int8 ELSE 0 END \
                   FROM pg_class c WHERE c.oid = to_regclass($1)";
        let row = session.client.query_opt(sql, &[&table.sql(DIALECT)]).await;
        // A schema that is not there is an error of its own in some versions.
        let Some(row) = row.map_err(|error| session.blame(&error, "table", "/table"))? else {
            return Err(Error::Missing { site: session.site.clone(), what: "table", name: table.shown(), pointer: "/table" });
        };
        let (kind, rows, has_children, version, blocks): (String, f64, bool, i32, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
        self.rows = (rows >= 1.0).then_some(rows as u64);
        self.blocks = u64::try_from(blocks).unwrap_or_default();
        let is_heap = matches!(kind.as_str(), "r" | "m") && !has_children;
        if is_heap && version >= BLOCK_RANGES_SINCE {
            self.cut = Cut::Blocks;
        }
        Ok(())
    }

    /// Cuts what is read into at most so many splits.
    pub(super) async fn plan(&self, session: &Session, reading: &Reading, parallelism: usize) -> Result<Vec<Split>, Error> {
        let parts = match (self.cut, &reading.partition_column, self.column) {
            (Cut::Whole, ..) => vec![Part::All],
            (Cut::Blocks, ..) => self.by_blocks(parallelism),
            (Cut::Range | Cut::Key, Some(column), Some(measure)) => by_values(session, reading, (column, measure), parallelism).await?,
            (Cut::Range | Cut::Key, ..) => return Err(Error::Broken("a partition column")),
        };
        let rows = share(self.rows, parts.len());
        parts.iter().map(|part| part.split(rows)).collect()
    }

    fn by_blocks(&self, parallelism: usize) -> Vec<Part> {
        let parts = (parallelism.max(1) as u64).min(self.blocks / BLOCKS_MIN).clamp(1, crate::source::PARTS_MAX as u64);
        let cut = |at: u64| self.blocks * at / parts;
        (0..parts).map(|at| Part::Blocks { from: cut(at), to: (at + 1 < parts).then(|| cut(at + 1)) }).collect()
    }
}

async fn measure(session: &Session, reading: &Reading, column: &str) -> Result<Measure, Error> {
    let sql = format!("SELECT {} FROM {}", DIALECT.name(column), from(&reading.what));
    let statement = session.client.prepare(&sql).await;
    let statement = statement.map_err(|error| session.blame(&error, "partition column", "/partitionColumn"))?;
    match statement.columns().first().map(|column| column.type_().clone()) {
        Some(Type::INT2 | Type::INT4 | Type::INT8 | Type::OID) => Ok(Measure::Number),
        Some(Type::DATE) => Ok(Measure::Days),
        Some(Type::TIMESTAMP | Type::TIMESTAMPTZ) => Ok(Measure::Micros),
        other => Err(Error::Unfit {
            message: format!(
                "rows cannot be cut by '{}', whose type is {}",
                column.escape_debug(),
                other.map_or_else(String::new, |of| of.name().to_owned())
            ),
            hint: "a partition column holds whole numbers, dates or timestamps",
            pointer: "/partitionColumn",
        }),
    }
}

async fn is_unique(session: &Session, table: &Table, column: &str) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
               WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL \
               AND i.indexprs IS NULL AND a.attname = $2 AND a.attnotnull)";
    let row = session.client.query_one(sql, &[&table.sql(DIALECT), &column]).await.map_err(|error| session.error(&error))?;
    Ok(row.get(0))
}

async fn by_values(
    session: &Session,
    reading: &Reading,
    (column, measure): (&str, Measure),
    parallelism: usize,
) -> Result<Vec<Part>, Error> {
    let name = DIALECT.name(column);
    let (of, finite) = match measure {
        Measure::Number => ("%::int8", None),
        Measure::Days => ("(% - date '1970-01-01')::int8", Some(format!("isfinite({name})"))),
        Measure::Micros => ("(extract(epoch FROM %)::numeric * 1000000)::int8", Some(format!("isfinite({name})"))),
    };
    let list = ["min", "max"].map(|end| of.replace('%', &format!("{end}({name})"))).join(", ");
    let conditions = reading.filter.iter().cloned().chain(finite).collect();
    let sql = Select { list, from: from(&reading.what), conditions, ..Select::default() }.sql(DIALECT);
    let row = session.client.query_one(&sql, &[]).await.map_err(|error| session.blame(&error, "partition column", "/partitionColumn"))?;
    let (Some(min), Some(max)) = (row.get::<_, Option<i64>>(0), row.get::<_, Option<i64>>(1)) else {
        return Ok(vec![Part::Range { from: None, to: None, nulls: true }]);
    };
    ranges(i128::from(min), i128::from(max), parallelism, |at| show(measure, at))
}

/// A cut as the column's type writes it.
fn show(measure: Measure, at: i128) -> Result<Bound, Error> {
    let beyond = || Error::Broken("a date in range");
    match measure {
        Measure::Number => Bound::new(&at.to_string()),
        Measure::Days => {
            let date = i32::try_from(at).ok().and_then(date32_to_datetime).ok_or_else(beyond)?;
            Bound::new(&date.format("%Y-%m-%d").to_string())
        }
        Measure::Micros => {
            let time = i64::try_from(at).ok().and_then(timestamp_us_to_datetime).ok_or_else(beyond)?;
            Bound::new(&time.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Measure, Origin, show};
    use crate::source::Part;

    #[test]
    fn blocks_are_covered_without_a_gap() {
        let origin = Origin { cut: Cut::Blocks, rows: None, blocks: 10_000, column: None };
        let parts = origin.by_blocks(4);
        assert_eq!(parts.len(), 4);
        let mut next = Some(0);
        for part in parts {
            let Part::Blocks { from, to } = part else { panic!("{part:?}") };
            assert_eq!(Some(from), next);
            next = to;
        }
        assert_eq!(next, None);
        assert_eq!(Origin { blocks: 3, ..origin }.by_blocks(8), [Part::Blocks { from: 0, to: None }]);
    }

    #[test]
    fn cuts_are_written_as_their_type() {
        assert_eq!(show(Measure::Days, 19_723).unwrap().as_str(), "2024-01-01");
        assert_eq!(show(Measure::Micros, 1_500_000).unwrap().as_str(), "1970-01-01 00:00:01.500000");
        assert_eq!(show(Measure::Number, -3).unwrap().as_str(), "-3");
    }
}
