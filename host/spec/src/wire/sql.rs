//! SQL in requests: which statements there are, what becomes of each, and parameters. Names and types are the engine's.
//!
//! A text holds any number of `CREATE FUNCTION` and then at most one query, which may be the body of a `CREATE TABLE … AS`:
//! its rows become a dataset through the job's sink. Whatever would write, read other files or change settings otherwise
//! is refused by name.

use crate::limits::{SQL_NAMES_MAX, SQL_TABLES_MAX};
use crate::wire::fields::{Fields, Unknown, child, expected, shown};
use crate::wire::function;
use crate::wire::input::{self, parse_name};
use crate::wire::scan::{Kind, Token, guard, place, tokens};
use crate::wire::suggest::closest;
use crate::{Code, DatasetName, Expression, Failure, Function, Input, Params, PluginRef, Query, Sink, WriteMode};
use serde_json::Value;
use std::collections::BTreeMap;

/// Statements that are queries.
const QUERIES: &[&str] = &["select", "with", "values", "explain", "show", "describe", "desc", "table", "from", "("];
/// Longest name of a function, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What a text of SQL asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statements {
    /// The functions that it makes.
    pub functions: BTreeMap<String, Function>,
    /// The query, if there is one.
    pub query: Option<String>,
    /// The dataset that its rows become.
    pub table: Option<(DatasetName, WriteMode)>,
}

/// The table of the job's own rows.
const OWN_ROWS: &str = "input";

/// Reads `sql` (or `query`), `params`, `functions` and `tables`. The sink is that of a `CREATE TABLE … AS`.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Option<(Query, Option<Sink>)>, Failure> {
    let name = fields.name_of(&["sql", "query"])?;
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let pointer = fields.pointer(name);
    let statements = statements(text).map_err(|failure| failure.at(&pointer))?;
    let mut functions = functions(fields)?;
    functions.extend(statements.functions);
    let params = params(fields)?;
    let tables = tables(fields)?;
    let Some(text) = statements.query else {
        return Err(Failure::new(Code::SqlUnsupported, "the SQL makes functions and asks nothing")
            .at(pointer)
            .hint("put a SELECT behind them"));
    };
    let sink = statements.table.map(|(name, mode)| Sink::Dataset { name, mode, ttl: None });
    Ok(Some((Query { text, params, functions, tables }, sink)))
}

/// Tables by name: each `{"data"}`, `{"dataset"}`, `{"source"}`, or a source itself.
fn tables(fields: &mut Fields<'_>) -> Result<BTreeMap<DatasetName, Input>, Failure> {
    let pointer = fields.pointer("tables");
    let Some(named) = fields.object("tables")? else { return Ok(BTreeMap::new()) };
    if named.len() > SQL_TABLES_MAX {
        return Err(Failure::new(Code::RequestField, format!("more than {SQL_TABLES_MAX} tables")).at(pointer));
    }
    let mut tables = BTreeMap::new();
    for (name, value) in &named {
        let pointer = child(&pointer, name);
        if name == OWN_ROWS {
            let failure = Failure::new(Code::RequestField, format!("'{OWN_ROWS}' is the table of the job's own rows"));
            return Err(failure.at(pointer).hint("give the table another name, or its rows as 'data', 'dataset' or 'source' of the job"));
        }
        tables.insert(parse_name(name, pointer.clone())?, input::inside(value, pointer)?);
    }
    Ok(tables)
}

/// Functions by name: a lambda's text or a plugin's function each.
pub(super) fn functions(fields: &mut Fields<'_>) -> Result<BTreeMap<String, Function>, Failure> {
    let pointer = fields.pointer("functions");
    let Some(named) = fields.object("functions")? else { return Ok(BTreeMap::new()) };
    if named.len() > SQL_NAMES_MAX {
        return Err(Failure::new(Code::RequestField, format!("more than {SQL_NAMES_MAX} functions")).at(pointer));
    }
    let mut functions = BTreeMap::new();
    for (name, value) in &named {
        let pointer = child(&pointer, name);
        check_name(name).map_err(|failure| failure.at(&pointer))?;
        functions.insert(name.clone(), function::callable(value, pointer)?);
    }
    Ok(functions)
}

/// A function as a request says it.
#[must_use]
pub fn function_json(function: &Function) -> Value {
    match function {
        Function::Lambda(text) => Value::from(text.as_str()),
        Function::Declared { text, returns } => serde_json::json!({ "lambda": text, "returns": returns }),
        Function::Plugin { plugin, function, config, .. } => {
            serde_json::json!({ "plugin": plugin.to_string(), "function": function, "config": config })
        }
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_name = name.chars().count() <= NAME_CHARS_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if is_name {
        return Ok(());
    }
    Err(Failure::new(Code::RequestField, format!("'{}' is no name for a function", shown(name)))
        .hint("a letter, then letters, digits and _, 64 at most"))
}

fn params(fields: &mut Fields<'_>) -> Result<Params, Failure> {
    let pointer = fields.pointer("params");
    let params = match fields.value("params") {
        None => Params::Positional(Vec::new()),
        Some(Value::Array(values)) => Params::Positional(values.clone()),
        Some(Value::Object(named)) => Params::Named(named.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
        Some(other) => return Err(expected("an array or an object", other).at(pointer)),
    };
    let given: Vec<(String, &Value)> = match &params {
        Params::Positional(values) => values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        Params::Named(values) => values.iter().map(|(name, value)| (name.clone(), value)).collect(),
    };
    if given.len() > SQL_NAMES_MAX {
        return Err(Failure::new(Code::SqlParameter, format!("more than {SQL_NAMES_MAX} parameters")).at(pointer));
    }
    match given.iter().find(|(_, value)| value.is_array() || value.is_object()) {
        Some((name, _)) => {
            let failure = Failure::new(Code::SqlParameter, "a parameter is a string, a number, a boolean or null");
            Err(failure.at(child(&pointer, name)).hint("put lists and objects into 'data', and read the table input"))
        }
        None => Ok(params),
    }
}

/// A SQL expression from a request, within the limits.
pub(super) fn expression(text: &str, pointer: &str) -> Result<String, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::new(Code::RequestField, "the expression is empty").at(pointer));
    }
    tokens(text).and_then(|tokens| guard(text, &tokens)).map_err(|failure| failure.at(pointer))?;
    Ok(text.to_owned())
}

/// An expression: SQL, a lambda, or a plugin's function.
pub(super) fn any_expression(value: &Value, pointer: String) -> Result<Expression, Failure> {
    match value {
        Value::String(text) if !is_lambda(text) => expression(text, &pointer).map(Expression::Sql),
        _ => function::of(value, pointer).map(Expression::Function),
    }
}

/// Whether a text is an arrow function: names before the first arrow, and nothing else.
fn is_lambda(text: &str) -> bool {
    let Some((head, _)) = text.split_once("=>") else { return false };
    let head = head.trim();
    let is_names =
        |part: &str| part.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$' | ',' | ' ' | '{' | '}' | '[' | ']'));
    match head.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_names(inner),
        None => !head.is_empty() && is_names(head) && !head.contains([',', ' ', '[', '{']),
    }
}

/// Takes a text apart.
///
/// # Errors
/// [`Code::SqlSyntax`], [`Code::SqlUnsupported`], [`Code::SqlTooDeep`], [`Code::SqlTooLarge`].
pub fn statements(text: &str) -> Result<Statements, Failure> {
    let tokens = tokens(text)?;
    guard(text, &tokens)?;
    let mut read = Statements::default();
    let mut rest = tokens.as_slice();
    while !rest.is_empty() {
        let end = rest.iter().position(|token| token.is(";")).unwrap_or(rest.len());
        let (statement, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let Some(first) = statement.first() else { continue };
        if read.query.is_some() {
            let failure = Failure::new(Code::SqlUnsupported, "nothing can follow the query");
            return Err(failure.position(place(text, first.at)).hint("send one query a request"));
        }
        let mut reader = Reader { text, tokens: statement, at: 0 };
        reader.statement(&mut read)?;
    }
    if read.query.is_none() && read.functions.is_empty() {
        return Err(Failure::new(Code::SqlSyntax, "the SQL is empty"));
    }
    Ok(read)
}

/// One statement being read.
struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Token<'a>],
    at: usize,
}

impl Reader<'_> {
    fn statement(&mut self, read: &mut Statements) -> Result<(), Failure> {
        if self.peeks(|token| QUERIES.iter().any(|word| token.is(word))) {
            read.query = Some(self.text_ahead());
            return Ok(());
        }
        if !self.takes("create") {
            return Err(self.unsupported());
        }
        let replaces = self.takes("or") && self.takes("replace");
        let _is_temporary = self.takes("temporary") || self.takes("temp");
        if self.takes("function") {
            let at = self.here();
            let (name, function) = self.function()?;
            if read.functions.insert(name.clone(), function).is_some() && !replaces {
                return Err(Failure::new(Code::SqlInvalid, format!("the function '{}' is made twice", shown(&name)))
                    .position(place(self.text, at))
                    .hint("give it another name, or say CREATE OR REPLACE FUNCTION"));
            }
            return Ok(());
        }
        if !self.takes("table") {
            return Err(self.unsupported());
        }
        let at = self.here();
        let name = self.name("the table's name")?;
        let name =
            parse_name(&name, String::new()).map_err(|failure| Failure { pointer: None, ..failure }.position(place(self.text, at)))?;
        if self.peeks(|token| token.is("(")) {
            return Err(self.unsupported());
        }
        self.expect("as", "CREATE TABLE name AS SELECT …")?;
        if !self.peeks(|token| ["select", "with", "values", "from", "("].iter().any(|word| token.is(word))) {
            return Err(self.wrong("a query", "CREATE TABLE name AS SELECT …"));
        }
        read.query = Some(self.text_ahead());
        read.table = Some((name, if replaces { WriteMode::Overwrite } else { WriteMode::ErrorIfExists }));
        Ok(())
    }

    /// `name [(…)] [RETURNS type] [LANGUAGE word] AS 'lambda' | USING 'plugin@version' [FUNCTION 'name']`.
    fn function(&mut self) -> Result<(String, Function), Failure> {
        const EXAMPLE: &str = "CREATE FUNCTION double AS 'x => x * 2', or CREATE FUNCTION km USING 'geo@1.0.0' FUNCTION 'haversine'";
        let at = self.here();
        let name = self.name("the function's name")?;
        check_name(&name).map_err(|failure| Failure { code: Code::SqlSyntax, ..failure }.position(place(self.text, at)))?;
        let mut returns = None;
        while self.peeks(|token| !token.is("as") && !token.is("using")) {
            if self.takes("returns") {
                returns = Some(self.type_name());
            } else {
                self.at += 1;
            }
        }
        let is_lambda = self.takes("as");
        if !is_lambda && !self.takes("using") {
            return Err(self.wrong("AS or USING", EXAMPLE));
        }
        let at = self.here();
        let body = self.literal().ok_or_else(|| self.wrong("a text", EXAMPLE))?;
        let wrong = |failure: Failure| Failure { pointer: None, ..failure }.position(place(self.text, at));
        if is_lambda {
            let function = function::of(&Value::from(body), String::new()).map_err(wrong)?;
            let function = match (function, returns) {
                (Function::Lambda(text), Some(returns)) => Function::Declared { text, returns },
                (function, _) => function,
            };
            return self.ended(EXAMPLE).map(|()| (name, function));
        }
        let plugin: PluginRef = body.parse().map_err(wrong)?;
        let function = if self.takes("function") { Some(self.literal().ok_or_else(|| self.wrong("a text", EXAMPLE))?) } else { None };
        self.ended(EXAMPLE)?;
        Ok((name, Function::Plugin { plugin, function, config: serde_json::Map::new(), columns: None, keep_as: None }))
    }

    /// What stands between RETURNS and what follows: a type, which may have brackets and several words.
    fn type_name(&mut self) -> String {
        let start = self.here();
        while self.peeks(|token| !["as", "using", "language", "immutable"].iter().any(|word| token.is(word))) {
            self.at += 1;
        }
        self.text.get(start..self.here()).unwrap_or_default().trim().to_owned()
    }

    fn peeks(&self, is: impl Fn(&Token<'_>) -> bool) -> bool {
        self.tokens.get(self.at).is_some_and(is)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is = self.peeks(|token| token.is(word));
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, word: &str, example: &str) -> Result<(), Failure> {
        if self.takes(word) { Ok(()) } else { Err(self.wrong(&word.to_uppercase(), example)) }
    }

    fn ended(&self, example: &str) -> Result<(), Failure> {
        if self.at >= self.tokens.len() { Ok(()) } else { Err(self.wrong("the end of the statement", example)) }
    }

    fn name(&mut self, what: &str) -> Result<String, Failure> {
        match self.tokens.get(self.at) {
            Some(token) if matches!(token.kind, Kind::Word | Kind::Quoted) => {
                self.at += 1;
                Ok(token.content())
            }
            _ => Err(self.wrong(what, "names are words, or stand in double quotes")),
        }
    }

    fn literal(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at).filter(|token| token.kind == Kind::Text)?;
        self.at += 1;
        Some(token.content())
    }

    fn here(&self) -> usize {
        let last = || self.tokens.last().map_or(0, |token| token.at + token.text.len());
        self.tokens.get(self.at).map_or_else(last, |token| token.at)
    }

    /// The rest of the statement as it was written, behind as much space as keeps its places.
    fn text_ahead(&self) -> String {
        let (start, end) = (self.here(), self.tokens.last().map_or(0, |token| token.at + token.text.len()));
        let before: String =
            self.text.get(..start).unwrap_or_default().chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect();
        before + self.text.get(start..end).unwrap_or_default()
    }

    fn wrong(&self, wanted: &str, example: &str) -> Failure {
        let got = self.tokens.get(self.at).map_or("the end".to_owned(), |token| format!("'{}'", shown(token.text)));
        Failure::new(Code::SqlSyntax, format!("expected {wanted}, got {got}"))
            .position(place(self.text, self.here()))
            .hint(format!("for example {example}"))
    }

    fn unsupported(&self) -> Failure {
        let first = self.tokens.first().map_or("", |token| token.text);
        let words = self.tokens.iter().take(2).map(|token| token.text.to_uppercase()).collect::<Vec<_>>().join(" ");
        let at = self.tokens.first().map_or(0, |token| token.at);
        let known = ["select", "with", "values", "explain", "show", "describe", "create"];
        let failure = Failure::new(Code::SqlUnsupported, format!("'{}' is not available: SQL here reads", shown(&words)))
            .position(place(self.text, at));
        match (self.instead(), closest(first, known)) {
            (Some(instead), _) => failure.hint(instead),
            (None, Some(word)) if !first.eq_ignore_ascii_case(word) => failure.hint(format!("did you mean '{}'?", word.to_uppercase())),
            _ => failure.hint("statements are SELECT, EXPLAIN, SHOW TABLES, DESCRIBE, CREATE FUNCTION and CREATE TABLE name AS SELECT"),
        }
    }

    /// What to do in place of a statement that is not available.
    fn instead(&self) -> Option<&'static str> {
        const TABLES: &str = "name it in 'tables' of the request, \"tables\": {\"orders\": {\"source\": {\"type\": \"csv\", \"path\": \"orders.csv\"}}}, or write FROM 'orders.csv'";
        let has = |word: &str| self.tokens.iter().take(6).any(|token| token.is(word));
        let first = self.tokens.first()?;
        let is = |words: &[&str]| words.iter().any(|word| first.is(word));
        Some(match () {
            () if is(&["create"]) && (has("external") || has("foreign") || has("unbounded") || has("stage")) => TABLES,
            () if is(&["create"]) && has("view") => "name a part of a query by WITH, or keep its rows by CREATE TABLE name AS SELECT …",
            () if is(&["create"]) && has("table") => {
                "CREATE TABLE name AS SELECT … makes a dataset; rows of a request stand in 'data' or 'tables'"
            }
            () if is(&["create"]) && (has("database") || has("schema") || has("catalog")) => {
                "datasets have plain names; SHOW TABLES lists them"
            }
            () if is(&["attach", "use", "import", "load"]) => TABLES,
            () if is(&["copy", "insert", "export", "unload"]) => {
                "write by the 'sink' of a job, or CREATE OR REPLACE TABLE name AS SELECT …; POST /ingest reads files into datasets"
            }
            () if is(&["update", "delete", "merge", "truncate"]) => "make the rows anew: CREATE OR REPLACE TABLE name AS SELECT …",
            () if is(&["drop", "alter"]) => "datasets go by DELETE /api/v1/datasets/{name}; functions end with the context",
            () if is(&["set", "reset"]) => "settings are 'options' of the job and fields of /spark/init",
            () if is(&["prepare", "execute", "deallocate"]) => "send the query with 'params'",
            () if is(&["begin", "commit", "rollback", "start", "savepoint"]) => {
                "every job is one step already: its rows become visible at once"
            }
            () => return None,
        })
    }
}

/// `POST /api/v1/sql`.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlRequest {
    /// What the text asks for.
    pub statements: Statements,
    /// The same as a job's request, for the query.
    pub job: Value,
    /// Whether the answer says the columns' types beside the rows.
    pub wants_schema: bool,
}

impl SqlRequest {
    /// Reads `{query, params?, functions?, tables?, data? | dataset? | source?, options?, schema?}`.
    ///
    /// # Errors
    /// Those of a job's request.
    pub fn read(request: &Value) -> Result<Self, Failure> {
        let mut fields = Fields::of(request, "")?;
        let name = fields.name_of(&["query", "sql"])?;
        let pointer = fields.pointer(name);
        let text = fields.required_text(name).map_err(|failure| failure.hint(r#"for example {"query":"SELECT 1"}"#))?;
        let statements = statements(text).map_err(|failure| failure.at(pointer))?;
        let wants_schema = fields.flag("schema")?.unwrap_or(false);
        let mut job = serde_json::Map::from_iter([("sql".to_owned(), Value::from(text))]);
        for name in ["params", "functions", "tables", "data", "dataset", "source", "options", "name"] {
            if let Some(value) = fields.value(name) {
                job.insert(name.to_owned(), value.clone());
            }
        }
        fields.finish(Unknown::Refuse)?;
        Ok(Self { statements, job: Value::Object(job), wants_schema })
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, WriteMode, function, function_json, is_lambda, statements};
    use crate::Code;

    #[test]
    fn statements_are_told_apart() {
        let read = statements("CREATE FUNCTION f AS 'x => x * 2'; CREATE OR REPLACE TABLE t AS\nSELECT f(a) FROM b;").expect("statements");
        assert_eq!(read.functions["f"], Function::Lambda("x => x * 2".to_owned()));
        assert_eq!(read.table, Some(("t".parse().expect("a name"), WriteMode::Overwrite)));
        let query = read.query.expect("a query");
        assert!(query.ends_with("\nSELECT f(a) FROM b") && query.trim_start().starts_with("SELECT"), "{query}");
        let read = statements("CREATE FUNCTION p(x double) RETURNS DECIMAL(10, 2) LANGUAGE js AS 'x => x'").expect("a function");
        let declared = Function::Declared { text: "x => x".to_owned(), returns: "DECIMAL(10, 2)".to_owned() };
        assert_eq!(read.functions["p"], declared);
        assert_eq!(function::callable(&function_json(&declared), String::new()).expect("the same"), declared);
        let read =
            statements("create function km(a double, b double) returns double using 'geo@1.0.0' function 'haversine'").expect("a function");
        assert!(matches!(&read.functions["km"], Function::Plugin { function: Some(name), .. } if name == "haversine"));
        assert_eq!(read.query, None);
    }

    #[test]
    fn everything_else_is_refused() {
        let check = |text: &str, code: Code| assert_eq!(statements(text).expect_err(text).code, code, "{text}");
        for text in [
            "COPY t TO 'x'",
            "SET a = 1",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'",
            "DROP TABLE t",
            "INSERT INTO t VALUES (1)",
            "DELETE FROM t",
            "UPDATE t SET a = 1",
            "CREATE VIEW v AS SELECT 1",
            "SELECT 1; SELECT 2",
            "PREPARE p AS SELECT 1",
            "TRUNCATE t",
            "CREATE TABLE t (a int)",
        ] {
            check(text, Code::SqlUnsupported);
        }
        check("", Code::SqlSyntax);
        check(" ; -- nothing", Code::SqlSyntax);
        check("CREATE TABLE t AS DROP TABLE x", Code::SqlSyntax);
        check("CREATE FUNCTION f AS 1", Code::SqlSyntax);
        let twice = "CREATE FUNCTION f AS 'x => x'; CREATE FUNCTION f AS 'x => x * 2'; SELECT f(1)";
        check(twice, Code::SqlInvalid);
        let replaced = statements(&twice.replace("; CREATE", "; CREATE OR REPLACE")).expect("the second");
        assert_eq!(replaced.functions["f"], Function::Lambda("x => x * 2".to_owned()));
        let failure = statements("SELEC 1").expect_err("a slip");
        assert_eq!(failure.hint.as_deref(), Some("did you mean 'SELECT'?"));
    }

    #[test]
    fn lambdas_are_known_by_their_arrow() {
        for text in ["x => x", "(a, b) => a + b", "({a}) => a", "r=>r.age > 5", "([a, b]) => a"] {
            assert!(is_lambda(text), "{text}");
        }
        for text in ["age >= 18", "a = 1", "f(a => 1)", "'x => y'", "age > 18 AND b => 1"] {
            assert!(!is_lambda(text), "{text}");
        }
    }
}
