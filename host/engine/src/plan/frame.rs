//! Operations on rows with named columns: what each means as a DataFusion plan. Groups are in `frame::groups`, second
//! frames in `frame::pair`, values in `frame::values`; expressions are SQL's (`plan::sql`), lambdas RDDs'.
//!
//! Order: rows keep the order of the input except through groups, joins and sets, as in Spark; `limit` and `offset` count
//! in that order, whatever the number of partitions.

mod groups;
mod marks;
mod pair;
mod pivot;
mod values;

use super::sql::{self, Names, built, known_column};
use super::{Answer, Builder, HIDDEN, ORDINAL, OperationAt};
use crate::input;
use crate::node::{Exchange, Gather, IndexMode, SortKey};
use crate::udf::survey;
use azora_connect::element::{Element, VALUE};
use azora_spec::{Code, ColumnType, Expression, Failure, Frame, FrameStep, Function, NamedExpression, Operation, SortBy, SortOrder};
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::dataframe::DataFrame;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Projection, SortExpr, cast, ident, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use groups::{DESCRIBED, SUMMARIZED};
pub(crate) use pivot::{ValuesWanted, find as find_values};
use std::collections::HashMap;
use std::sync::Arc;

/// The place of a row, for operations that must not depend on partitions.
const PLACE: &str = "__azora_place";

/// One step and its surroundings.
struct At<'a> {
    frame: &'a Frame,
    /// Its place among the frame's.
    place: usize,
    pointer: String,
    /// Whether the step before it was a sort, so that a limit is the engine's own top-k.
    is_sorted: bool,
}

impl At<'_> {
    fn invalid(&self, message: impl Into<String>) -> Failure {
        Failure::new(Code::OperationInvalid, message).at(&self.pointer)
    }

    fn located<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| if failure.pointer.is_none() { failure.at(&self.pointer) } else { failure })
    }
}

impl Builder<'_> {
    /// Applies a frame's operations.
    pub(super) fn framed(&mut self, frame: &Frame) -> Result<Answer, Failure> {
        self.as_columns()?;
        if let Some(schema) = &frame.schema {
            self.typed(schema)?;
        }
        let mut answer = Answer::rows();
        let mut plans = Vec::with_capacity(frame.steps.len());
        for (at, step) in frame.steps.iter().enumerate() {
            if matches!(step, FrameStep::Count) {
                self.analyze_after(frame, &plans)?;
            }
            let before = at.checked_sub(1).and_then(|before| frame.steps.get(before));
            let at = At { frame, place: at, pointer: frame.pointer(at), is_sorted: matches!(before, Some(FrameStep::Sort(_))) };
            let before = Arc::clone(&self.rows.schema);
            let done = self.frame_step(&at, step).map_err(|failure| told(failure, &before));
            if let Some(given) = at.located(done)? {
                answer = given;
            }
            survey::of_plan(&self.ctx.notes, &self.rows.plan)?;
            plans.push(self.rows.plan.clone());
        }
        if !matches!(frame.steps.last(), Some(FrameStep::Count)) {
            self.analyze_after(frame, &plans)?;
        }
        Ok(answer)
    }

    /// Analyzes what some steps made. Where that fails, the first of them is to blame whose plan fails.
    fn analyze_after(&mut self, frame: &Frame, plans: &[LogicalPlan]) -> Result<(), Failure> {
        let Err(failure) = self.analyze() else { return Ok(()) };
        let analyzed = |plan: &LogicalPlan| sql::analyzed(&self.ctx.state, plan.clone());
        let found = plans.iter().enumerate().find_map(|(at, plan)| analyzed(plan).err().map(|error| (at, error)));
        let Some((at, error)) = found else { return Err(failure.or_at("/frame")) };
        let failure = match frame.steps.get(at).and_then(only_text) {
            Some(text) => sql::of_sql(error, text, &[]),
            None => failure,
        };
        Err(failure.or_at(frame.pointer(at)))
    }

    fn frame_step(&mut self, at: &At<'_>, step: &FrameStep) -> Result<Option<Answer>, Failure> {
        match step {
            FrameStep::Select(columns) => self.select(at, columns)?,
            FrameStep::Filter(condition) => self.filter_rows(at, condition)?,
            FrameStep::WithColumns(columns) => self.with_columns(at, columns)?,
            FrameStep::Rename(pairs) => self.rename(pairs)?,
            FrameStep::Drop(columns) => self.drop_columns(columns)?,
            FrameStep::Cast(pairs) => self.cast_columns(at, pairs)?,
            FrameStep::Aggregate(grouping) => self.group(at, grouping)?,
            FrameStep::Join { kind, on, .. } => self.join_frames(at, *kind, on)?,
            FrameStep::Set { kind, .. } => self.set_frames(*kind)?,
            FrameStep::Distinct(columns) => self.distinct_rows(columns)?,
            FrameStep::Sort(keys) => {
                let keys = self.sort_exprs(at, keys)?;
                self.change(|frame| frame.sort(keys))?;
            }
            FrameStep::Limit(n) => self.first_rows(at, *n)?,
            FrameStep::Offset(n) => self.skip_rows(at, *n)?,
            FrameStep::Sample { fraction, with_replacement, seed } => {
                let mode = IndexMode::Sample { fraction: *fraction, seed: *seed, with_replacement: *with_replacement };
                self.rows.index(mode, PLACE)?;
            }
            FrameStep::Window { .. } => self.window(at, step)?,
            FrameStep::Explode { column, name, keeps_empty } => self.explode(at, column, name, *keeps_empty)?,
            FrameStep::FillNull { all, subset, by_column } => self.fill_null(at, all.as_ref(), subset.as_deref(), by_column)?,
            FrameStep::DropNull { columns, least } => self.drop_null(columns.as_deref(), *least)?,
            FrameStep::Replace { columns, pairs } => self.replace_values(columns.as_deref(), pairs)?,
            FrameStep::Partitions { n, is_joined: true } => self.rows.pass_through(Gather::coalesce(*n))?,
            FrameStep::Partitions { n, is_joined: false } => self.spread(*n)?,
            FrameStep::Unpivot { ids, values, variable, value } => self.unpivot(at, (ids, values.as_deref()), (variable, value))?,
            FrameStep::Describe(columns) => self.describe(columns, &DESCRIBED)?,
            FrameStep::Summary(columns) => self.describe(columns, &SUMMARIZED)?,
            FrameStep::Cache(cached) => {
                let before = self.before_step(at);
                self.keep(cached, &before)?;
            }
            FrameStep::Unpersist(name) => {
                let before = self.before_step(at);
                self.release(name.as_ref(), &before);
            }
            FrameStep::Show(n) => self.first_rows(at, *n)?,
            FrameStep::First => {
                self.first_rows(at, 1)?;
                return Ok(Some(Answer::single()));
            }
            FrameStep::Count => return self.count().map(Some),
            FrameStep::Collect | FrameStep::Write => {}
        }
        Ok(None)
    }

    /// All operations before a step.
    fn before_step(&self, at: &At<'_>) -> Vec<Operation> {
        let steps = at.frame.steps.get(..at.place).unwrap_or_default().to_vec();
        let frame = Frame { schema: at.frame.schema.clone(), steps, places: Vec::new(), functions: at.frame.functions.clone() };
        self.before.iter().cloned().chain([Operation::Frame(Box::new(frame))]).collect()
    }

    /// Elements as rows of named columns without qualifiers.
    fn as_columns(&mut self) -> Result<(), Failure> {
        let plan = self.rows.plan.clone();
        self.set(DataFrame::new(self.ctx.state.clone(), plan))
    }

    /// The plan with its final types, and with arithmetic that does not wrap.
    fn analyze(&mut self) -> Result<(), Failure> {
        let analyzed = built(sql::analyzed(&self.ctx.state, self.rows.plan.clone()))?;
        self.take(analyzed);
        Ok(())
    }

    /// Whole rows of a plan as the frame.
    fn take(&mut self, plan: LogicalPlan) {
        self.rows.plan = plan;
        let before = Arc::clone(&self.rows.schema);
        let fields = self.rows.plan.schema().fields().iter().map(|field| {
            // A lambda of SQL says itself what it answers.
            let own = Some(marks::of(field)).filter(|own| !own.is_empty());
            let known = || before.fields().iter().find(|known| known.name() == field.name() && known.data_type() == field.data_type());
            let metadata = own.or_else(|| known().map(|known| known.metadata().clone())).unwrap_or_default();
            field.as_ref().clone().with_metadata(metadata)
        });
        self.rows.schema = Element::Object.schema(fields.collect::<Vec<_>>());
    }

    /// A frame's columns, each under its plain name.
    fn set(&mut self, frame: DataFrame) -> Result<(), Failure> {
        let needs_names = frame.schema().iter().any(|(qualifier, _)| qualifier.is_some());
        let frame = if needs_names {
            let columns: Vec<Expr> = frame
                .schema()
                .iter()
                .map(|(qualifier, field)| Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(field.name()))
                .collect();
            built(frame.select(columns))?
        } else {
            frame
        };
        self.take(frame.into_parts().1);
        Ok(())
    }

    /// The frame so far.
    fn frame(&self) -> DataFrame {
        DataFrame::new(self.ctx.state.clone(), self.rows.plan.clone())
    }

    fn change(&mut self, change: impl FnOnce(DataFrame) -> PlanResult<DataFrame>) -> Result<(), Failure> {
        let changed = built(change(self.frame()))?;
        let moved = marks::moved(changed.logical_plan(), &self.rows.schema);
        self.set(changed)?;
        self.rows.schema = marks::put(&self.rows.schema, &moved);
        Ok(())
    }

    fn known(&self, column: &str) -> Result<(), Failure> {
        known_column(&self.rows.names(), column)
    }

    /// A column's name, or a SQL expression.
    fn sql_expr(&self, at: &At<'_>, text: &str) -> Result<Expr, Failure> {
        let expr = self.sql_expr_over(at, text, self.rows.plan.schema())?;
        survey::of_expr(&self.ctx.notes, &expr, &self.rows.plan)?;
        without_aggregates(&expr, text)?;
        fits(&expr, text, self.rows.plan.schema())?;
        Ok(expr)
    }

    fn sql_expr_over(&self, at: &At<'_>, text: &str, schema: &DFSchema) -> Result<Expr, Failure> {
        let plain = text.trim();
        if self.rows.names().iter().any(|name| name == plain)
            && schema.has_column_with_unqualified_name(plain)
            && !schema.iter().any(|(qualifier, _)| qualifier.is_some())
        {
            return Ok(ident(plain));
        }
        let names = Names::new(self.ctx, &at.frame.functions, &at.pointer);
        sql::expression(&names, text, schema)
    }

    fn select(&mut self, at: &At<'_>, columns: &[NamedExpression]) -> Result<(), Failure> {
        let mut wanted = Vec::with_capacity(columns.len());
        for (place, column) in columns.iter().enumerate() {
            match &column.expression {
                Expression::Sql(text) if text.trim() == "*" => {
                    wanted.extend(self.rows.names().iter().filter(|name| !name.starts_with(HIDDEN)).map(ident))
                }
                Expression::Sql(text) => {
                    let expr = self.sql_expr(at, text)?;
                    wanted.push(self.with_name(expr, column.name.as_deref()));
                }
                Expression::Function(function) => {
                    let name = column.name.clone().unwrap_or_else(|| format!("column{}", place + 1));
                    let hidden = format!("{HIDDEN}selected{place}");
                    self.computed_column(at, &hidden, function)?;
                    wanted.push(ident(hidden).alias(name));
                }
            }
        }
        self.change(|frame| frame.select(wanted))
    }

    fn with_name(&self, expr: Expr, name: Option<&str>) -> Expr {
        match name {
            Some(name) => expr.unalias().alias(name),
            None => expr,
        }
    }

    fn filter_rows(&mut self, at: &At<'_>, condition: &Expression) -> Result<(), Failure> {
        match condition {
            Expression::Sql(text) => {
                let expr = self.sql_expr(at, text)?;
                let of = datafusion::logical_expr::ExprSchemable::get_type(&expr, self.rows.plan.schema());
                let of = of.map_err(|error| sql::of_sql(error, text, &[]))?;
                if !matches!(of, DataType::Boolean | DataType::Null) {
                    return Err(Failure::new(Code::SqlType, format!("a filter's condition is true or false, and this is {of}"))
                        .at(&at.pointer)
                        .hint("compare it with something: age > 18"));
                }
                self.change(|frame| frame.filter(expr))
            }
            Expression::Function(function) => {
                let operation = Operation::Filter(function.clone());
                self.operation(&OperationAt { operation: &operation, pointer: at.pointer.clone(), is_order_seen: true })?;
                self.flush()
            }
        }
    }

    /// Columns in their order: each may use those before it. What uses none of them is one selection with them, since every
    /// selection costs as much as the frame has columns.
    fn with_columns(&mut self, at: &At<'_>, columns: &[(String, Expression)]) -> Result<(), Failure> {
        let mut waiting: Vec<(String, Expr)> = Vec::new();
        for (name, expression) in columns {
            if name.is_empty() || name.starts_with(HIDDEN) {
                return Err(
                    Failure::new(Code::RequestField, format!("a column needs a name, which may not start with '{HIDDEN}'")).at(&at.pointer)
                );
            }
            match expression {
                Expression::Sql(text) => {
                    // A quotation mark is written in another way than it is named.
                    if waiting.iter().any(|(before, _)| before == name || text.contains(before) || before.contains('"')) {
                        self.put_columns(std::mem::take(&mut waiting))?;
                    }
                    waiting.push((name.clone(), self.sql_expr(at, text)?.unalias()));
                }
                Expression::Function(function) => {
                    self.put_columns(std::mem::take(&mut waiting))?;
                    self.computed_column(at, name, function)?;
                }
            }
        }
        self.put_columns(waiting)
    }

    /// Columns are added behind the others, or take the places of those of their names.
    fn put_columns(&mut self, mut made: Vec<(String, Expr)>) -> Result<(), Failure> {
        if made.is_empty() {
            return Ok(());
        }
        let mut columns = Vec::new();
        for name in self.rows.names() {
            columns.push(match made.iter().position(|(other, _)| *other == name) {
                Some(at) => made.remove(at).1.alias(name),
                None => ident(name),
            });
        }
        columns.extend(made.into_iter().map(|(name, expr)| expr.alias(name)));
        self.change(|frame| frame.select(columns))
    }

    fn put_column(&mut self, name: &str, expr: Expr) -> Result<(), Failure> {
        self.put_columns(vec![(name.to_owned(), expr)])
    }

    /// A column with what a lambda or a plugin's function makes of each row.
    fn computed_column(&mut self, at: &At<'_>, name: &str, function: &Function) -> Result<(), Failure> {
        let operation = Operation::Map(function.clone());
        let step = OperationAt { operation: &operation, pointer: at.pointer.clone(), is_order_seen: true };
        let prefix = format!("{HIDDEN}computed");
        let made = match function {
            Function::Lambda(text) | Function::Declared { text, .. } => self.computed_by_lambda(&step, text, "function", &prefix)?,
            Function::Plugin { .. } => {
                let made = self.computed(&step, function, "function", &prefix)?;
                made.into_iter().map(|column| (column, Arc::new(Field::new("", DataType::Null, true)))).collect()
            }
        };
        let [(column, field)] = made.as_slice() else {
            return Err(at
                .invalid(format!("the function makes {} columns, and one is wanted for '{name}'", made.len()))
                .hint("answer one value, not an object"));
        };
        let made = ident(column);
        // The schema of elements does not know the hidden column yet.
        let mut columns: Vec<Expr> = self.rows.names().iter().filter(|known| known.as_str() != name).map(ident).collect();
        let place = self.rows.names().iter().position(|known| known == name).unwrap_or(columns.len());
        columns.insert(place, made.alias(name));
        self.change(|frame| frame.select(columns))?;
        self.rows.schema = marks::put(&self.rows.schema, &[(name.to_owned(), field.metadata().clone())]);
        Ok(())
    }

    fn rename(&mut self, pairs: &[(String, String)]) -> Result<(), Failure> {
        for (old, _) in pairs {
            self.known(old)?;
        }
        let columns: Vec<Expr> = self
            .rows
            .names()
            .iter()
            .map(|name| match pairs.iter().find(|(old, _)| old == name) {
                Some((_, new)) => ident(name).alias(new),
                None => ident(name),
            })
            .collect();
        self.change(|frame| frame.select(columns))
    }

    fn drop_columns(&mut self, dropped: &[String]) -> Result<(), Failure> {
        for column in dropped {
            self.known(column)?;
        }
        let columns: Vec<Expr> = self.rows.names().iter().filter(|name| !dropped.contains(name)).map(ident).collect();
        if columns.is_empty() {
            return Err(Failure::new(Code::OperationInvalid, "no column would be left"));
        }
        self.change(|frame| frame.select(columns))
    }

    fn cast_columns(&mut self, at: &At<'_>, pairs: &[(String, String)]) -> Result<(), Failure> {
        let mut made: Vec<(String, Expr)> = Vec::with_capacity(pairs.len());
        for (column, word) in pairs {
            self.known(column)?;
            if made.iter().any(|(before, _)| before == column) {
                self.put_columns(std::mem::take(&mut made))?;
            }
            let expr = match input::type_of_word(word) {
                Some(of) => {
                    let from = self.rows.schema.field_with_name(column).map_or(DataType::Null, |field| field.data_type().clone());
                    if !can_cast_types(&from, &of) {
                        return Err(Failure::new(Code::SqlType, format!("column '{column}' is {from}, which cannot become {of}")));
                    }
                    cast(ident(column), of)
                }
                None => self.sql_expr(at, &format!("CAST({} AS {word})", quoted(column)))?.unalias(),
            };
            made.push((column.clone(), expr));
        }
        self.put_columns(made)
    }

    /// Columns as the request's schema says. Inline rows were read so already.
    fn typed(&mut self, schema: &[ColumnType]) -> Result<(), Failure> {
        let mut made: Vec<(String, Expr)> = Vec::new();
        for (at, column) in schema.iter().enumerate() {
            self.known(&column.name).map_err(|failure| failure.at(format!("/schema/{at}")))?;
            let field = self.rows.schema.field_with_name(&column.name).ok().cloned();
            let Some(of) = input::type_of_word(&column.type_word) else { continue };
            let is_made = made.iter().any(|(before, _)| *before == column.name);
            if !is_made && field.is_some_and(|field| field.data_type() != &of) {
                made.push((column.name.clone(), cast(ident(&column.name), of)));
            }
        }
        self.put_columns(made)
    }

    fn sort_exprs(&self, at: &At<'_>, keys: &[SortBy]) -> Result<Vec<SortExpr>, Failure> {
        let one = |key: &SortBy| {
            let is_ascending = key.order == SortOrder::Ascending;
            // Spark's order: nulls are the smallest.
            Ok(self.sql_expr(at, &key.expression)?.unalias().sort(is_ascending, key.nulls_first.unwrap_or(is_ascending)))
        };
        keys.iter().map(one).collect()
    }

    fn first_rows(&mut self, at: &At<'_>, n: usize) -> Result<(), Failure> {
        if at.is_sorted {
            return self.change(|frame| frame.limit(0, Some(n)));
        }
        self.rows.pass_through(Gather::first(n))
    }

    fn skip_rows(&mut self, at: &At<'_>, n: usize) -> Result<(), Failure> {
        if at.is_sorted {
            return self.change(|frame| frame.limit(n, None));
        }
        let columns: Vec<Expr> = self.rows.names().iter().map(ident).collect();
        self.rows.index(IndexMode::Position, PLACE)?;
        let skipped = i64::try_from(n).unwrap_or(i64::MAX);
        self.change(|frame| frame.filter(ident(PLACE).gt_eq(lit(skipped)))?.select(columns))
    }

    /// Rows spread evenly over partitions.
    fn spread(&mut self, partitions: usize) -> Result<(), Failure> {
        let schema = Arc::clone(&self.rows.schema);
        self.rows.index(IndexMode::Ordinal, ORDINAL)?;
        let order = vec![SortKey { column: ORDINAL.to_owned(), is_descending: false }];
        self.rows.pass_hidden(Exchange { partitions, hash: vec![ORDINAL.to_owned()], order })?;
        self.rows.only(&schema)
    }

    fn distinct_rows(&mut self, columns: &[String]) -> Result<(), Failure> {
        if columns.is_empty() {
            return self.rows.distinct();
        }
        for column in columns {
            self.known(column)?;
        }
        self.first_of_each(columns)
    }

    fn window(&mut self, at: &At<'_>, step: &FrameStep) -> Result<(), Failure> {
        let FrameStep::Window { name, function, partition_by, order_by, frame } = step else { return Ok(()) };
        let names = self.rows.names();
        let written = |text: &String| if names.contains(text) { quoted(text) } else { text.clone() };
        let mut over = Vec::new();
        if !partition_by.is_empty() {
            over.push(format!("PARTITION BY {}", partition_by.iter().map(written).collect::<Vec<_>>().join(", ")));
        }
        if !order_by.is_empty() {
            let keys = order_by.iter().map(|key| {
                let is_ascending = key.order == SortOrder::Ascending;
                let nulls = if key.nulls_first.unwrap_or(is_ascending) { "FIRST" } else { "LAST" };
                format!("{} {} NULLS {nulls}", written(&key.expression), if is_ascending { "ASC" } else { "DESC" })
            });
            over.push(format!("ORDER BY {}", keys.collect::<Vec<_>>().join(", ")));
        }
        over.extend(frame.clone());
        let expr = self.sql_expr(at, &format!("{function} OVER ({})", over.join(" ")))?.unalias();
        if !matches!(expr, Expr::WindowFunction(_)) {
            return Err(at
                .invalid("'function' is one call of a window function or an aggregate")
                .hint("for example row_number() or sum(amount)"));
        }
        self.put_column(name, expr)
    }
}

/// An aggregate is no value of one row.
fn without_aggregates(expr: &Expr, text: &str) -> Result<(), Failure> {
    let mut found = None;
    let walked = expr.apply(|part| {
        if let Expr::AggregateFunction(call) = part {
            found = Some(call.func.name().to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    built(walked)?;
    let Some(name) = found else { return Ok(()) };
    let failure = Failure::new(Code::OperationInvalid, format!("'{}' is of many rows, and this is of one", name.escape_debug()))
        .hint("groupBy and agg compute aggregates; a window gives each row that of its group: sum(amount) OVER (PARTITION BY city)");
    Err(match azora_spec::wire::places(text, &[name.as_str()]).into_iter().next() {
        Some(position) => failure.position(position),
        None => failure,
    })
}

/// Of a column that is not there: where there was no row, nobody knows which there are.
fn told(failure: Failure, schema: &Schema) -> Failure {
    let is_untyped = matches!(schema.fields().as_ref(), [field] if field.name() == VALUE && field.data_type() == &DataType::Null);
    if failure.code != Code::ColumnUnknown || !is_untyped {
        return failure;
    }
    failure.hint(r#"there is no row that would show columns: name them by "schema", such as {"id": "integer"}"#)
}

/// Whether an expression's types fit together, looked at alone: once it is among others, nobody knows which text is wrong.
fn fits(expr: &Expr, text: &str, schema: &DFSchema) -> Result<(), Failure> {
    let nothing = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(schema.clone()) });
    // The type that it will have is not asked for before: such an error has no operator.
    let any = DFSchema::from_unqualified_fields(vec![Field::new("any", DataType::Null, true)].into(), HashMap::new());
    let alone = any.and_then(|any| Projection::try_new_with_schema(vec![expr.clone()], Arc::new(nothing), Arc::new(any)));
    match alone.map(LogicalPlan::Projection).and_then(|plan| TypeCoercion::new().analyze(plan, &ConfigOptions::default())) {
        Ok(_) => Ok(()),
        Err(error) => match sql::of_sql(error, text, &[]) {
            failure if failure.code == Code::SqlType => Err(failure),
            // What else is wrong is found where it stands.
            _ => Ok(()),
        },
    }
}

/// The text of a step that has one.
fn only_text(step: &FrameStep) -> Option<&str> {
    let expression = match step {
        FrameStep::Filter(expression) => expression,
        FrameStep::WithColumns(columns) => match columns.as_slice() {
            [(_, expression)] => expression,
            _ => return None,
        },
        FrameStep::Select(columns) => match columns.as_slice() {
            [column] => &column.expression,
            _ => return None,
        },
        _ => return None,
    };
    match expression {
        Expression::Sql(text) => Some(text),
        Expression::Function(_) => None,
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
