//! SQL text made of configuration: identifiers and literals are always quoted as the dialect wants it. What is read and
//! how it is cut lives in `source.rs`.

use crate::error::Error;
use crate::source::{Bound, Part};
use arrow::datatypes::{Schema, TimeUnit};
use arrow::temporal_conversions::date32_to_datetime;
use azora_connect::{Compare, Condition, Constant};
use chrono::{DateTime, Datelike};

/// Sizes between which fractions are compared by SQLite: below 2^53 whole numbers are what their fractions are, and smaller
/// ones have fewer digits than they show.
const FLOAT_MAX: f64 = 9_007_199_254_740_992.0;
const FLOAT_MIN: f64 = 1e-290;

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    MySql,
    Sqlite,
}

impl Dialect {
    /// An identifier. No database takes a zero byte in one; the configuration refuses it before.
    pub(crate) fn name(self, name: &str) -> String {
        match self {
            Self::MySql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// A list of identifiers.
    pub(crate) fn names<'a>(self, names: impl IntoIterator<Item = &'a String>) -> String {
        names.into_iter().map(|name| self.name(name)).collect::<Vec<_>>().join(", ")
    }

    /// A text literal.
    pub(crate) fn text(self, text: &str) -> String {
        let doubled = text.replace('\'', "''");
        match self {
            Self::Postgres if text.contains('\\') => format!("E'{}'", doubled.replace('\\', "\\\\")),
            Self::MySql => format!("'{}'", doubled.replace('\\', "\\\\")),
            Self::Postgres | Self::Sqlite => format!("'{doubled}'"),
        }
    }

    /// What of conditions the server may be asked to look at, as SQL: those whose constants `is_fit` lets through.
    pub(crate) fn conditions(self, schema: &Schema, conditions: &[Condition], is_fit: impl Fn(&Condition) -> bool) -> Vec<String> {
        let mut made = Vec::new();
        for condition in conditions.iter().filter(|condition| is_fit(condition)) {
            let Some(field) = schema.fields().get(condition.column) else { continue };
            let name = self.name(field.name());
            let value = match &condition.value {
                Constant::Float(number) => {
                    made.extend(self.compare_float(&name, condition.compare, *number));
                    continue;
                }
                Constant::Moment { at, unit: TimeUnit::Microsecond, is_instant } => match self.moment(*at, *is_instant) {
                    Some(moment) => moment,
                    None => continue,
                },
                Constant::Integer(number) => number.to_string(),
                Constant::Text(text) if !text.contains('\0') => self.text(text),
                Constant::Boolean(true) => "TRUE".to_owned(),
                Constant::Boolean(false) => "FALSE".to_owned(),
                Constant::Day(day) => match date32_to_datetime(*day) {
                    // Years of four digits are written the same everywhere.
                    Some(at) if (1000..=9999).contains(&at.year()) => format!("DATE '{}'", at.date()),
                    _ => continue,
                },
                Constant::Text(_) | Constant::Moment { .. } => continue,
            };
            made.push(format!("{name} {} {value}", condition.compare.sql()));
        }
        made
    }

    /// A comparison with a fraction that is true at least where the total order says so: servers know one zero, and have
    /// places of their own for NaN.
    fn compare_float(self, name: &str, compare: Compare, number: f64) -> Option<String> {
        let compare = match compare {
            Compare::Less if number == 0.0 => Compare::AtMost,
            Compare::More if number == 0.0 => Compare::AtLeast,
            other => other,
        };
        let operator = compare.sql();
        match self {
            Self::Postgres => {
                let text = match number {
                    f64::INFINITY => "Infinity".to_owned(),
                    f64::NEG_INFINITY => "-Infinity".to_owned(),
                    number => format!("{number:e}"),
                };
                let plain = format!("{name} {operator} '{text}'::float8");
                // A NaN with a sign is less than everything to us, and more than everything to the server.
                Some(if matches!(compare, Compare::Less | Compare::AtMost) { format!("({plain} OR {name} = 'NaN')") } else { plain })
            }
            // There is no NaN, and no infinity.
            Self::MySql => number.is_finite().then(|| format!("{name} {operator} {number:e}")),
            // Whole numbers stay such there, and compare exactly where we round them; and texts of fractions are read by
            // versions of their own, which may miss the last digits.
            Self::Sqlite if number == 0.0 || (FLOAT_MIN..FLOAT_MAX).contains(&number.abs()) => {
                let reach = number.abs() * 8.0 * f64::EPSILON;
                let (low, high) = (number - reach, number + reach);
                Some(match compare {
                    Compare::Equal => format!("{name} BETWEEN {low:e} AND {high:e}"),
                    Compare::Less | Compare::AtMost => format!("{name} <= {high:e}"),
                    Compare::More | Compare::AtLeast => format!("{name} >= {low:e}"),
                })
            }
            Self::Sqlite => None,
        }
    }

    /// A moment in microseconds as a literal. Years of four digits are written the same everywhere; sessions are in UTC.
    fn moment(self, at: i64, is_instant: bool) -> Option<String> {
        let at = DateTime::from_timestamp_micros(at).filter(|at| (1000..=9999).contains(&at.year()))?;
        let text = at.format("%Y-%m-%d %H:%M:%S%.6f");
        match self {
            Self::Postgres if is_instant => Some(format!("TIMESTAMPTZ '{text}+00'")),
            Self::Postgres | Self::MySql => Some(format!("TIMESTAMP '{text}'")),
            Self::Sqlite => None,
        }
    }

    /// A bound as a literal: numbers plain, so that the server compares numbers.
    pub(crate) fn bound(self, bound: &Bound) -> String {
        match bound.number() {
            Some(number) => number.to_string(),
            None => self.text(bound.as_str()),
        }
    }
}

/// A table with the schema that it is in, where one was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl Table {
    /// `schema.table` or `table`; a name with a dot in it needs the field `schema`.
    pub(crate) fn new(schema: Option<&str>, name: &str) -> Self {
        match (schema, name.split_once('.')) {
            (None, Some((schema, name))) => Self { schema: Some(schema.to_owned()), name: name.to_owned() },
            (schema, _) => Self { schema: schema.map(str::to_owned), name: name.to_owned() },
        }
    }

    /// Quoted.
    pub(crate) fn sql(&self, dialect: Dialect) -> String {
        let name = dialect.name(&self.name);
        self.schema.as_ref().map_or(name.clone(), |schema| format!("{}.{name}", dialect.name(schema)))
    }

    /// A table beside this one.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self { schema: self.schema.clone(), name: name.to_owned() }
    }

    /// As people write it.
    pub(crate) fn shown(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", schema.escape_debug(), self.name.escape_debug()),
            None => self.name.escape_debug().to_string(),
        }
    }
}

/// A query without what would end the text around it. The server parses it alone before it is wrapped.
pub(crate) fn trimmed(query: &str) -> &str {
    query.trim().trim_end_matches(';').trim_end()
}

/// A SELECT, part by part.
#[derive(Debug, Clone, Default)]
pub(crate) struct Select {
    pub(crate) list: String,
    pub(crate) from: String,
    pub(crate) conditions: Vec<String>,
    pub(crate) order: Option<String>,
    pub(crate) skip: u64,
}

impl Select {
    /// Its text.
    pub(crate) fn sql(&self, dialect: Dialect) -> String {
        let mut sql = format!("SELECT {} FROM {}", self.list, self.from);
        if !self.conditions.is_empty() {
            // A filter may end in a line comment, hence the line breaks.
            let all: Vec<String> = self.conditions.iter().map(|condition| format!("({condition}\n)")).collect();
            sql.push_str(&format!(" WHERE {}", all.join(" AND ")));
        }
        if let Some(order) = &self.order {
            sql.push_str(&format!(" ORDER BY {order}"));
        }
        match (self.skip, dialect) {
            (0, _) => {}
            (skip, Dialect::Postgres) => sql.push_str(&format!(" OFFSET {skip}")),
            (skip, Dialect::Sqlite) => sql.push_str(&format!(" LIMIT -1 OFFSET {skip}")),
            (skip, Dialect::MySql) => sql.push_str(&format!(" LIMIT 18446744073709551615 OFFSET {skip}")),
        }
        sql
    }
}

/// The condition that a part puts on the rows, if it puts one.
pub(crate) fn condition(dialect: Dialect, part: &Part, column: Option<&str>) -> Result<Option<String>, Error> {
    let (from, to, nulls) = match part {
        Part::All => return Ok(None),
        Part::Blocks { from, to } => {
            let upper = to.map(|to| format!(" AND ctid < '({to},0)'::tid")).unwrap_or_default();
            return Ok(Some(format!("ctid >= '({from},0)'::tid{upper}")));
        }
        Part::Range { from, to, nulls } => (from, to, *nulls),
    };
    let name = dialect.name(column.ok_or(Error::Foreign("split"))?);
    let lower = from.as_ref().map(|from| format!("{name} >= {}", dialect.bound(from)));
    let upper = to.as_ref().map(|to| format!("{name} < {}", dialect.bound(to)));
    let within = [lower, upper].into_iter().flatten().collect::<Vec<_>>().join(" AND ");
    Ok(match (within.is_empty(), nulls) {
        (true, true) => None,
        (true, false) => Some(format!("{name} IS NOT NULL")),
        (false, true) => Some(format!("{within} OR {name} IS NULL")),
        (false, false) => Some(within),
    })
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Select, Table, condition};
    use crate::source::{Bound, Part};

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(Dialect::Postgres.name("a\"; DROP TABLE b"), "\"a\"\"; DROP TABLE b\"");
        assert_eq!(Dialect::MySql.name("a`b"), "`a``b`");
        assert_eq!(Dialect::Postgres.text("it's"), "'it''s'");
        assert_eq!(Dialect::Postgres.text("\\'"), "E'\\\\'''");
        assert_eq!(Dialect::MySql.text("\\'"), "'\\\\'''");
        assert_eq!(Table::new(None, "s.t\"").sql(Dialect::Postgres), "\"s\".\"t\"\"\"");
        assert_eq!(Table::new(Some("s"), "a.b").sql(Dialect::MySql), "`s`.`a.b`");
    }

    #[test]
    fn ranges_are_half_open_and_one_has_the_nulls() {
        let bound = |text: &str| Some(Bound::new(text).unwrap());
        let check = |part: Part, expect: Option<&str>| {
            assert_eq!(condition(Dialect::Postgres, &part, Some("k")).unwrap().as_deref(), expect);
        };
        check(Part::Range { from: None, to: bound("5"), nulls: true }, Some("\"k\" < 5 OR \"k\" IS NULL"));
        check(Part::Range { from: bound("5"), to: bound("9"), nulls: false }, Some("\"k\" >= 5 AND \"k\" < 9"));
        check(Part::Range { from: bound("2024-01-01"), to: None, nulls: false }, Some("\"k\" >= '2024-01-01'"));
        check(Part::Range { from: None, to: None, nulls: true }, None);
        check(Part::Blocks { from: 3, to: None }, Some("ctid >= '(3,0)'::tid"));
    }

    #[test]
    fn a_select_says_what_each_dialect_wants() {
        let select = Select {
            list: "a".to_owned(),
            from: "t".to_owned(),
            conditions: vec!["x > 1 -- c".to_owned(), "y".to_owned()],
            order: Some("a".to_owned()),
            skip: 7,
        };
        assert_eq!(select.sql(Dialect::Postgres), "SELECT a FROM t WHERE (x > 1 -- c\n) AND (y\n) ORDER BY a OFFSET 7");
        assert!(select.sql(Dialect::MySql).ends_with("LIMIT 18446744073709551615 OFFSET 7"));
    }
}
