//! SQL over datasets, files and the job's own rows: texts become DataFusion plans here. What may stand in a text is decided
//! in `names`, what is wrong with one is said in `fault`, and arithmetic is made exact in `checked` and `sum`.

mod checked;
mod constants;
mod distinct_from;
mod expanded;
mod fault;
mod groupings;
mod membership;
mod names;
mod outer;
mod sets;
mod sum;
mod tables;
mod unread;

pub(crate) use fault::{built, of_plan, of_sql};
pub(super) use names::Names;
pub(crate) use names::known_column;
pub(super) use sum::checked_sum;

use super::{Answer, Builder};
use crate::catalog::Catalog;
use crate::failure_of;
use crate::udf::survey;
use azora_connect::element::Element;
use azora_spec::{Code, DatasetName, Failure, Input, Params, Query};
use checked::CheckedArithmetic;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement};
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query as SqlQuery, Select, Statement as SqlStatement, TableFactor,
    Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::Token;
use serde_json::Value as Json;
use std::collections::HashSet;
use std::ops::ControlFlow;

/// The table of the job's own rows.
const OWN_ROWS: &str = "input";
/// The table function that reads a file below a root.
const FILE: &str = "file";
/// Deepest recursion of the parser. Nesting was bounded before it.
const RECURSION_MAX: usize = 512;

fn parser_options() -> ParserOptions {
    // Names mean what they say: JSON knows upper case.
    ParserOptions { enable_ident_normalization: false, collect_spans: true, ..ParserOptions::default() }
}

/// The tables of a query besides the job's own rows, in a fixed order, and where in the request each stands.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn inputs(query: &Query, catalog: &dyn Catalog) -> Result<Vec<(Input, String)>, Failure> {
    let place = |name: &str| match named(query, name) {
        Some(_) => format!("/tables/{name}"),
        None => "/sql".to_owned(),
    };
    let parsed = Parsed::of(query, catalog)?;
    Ok(parsed.tables.into_iter().filter_map(|(name, input)| Some((input?, place(&name)))).collect())
}

/// A table that the request names.
fn named<'a>(query: &'a Query, name: &str) -> Option<&'a Input> {
    query.tables.iter().find(|(known, _)| known.as_str() == name).map(|(_, input)| input)
}

/// A text that was parsed, and the tables that it names.
struct Parsed {
    statement: Statement,
    /// The name, and where its rows come from; none for the job's own.
    tables: Vec<(String, Option<Input>)>,
    /// Whether there are marks to replace, see `sets`.
    has_marks: bool,
}

impl Parsed {
    fn of(query: &Query, catalog: &dyn Catalog) -> Result<Self, Failure> {
        let text = query.text.as_str();
        let wrong = |error| of_sql(error, text, &[]);
        let mut parser =
            DFParserBuilder::new(text).with_dialect(&GenericDialect {}).with_recursion_limit(RECURSION_MAX).build().map_err(wrong)?;
        let mut statement = parser.parse_statement().map_err(wrong)?;
        ended(&parser, text)?;
        let mut rewrite = Rewrite { text, marks: 0, counted: 0, compared: 0, groupings: 0 };
        check(&statement, text)?;
        if let Some(inner) = innermost(&mut statement) {
            let read = rewrite.read(expanded::counted(inner));
            let rewritten = if read.is_break() { read } else { VisitMut::visit(inner, &mut rewrite) };
            if let ControlFlow::Break(failure) = rewritten {
                return Err(*failure);
            }
        }
        if matches!(&statement, Statement::Statement(inner) if matches!(inner.as_ref(), SqlStatement::ShowTables { .. })) {
            return Ok(Self { statement, tables: Vec::new(), has_marks: false });
        }
        let (references, _) = resolve_table_references(&statement, false).map_err(wrong)?;
        let mut tables = Vec::with_capacity(references.len());
        for reference in references {
            let name = reference.to_string();
            let name = if reference.schema().is_none() { reference.table().to_owned() } else { name };
            if name.starts_with(tables::CALL) {
                continue;
            }
            let input = if name == OWN_ROWS { None } else { Some(table(&name, query, catalog)?) };
            tables.push((name, input));
        }
        Ok(Self { statement, tables, has_marks: rewrite.counted > 0 })
    }
}

/// What the parser did not take would be lost without a word.
fn ended(parser: &DFParser<'_>, text: &str) -> Result<(), Failure> {
    let left = parser.parser.peek_token_ref();
    match left.token {
        Token::EOF | Token::SemiColon => Ok(()),
        ref token => {
            let failure = Failure::new(Code::SqlSyntax, format!("expected the end, found: {}", token.to_string().escape_debug()));
            Err(failure.position(fault::at(text, left.span.start.line, left.span.start.column)))
        }
    }
}

/// The statement inside of `EXPLAIN`s.
fn innermost(statement: &mut Statement) -> Option<&mut SqlStatement> {
    match statement {
        Statement::Statement(statement) => Some(statement),
        Statement::Explain(explain) => innermost(&mut explain.statement),
        _ => None,
    }
}

/// Only what reads is let through.
fn check(statement: &Statement, text: &str) -> Result<(), Failure> {
    let fits = match statement {
        Statement::Statement(statement) => is_reading(statement),
        Statement::Explain(explain) => {
            matches!(explain.statement.as_ref(), Statement::Statement(inner) if matches!(inner.as_ref(), SqlStatement::Query(_)))
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let word: String = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ").to_uppercase().chars().take(40).collect();
    Err(Failure::new(Code::SqlUnsupported, format!("'{}' is not available: SQL here reads", word.escape_debug()))
        .hint("statements are SELECT, EXPLAIN, SHOW TABLES, DESCRIBE, CREATE FUNCTION and CREATE TABLE name AS SELECT"))
}

fn is_reading(statement: &SqlStatement) -> bool {
    match statement {
        SqlStatement::Query(_) | SqlStatement::ShowTables { .. } | SqlStatement::ExplainTable { .. } => true,
        SqlStatement::Explain { statement, .. } => matches!(statement.as_ref(), SqlStatement::Query(_)),
        _ => false,
    }
}

/// Where the rows of a table come from: what the request says, else a name with a slash or the ending of a format is a file's,
/// and any other a dataset's.
fn table(name: &str, query: &Query, catalog: &dyn Catalog) -> Result<Input, Failure> {
    if let Some(input) = named(query, name) {
        return Ok(input.clone());
    }
    if name.contains('/') || crate::input::has_format(name) {
        let config = serde_json::Map::from_iter([("path".to_owned(), Json::from(name))]);
        return Ok(Input::Source { connector: FILE.to_owned(), config });
    }
    let unknown = || fault::unknown_table(name, &query.text, &known_tables(query, catalog));
    let dataset = name.parse().map_err(|_| unknown())?;
    match catalog.dataset(&dataset) {
        Ok(_) => Ok(Input::Dataset(dataset)),
        Err(failure) if failure.code == Code::DatasetUnknown => Err(unknown()),
        Err(failure) => Err(failure),
    }
}

/// The names that a query may mean, besides files and the job's own rows.
fn known_tables(query: &Query, catalog: &dyn Catalog) -> Vec<DatasetName> {
    let mut known: Vec<DatasetName> = query.tables.keys().cloned().chain(catalog.datasets()).collect();
    known.sort_unstable();
    known.dedup();
    known
}

/// Spellings that DataFusion does not know become ones that it does, and what it would answer wrongly is put right.
struct Rewrite<'a> {
    text: &'a str,
    marks: usize,
    /// Set operations that count equal rows.
    counted: usize,
    /// Queries of ANY and ALL.
    compared: usize,
    /// Groupings of CUBE and the like.
    groupings: usize,
}

impl Rewrite<'_> {
    fn read(&self, read: Result<(), unread::Unread>) -> ControlFlow<Box<Failure>> {
        let Err((word, failure)) = read else { return ControlFlow::Continue(()) };
        ControlFlow::Break(Box::new(match azora_spec::wire::places(self.text, &[word]).into_iter().next() {
            Some(position) => failure.position(position),
            None => failure,
        }))
    }
}

impl VisitorMut for Rewrite<'_> {
    type Break = Box<Failure>;

    fn pre_visit_query(&mut self, query: &mut SqlQuery) -> ControlFlow<Self::Break> {
        let read = unread::of_query(query);
        self.read(read)?;
        match sets::counted(&mut query.body, &mut self.counted) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => ControlFlow::Break(Box::new(failure)),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        let read = unread::of_select(select).and_then(|()| groupings::counted(&select.group_by, &mut self.groupings));
        self.read(read)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        self.read(unread::of_table(factor))?;
        let TableFactor::Table { name, args, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(given) = args.as_mut() else { return ControlFlow::Continue(()) };
        let is_file = name.0.len() == 1
            && name.0.first().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value.eq_ignore_ascii_case(FILE));
        if !is_file {
            tables::rewritten(name, given);
            return ControlFlow::Continue(());
        }
        let path = match given.args.as_slice() {
            [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(path), ..
                }))),
            ] => path.clone(),
            _ => {
                let failure =
                    Failure::new(Code::SqlInvalid, "file() takes one path, a text").hint("for example SELECT * FROM file('orders.csv')");
                return ControlFlow::Break(Box::new(failure));
            }
        };
        // The slash keeps a name without an ending from being a dataset's.
        let path = if path.contains('/') { path } else { format!("./{path}") };
        *name = ObjectName::from(vec![Ident::with_quote('"', path)]);
        *args = None;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<Self::Break> {
        distinct_from::settled(expr);
        if let SqlExpr::Function(call) = expr {
            let read = unread::of_call(call);
            self.read(read)?;
        }
        let (SqlExpr::AnyOp { right, .. } | SqlExpr::AllOp { right, .. }) = expr else { return ControlFlow::Continue(()) };
        let SqlExpr::Subquery(query) = right.as_mut() else { return ControlFlow::Continue(()) };
        match sets::apart(query, &mut self.compared) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => ControlFlow::Break(Box::new(failure)),
        }
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Self::Break> {
        if let Value::Placeholder(text) = &mut value.value
            && text == "?"
        {
            self.marks += 1;
            *text = format!("${}", self.marks);
        }
        ControlFlow::Continue(())
    }
}

impl Builder<'_> {
    /// Rows become what a query makes of them and of other tables.
    pub(super) fn query(&mut self, query: &Query) -> Result<Answer, Failure> {
        let located = |failure: Failure| if failure.pointer.is_none() { failure.at("/sql") } else { failure };
        self.queried(query).map_err(located)
    }

    fn queried(&mut self, query: &Query) -> Result<Answer, Failure> {
        let text = &query.text;
        let Parsed { statement, tables, has_marks } = Parsed::of(query, &*self.ctx.catalog)?;
        if let Statement::Statement(statement) = &statement
            && matches!(statement.as_ref(), SqlStatement::ShowTables { .. })
        {
            let rows = known_tables(query, &*self.ctx.catalog).into_iter().map(|name| vec![lit(name.to_string())]).collect();
            return self.listed(&["name"], rows);
        }
        let mut names = Names::new(self.ctx, &query.functions, "/sql");
        for (name, input) in tables {
            let plan = match input {
                None => self.rows.plan.clone(),
                Some(_) => self.others.next().ok_or(crate::Error::Broken("one relation for each table"))?.frame.into_parts().1,
            };
            names.add_table(name, plan);
        }
        let described = match &statement {
            Statement::Statement(statement) => match statement.as_ref() {
                SqlStatement::ExplainTable { table_name, .. } => Some(table_name.clone()),
                _ => None,
            },
            _ => None,
        };
        if let Some(name) = described {
            let columns = names.columns_of(&name, text, &known_tables(query, &*self.ctx.catalog))?;
            return self.listed(&["column_name", "data_type", "is_nullable"], columns);
        }
        let planned = SqlToRel::new_with_options(&names, parser_options()).statement_to_plan(statement);
        let plan = planned.and_then(|plan| if has_marks { sets::numbered(plan) } else { Ok(plan) });
        let plan = plan.map_err(|error| names.blame(error, text))?;
        let plan = with_params(plan, &query.params, text)?;
        survey::of_plan(&self.ctx.notes, &plan)?;
        let is_explaining = matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
        let plan = if is_explaining { plan } else { names.named_once(plan).map_err(|error| names.blame(error, text))? };
        let plan = if is_explaining { plan } else { analyzed(&self.ctx.state, plan).map_err(|error| names.blame(error, text))? };
        self.rows.plan = plan;
        self.rows.schema = Element::Object.schema(self.rows.plan.schema().fields().clone());
        Ok(Answer::rows())
    }

    /// Rows that are known while planning.
    fn listed(&mut self, columns: &[&str], rows: Vec<Vec<Expr>>) -> Result<Answer, Failure> {
        let is_empty = rows.is_empty();
        let rows = if is_empty { vec![vec![lit(""); columns.len()]] } else { rows };
        let named = (1..).zip(columns).map(|(at, name)| datafusion::logical_expr::ident(format!("column{at}")).alias(*name));
        let built = LogicalPlanBuilder::values(rows).and_then(|plan| plan.project(named));
        let built = if is_empty { built.and_then(|plan| plan.filter(lit(false))) } else { built };
        self.rows.plan = built.and_then(LogicalPlanBuilder::build).map_err(failure_of)?;
        self.rows.schema = Element::Object.schema(self.rows.plan.schema().fields().clone());
        Ok(Answer::rows())
    }
}

/// The plan with the types that it will have: what does not fit is found here, and integers do not wrap.
pub(super) fn analyzed(state: &SessionState, plan: LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
    let plan = constants::behind(CheckedArithmetic.analyze(plan, state.config_options())?)?;
    outer::by_columns(membership::exact(plan)?)
}

/// A type by its name in SQL.
fn type_of_name(names: &Names<'_>, word: &str) -> Result<DataType, Failure> {
    let schema = datafusion::common::DFSchema::empty();
    let cast = expression(names, &format!("CAST(NULL AS {word})"), &schema)?;
    built(datafusion::logical_expr::ExprSchemable::get_type(&cast, &schema))
}

/// A SQL expression over columns.
pub(super) fn expression(names: &Names<'_>, text: &str, schema: &datafusion::common::DFSchema) -> Result<Expr, Failure> {
    let blame = |error| names.blame(error, text);
    let mut parser =
        DFParserBuilder::new(text).with_dialect(&GenericDialect {}).with_recursion_limit(RECURSION_MAX).build().map_err(blame)?;
    let mut parsed = parser.parse_into_expr().map_err(blame)?;
    ended(&parser, text)?;
    distinct_from::settle(&mut parsed.expr);
    let planner = SqlToRel::new_with_options(names, parser_options());
    planner.sql_to_expr_with_alias(parsed, schema, &mut PlannerContext::new()).map_err(blame)
}

fn with_params(plan: LogicalPlan, params: &Params, text: &str) -> Result<LogicalPlan, Failure> {
    let wanted = plan.get_parameter_names().map_err(failure_of)?;
    let (values, given): (ParamValues, HashSet<String>) = match params {
        Params::Positional(values) => {
            let scalars = values.iter().map(|value| scalar(value).into()).collect();
            (ParamValues::List(scalars), (1..=values.len()).map(|at| format!("${at}")).collect())
        }
        Params::Named(values) => {
            let scalars = values.iter().map(|(name, value)| (name.clone(), scalar(value).into())).collect();
            (ParamValues::Map(scalars), values.keys().map(|name| format!("${name}")).collect())
        }
    };
    if let Some(missing) = wanted.iter().filter(|name| !given.contains(*name)).min() {
        let failure = Failure::new(Code::SqlParameter, format!("there is no value for the parameter {}", missing.escape_debug()));
        let failure = failure.at("/params").hint("'params' is a list for $1, $2, … and ?, or an object for $name");
        return Err(match text.find(missing.as_str()) {
            Some(at) => failure.position(azora_spec::wire::place(text, at)),
            None => failure,
        });
    }
    if let Some(extra) = given.iter().filter(|name| !wanted.contains(*name)).min() {
        return Err(Failure::new(Code::SqlParameter, format!("the query has no parameter {}", extra.escape_debug())).at("/params"));
    }
    if wanted.is_empty() { Ok(plan) } else { plan.with_param_values(values).map_err(|error| of_sql(error, text, &[])) }
}

/// A JSON value as a constant.
pub(super) fn scalar(value: &Json) -> ScalarValue {
    match value {
        Json::Bool(flag) => ScalarValue::Boolean(Some(*flag)),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => ScalarValue::Int64(Some(integer)),
            None => ScalarValue::Float64(number.as_f64()),
        },
        Json::String(text) => ScalarValue::Utf8(Some(text.clone())),
        _ => ScalarValue::Null,
    }
}

/// The word for a type in answers about columns.
fn type_word(of: &DataType) -> String {
    of.to_string()
}
