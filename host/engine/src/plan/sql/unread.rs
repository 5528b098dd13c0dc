//! What DataFusion's planner reads past without a word, so that a query would answer other rows than it asks for: it becomes
//! what the planner knows where that is possible, and is refused elsewhere.

use azora_spec::{Code, Failure};
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArguments, GroupByExpr, GroupByWithModifier, LimitClause, NamedWindowExpr, Query, Select,
    SelectItem, SetExpr, TableFactor, Value, WindowSpec, WindowType,
};

/// A word of the text, and what is wrong with it.
pub(super) type Unread = (&'static str, Failure);

fn refused(word: &'static str, what: &str, hint: &str) -> Unread {
    (word, Failure::new(Code::SqlUnsupported, format!("{what} is not available")).hint(hint))
}

/// Of a whole query: FETCH is another word for LIMIT.
pub(super) fn of_query(query: &mut Query) -> Result<(), Unread> {
    let Some(fetch) = &mut query.fetch else { return Ok(()) };
    if fetch.with_ties || fetch.percent {
        return Err(refused("fetch", "FETCH with ties or per cent", "FETCH FIRST 10 ROWS ONLY, or LIMIT 10"));
    }
    let rows = fetch.quantity.take().unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    match &mut query.limit_clause {
        None => query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() }),
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
        Some(_) => return Err(refused("fetch", "FETCH beside LIMIT", "give one of them")),
    }
    query.fetch = None;
    Ok(())
}

/// Of one SELECT.
pub(super) fn of_select(select: &mut Select) -> Result<(), Unread> {
    if select.prewhere.is_some() {
        return Err(refused("prewhere", "PREWHERE", "WHERE says the same"));
    }
    if !select.connect_by.is_empty() {
        return Err(refused("connect", "CONNECT BY", "WITH RECURSIVE goes through hierarchies"));
    }
    if select.top.is_some() {
        return Err(refused("top", "TOP", "ORDER BY … LIMIT n stands at the end"));
    }
    if let GroupByExpr::Expressions(keys, modifiers) = &mut select.group_by
        && let Some(modifier) = modifiers.first()
    {
        let sets = || keys.iter().cloned().map(|key| vec![key]).collect();
        let keyed = match (modifier, modifiers.len()) {
            (GroupByWithModifier::Rollup, 1) => Expr::Rollup(sets()),
            (GroupByWithModifier::Cube, 1) => Expr::Cube(sets()),
            _ => return Err(refused("with", "this after GROUP BY", "for example GROUP BY GROUPING SETS ((a), (b), ())")),
        };
        select.group_by = GroupByExpr::Expressions(vec![keyed], Vec::new());
    }
    for window in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(over) = &mut window.1 {
            without_queries(over);
        }
    }
    Ok(())
}

/// Of a table in FROM.
pub(super) fn of_table(table: &TableFactor) -> Result<(), Unread> {
    let sample = match table {
        TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => sample,
        _ => return Ok(()),
    };
    if sample.is_some() {
        let hint = r#"the operation of frames and RDDs takes a seed: {"type":"sample","fraction":0.1,"seed":1}"#;
        return Err(refused("sample", "a sample of a table", hint));
    }
    match table {
        TableFactor::Table { version: Some(_), .. } => {
            Err(refused("from", "an earlier version of a table", "a dataset has its current one"))
        }
        TableFactor::Table { partitions, .. } if !partitions.is_empty() => {
            Err(refused("partition", "a partition of a table", "WHERE names rows"))
        }
        _ => Ok(()),
    }
}

/// Of a call.
pub(super) fn of_call(call: &mut Function) -> Result<(), Unread> {
    if let Some(WindowType::WindowSpec(over)) = &mut call.over {
        without_queries(over);
    }
    let is_count = call.name.to_string().eq_ignore_ascii_case("count");
    if let FunctionArguments::List(list) = &call.args
        && is_count
        && list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
        && list.args.len() > 1
    {
        return Err(refused("count", "count(DISTINCT …) of several values", "count(DISTINCT struct(a, b)) counts pairs"));
    }
    Ok(())
}

/// `OVER (ORDER BY (SELECT NULL))` is how some write that no order matters: one value for all rows, of no table.
fn without_queries(over: &mut WindowSpec) {
    for key in over.partition_by.iter_mut().chain(over.order_by.iter_mut().map(|key| &mut key.expr)) {
        let Expr::Subquery(query) = &*key else { continue };
        let is_constant = matches!(query.body.as_ref(), SetExpr::Select(select) if select.from.is_empty() && select.selection.is_none()
            && matches!(select.projection.as_slice(), [SelectItem::UnnamedExpr(Expr::Value(_))]));
        if is_constant && query.with.is_none() {
            *key = Expr::value(Value::Number("1".to_owned(), false));
        }
    }
}
