//! How many tables a text reads once its `WITH` queries stand wherever they are named, as DataFusion puts them: twenty of them that
//! each name the one before twice read a million.

use super::unread::Unread;
use azora_spec::limits::SQL_READS_MAX;
use azora_spec::{Code, Failure};
use datafusion::sql::sqlparser::ast::{Query, Statement, TableFactor, Visit, Visitor};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Refuses a text that reads too many.
pub(super) fn counted(statement: &Statement) -> Result<(), Unread> {
    if reads(statement) <= SQL_READS_MAX {
        return Ok(());
    }
    let failure = Failure::new(
        Code::SqlTooLarge,
        format!("the text reads more than {SQL_READS_MAX} tables, its WITH queries put in where they are named"),
    );
    Err(("with", failure.hint("a query that is named often can be made a dataset first: CREATE TABLE name AS SELECT …")))
}

fn reads(statement: &Statement) -> usize {
    let mut expanded = Expanded { open: vec![0], ..Expanded::default() };
    let _all = statement.visit(&mut expanded);
    expanded.open.first().copied().unwrap_or_default()
}

#[derive(Default)]
struct Expanded {
    /// Reads of the queries that are being looked at, the outermost first.
    open: Vec<usize>,
    /// Queries in WITH by where they are, with the names that they get.
    named: HashMap<*const Query, String>,
    /// Reads of a name. Of several queries of one name the largest counts, whichever is meant.
    known: HashMap<String, usize>,
}

impl Expanded {
    fn add(&mut self, reads: usize) {
        if let Some(open) = self.open.last_mut() {
            *open = open.saturating_add(reads);
        }
    }
}

impl Visitor for Expanded {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(std::ptr::from_ref(table.query.as_ref()), table.alias.name.value.to_lowercase());
        }
        self.open.push(0);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let reads = self.open.pop().unwrap_or_default();
        match self.named.get(&std::ptr::from_ref(query)) {
            Some(name) => {
                let known = self.known.entry(name.clone()).or_default();
                *known = reads.max(*known);
            }
            None => self.add(reads),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, .. } = factor {
            let reads = self.known.get(&name.to_string().replace('"', "").to_lowercase()).copied().unwrap_or(1);
            self.add(reads.max(1));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::reads;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn of(text: &str) -> usize {
        reads(&Parser::parse_sql(&GenericDialect {}, text).unwrap().remove(0))
    }

    #[test]
    fn named_queries_count_wherever_they_stand() {
        assert_eq!(of("SELECT 1"), 0);
        assert_eq!(of("SELECT * FROM a JOIN b USING (k) WHERE a.x IN (SELECT x FROM c)"), 3);
        assert_eq!(of("WITH q AS (SELECT * FROM a, b) SELECT * FROM q JOIN q r USING (k) WHERE EXISTS (SELECT 1 FROM \"Q\")"), 6);
        assert_eq!(of("WITH q AS (SELECT * FROM a, b) SELECT 1"), 0, "one that is not named is not read");
        assert_eq!(of("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r"), 1);
        // An inner query of the same name does not make the outer one smaller.
        assert_eq!(of("WITH q AS (SELECT * FROM a, b) SELECT * FROM (WITH q AS (SELECT * FROM c) SELECT * FROM q) s, q"), 4);
        let mut text = "WITH a0 AS (SELECT * FROM t)".to_owned();
        for at in 0..100 {
            text += &format!(", a{} AS (SELECT * FROM a{at} UNION ALL SELECT * FROM a{at})", at + 1);
        }
        assert_eq!(of(&format!("{text} SELECT * FROM a20")), 1 << 20);
        assert_eq!(of(&format!("{text} SELECT * FROM a100")), usize::MAX);
    }
}
