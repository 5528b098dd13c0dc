//! Two frames: joins and sets.

use super::{At, fits, known_column, marks, told};
use crate::plan::Builder;
use crate::plan::sql::{built, of_sql};
use crate::udf::json::as_json;
use azora_connect::element::is_json;
use azora_spec::{Code, Failure, JoinKind, JoinOn, SetKind};
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::functions::expr_fn::coalesce;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{Expr, ExprFunctionExt, JoinType, LogicalPlanBuilder, cast, ident};
use std::collections::HashMap;
use std::sync::Arc;

const LEFT: &str = "left";
const RIGHT: &str = "right";
/// Numbers equal rows, for sets that count them.
const NUMBER: &str = "__azora_number";

/// Names of columns, and what these say of themselves.
type Marks = Vec<(String, HashMap<String, String>)>;

fn side(table: &str, column: &str) -> Expr {
    Expr::Column(Column::new(Some(table), column))
}

impl Builder<'_> {
    /// The second frame of this step, without qualifiers, and what its columns say of themselves.
    fn next_frame(&mut self) -> Result<(DataFrame, SchemaRef), Failure> {
        let relation = self.others.next().ok_or(crate::Error::Broken("one relation for each second frame"))?;
        let frame = relation.frame;
        let columns: Vec<Expr> = frame
            .schema()
            .iter()
            .map(|(qualifier, field)| Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(field.name()))
            .collect();
        Ok((built(frame.select(columns))?, relation.schema))
    }

    pub(super) fn join_frames(&mut self, at: &At<'_>, kind: JoinKind, on: &JoinOn) -> Result<(), Failure> {
        let (right, right_schema) = self.next_frame()?;
        let left_schema = Arc::clone(&self.rows.schema);
        let left_names = self.rows.names();
        let right_names: Vec<String> = right.schema().fields().iter().map(|field| field.name().clone()).collect();
        let using = match on {
            JoinOn::Using(columns) => columns.iter().map(|column| (column.clone(), column.clone())).collect(),
            JoinOn::Pairs(pairs) => pairs.clone(),
            JoinOn::Condition(_) | JoinOn::Every => Vec::new(),
        };
        for (left, right) in &using {
            let place = |failure: Failure, side: &str| {
                let message = format!("the {side} frame: {}", failure.message);
                Failure { message, ..failure }.at(format!("{}/on", at.pointer))
            };
            known_column(&left_names, left).map_err(|failure| place(failure, LEFT))?;
            known_column(&right_names, right).map_err(|failure| place(told(failure, &right_schema), RIGHT))?;
        }
        let join = match kind {
            JoinKind::Inner | JoinKind::Cross => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
            JoinKind::Semi => JoinType::LeftSemi,
            JoinKind::Anti => JoinType::LeftAnti,
        };
        let (left, right) = (built(self.frame().alias(LEFT))?, built(right.alias(RIGHT))?);
        let conditions = match on {
            JoinOn::Condition(text) => {
                let both = built(left.schema().join(right.schema()))?;
                let condition = self.sql_expr_over(at, text, &both)?.unalias();
                fits(&condition, text, &both)?;
                vec![condition]
            }
            _ => using.iter().map(|(a, b)| side(LEFT, a).eq(side(RIGHT, b))).collect(),
        };
        let joined = if kind == JoinKind::Cross {
            let (state, plan) = left.into_parts();
            LogicalPlanBuilder::from(plan)
                .cross_join(right.into_parts().1)
                .and_then(LogicalPlanBuilder::build)
                .map(|plan| DataFrame::new(state, plan))
        } else {
            left.join_on(right, join, conditions)
        };
        let text = if let JoinOn::Condition(text) = on { text.as_str() } else { "" };
        let joined = joined.map_err(|error| of_sql(error, text, &[]))?;
        let is_using = matches!(on, JoinOn::Using(_));
        let columns = output(kind, is_using.then_some(using.as_slice()), &left_names, &right_names);
        let marks: Vec<_> = columns.iter().filter_map(|column| mark(column, &left_schema, &right_schema)).collect();
        self.set(built(joined.select(columns))?)?;
        self.rows.schema = marks::put(&self.rows.schema, &marks);
        Ok(())
    }

    pub(super) fn set_frames(&mut self, kind: SetKind) -> Result<(), Failure> {
        let (other, other_schema) = self.next_frame()?;
        let (columns, others) = (self.rows.schema.fields().len(), other.schema().fields().len());
        if kind != SetKind::UnionByName && columns != others {
            let message = format!("'{}' goes by the place of columns, and there are {columns} here and {others} there", kind.as_str());
            return Err(Failure::new(Code::OperationInvalid, message).hint("select the same columns of both, or use unionByName"));
        }
        let (other, marks) = self.alike(kind, other, &other_schema)?;
        let all: Vec<Expr> = self.rows.names().iter().map(ident).collect();
        let is_all = matches!(kind, SetKind::IntersectAll | SetKind::ExceptAll);
        let frame = if is_all { numbered(self.frame())? } else { self.frame() };
        let other = if is_all { numbered(other)? } else { other };
        let (state, plan) = frame.into_parts();
        let other = other.into_parts().1;
        let plan = match kind {
            SetKind::Union => LogicalPlanBuilder::from(plan).union(other).and_then(LogicalPlanBuilder::build),
            SetKind::UnionByName => LogicalPlanBuilder::from(plan).union_by_name(other).and_then(LogicalPlanBuilder::build),
            SetKind::Intersect | SetKind::IntersectAll => LogicalPlanBuilder::intersect(plan, other, false),
            SetKind::Except | SetKind::ExceptAll => LogicalPlanBuilder::except(plan, other, false),
        };
        let frame = DataFrame::new(state, built(plan)?);
        let frame = if is_all { built(frame.select(all))? } else { frame };
        self.set(frame)?;
        self.rows.schema = marks::put(&self.rows.schema, &marks);
        Ok(())
    }

    /// Both frames with columns of the same types, and what these say of themselves: those that meet by place, or by name.
    fn alike(&mut self, kind: SetKind, other: DataFrame, other_schema: &Schema) -> Result<(DataFrame, Marks), Failure> {
        let own = Arc::clone(&self.rows.schema);
        let is_by_name = kind == SetKind::UnionByName;
        let (mut ours, mut theirs, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        for (at, left) in own.fields().iter().enumerate() {
            let right =
                if is_by_name { other_schema.field_with_name(left.name()).ok() } else { other_schema.fields().get(at).map(AsRef::as_ref) };
            let Some(right) = right else {
                ours.push(ident(left.name()));
                continue;
            };
            let (a, b, metadata) = meeting(left, right).ok_or_else(|| {
                let message = format!("column '{}' is {} here and {} there", left.name(), left.data_type(), right.data_type());
                Failure::new(Code::SqlType, message).hint("cast one of them, or select its members")
            })?;
            ours.push(a.alias(left.name()));
            theirs.push(b.alias(right.name()));
            marks.push((left.name().clone(), metadata));
        }
        if is_by_name {
            for field in other_schema.fields().iter().filter(|field| own.field_with_name(field.name()).is_err()) {
                theirs.push(ident(field.name()));
                marks.push((field.name().clone(), marks::of(field)));
            }
        }
        self.change(|frame| frame.select(ours))?;
        Ok((built(other.select(theirs))?, marks))
    }
}

/// The columns of a join: those of `using` once, then the left's, then the right's; a name that is taken gets `_right`.
fn output(kind: JoinKind, using: Option<&[(String, String)]>, left: &[String], right: &[String]) -> Vec<Expr> {
    let is_shared = |name: &String| using.is_some_and(|pairs| pairs.iter().any(|(shared, _)| shared == name));
    if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        return left.iter().map(|name| side(LEFT, name).alias(name)).collect();
    }
    let mut columns = Vec::with_capacity(left.len() + right.len());
    for (name, _) in using.unwrap_or_default() {
        let key = match kind {
            JoinKind::Right => side(RIGHT, name),
            JoinKind::Full => coalesce(vec![side(LEFT, name), side(RIGHT, name)]),
            _ => side(LEFT, name),
        };
        columns.push(key.alias(name));
    }
    columns.extend(left.iter().filter(|name| !is_shared(name)).map(|name| side(LEFT, name).alias(name)));
    for name in right.iter().filter(|name| !is_shared(name)) {
        let mut alias = name.clone();
        while left.contains(&alias) || (alias != *name && right.contains(&alias)) {
            alias.push_str("_right");
        }
        columns.push(side(RIGHT, name).alias(alias));
    }
    columns
}

/// Two columns that become one, and what that says of itself. Where one holds values of several types, so do both.
fn meeting(left: &Field, right: &Field) -> Option<(Expr, Expr, HashMap<String, String>)> {
    let (a, b) = (ident(left.name()), ident(right.name()));
    let is_null = |field: &Field| field.data_type() == &DataType::Null;
    match (is_json(left), is_json(right)) {
        (true, false) if !is_null(right) => return Some((a, as_json(b, right), marks::of(left))),
        (false, true) if !is_null(left) => return Some((as_json(a, left), b, marks::of(right))),
        _ => {}
    }
    let metadata = if is_null(left) { marks::of(right) } else { marks::of(left) };
    if is_same(left.data_type(), right.data_type()) {
        return Some((a, b, metadata));
    }
    if has_members(left.data_type()) || has_members(right.data_type()) {
        return None;
    }
    let both = type_union_coercion(left.data_type(), right.data_type())?;
    let fits = |field: &Field| can_cast_types(field.data_type(), &both);
    (fits(left) && fits(right)).then(|| (cast(a, both.clone()), cast(b, both), metadata))
}

/// Whether types are the same but for what may be null.
fn is_same(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name() == b.name() && is_same(a.data_type(), b.data_type()))
        }
        (DataType::List(a), DataType::List(b)) => is_same(a.data_type(), b.data_type()),
        _ => left.equals_datatype(right),
    }
}

fn has_members(of: &DataType) -> bool {
    match of {
        DataType::Struct(_) => true,
        DataType::List(item) => has_members(item.data_type()),
        _ => false,
    }
}

/// What a column of a join says of itself: what it said on its side, and of a column of both sides what both say.
fn mark(column: &Expr, left: &Schema, right: &Schema) -> Option<(String, HashMap<String, String>)> {
    let Expr::Alias(alias) = column else { return None };
    let of = |column: &Column| {
        let schema = if column.relation.as_ref().is_some_and(|table| table.table() == RIGHT) { right } else { left };
        schema.field_with_name(&column.name).map(marks::of).unwrap_or_default()
    };
    let mut all = alias.expr.column_refs().into_iter().map(of);
    let first = all.next()?;
    let metadata = if all.all(|other| other == first) { first } else { HashMap::new() };
    Some((alias.name.clone(), metadata))
}

/// With the number of each row among its equals.
fn numbered(frame: DataFrame) -> Result<DataFrame, Failure> {
    let columns: Vec<Expr> = frame.schema().fields().iter().map(|field| ident(field.name())).collect();
    let number = built(row_number().partition_by(columns.clone()).build())?.alias(NUMBER);
    built(frame.select(columns.into_iter().chain([number]).collect::<Vec<_>>()))
}
