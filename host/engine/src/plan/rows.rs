//! The plan under construction: nodes on top of it, and the kernels of lambdas that waited.

use super::tiers::Bound;
use super::{Builder, HIDDEN, OperationAt};
use crate::failure_of;
use crate::fuse::Chain;
use crate::lambda::Refused;
use crate::node::{Index, IndexMode, Kernel, Meeting, Mode, Node, Nothing, Operator, Sort, SortKey, Source, TransformOperator};
use azora_connect::element::{self, Element};
use azora_expression::{DiagnosticKind, End, Lambda, Step};
use azora_sandbox::Column;
use azora_spec::{Code, Failure, Function, OnError};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::Column as PlanColumn;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use std::sync::Arc;

/// A plan and what its rows are.
pub(super) struct Rows {
    pub(super) plan: LogicalPlan,
    /// With the metadata of elements, see [`crate::relation::Relation`]. Hidden columns are not in it.
    pub(super) schema: SchemaRef,
    /// How many partitions are sorted at the same time.
    pub(super) sorters_max: usize,
}

impl Rows {
    /// Puts an operator on top that makes rows of a schema.
    pub(super) fn replace(&mut self, operator: impl Operator, schema: SchemaRef) -> Result<(), Failure> {
        self.put(Arc::new(operator))?;
        self.schema = schema;
        Ok(())
    }

    /// Puts an operator on top that leaves columns as they are.
    pub(super) fn pass_through(&mut self, operator: impl Operator) -> Result<(), Failure> {
        self.put(Arc::new(operator))
    }

    /// The same while there are hidden columns.
    pub(super) fn pass_hidden(&mut self, operator: impl Operator) -> Result<(), Failure> {
        self.put(Arc::new(operator))
    }

    pub(super) fn put(&mut self, operator: Arc<dyn Operator>) -> Result<(), Failure> {
        self.plan = Node::plan(operator, self.plan.clone()).map_err(failure_of)?;
        Ok(())
    }

    /// Adds a hidden column with the place of each row, or thins rows by it.
    pub(super) fn index(&mut self, mode: IndexMode, column: &str) -> Result<(), Failure> {
        self.put(Arc::new(Index { mode, column: column.to_owned() }))
    }

    /// Makes sure that elements are pairs. No elements at all may be taken for pairs.
    pub(super) fn as_pairs(&mut self, failure: Failure) -> Result<(), Failure> {
        let fields = self.schema.fields();
        match (Element::of(&self.schema), fields.as_ref()) {
            (Element::Tuple, [_, _]) => Ok(()),
            (Element::Scalar, [field]) if field.data_type() == &DataType::Null => {
                let part = Field::new("", DataType::Null, true);
                self.pass_through(Nothing { failure })?;
                self.project(element::tuple(&[part.clone(), part]), vec![Source::column(element::VALUE), Source::column(element::VALUE)])
            }
            _ => Err(failure),
        }
    }

    /// Names of the element's columns.
    pub(super) fn names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Sorts by columns of the element, ties by a hidden one.
    pub(super) fn sort(&mut self, columns: &[String], is_descending: bool, ties: Option<&str>) -> Result<(), Failure> {
        self.sort_columns(columns, is_descending, ties, None)
    }

    /// The first rows of that order.
    pub(super) fn sort_first(&mut self, columns: &[String], is_descending: bool, rows: usize) -> Result<(), Failure> {
        self.sort_columns(columns, is_descending, None, Some(rows))
    }

    /// Sorts by columns that need not be the element's.
    pub(super) fn sort_hidden(&mut self, keys: Vec<SortKey>, fetch: Option<usize>) -> Result<(), Failure> {
        self.put(Arc::new(Sort { keys, fetch, sorters_max: self.sorters_max }))
    }

    fn sort_columns(&mut self, columns: &[String], is_descending: bool, ties: Option<&str>, fetch: Option<usize>) -> Result<(), Failure> {
        let present = self.plan.schema().as_arrow().clone();
        let mut leaves = Vec::new();
        for column in columns {
            let field = present.field_with_name(column).map_err(|error| failure_of(error.into()))?;
            leaves_of(field, &Source::column(column), &mut leaves);
        }
        let is_flat = leaves.iter().all(|(_, source)| matches!(source, Source::Column(_)));
        let mut keys: Vec<SortKey> = Vec::with_capacity(leaves.len() + 1);
        let schema = Arc::clone(&self.schema);
        if is_flat {
            keys.extend(columns.iter().map(|column| SortKey { column: column.clone(), is_descending }));
        } else {
            // Structs have no order of their own in Arrow: their leaves come beside them for the while.
            let mut all: Vec<(Field, Source)> =
                present.fields().iter().map(|field| (field.as_ref().clone(), Source::column(field.name()))).collect();
            for (at, (data_type, source)) in leaves.into_iter().enumerate() {
                let name = format!("{HIDDEN}leaf{at}");
                keys.push(SortKey { column: name.clone(), is_descending });
                all.push((Field::new(name, data_type, true), source));
            }
            self.put(Arc::new(crate::node::Project::new(all)))?;
        }
        keys.extend(ties.map(|column| SortKey { column: column.to_owned(), is_descending: false }));
        if keys.is_empty() {
            return Ok(());
        }
        self.sort_hidden(keys, fetch)?;
        if is_flat { Ok(()) } else { self.only(&schema) }
    }

    /// The whole element as one column, and how to make it.
    pub(super) fn packed(&self, name: &str) -> (Field, Source) {
        let fields: Vec<Field> = self.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        let sources = fields.iter().map(|field| Source::column(field.name())).collect();
        match (Element::of(&self.schema), fields.as_slice()) {
            (Element::Scalar, [field]) => (field.clone().with_name(name), Source::column(field.name())),
            (Element::Tuple, _) => (element::tuple_field(name, &fields, false), Source::Pack(sources)),
            _ => (Field::new(name, DataType::Struct(fields.into()), false), Source::Pack(sources)),
        }
    }

    /// Elements made of one column: its value, or its parts where it is an object or a tuple.
    pub(super) fn unpacked(field: &Field, source: Source) -> (SchemaRef, Vec<Source>) {
        match field.data_type() {
            DataType::Struct(fields) => {
                let nullable = |part: &FieldRef| part.as_ref().clone().with_nullable(part.is_nullable() || field.is_nullable());
                let parts: Vec<Field> = fields.iter().map(nullable).collect();
                let sources = (0..parts.len()).map(|at| source.clone().part(at)).collect();
                let kind = if element::is_tuple(field) { Element::Tuple } else { Element::Object };
                (kind.schema(parts), sources)
            }
            data_type => {
                let value = Field::new(element::VALUE, data_type.clone(), field.is_nullable());
                (Element::Scalar.schema(vec![value]), vec![source])
            }
        }
    }

    /// An expression for a column.
    pub(super) fn column(&self, name: &str) -> Result<Expr, Failure> {
        let schema = self.plan.schema();
        let at = schema.fields().iter().position(|field| field.name() == name);
        match at {
            Some(at) => Ok(Expr::Column(PlanColumn::from(schema.qualified_field(at)))),
            None => Err(crate::Error::Broken("a column of the plan").into()),
        }
    }

    /// DataFusion's own nodes on top, and what their rows are.
    pub(super) fn build(
        &mut self,
        kind: Element,
        build: impl FnOnce(LogicalPlanBuilder) -> datafusion::common::Result<LogicalPlanBuilder>,
    ) -> Result<(), Failure> {
        let builder = LogicalPlanBuilder::from(self.plan.clone());
        self.plan = build(builder).and_then(LogicalPlanBuilder::build).map_err(failure_of)?;
        let before = Arc::clone(&self.schema);
        // Metadata of columns that are still there is kept beside the plan.
        let dressed = |field: &FieldRef| {
            let known = before.fields().iter().find(|known| known.name() == field.name() && known.data_type() == field.data_type());
            let metadata = known.map(|known| known.metadata().clone()).unwrap_or_default();
            field.as_ref().clone().with_metadata(metadata)
        };
        self.schema = kind.schema(self.plan.schema().fields().iter().map(dressed).collect::<Vec<_>>());
        Ok(())
    }

    /// Each element once, in no order.
    pub(super) fn distinct(&mut self) -> Result<(), Failure> {
        let kind = Element::of(&self.schema);
        let columns = self.names().iter().map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
        self.build(kind, |plan| plan.aggregate(columns, Vec::<Expr>::new()))
    }
}

pub(super) fn leaves_of(field: &Field, source: &Source, into: &mut Vec<(DataType, Source)>) {
    match field.data_type() {
        DataType::Struct(fields) => {
            for (at, part) in fields.iter().enumerate() {
                leaves_of(part, &source.clone().part(at), into);
            }
        }
        data_type => into.push((data_type.clone(), source.clone())),
    }
}

impl Builder<'_> {
    /// What waits becomes a kernel, or a reshaping where no lambda is in it.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if self.chain.is_empty() {
            return Ok(());
        }
        match self.chain.only_parts() {
            Some(parts) => {
                self.chain = Chain::default();
                self.parts(&parts)
            }
            None => self.end(End::Rows, Meeting::Apart),
        }
    }

    fn parts(&mut self, parts: &[usize]) -> Result<(), Failure> {
        for &at in parts {
            let failure = Failure::new(Code::OperationInvalid, "'keys' and 'values' work on pairs, and elements are not pairs here")
                .hint("make pairs first: keyBy, or a map to [key, value]");
            self.rows.as_pairs(failure)?;
            let field = self.rows.schema.field(at).clone();
            let (schema, sources) = Rows::unpacked(&field, Source::column(field.name()));
            self.rows.project(schema, sources)?;
        }
        Ok(())
    }

    /// What waits becomes a kernel with an end; two, where the interpreter has to take some of it.
    pub(super) fn end(&mut self, end: End, meeting: Meeting) -> Result<(), Failure> {
        let chain = std::mem::take(&mut self.chain);
        self.end_chain(chain, end, meeting)
    }

    fn end_chain(&mut self, mut chain: Chain, end: End, meeting: Meeting) -> Result<(), Failure> {
        let is_rows = matches!(end, End::Rows);
        let kernel = match self.bind(&chain, &end) {
            Ok(Bound::Whole(kernel)) => kernel,
            Ok(Bound::Behind(steps)) => {
                let (rest, end) = chain.split_off(steps, end);
                self.end_chain(chain, End::Rows, Meeting::Apart)?;
                return self.end_chain(rest, end, meeting);
            }
            Err(refused) => return self.end_of_nothing(&end, meeting, &chain, refused),
        };
        let passes_all = kernel.plan().columns.iter().all(|column| matches!(column, Column::Passed { .. }));
        let mode = if is_rows && chain.only_filters() && passes_all { Mode::Keep(Vec::new()) } else { Mode::Replace };
        let schema = if mode == Mode::Replace { self.made_schema(&kernel) } else { Arc::clone(&self.rows.schema) };
        // One partition alone is the answer already only where it has the answer's columns.
        let is_same =
            schema.fields().iter().map(|field| field.data_type()).eq(self.rows.schema.fields().iter().map(|field| field.data_type()));
        let meeting = if meeting == Meeting::Combine && !is_same { Meeting::Together } else { meeting };
        let (pointer, pointers) = (chain.pointer(), chain.pointers().to_vec());
        let operator = TransformOperator {
            kernel,
            mode,
            meeting,
            is_stateless: is_rows,
            is_one_to_one: false,
            on_error: if is_rows { self.ctx.options.on_error } else { OnError::Fail },
            pointer,
            pointers,
        };
        self.rows.replace(operator, schema)
    }

    /// Where elements have no type, there are none, or nothing but nulls: a lambda that no null can go through is at fault
    /// only where there is a null.
    fn end_of_nothing(&mut self, end: &End, meeting: Meeting, chain: &Chain, refused: Refused) -> Result<(), Failure> {
        let is_untyped = self.is_untyped();
        let is_about_types = matches!(&refused, Refused::Diagnostic(diagnostic) if diagnostic.kind != DiagnosticKind::Syntax);
        let failure = refused.at(chain.pointers());
        if !is_untyped || !is_about_types {
            return Err(failure);
        }
        self.rows.pass_through(Nothing { failure })?;
        match end {
            End::Count | End::Sum => self.end(end.clone(), meeting),
            // The start value is the answer.
            End::Aggregate { zero, operation, .. } => {
                let seq = Lambda::new("(a, x) => a", *operation);
                self.end(End::Aggregate { zero: zero.clone(), seq, operation: *operation }, meeting)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn blamed(&self, failure: Failure) -> Failure {
        let pointer = self.chain.pointer();
        if failure.pointer.is_none() && !pointer.is_empty() { failure.at(pointer) } else { failure }
    }

    /// The elements that a kernel makes, with the metadata of columns that pass through it.
    pub(super) fn made_schema(&self, kernel: &Kernel) -> SchemaRef {
        let output = &kernel.plan().output;
        let dressed = |(column, made): (&Column, &FieldRef)| match column {
            Column::Made(_) => made.as_ref().clone(),
            Column::Passed { input, .. } => match kernel.names.get(*input).and_then(|name| self.rows.schema.field_with_name(name).ok()) {
                Some(field) => field.clone().with_name(made.name()),
                None => made.as_ref().clone(),
            },
        };
        Element::of(output).schema(kernel.plan().columns.iter().zip(output.fields()).map(dressed).collect::<Vec<_>>())
    }

    /// Whether what waits can have this end; where it cannot, what waits is at fault or the end is.
    pub(super) fn end_fits(&self, end: End) -> Result<bool, Failure> {
        match self.bind(&self.chain, &end) {
            // Sums and extremes of what an interpreter makes are the engine's, over its rows.
            Ok(Bound::Behind(_)) => Ok(!matches!(end, End::Sum | End::Min | End::Max)),
            Ok(Bound::Whole(_)) => Ok(true),
            Err(Refused::Diagnostic(_) | Refused::End) => Ok(false),
            Err(refused @ (Refused::Failure(_) | Refused::Sample)) => Err(refused.at(self.chain.pointers())),
        }
    }

    /// As [`Self::end`], but where only the end does not fit the elements, it is the operation's fault.
    pub(super) fn end_or_blame(&mut self, end: End, step: &OperationAt<'_>) -> Result<(), Failure> {
        if !self.end_fits(end.clone())? {
            // Where a lambda is wrong, this says so. What an interpreter made has a type only now.
            let was_waiting = !self.chain.is_empty();
            self.flush()?;
            if was_waiting && self.end_fits(end.clone())? {
                return self.end(end, Meeting::Apart);
            }
            let what = self.described();
            return Err(step.invalid(format!("'{}' works on numbers, and elements are {what} here", step.operation.name())));
        }
        self.end(end, Meeting::Apart)
    }

    /// What elements are, in a word or two.
    pub(super) fn described(&self) -> String {
        match (Element::of(&self.rows.schema), self.rows.schema.fields().first()) {
            (Element::Scalar, Some(field)) => match field.data_type() {
                _ if element::is_json(field) => "of several types".to_owned(),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "strings".to_owned(),
                DataType::Boolean => "booleans".to_owned(),
                DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => "dates".to_owned(),
                DataType::List(_) => "lists".to_owned(),
                other => format!("of type {other}"),
            },
            (Element::Tuple, _) => "tuples".to_owned(),
            _ => "objects".to_owned(),
        }
    }

    /// Columns with what a function makes of each element, beside the element: their names.
    pub(super) fn computed(
        &mut self,
        step: &OperationAt<'_>,
        function: &Function,
        field: &str,
        prefix: &str,
    ) -> Result<Vec<String>, Failure> {
        match function {
            Function::Lambda(text) | Function::Declared { text, .. } => {
                let made = self.computed_by_lambda(step, text, field, prefix)?;
                Ok(made.into_iter().map(|(name, _)| name).collect())
            }
            Function::Plugin { .. } => self.computed_by_plugin(step, function, prefix),
        }
    }

    /// The same for a lambda: their names, and what each holds.
    pub(super) fn computed_by_lambda(
        &mut self,
        step: &OperationAt<'_>,
        text: &str,
        field: &str,
        prefix: &str,
    ) -> Result<Vec<(String, FieldRef)>, Failure> {
        let mut chain = Chain::default();
        chain.push_step(Step::Map, text, &step.pointer, field);
        let kernel = self.bind_whole(&chain, &End::Rows).map_err(|refused| refused.at(chain.pointers()))?;
        let made: Vec<String> = (0..kernel.plan().made.fields().len()).map(|at| format!("{prefix}{at}")).collect();
        let name = |column: &Column| match column {
            Column::Made(at) => made.get(*at).cloned(),
            Column::Passed { input, .. } => kernel.names.get(*input).cloned(),
        };
        let fields = kernel.plan().columns.iter().zip(kernel.plan().output.fields());
        let names: Vec<(String, FieldRef)> = fields.filter_map(|(column, field)| name(column).zip(Some(Arc::clone(field)))).collect();
        if !made.is_empty() {
            let mode = Mode::Keep(made);
            self.rows.put(Arc::new(TransformOperator {
                kernel,
                mode,
                meeting: Meeting::Apart,
                is_stateless: true,
                is_one_to_one: false,
                on_error: self.ctx.options.on_error,
                pointer: chain.pointer(),
                pointers: chain.pointers().to_vec(),
            }))?;
        }
        Ok(names)
    }
}
