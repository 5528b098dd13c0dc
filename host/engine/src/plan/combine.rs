//! Operations over two inputs. The second one is planned like a job's input, with its operations, before both meet in one
//! of the nodes of `node::two`.

use super::unify::{unify, words};
use super::{Builder, HIDDEN, ORDINAL, OperationAt, Rows, apply_all};
use crate::failure_of;
use crate::node::two::{Cross, KEY, LEFT, Meet, Merged, Outcome, RIGHT, Two, TwoNode, Union, Zip};
use crate::node::{Exchange, Fit, IndexMode, Nothing, Project, SortKey, Source};
use crate::relation::Relation;
use azora_connect::element::{self, Element, VALUE};
use azora_spec::{Combination, Failure, OtherInput};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use std::sync::Arc;

impl Builder<'_> {
    /// Both inputs become one.
    pub(super) fn combine(&mut self, step: &OperationAt<'_>, how: Combination, other: &OtherInput) -> Result<(), Failure> {
        let Some(relation) = self.others.next() else { return Err(crate::Error::Broken("a second input").into()) };
        let right = self.prepared(step, other, relation)?;
        match how {
            Combination::Join => self.join(step, right, Outcome::Join { keeps_left: false, keeps_right: false }),
            Combination::LeftOuterJoin => self.join(step, right, Outcome::Join { keeps_left: true, keeps_right: false }),
            Combination::RightOuterJoin => self.join(step, right, Outcome::Join { keeps_left: false, keeps_right: true }),
            Combination::FullOuterJoin => self.join(step, right, Outcome::Join { keeps_left: true, keeps_right: true }),
            Combination::Cogroup => self.join(step, right, Outcome::Cogroup),
            Combination::SubtractByKey => self.join(step, right, Outcome::Without),
            Combination::Union => self.union(step, right),
            Combination::Intersection => self.by_element(step, right, Outcome::Common),
            Combination::Subtract => self.by_element(step, right, Outcome::Without),
            Combination::Cartesian => self.side_by_side(right, Cross { pointer: step.pointer.clone() }),
            Combination::Zip => self.side_by_side(right, Zip { pointer: step.pointer.clone() }),
        }
    }

    /// The second input after its own operations.
    fn prepared(&self, step: &OperationAt<'_>, other: &OtherInput, relation: Relation) -> Result<Rows, Failure> {
        let mut builder = Builder::new(self.ctx, relation, Vec::new());
        apply_all(&mut builder, &other.operations, &format!("{}/other/operations", step.pointer))?;
        Ok(builder.rows)
    }

    /// By the keys of pairs.
    fn join(&mut self, step: &OperationAt<'_>, mut right: Rows, outcome: Outcome) -> Result<(), Failure> {
        self.pair(step)?;
        let failure =
            step.invalid(format!("'{}' works on pairs, and the elements of the second input are not pairs", step.operation.name()));
        right.as_pairs(
            failure
                .at(format!("{}/other", step.pointer))
                .hint("make pairs first, by 'operations' of the second input: keyBy, or a map to [key, value]"),
        )?;
        let fields = |rows: &Rows| (rows.schema.field(0).clone(), rows.schema.field(1).clone());
        let ((left_key, left_value), (right_key, right_value)) = (fields(&self.rows), fields(&right));
        let key = unify(&left_key, &right_key).ok_or_else(|| step.apart("keys", &left_key, &right_key))?.with_name(KEY);
        let left = vec![(left_key, KEY), (left_value.clone(), LEFT)];
        let mut others = vec![(right_key, KEY)];
        if outcome != Outcome::Without {
            others.push((right_value.clone(), RIGHT));
        }
        self.rows.renamed(left)?;
        right.renamed(others)?;
        self.meet(step, right, &key, outcome)?;
        self.pairs_of(&key, left_value, right_value, outcome)
    }

    /// The columns of a meeting as pairs again.
    fn pairs_of(&mut self, key: &Field, left: Field, right: Field, outcome: Outcome) -> Result<(), Failure> {
        let (left_source, right_source) = (Source::column(LEFT), Source::column(RIGHT));
        let list = |value: &Field| Field::new("", DataType::List(Arc::new(value.clone().with_name("item"))), false);
        let (value, source) = match outcome {
            Outcome::Join { keeps_left, keeps_right } => {
                let left = left.with_nullable(self.is_nullable(LEFT, keeps_right));
                let right = right.with_nullable(self.is_nullable(RIGHT, keeps_left));
                (element::tuple_field("", &[left, right], false), Source::Pack(vec![left_source, right_source]))
            }
            Outcome::Cogroup => {
                (element::tuple_field("", &[list(&left), list(&right)], false), Source::Pack(vec![left_source, right_source]))
            }
            Outcome::Without | Outcome::Common => (left, left_source),
        };
        self.rows.project(element::tuple(&[key.clone(), value]), vec![Source::column(KEY), source])
    }

    fn is_nullable(&self, column: &str, is_outer: bool) -> bool {
        is_outer || self.rows.plan.schema().as_arrow().field_with_name(column).is_ok_and(Field::is_nullable)
    }

    /// By whole elements.
    fn by_element(&mut self, step: &OperationAt<'_>, mut right: Rows, outcome: Outcome) -> Result<(), Failure> {
        let schema = self.aligned(step, &mut right)?;
        let kind = Element::of(&schema);
        let mut whole = None;
        for rows in [&mut self.rows, &mut right] {
            let (field, source) = rows.packed(KEY);
            rows.put(Arc::new(Project::new([(field.clone(), source)])))?;
            whole = Some(field);
        }
        let Some(whole) = whole else { return Ok(()) };
        self.meet(step, right, &whole, outcome)?;
        let sources = match kind {
            Element::Scalar => vec![Source::column(KEY)],
            Element::Object | Element::Tuple => (0..schema.fields().len()).map(|at| Source::column(KEY).part(at)).collect(),
        };
        self.rows.project(schema, sources)
    }

    /// Rows of both sides with the same key come together, in ascending order of it where somebody sees that.
    fn meet(&mut self, step: &OperationAt<'_>, mut right: Rows, key: &Field, outcome: Outcome) -> Result<(), Failure> {
        let leaves = self.rows.keyed(key, &step.pointer)?;
        right.keyed(key, &step.pointer)?;
        let sort_key = |column: &String| SortKey { column: column.clone(), is_descending: false };
        let order = leaves.iter().map(sort_key).chain([sort_key(&ORDINAL.to_owned())]).collect();
        let exchange = Exchange { partitions: self.ctx.partitions.max(1), hash: leaves.clone(), order };
        self.rows.both(Meet { name: step.operation.name(), outcome, exchange, leaves }, right)?;
        if step.is_order_seen {
            let leaves = self.rows.leaves(KEY)?;
            self.rows.put(Arc::new(Merged { keys: leaves.iter().map(sort_key).collect() }))?;
        }
        Ok(())
    }

    fn union(&mut self, step: &OperationAt<'_>, mut right: Rows) -> Result<(), Failure> {
        let schema = self.aligned(step, &mut right)?;
        self.rows.both(Union, right)?;
        self.rows.schema = schema;
        Ok(())
    }

    /// Elements of both sides as pairs.
    fn side_by_side(&mut self, mut right: Rows, operator: impl Two) -> Result<(), Failure> {
        let mut fields = Vec::with_capacity(2);
        for (rows, name) in [(&mut self.rows, LEFT), (&mut right, RIGHT)] {
            let (field, source) = rows.packed(name);
            rows.put(Arc::new(Project::new([(field.clone(), source)])))?;
            fields.push(field);
        }
        self.rows.both(operator, right)?;
        self.rows.project(element::tuple(&fields), vec![Source::column(LEFT), Source::column(RIGHT)])
    }

    /// Brings the elements of both sides under one type.
    fn aligned(&mut self, step: &OperationAt<'_>, right: &mut Rows) -> Result<SchemaRef, Failure> {
        let left = &mut self.rows;
        let is_scalar = |rows: &Rows| Element::of(&rows.schema) == Element::Scalar;
        if left.is_untyped() && !is_scalar(right) {
            left.become_like(&right.schema, step.nulls())?;
        } else if right.is_untyped() && !is_scalar(left) {
            right.become_like(&left.schema, step.nulls())?;
        }
        let (left_whole, right_whole) = (left.packed(VALUE).0, right.packed(VALUE).0);
        let whole = unify(&left_whole, &right_whole).ok_or_else(|| step.apart("elements", &left_whole, &right_whole))?;
        let kind = Element::of(&left.schema);
        let schema = match whole.data_type() {
            DataType::Struct(fields) if kind == Element::of(&right.schema) && kind != Element::Scalar => kind.schema(fields.clone()),
            _ => Element::Scalar.schema(vec![whole]),
        };
        for rows in [left, right] {
            rows.fit(&schema, &step.pointer)?;
        }
        Ok(schema)
    }
}

impl OperationAt<'_> {
    /// The failure of two sides that do not go together.
    fn apart(&self, what: &str, left: &Field, right: &Field) -> Failure {
        let (left, right) = (words(left), words(right));
        let message = format!(
            "'{}' compares {what} of both sides, and they are {left} on the first and {right} on the second",
            self.operation.name()
        );
        self.invalid(message).hint("map one side to the type of the other; integers and decimals go together, and null fits everything")
    }

    fn nulls(&self) -> Failure {
        self.invalid(format!("'{}' got nulls on one side where the other one has objects or tuples", self.operation.name()))
            .hint("filter the nulls out first")
    }
}

impl Rows {
    /// Puts an operator on top of this side and another.
    fn both(&mut self, operator: impl Two, right: Self) -> Result<(), Failure> {
        self.plan = TwoNode::plan(Arc::new(operator), self.plan.clone(), right.plan).map_err(failure_of)?;
        Ok(())
    }

    /// Columns under other names, and no others.
    fn renamed(&mut self, columns: Vec<(Field, &str)>) -> Result<(), Failure> {
        let column = |(field, name): (Field, &str)| (field.clone().with_name(name), Source::column(field.name()));
        self.put(Arc::new(Project::new(columns.into_iter().map(column))))
    }

    /// Brings the column [`KEY`] under a field's type, and adds where each row stands and what it is sorted by: the names
    /// of those columns.
    fn keyed(&mut self, key: &Field, pointer: &str) -> Result<Vec<String>, Failure> {
        let present = self.plan.schema().as_arrow().clone();
        if present.field_with_name(KEY).is_ok_and(|field| field.data_type() != key.data_type()) {
            let column = |field: &Arc<Field>| if field.name() == KEY { key.clone() } else { field.as_ref().clone() };
            self.put(Arc::new(Fit::new(&present, present.fields().iter().map(column), pointer)))?;
        }
        self.index(IndexMode::Ordinal, ORDINAL)?;
        self.leaves(KEY)
    }

    /// Whether nothing but nulls, or nothing at all, is there.
    fn is_untyped(&self) -> bool {
        Element::of(&self.schema) == Element::Scalar && self.schema.field(0).data_type() == &DataType::Null
    }

    /// No elements, of another schema's type.
    fn become_like(&mut self, schema: &SchemaRef, failure: Failure) -> Result<(), Failure> {
        self.pass_through(Nothing { failure })?;
        // The column of nulls must not be taken for one of the same name.
        let hidden = format!("{HIDDEN}nothing");
        self.renamed(vec![(self.schema.field(0).clone(), hidden.as_str())])?;
        let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let present = self.plan.schema().as_arrow().clone();
        self.put(Arc::new(Fit::new(&present, fields.clone(), "")))?;
        self.schema = Element::of(schema).schema(fields);
        Ok(())
    }

    /// The elements under a schema that takes them.
    fn fit(&mut self, schema: &SchemaRef, pointer: &str) -> Result<(), Failure> {
        if Element::of(schema) == Element::Scalar && Element::of(&self.schema) != Element::Scalar {
            let (field, source) = self.packed(VALUE);
            self.put(Arc::new(Project::new([(field, source)])))?;
        }
        let present = self.plan.schema().as_arrow().clone();
        let is_same = present.fields().len() == schema.fields().len()
            && present.fields().iter().zip(schema.fields()).all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !is_same {
            self.put(Arc::new(Fit::new(&present, schema.fields().iter().map(|field| field.as_ref().clone()), pointer)))?;
        }
        self.schema = Arc::clone(schema);
        Ok(())
    }
}
