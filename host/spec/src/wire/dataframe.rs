//! Operations on frames: `operations` of `POST /dataframe/create`, `frame` of a job. Names and fields are those of Spark's
//! DataFrame, in camelCase; columns and conditions may be SQL expressions, lambdas or plugins' functions.

mod grouping;
mod rows;

use crate::limits::{OPERATIONS_MAX, SQL_JOINS_MAX};
use crate::wire::fields::{Fields, Unknown, child, expected, shown};
use crate::wire::suggest::{meant, suggestion};
use crate::wire::{cache, function, input, sink, sql};
use crate::{
    CacheLevel, Code, ColumnType, Expression, Failure, Frame, FrameStep, Function, Grouping, Input, JoinKind, JoinOn, NamedExpression,
    SetKind, Sink, TYPES,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Every operation's usual name.
const NAMES: &[&str] = &[
    "select",
    "filter",
    "where",
    "withColumn",
    "withColumns",
    "rename",
    "withColumnRenamed",
    "drop",
    "cast",
    "groupBy",
    "agg",
    "pivot",
    "join",
    "crossJoin",
    "union",
    "unionAll",
    "unionByName",
    "intersect",
    "intersectAll",
    "except",
    "exceptAll",
    "subtract",
    "distinct",
    "dropDuplicates",
    "orderBy",
    "sort",
    "limit",
    "offset",
    "sample",
    "window",
    "explode",
    "explodeOuter",
    "fillna",
    "dropna",
    "replace",
    "repartition",
    "coalesce",
    "cache",
    "persist",
    "unpersist",
    "unpivot",
    "melt",
    "describe",
    "summary",
    "show",
    "head",
    "take",
    "first",
    "count",
    "collect",
    "write",
];

/// Functions that the request names.
type Functions = BTreeMap<String, Function>;
/// The operations, and the sink that the last of them names.
type Read = (Frame, Option<Sink>);

/// Reads the frame of a job, where it has one: `frame`, and `schema` for the columns' types.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Option<Read>, Failure> {
    let schema = fields.value("schema").map(|value| schema(value, fields.pointer("schema"))).transpose()?;
    let values = fields.array("frame")?;
    if values.is_none() && schema.is_none() {
        return Ok(None);
    }
    let functions = sql::functions(fields)?;
    let Done { steps, places, written } = steps(values.unwrap_or_default(), &functions, &fields.pointer("frame"))?;
    Ok(Some((Frame { schema, steps, places, functions }, written)))
}

fn steps(values: &[Value], functions: &Functions, pointer: &str) -> Result<Done, Failure> {
    if values.len() > OPERATIONS_MAX {
        let message = format!("{} operations, at most {OPERATIONS_MAX} are allowed", values.len());
        return Err(Failure::new(Code::RequestField, message).at(pointer));
    }
    let mut reader = Steps { functions, done: Done::default(), waiting: None, others: 0 };
    for (at, value) in values.iter().enumerate() {
        let pointer = child(pointer, &at.to_string());
        if let Some(action) = reader.done.steps.last().filter(|step| step.is_action()) {
            let message = format!("'{}' ends a job, nothing can follow it", action.name());
            return Err(Failure::new(Code::OperationInvalid, message).at(pointer));
        }
        reader.step(value, pointer)?;
        reader.done.places.resize(reader.done.steps.len(), at);
    }
    reader.end()
}

/// Operations that were read.
#[derive(Debug, Default)]
struct Done {
    steps: Vec<FrameStep>,
    /// Where each stands in the list.
    places: Vec<usize>,
    written: Option<Sink>,
}

/// Operations being read. A `groupBy` waits for its aggregates.
#[derive(Debug)]
struct Steps<'a> {
    functions: &'a Functions,
    done: Done,
    waiting: Option<(Grouping, String)>,
    others: usize,
}

impl Steps<'_> {
    fn end(self) -> Result<Done, Failure> {
        match self.waiting {
            Some((_, pointer)) => Err(Failure::new(Code::OperationInvalid, "'groupBy' has no aggregates")
                .at(pointer)
                .hint(r#"for example {"type":"groupBy","columns":["city"],"agg":{"amount":"sum"}}"#)),
            None => Ok(self.done),
        }
    }

    fn step(&mut self, value: &Value, pointer: String) -> Result<(), Failure> {
        let bare;
        let value = match value {
            Value::String(name) => {
                bare = serde_json::json!({ "type": name });
                &bare
            }
            other => other,
        };
        let mut fields = Fields::of(value, pointer.clone())?;
        let name = fields.required_text("type")?.to_owned();
        if let Some((grouping, at)) = self.waiting.take() {
            match grouping::continued(&mut fields, &name, grouping, self.functions)? {
                grouping::Next::Waiting(grouping) => self.waiting = Some((grouping, at)),
                grouping::Next::Done(grouping) => self.done.steps.push(FrameStep::Aggregate(grouping)),
            }
            return fields.finish(Unknown::Refuse);
        }
        if matches!(name.as_str(), "groupBy" | "groupby") {
            let grouping = grouping::begun(&mut fields, self.functions)?;
            if grouping.aggregates.is_empty() {
                self.waiting = Some((grouping, pointer));
            } else {
                self.done.steps.push(FrameStep::Aggregate(grouping));
            }
            return fields.finish(Unknown::Refuse);
        }
        if name == "write" || name == "saveAsTable" {
            self.done.written = Some(written(&mut fields)?);
            self.done.steps.push(FrameStep::Write);
            return fields.finish(Unknown::Refuse);
        }
        let step = one(&mut fields, &name, self.functions)?;
        self.others += usize::from(step.other().is_some());
        if self.others > SQL_JOINS_MAX {
            let message = format!("more than {SQL_JOINS_MAX} operations with a second frame");
            return Err(Failure::new(Code::OperationInvalid, message).at(pointer).hint("make datasets of parts of it"));
        }
        self.done.steps.push(step);
        fields.finish(Unknown::Refuse)
    }
}

fn one(fields: &mut Fields<'_>, name: &str, functions: &Functions) -> Result<FrameStep, Failure> {
    Ok(match name {
        "select" | "selectExpr" => FrameStep::Select(projections(fields, &["columns", "exprs", "expressions"])?),
        "filter" | "where" => FrameStep::Filter(condition(fields)?),
        "withColumn" | "withColumns" => FrameStep::WithColumns(with_columns(fields)?),
        "rename" | "withColumnRenamed" | "withColumnsRenamed" => FrameStep::Rename(text_pairs(fields, ("from", "to"))?),
        "drop" => FrameStep::Drop(required_columns(fields)?),
        "cast" => FrameStep::Cast(text_pairs(fields, ("column", "to"))?),
        "agg" | "aggregate" => FrameStep::Aggregate(grouping::whole(fields, functions)?),
        "join" | "crossJoin" => join(fields, name == "crossJoin")?,
        "distinct" => FrameStep::Distinct(Vec::new()),
        "dropDuplicates" | "drop_duplicates" => FrameStep::Distinct(columns(fields)?.unwrap_or_default()),
        "orderBy" | "sort" => FrameStep::Sort(rows::sort_keys(fields, &["columns", "by", "column"])?),
        "limit" => FrameStep::Limit(count(fields, None)?),
        "offset" => FrameStep::Offset(count(fields, None)?),
        "sample" => rows::sample(fields)?,
        "window" => rows::window(fields)?,
        "explode" | "explodeOuter" | "explode_outer" => rows::explode(fields, name != "explode")?,
        "fillna" | "fillNa" | "fill" => rows::fill(fields)?,
        "dropna" | "dropNa" => rows::drop_null(fields)?,
        "replace" => rows::replace(fields)?,
        "repartition" | "coalesce" => rows::partitions(fields, name == "coalesce")?,
        "cache" | "persist" => FrameStep::Cache(cache::kept(fields, name, CacheLevel::MemoryAndDisk)?),
        "unpersist" => FrameStep::Unpersist(cache::name(fields)?),
        "unpivot" | "melt" => rows::unpivot(fields)?,
        "describe" => FrameStep::Describe(columns(fields)?.unwrap_or_default()),
        "summary" => FrameStep::Summary(columns(fields)?.unwrap_or_default()),
        "show" => FrameStep::Show(count(fields, Some(20))?),
        "head" | "take" if fields.has("n") => FrameStep::Show(count(fields, None)?),
        "take" => FrameStep::Show(10),
        "head" | "first" => FrameStep::First,
        "count" => FrameStep::Count,
        "collect" => FrameStep::Collect,
        _ => match SetKind::parse(name) {
            Some(kind) => FrameStep::Set { other: other(fields)?, kind },
            None => return Err(unknown(name, fields.pointer("type"))),
        },
    })
}

fn unknown(name: &str, pointer: String) -> Failure {
    if name == "pivot" {
        return Failure::new(Code::OperationInvalid, "'pivot' stands between a 'groupBy' and its aggregates").at(pointer).hint(
            r#"for example {"type":"groupBy","columns":["city"]}, {"type":"pivot","column":"year"}, {"type":"agg","agg":{"amount":"sum"}}"#,
        );
    }
    let failure = Failure::new(Code::OperationUnknown, format!("unknown operation '{}' of a frame", shown(name))).at(pointer);
    let all = || format!("operations of frames are {}; those of RDDs stand in 'operations' of a job", NAMES.join(", "));
    failure.hint(meant(name, NAMES.iter().copied()).unwrap_or_else(all))
}

/// The columns' types: `{"name": "string"}` or `[{"name", "type", "nullable"}]`.
fn schema(value: &Value, pointer: String) -> Result<Vec<ColumnType>, Failure> {
    let one = |name: &str, word: &str, is_nullable: bool, pointer: String| {
        let lower = word.to_lowercase();
        match TYPES.iter().find(|words| words.contains(&lower.as_str())).and_then(|words| words.first()) {
            Some(word) => Ok(ColumnType { name: name.to_owned(), type_word: (*word).to_owned(), is_nullable }),
            None => {
                let known: Vec<&str> = TYPES.iter().filter_map(|words| words.first().copied()).collect();
                let failure =
                    Failure::new(Code::RequestField, format!("unknown type '{}' of column '{}'", shown(word), shown(name))).at(pointer);
                Err(failure.hint(suggestion(word, known, "types are")))
            }
        }
    };
    match value {
        Value::Object(named) => named
            .iter()
            .map(|(name, value)| {
                let pointer = child(&pointer, name);
                let word = value.as_str().ok_or_else(|| expected("a type's name", value).at(&pointer))?;
                one(name, word, true, pointer)
            })
            .collect(),
        Value::Array(list) => {
            let column = |(at, value): (usize, &Value)| {
                let mut fields = Fields::of(value, child(&pointer, &at.to_string()))?;
                let (name, word) = (fields.required_text("name")?, fields.required_text("type")?);
                let is_nullable = fields.flag("nullable")?.unwrap_or(true);
                let column = one(name, word, is_nullable, fields.pointer("type"))?;
                fields.finish(Unknown::Refuse)?;
                Ok(column)
            };
            list.iter().enumerate().map(column).collect()
        }
        other => Err(expected("an object of names and types, or a list of columns", other).at(pointer)),
    }
}

/// One text or a list of texts.
fn texts(fields: &mut Fields<'_>, names: &[&'static str]) -> Result<Option<Vec<String>>, Failure> {
    let name = fields.name_of(names)?;
    match fields.value(name) {
        Some(Value::String(text)) => Ok(Some(vec![text.clone()])),
        _ => fields.texts(name),
    }
}

/// The columns that an operation names, if it does.
fn columns(fields: &mut Fields<'_>) -> Result<Option<Vec<String>>, Failure> {
    texts(fields, &["columns", "column", "subset", "cols"])
}

fn required_columns(fields: &mut Fields<'_>) -> Result<Vec<String>, Failure> {
    match columns(fields)? {
        Some(columns) if !columns.is_empty() => Ok(columns),
        _ => Err(fields.missing("columns").hint(r#"for example "columns": ["a", "b"]"#)),
    }
}

fn count(fields: &mut Fields<'_>, default: Option<usize>) -> Result<usize, Failure> {
    let name = fields.name_of(&["n", "count", "rows", "limit", "offset"])?;
    match (fields.size(name, 0..=u64::from(u32::MAX))?, default) {
        (Some(n), _) | (None, Some(n)) => Ok(n),
        (None, None) => Err(fields.missing("n")),
    }
}

/// Columns and expressions: a list of texts and `{"expr", "as"}`, or an object of names and expressions.
fn projections(fields: &mut Fields<'_>, names: &[&'static str]) -> Result<Vec<NamedExpression>, Failure> {
    let name = fields.name_of(names)?;
    let pointer = fields.pointer(name);
    match fields.value(name) {
        Some(Value::Array(list)) if !list.is_empty() => {
            list.iter().enumerate().map(|(at, value)| projection(value, child(&pointer, &at.to_string()))).collect()
        }
        Some(Value::Object(named)) if !named.is_empty() => named
            .iter()
            .map(|(name, value)| {
                let expression = sql::any_expression(value, child(&pointer, name))?;
                Ok(NamedExpression { expression, name: Some(name.clone()) })
            })
            .collect(),
        Some(text @ Value::String(_)) => Ok(vec![projection(text, pointer)?]),
        Some(other @ (Value::Number(_) | Value::Bool(_))) => Err(expected("a list of columns and expressions", other).at(pointer)),
        _ => Err(fields.missing(name).hint(r#"for example ["name", "price * qty AS total"]"#)),
    }
}

fn projection(value: &Value, pointer: String) -> Result<NamedExpression, Failure> {
    let Value::Object(_) = value else {
        return Ok(NamedExpression { expression: sql::any_expression(value, pointer)?, name: None });
    };
    let mut fields = Fields::of(value, pointer)?;
    let (name, expression) = (named(&mut fields, &["as", "name", "alias"])?, expression_field(&mut fields)?);
    fields.finish(Unknown::Refuse)?;
    Ok(NamedExpression { expression, name })
}

fn named(fields: &mut Fields<'_>, names: &[&'static str]) -> Result<Option<String>, Failure> {
    let name = fields.name_of(names)?;
    Ok(fields.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned))
}

/// An expression under one of its names, or a plugin's members beside the others.
fn expression_field(fields: &mut Fields<'_>) -> Result<Expression, Failure> {
    if fields.has("plugin") {
        return function::required(fields, "map", &["function"]).map(Expression::Function);
    }
    let name = fields.name_of(&["expr", "expression", "column", "function", "value", "condition"])?;
    match fields.value(name) {
        Some(value) => sql::any_expression(value, fields.pointer(name)),
        None => Err(fields.missing("expr")),
    }
}

fn condition(fields: &mut Fields<'_>) -> Result<Expression, Failure> {
    if fields.has("plugin") {
        return function::required(fields, "filter", &["function"]).map(Expression::Function);
    }
    let name = fields.name_of(&["condition", "expr", "expression", "function", "where"])?;
    match fields.value(name) {
        Some(value) => sql::any_expression(value, fields.pointer(name)),
        None => Err(fields.missing(name).hint(r#"for example {"type":"filter","condition":"age > 18"}"#)),
    }
}

fn with_columns(fields: &mut Fields<'_>) -> Result<Vec<(String, Expression)>, Failure> {
    if fields.has("columns") {
        let pointer = fields.pointer("columns");
        let named = fields.object("columns")?.unwrap_or_default();
        return named.iter().map(|(name, value)| Ok((name.clone(), sql::any_expression(value, child(&pointer, name))?))).collect();
    }
    let name = fields.name_of(&["name", "as"])?;
    let (name, expression) = (fields.required_text(name)?.to_owned(), expression_field(fields)?);
    Ok(vec![(name, expression)])
}

/// Pairs of texts: an object `columns`, or one pair under two names.
fn text_pairs(fields: &mut Fields<'_>, (left, right): (&'static str, &'static str)) -> Result<Vec<(String, String)>, Failure> {
    if fields.has("columns") {
        let pointer = fields.pointer("columns");
        let named = fields.object("columns")?.unwrap_or_default();
        return named
            .iter()
            .map(|(name, value)| match value.as_str() {
                Some(text) => Ok((name.clone(), text.to_owned())),
                None => Err(expected("a string", value).at(child(&pointer, name))),
            })
            .collect();
    }
    let left = fields.name_of(&[left, "existing"])?;
    let right = fields.name_of(&[right, "new", "dataType"])?;
    Ok(vec![(fields.required_text(left)?.to_owned(), fields.required_text(right)?.to_owned())])
}

/// The second frame: `with` (or `other`, `right`), a dataset's name or an input; or an input's members beside `type`.
fn other(fields: &mut Fields<'_>) -> Result<Input, Failure> {
    let name = fields.name_of(&["with", "other", "right"])?;
    let pointer = fields.pointer(name);
    match fields.value(name) {
        Some(Value::String(text)) => input::parse_name(text, pointer).map(Input::Dataset),
        Some(value) => input::inside(value, pointer),
        None if ["data", "dataset", "source", "input"].iter().any(|name| fields.has(name)) => input::read(fields),
        None => Err(fields.missing("with").hint(r#"for example "with": "customers", or "with": {"data": [{"id": 1}]}"#)),
    }
}

fn join(fields: &mut Fields<'_>, is_cross: bool) -> Result<FrameStep, Failure> {
    let other = other(fields)?;
    let how = fields.name_of(&["how", "joinType", "kind"])?;
    let pointer = fields.pointer(how);
    let kind = match fields.text(how)? {
        None if is_cross => JoinKind::Cross,
        None => JoinKind::Inner,
        Some(word) => JoinKind::parse(word).ok_or_else(|| {
            let failure = Failure::new(Code::RequestField, format!("unknown kind of join '{}'", shown(word))).at(pointer);
            failure.hint(suggestion(word, JoinKind::WORDS.iter().copied(), "kinds are"))
        })?,
    };
    let on = join_on(fields)?;
    match (&on, kind) {
        (JoinOn::Every, JoinKind::Cross) => {}
        (JoinOn::Every, _) => {
            let hint = r#"for example "on": "id", "on": {"left_column": "right_column"}, or "condition": "left.a < right.b""#;
            return Err(fields.missing("on").hint(hint));
        }
        (_, JoinKind::Cross) => {
            return Err(Failure::new(Code::RequestField, "a cross join has every pair, so it takes no 'on'").at(fields.pointer("on")));
        }
        _ => {}
    }
    Ok(FrameStep::Join { other, kind, on })
}

fn join_on(fields: &mut Fields<'_>) -> Result<JoinOn, Failure> {
    let given: Vec<&str> = ["on", "using", "condition"].into_iter().filter(|name| fields.has(name)).collect();
    if let [first, second, ..] = given.as_slice() {
        let message = format!("'{first}' and '{second}' both say which pairs match");
        return Err(Failure::new(Code::RequestField, message).at(fields.pointer(second)));
    }
    if let Some(columns) = texts(fields, &["using"])? {
        return Ok(JoinOn::Using(columns));
    }
    if let Some(text) = fields.text("condition")? {
        return Ok(JoinOn::Condition(sql::expression(text, &fields.pointer("condition"))?));
    }
    let pointer = fields.pointer("on");
    match fields.value("on") {
        None => Ok(JoinOn::Every),
        Some(Value::String(text)) if text.contains(['=', '<', '>', '(']) => Ok(JoinOn::Condition(sql::expression(text, &pointer)?)),
        Some(Value::String(text)) => Ok(JoinOn::Using(vec![text.clone()])),
        Some(Value::Object(named)) => {
            let pair = |(left, right): (&String, &Value)| match right.as_str() {
                Some(right) => Ok((left.clone(), right.to_owned())),
                None => Err(expected("a column's name", right).at(child(&pointer, left))),
            };
            Ok(JoinOn::Pairs(named.iter().map(pair).collect::<Result<_, _>>()?))
        }
        Some(Value::Array(list)) if list.iter().any(Value::is_object) => {
            let pair = |(at, value): (usize, &Value)| {
                let mut fields = Fields::of(value, child(&pointer, &at.to_string()))?;
                let pair = (fields.required_text("left")?.to_owned(), fields.required_text("right")?.to_owned());
                fields.finish(Unknown::Refuse)?;
                Ok(pair)
            };
            Ok(JoinOn::Pairs(list.iter().enumerate().map(pair).collect::<Result<_, Failure>>()?))
        }
        Some(Value::Array(list)) if list.is_empty() => Err(Failure::new(Code::RequestField, "'on' is empty").at(pointer)),
        Some(_) => Ok(JoinOn::Using(fields.texts("on")?.unwrap_or_default())),
    }
}

/// Where `write` writes to: `sink`, or its members beside `type`; `mode`, `format` and `path`, or a dataset's `name`.
fn written(fields: &mut Fields<'_>) -> Result<Sink, Failure> {
    if let Some(value) = fields.value("sink") {
        return sink::read(value, fields.pointer("sink"));
    }
    if fields.has("dataset") || fields.has("name") {
        return sink::dataset_fields(fields);
    }
    if !fields.has("path") {
        return Err(fields.missing("sink").hint(r#"for example {"type":"write","format":"parquet","path":"out/orders"}"#));
    }
    let pointer = fields.pointer("format");
    let format = fields.text("format")?.map(|text| crate::FileFormat::parse(text).map_err(|failure| failure.at(pointer))).transpose()?;
    sink::file_fields(fields, format)
}
