//! The table that a sink writes to: whether it is there and fit, its columns, and the statements that move staged rows
//! into it.

use super::session::Session;
use crate::config::{Mode, Writing};
use crate::error::{Error, Site};
use crate::sink::no_column;
use crate::sql::{Dialect, Table};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::BTreeMap;

const DIALECT: Dialect = Dialect::Postgres;

/// What the server has under the target's name.
#[derive(Debug)]
pub(super) struct Target {
    /// With the schema that it is in, or that it will be made in.
    pub(super) table: Table,
    /// Its columns and whether each is an array; none where the table is not there.
    pub(super) columns: Option<BTreeMap<String, bool>>,
}

impl Target {
    /// Looks the table up and checks that rows can be written there.
    pub(super) async fn find(session: &Session, writing: &Writing) -> Result<Self, Error> {
        let sql = "SELECT n.nspname::text, c.relkind::text, has_table_privilege(c.oid, 'INSERT'), has_schema_privilege(n.oid, 'CREATE') \
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";
        let name = writing.table.sql(DIALECT);
        let row = session.client.query_opt(sql, &[&name]).await.map_err(|error| session.blame(&error, "table", "/table"))?;
        let Some(row) = row else { return Self::absent(session, writing).await };
        let (schema, kind, may_insert, may_create): (String, String, bool, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let unfit = |message: String, hint| Err(Error::Unfit { message, hint, pointer: "/table" });
        if !matches!(kind.as_str(), "r" | "p") {
            return unfit(format!("'{}' is not a table", writing.table.shown()), "");
        }
        if !may_insert || !may_create {
            let message = format!("the user may not write to '{}'", writing.table.shown());
            return unfit(message, "it needs INSERT on the table and CREATE on its schema, for staging tables");
        }
        let table = Table { schema: Some(schema), name: writing.table.name.clone() };
        let sql = "SELECT a.attname::text, t.typcategory = 'A' FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
                   WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = session.client.query(sql, &[&name]).await.map_err(|error| session.error(&error))?;
        let columns = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        if writing.mode == Mode::Upsert {
            check_keys(session, &name, &writing.keys).await?;
        }
        Ok(Self { table, columns: Some(columns) })
    }

    async fn absent(session: &Session, writing: &Writing) -> Result<Self, Error> {
        if !writing.create {
            return Err(Error::Missing { site: session.site.clone(), what: "table", name: writing.table.shown(), pointer: "/table" });
        }
        let sql = "SELECT coalesce((SELECT nspname FROM pg_namespace WHERE nspname = $1), CASE WHEN $1::text IS NULL THEN current_schema() END)::text";
        let row = session.client.query_one(sql, &[&writing.table.schema]).await.map_err(|error| session.error(&error))?;
        match row.get::<_, Option<String>>(0) {
            Some(schema) => Ok(Self { table: Table { schema: Some(schema), name: writing.table.name.clone() }, columns: None }),
            None => {
                let name = writing.table.schema.clone().unwrap_or_default().escape_debug().to_string();
                Err(Error::Missing { site: session.site.clone(), what: "schema", name, pointer: "/table" })
            }
        }
    }

    /// Whether each of the rows' columns is an array in the target.
    pub(super) fn arrays(&self, site: &Site, schema: &Schema) -> Result<Vec<bool>, Error> {
        let Some(columns) = &self.columns else {
            return Ok(schema.fields().iter().map(|field| is_array(field.data_type())).collect());
        };
        let known =
            |field: &std::sync::Arc<Field>| columns.get(field.name()).copied().ok_or_else(|| no_column(site, &self.table, field.name()));
        schema.fields().iter().map(known).collect()
    }

    /// The statement that makes an empty staging table for these columns.
    pub(super) fn stage_sql(&self, stage: &Table, schema: &Schema) -> String {
        let stage = stage.sql(DIALECT);
        match &self.columns {
            Some(_) => {
                format!("CREATE TABLE {stage} AS SELECT {} FROM {} WITH NO DATA", names(schema), self.table.sql(DIALECT))
            }
            None => format!("CREATE TABLE {stage} ({})", definitions(schema)),
        }
    }

    /// The statement that makes the target.
    pub(super) fn create_sql(&self, schema: &Schema, keys: &[String]) -> String {
        let key = if keys.is_empty() { String::new() } else { format!(", PRIMARY KEY ({})", DIALECT.names(keys)) };
        format!("CREATE TABLE IF NOT EXISTS {} ({}{key})", self.table.sql(DIALECT), definitions(schema))
    }

    /// The statement that moves staged rows into the target. The last of rows with the same key wins: a staging table
    /// that was only appended to has its rows in order.
    pub(super) fn move_sql(&self, stage: &Table, schema: &Schema, writing: &Writing) -> String {
        let (target, stage, names) = (self.table.sql(DIALECT), stage.sql(DIALECT), names(schema));
        if writing.mode != Mode::Upsert {
            return format!("INSERT INTO {target} ({names}) SELECT {names} FROM {stage}");
        }
        let keys = DIALECT.names(&writing.keys);
        let others = schema.fields().iter().map(|field| field.name()).filter(|name| !writing.keys.contains(name));
        let sets: Vec<String> = others.map(|name| format!("{0} = EXCLUDED.{0}", DIALECT.name(name))).collect();
        let action = if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(", ")) };
        format!(
            "INSERT INTO {target} ({names}) SELECT DISTINCT ON ({keys}) {names} FROM {stage} ORDER BY {keys}, ctid DESC \
             ON CONFLICT ({keys}) DO {action}"
        )
    }
}

async fn check_keys(session: &Session, name: &str, keys: &[String]) -> Result<(), Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indpred IS NULL \
               AND i.indexprs IS NULL AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_attribute a \
               WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) \
               = (SELECT array_agg(k ORDER BY k) FROM unnest($2::text[]) AS k))";
    let row = session.client.query_one(sql, &[&name, &keys]).await.map_err(|error| session.error(&error))?;
    if row.get(0) {
        return Ok(());
    }
    let message = format!("the table has no unique key of exactly the columns {}", keys.join(", ").escape_debug());
    Err(Error::Unfit { message, hint: "an upsert finds rows by a primary key or a unique index", pointer: "/keys" })
}

fn names(schema: &Schema) -> String {
    DIALECT.names(schema.fields().iter().map(|field| field.name()))
}

fn definitions(schema: &Schema) -> String {
    let column = |field: &std::sync::Arc<Field>| format!("{} {}", DIALECT.name(field.name()), sql_type(field.data_type()));
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

fn is_array(of: &DataType) -> bool {
    matches!(of, DataType::List(item) | DataType::LargeList(item) if !matches!(item.data_type(), DataType::Struct(_) | DataType::Map(..)))
}

/// The type of a column that is made for rows.
fn sql_type(of: &DataType) -> String {
    match of {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".to_owned(),
        DataType::Int32 | DataType::UInt16 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt32 => "bigint".to_owned(),
        DataType::UInt64 => "numeric(20,0)".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) if *scale >= 0 => {
            format!("numeric({precision},{scale})")
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        DataType::List(item) | DataType::LargeList(item) if is_array(of) => {
            let item = sql_type(item.data_type());
            if item.ends_with("[]") { item } else { format!("{item}[]") }
        }
        DataType::Dictionary(_, value) => sql_type(value),
        other if other.is_nested() => "jsonb".to_owned(),
        _ => "text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::sql_type;
    use arrow::datatypes::{DataType, Field, Fields};
    use std::sync::Arc;

    #[test]
    fn columns_are_made_of_types_that_hold_their_values() {
        let list = |of| DataType::List(Arc::new(Field::new("item", of, true)));
        let check = |of: DataType, expect: &str| assert_eq!(sql_type(&of), expect);
        check(DataType::UInt64, "numeric(20,0)");
        check(DataType::Decimal128(10, 2), "numeric(10,2)");
        check(list(list(DataType::Utf8)), "text[]");
        check(list(DataType::Struct(Fields::empty())), "jsonb");
        check(DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, Some("UTC".into())), "timestamptz");
    }
}
