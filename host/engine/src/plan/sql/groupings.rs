//! How many groupings `CUBE`, `ROLLUP` and `GROUPING SETS` come to. DataFusion lists them all before anything else: of a cube of 30
//! keys there are a milliard.

use super::unread::Unread;
use azora_spec::limits::SQL_GROUPINGS_MAX;
use azora_spec::{Code, Failure};
use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr};

/// Adds those of one SELECT to those of its text.
pub(super) fn counted(group_by: &GroupByExpr, count: &mut usize) -> Result<(), Unread> {
    let GroupByExpr::Expressions(keys, _) = group_by else { return Ok(()) };
    let Some(word) = keys.iter().find_map(word) else { return Ok(()) };
    // Several stand for every choice of one of each.
    let groupings = keys.iter().map(groupings).fold(1_usize, usize::saturating_mul);
    *count = count.saturating_add(groupings);
    if *count <= SQL_GROUPINGS_MAX {
        return Ok(());
    }
    let failure = Failure::new(Code::SqlTooLarge, format!("the text asks for more than {SQL_GROUPINGS_MAX} groupings"));
    Err((word, failure.hint("a cube has 2^n of n keys: name those that are wanted, GROUP BY GROUPING SETS ((a, b), (a), ())")))
}

fn word(key: &Expr) -> Option<&'static str> {
    match key {
        Expr::Cube(_) => Some("cube"),
        Expr::Rollup(_) => Some("rollup"),
        Expr::GroupingSets(_) => Some("grouping"),
        _ => None,
    }
}

fn groupings(key: &Expr) -> usize {
    match key {
        Expr::Cube(keys) => u32::try_from(keys.len()).ok().and_then(|keys| 2_usize.checked_pow(keys)).unwrap_or(usize::MAX),
        Expr::Rollup(keys) => keys.len() + 1,
        Expr::GroupingSets(sets) => {
            let each = sets.iter().map(|set| set.iter().map(groupings).fold(1_usize, usize::saturating_mul));
            each.fold(0, usize::saturating_add)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::counted;
    use datafusion::sql::sqlparser::ast::{Select, SetExpr, Statement};
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn select(group_by: &str) -> Select {
        let text = format!("SELECT count(*) FROM t GROUP BY {group_by}");
        match Parser::parse_sql(&GenericDialect {}, &text).unwrap().remove(0) {
            Statement::Query(query) => match *query.body {
                SetExpr::Select(select) => *select,
                other => panic!("{other}"),
            },
            other => panic!("{other}"),
        }
    }

    #[test]
    fn groupings_are_counted_before_they_are_listed() {
        for (group_by, expect) in [
            ("a, b", 0),
            ("ROLLUP(a, b, c)", 4),
            ("CUBE(a, b, c)", 8),
            ("a, CUBE(b, c), ROLLUP(d, e)", 12),
            ("GROUPING SETS ((a, b), (a), ())", 3),
        ] {
            let mut count = 0;
            counted(&select(group_by).group_by, &mut count).unwrap();
            assert_eq!(count, expect, "{group_by}");
        }
        let keys = |many: usize| (0..many).map(|at| format!("a{at}")).collect::<Vec<_>>().join(", ");
        for group_by in [format!("CUBE({})", keys(13)), format!("CUBE({})", keys(100)), format!("CUBE({}), CUBE({})", keys(7), keys(7))] {
            assert_eq!(counted(&select(&group_by).group_by, &mut 0).unwrap_err().0, "cube");
        }
        let mut count = 0;
        counted(&select(&format!("CUBE({})", keys(12))).group_by, &mut count).unwrap();
        assert!(counted(&select("ROLLUP(a)").group_by, &mut count).is_err(), "those of a text add up");
    }
}
