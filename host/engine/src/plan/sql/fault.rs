//! DataFusion's errors about a text, as failures with a code, a place in the text and what was probably meant.

use crate::failure_of;
use azora_spec::wire::{meant, place, places, suggestion};
use azora_spec::{Code, DatasetName, Failure, Position};
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::error::Result;

/// Longest text of DataFusion's that is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 240;

/// What is wrong with a text. `functions` are the names that a wrong one may have meant.
pub(crate) fn of_sql(error: DataFusionError, text: &str, functions: &[String]) -> Failure {
    let span = span_of(&error);
    let reason = error.find_root().strip_backtrace();
    let failure = described(error, text, functions);
    if text.is_empty() {
        // Nobody wrote this.
        return Failure { position: None, ..failure };
    }
    if failure.position.is_some() {
        return failure;
    }
    let found = match span {
        Some((line, column)) => Some(at(text, line, column)),
        None if matches!(failure.code, Code::SqlInvalid | Code::SqlType | Code::SqlUnsupported | Code::ColumnAmbiguous) => {
            named_in(&reason, text)
        }
        None => None,
    };
    match found {
        Some(position) => failure.position(position),
        None => failure,
    }
}

/// What is wrong with a query whose names and types were found right: the engine cannot plan it.
pub(crate) fn of_plan(error: DataFusionError, text: &str) -> Failure {
    match error.find_root() {
        DataFusionError::SchemaError(reason, _) => {
            tracing::info!(%reason, "a query that cannot be planned");
            let failure = unplanned();
            match places(text, &["select"]).into_iter().nth(1) {
                Some(position) => failure.position(position),
                None => failure,
            }
        }
        // DataFusion looks at what it planned, and says so in words of plans, where it lost an order on the way.
        DataFusionError::Plan(reason) if reason.starts_with(PLAN_SHOWN) => {
            tracing::info!(%reason, "a plan that lost an order");
            let failure = unplanned();
            match places(text, &["over"]).into_iter().next() {
                Some(position) => failure.position(position),
                None => failure,
            }
        }
        _ => of_sql(error, text, &[]),
    }
}

/// How a message begins that is the text of a plan.
const PLAN_SHOWN: &str = "Plan: [";

fn unplanned() -> Failure {
    Failure::new(Code::SqlUnsupported, "the engine cannot plan this")
        .hint("write it in another way, for example in several steps named by WITH, or by joins in place of subqueries")
}

/// The place of what a message is about: the first of its names that stands in the text, an operator, a clause, or the first
/// subquery.
fn named_in(message: &str, text: &str) -> Option<Position> {
    /// Names of a message that are looked for.
    const NAMES_MAX: usize = 100;
    const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "=", "<", ">", "|", "&", "~"];
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let lower = message.to_lowercase();
    let first = |words: &[&str]| places(text, words).into_iter().next();
    let last = |words: &[&str]| places(text, words).pop();
    // A condition is behind its word, while its columns stand elsewhere, too.
    if lower.contains("boolean") && (lower.contains("predicate") || lower.contains("condition")) {
        return last(if lower.contains("join") { &["on"] } else { &["where", "having", "filter", "on"] });
    }
    if lower.contains("where clause") {
        return first(&["where"]);
    }
    // What messages put into quotes is what they are about.
    let quoted = message.split(['\'', '"', '`']).skip(1).step_by(2);
    let dotted = message.split(|letter: char| !is_part(letter) && letter != '.').filter(|name| name.contains('.'));
    let called = message.match_indices('(').filter_map(|(at, _)| message.get(..at)?.rsplit(|letter: char| !is_part(letter)).next());
    let ending = ["Unsupported SQL type ", "Invalid qualifier "]
        .iter()
        .find_map(|start| message.split_once(start))
        .and_then(|(_, rest)| rest.split(|letter: char| !is_part(letter)).next());
    let names = ending.into_iter().chain(quoted).chain(dotted).map(|name| name.rsplit('.').next().unwrap_or(name)).chain(called);
    let is_name = |name: &&str| name.chars().all(is_part) && name.chars().any(char::is_alphabetic);
    if let Some(found) =
        names.filter(is_name).take(NAMES_MAX).find_map(|name| word(text, name).or_else(|| word(text, &name.to_uppercase())))
    {
        return Some(found);
    }
    if let Some((_, rest)) = message.split_once("position ") {
        let number = rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
        return word(text, number);
    }
    let operator = message.split(' ').find_map(|piece| OPERATORS.iter().find(|operator| piece.starts_with(**operator)));
    if let Some(operator) = operator
        && let [place] = places(text, &[*operator]).as_slice()
    {
        return Some(place.clone());
    }
    match () {
        () if lower.contains("access field") => first(&["["]).or_else(|| first(&["."])),
        () if lower.contains("like expression") => first(&["like", "ilike"]),
        () if lower.contains("distinct on") => first(&["distinct"]),
        () if lower.contains("limit") => last(&["limit"]),
        () if lower.contains("offset") => last(&["offset"]),
        () if lower.contains("values list") => first(&["values"]),
        () if lower.contains("within group") => first(&["within"]),
        () if lower.contains("array_element") => first(&["["]),
        () if lower.contains("expected an integer value") => first(&["lag", "lead", "nth_value"]),
        () if lower.contains("cluster by") => first(&["cluster"]),
        () if lower.contains("sort by") => first(&["sort"]),
        () if lower.contains("distributeby") => first(&["distribute"]),
        () if lower.contains("creatememorytable") => first(&["into"]),
        () if lower.contains(" cast ") => first(&["cast", "::", "try_cast"]),
        () if lower.contains("lateral") => first(&["lateral"]),
        () if lower.contains("window") => last(&["over"]),
        () if lower.contains("subquery") || lower.contains("outer") || lower.contains("exists") => {
            places(text, &["select"]).into_iter().nth(1)
        }
        () => None,
    }
}

/// The place of a line and column that a parser counted.
pub(super) fn at(text: &str, line: u64, column: u64) -> Position {
    place(text, byte(text, line, column))
}

/// A table that is not there.
pub(super) fn unknown_table(name: &str, text: &str, datasets: &[DatasetName]) -> Failure {
    let failure = Failure::new(Code::DatasetUnknown, format!("no dataset '{}'", name.escape_debug())).at("/sql");
    const FILES: &str = "files are tables too: FROM 'orders.csv', and folders: FROM 'out/'";
    let known = || datasets.iter().map(DatasetName::as_str);
    let failure = failure.hint(match meant(name, known().chain([super::OWN_ROWS])) {
        Some(hint) => hint,
        None if datasets.is_empty() => format!("no dataset has been made yet; {FILES}"),
        None => format!("{}; {FILES}", suggestion(name, known(), "datasets are")),
    });
    match word(text, name) {
        Some(position) => failure.position(position),
        None => failure,
    }
}

fn described(error: DataFusionError, text: &str, functions: &[String]) -> Failure {
    match error.find_root() {
        DataFusionError::SQL(error, _) => syntax(&error.to_string(), text),
        DataFusionError::SchemaError(error, _) => schema(error, text),
        DataFusionError::NotImplemented(message) | DataFusionError::Plan(message) if is_correlated(message) => correlated(message),
        DataFusionError::Plan(message) => planned(message, text, functions),
        DataFusionError::NotImplemented(message) if message.contains("WindowFunction(") => {
            Failure::new(Code::SqlUnsupported, "a window function cannot stand here")
                .hint("compute it in a query of its own, and use its column: WITH w AS (SELECT …, row_number() OVER (…) AS n …) SELECT … FROM w WHERE n = 1")
        }
        DataFusionError::NotImplemented(message) => Failure::new(Code::SqlUnsupported, clipped(message)),
        // What the engine says of itself is not the caller's business; that it cannot plan their text is.
        DataFusionError::Internal(message) if is_correlated(message) => correlated(message),
        DataFusionError::Internal(message) => {
            tracing::error!(%message, "a plan failed in a way that it should not");
            unplanned()
        }
        DataFusionError::Execution(message) | DataFusionError::Configuration(message) => Failure::new(Code::SqlInvalid, clipped(message)),
        DataFusionError::Collection(errors) if !errors.is_empty() => {
            tracing::debug!(?errors, "several errors");
            match error {
                DataFusionError::Collection(mut errors) => of_sql(errors.swap_remove(0), text, functions),
                other => Failure::new(Code::SqlInvalid, clipped(&other.strip_backtrace())),
            }
        }
        _ => failure_of(error),
    }
}

/// Whether a message is about a subquery that uses columns of the query around it.
fn is_correlated(message: &str) -> bool {
    const SIGNS: &[&str] = &[
        "OuterReferenceColumn",
        "outer reference",
        "outer_ref",
        "Correlated",
        "Exists(",
        "ScalarSubquery(",
        "InSubquery(",
        "SetComparison(",
    ];
    SIGNS.iter().any(|part| message.contains(part))
}

fn correlated(message: &str) -> Failure {
    tracing::debug!(%message, "correlated");
    let reason = if message.contains("must be aggregated") { ": it has to be an aggregate, which answers one row" } else { "" };
    Failure::new(Code::SqlUnsupported, format!("a subquery cannot use columns of the query around it in this way{reason}"))
        .hint("join the tables, or group in the subquery and join with what it makes; lists become rows by SELECT unnest(list)")
}

fn syntax(message: &str, text: &str) -> Failure {
    if message.contains("recursion limit") {
        return Failure::new(Code::SqlTooDeep, "the SQL nests too deeply").hint("name parts of it by WITH");
    }
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let (reason, at) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
    let numbers: Vec<u64> = at.split(", Column: ").filter_map(|number| number.trim().parse().ok()).collect();
    let failure = Failure::new(Code::SqlSyntax, clipped(reason.trim_start_matches("ParserError: ")));
    match numbers.as_slice() {
        [line, column] => failure.position(place(text, byte(text, *line, *column))),
        _ => failure.position(place(text, text.trim_end().len())),
    }
}

fn schema(error: &SchemaError, text: &str) -> Failure {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let failure = Failure::new(Code::ColumnUnknown, format!("there is no column '{}'", field.flat_name().escape_debug()));
            let known = || valid_fields.iter().map(|column| column.name.as_str());
            let is_quoted = text.contains(&format!("\"{}\"", field.name));
            let failure = failure.hint(match meant(&field.name, known()) {
                None if is_quoted => format!("texts stand in single quotes, as in '{}'", field.name.escape_debug()),
                _ => suggestion(&field.name, known(), "columns are"),
            });
            match word(text, &field.name) {
                Some(position) => failure.position(position),
                None => failure,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            let failure = Failure::new(Code::ColumnAmbiguous, format!("more than one table has a column '{}'", field.name.escape_debug()))
                .hint("say which: table.column");
            match word(text, &field.name) {
                Some(position) => failure.position(position),
                None => failure,
            }
        }
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let table = qualifier.table();
            let failure = Failure::new(Code::ColumnAmbiguous, format!("two tables are called '{}'", table.escape_debug()))
                .hint("give each a name of its own: FROM orders AS a JOIN orders AS b ON …");
            match text.match_indices(table).nth(1) {
                Some((at, _)) => failure.position(place(text, at)),
                None => failure,
            }
        }
        SchemaError::DuplicateUnqualifiedField { name } => twice(name),
    }
}

fn twice(name: &str) -> Failure {
    Failure::new(Code::ColumnAmbiguous, format!("there are two columns '{}'", name.escape_debug()))
        .hint("give one of them another name with AS")
}

/// A message without the layers around it, and without advice that is about Rust.
fn plain(message: &str) -> &str {
    const LAYERS: &[&str] = &["Error during planning: ", "Execution error: ", "External error: ", "This feature is not implemented: "];
    let message = message.rsplit_once("user-defined coercion failed with: ").map_or(message, |(_, inner)| inner);
    let message = LAYERS.iter().fold(message, |message, layer| message.strip_prefix(layer).unwrap_or(message));
    let message = message.split(" No function matches the given name").next().unwrap_or(message).trim_end_matches('.');
    // The code of a failure inside.
    message.rsplit_once(" (").filter(|(_, code)| code.starts_with("sql.")).map_or(message, |(message, _)| message)
}

fn planned(message: &str, text: &str, functions: &[String]) -> Failure {
    let message = plain(message);
    let lower = message.to_lowercase();
    if lower.contains("unique expression names") {
        let name = message.split('"').nth(1).unwrap_or_default();
        let name = name.rsplit(" AS ").next().unwrap_or(name);
        let name = name.rsplit('.').next().unwrap_or(name);
        return match text.match_indices(&format!(" {name}")).last() {
            Some((at, _)) => twice(name).position(place(text, at + 1)),
            None => twice(name),
        };
    }
    if lower.contains("boolean") && (lower.contains("predicate") || lower.contains("condition")) {
        return Failure::new(Code::SqlType, clipped(message)).hint("compare it with something: age > 18");
    }
    if let Some(rest) = message.strip_prefix("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or_default();
        let failure = Failure::new(Code::FunctionUnknown, format!("there is no function '{}'", name.escape_debug()));
        let others = || "a plugin's function is called as plugin.function(…), a lambda is named by CREATE FUNCTION".to_owned();
        let failure = failure.hint(meant(name, functions.iter().map(String::as_str)).unwrap_or_else(others));
        return match word(text, name) {
            Some(position) => failure.position(position),
            None => failure,
        };
    }
    if message.contains("failed to match any signature") || message.contains("to satisfy a call to '") {
        return arguments(message, text);
    }
    let is_of_arguments = message.starts_with("argument '")
        || message.contains(" takes ") && message.contains(" were given")
        || message.contains(" arguments but received ");
    if is_of_arguments {
        return Failure::new(Code::SqlType, clipped(message));
    }
    let is_type = [
        "coerc",
        "cannot cast",
        "cannot infer common",
        "incompatible type",
        "arithmetic operation",
        "cannot access field",
        "expects ",
        "does not support",
        "signature",
    ]
    .iter()
    .any(|part| lower.contains(part));
    if is_type {
        return Failure::new(Code::SqlType, clipped(message)).hint("convert one side: CAST(column AS type)");
    }
    if lower.contains("ambiguous") {
        return Failure::new(Code::ColumnAmbiguous, clipped(message)).hint("say which: table.column");
    }
    Failure::new(Code::SqlInvalid, clipped(message))
}

/// A function of DataFusion's that was called with values of other types than it takes.
fn arguments(message: &str, text: &str) -> Failure {
    let within = |start: &str, end: &str| message.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(found, _)| found);
    let name = within("unction '", "'").or_else(|| within("a call to '", "'")).unwrap_or("the function");
    let got = within("(DataType: ", ").").or_else(|| within("(DataType: ", ")")).or_else(|| within("coercion from ", " to the signature"));
    // A type in brackets ends with one.
    let got = got.map(|got| if got.matches('(').count() > got.matches(')').count() { format!("{got})") } else { got.to_owned() });
    let got = got.as_deref().filter(|got| !got.is_empty()).unwrap_or("these arguments");
    let failure = Failure::new(Code::SqlType, format!("'{}' does not take {}", name.escape_debug(), clipped(got)));
    let failure = failure.hint("convert its argument: CAST(column AS type)");
    match word(text, name).or_else(|| word(text, &name.to_uppercase())) {
        Some(position) => failure.position(position),
        None => failure,
    }
}

/// The first sentence of a message, without what DataFusion adds for its developers.
fn clipped(message: &str) -> String {
    let message = message.split("\nbacktrace:").next().unwrap_or(message).lines().next().unwrap_or_default();
    let message = message.split(". This was likely caused by a bug").next().unwrap_or(message);
    // Values of the engine's own types mean nothing to a caller.
    let message = match message.find(" { ") {
        Some(at) => {
            let before = message.get(..at).unwrap_or_default();
            before.rfind(['(', ',']).and_then(|at| before.get(..at)).unwrap_or(before).split(", got ").next().unwrap_or(before)
        }
        None => message,
    };
    message.trim_end_matches('.').chars().take(SHOWN_CHARS_MAX).collect()
}

/// Where a name stands in a text for the first time.
pub(super) fn word(text: &str, name: &str) -> Option<Position> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let found = text.match_indices(name).find(|(at, _)| {
        let before = text.get(..*at).unwrap_or_default().chars().next_back();
        let after = text.get(at + name.len()..).unwrap_or_default().chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    });
    found.filter(|_| !name.is_empty()).map(|(at, _)| place(text, at))
}

fn span_of(error: &DataFusionError) -> Option<(u64, u64)> {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => match &diagnostic.span {
            Some(span) if span.start.line > 0 => Some((span.start.line, span.start.column)),
            _ => span_of(inner),
        },
        DataFusionError::Context(_, inner) => span_of(inner),
        DataFusionError::Collection(errors) => errors.first().and_then(span_of),
        _ => None,
    }
}

/// The byte of a line and column, both counted from 1.
fn byte(text: &str, line: u64, column: u64) -> usize {
    let count = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(count(line)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(count(column)).map_or(rest.trim_end().len(), |(at, _)| at)
}

/// Failures of plans that were built, not written: without a place.
pub(crate) fn built<T>(result: Result<T>) -> std::result::Result<T, Failure> {
    result.map_err(|error| of_sql(error, "", &[]))
}
