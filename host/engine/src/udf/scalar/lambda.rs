//! Which tier runs a lambda that SQL calls, and what type its answers have. Where only a sample can tell the type, the
//! call is planned without one, `survey` finds what it is called with, and the plan is built anew.

use super::Bound;
use crate::lambda::{
    Appeal, Found, Interpreted, LABEL_CHARACTERS_MAX, Lambdas, Proof, Refused, Shape, appeal, bound_schema, element, reason, scripted,
    warning,
};
use crate::node::Kernel;
use crate::notes::{self, LambdaUse, Notes, Typed, Warning};
use azora_connect::element::{self as elements, Element};
use azora_expression::{Arguments, Diagnostic, End, Lambda, Pipeline, Step};
use azora_sandbox::Sandbox;
use azora_spec::limits::GuestLimits;
use azora_spec::{Code, Digest, Failure};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use serde_json::{Value, json};
use std::sync::Arc;

/// A lambda under a name, and what runs it.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) text: String,
    /// The type that its answers shall have, where somebody says.
    pub(super) returns: Option<DataType>,
    pub(super) sandbox: Sandbox,
    pub(super) lambdas: Arc<Lambdas>,
    pub(super) notes: Arc<Notes>,
    pub(super) limits: GuestLimits,
    /// Where its failures point.
    pub(super) pointer: String,
}

/// What a call comes to.
pub(super) enum Decision {
    Bound(Bound),
    /// A sample has to tell the type of the answers.
    Open(Probe),
}

/// What a sample goes through.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) key: String,
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) proof: Proof,
}

/// Why the compiler does not take it.
struct Why {
    reason: String,
    stands: Option<(Diagnostic, Proof)>,
    warning: Option<Warning>,
}

impl Called {
    /// Binds it to the types of arguments.
    pub(super) fn decide(&self, given: &[FieldRef]) -> Result<Decision, Failure> {
        let arguments =
            azora_expression::arguments(&Lambda::new(&self.text, 0)).map_err(|wrong| self.refused(Refused::Diagnostic(wrong)))?;
        self.check_count(&arguments, given.len())?;
        let schema = elements_of(&arguments, given);
        let step = Step::Map(arguments.listed);
        let why = match self.compiled(&schema, &step)? {
            Ok(bound) => return Ok(Decision::Bound(bound)),
            Err(why) => why,
        };
        if !self.lambdas.is_prepared() {
            self.notes.want_interpreter();
            return Err(self.refused(Refused::Sample));
        }
        let script = scripted(&[step], &End::Rows).map_err(|wrong| self.refused(Refused::Diagnostic(wrong)))?;
        let bound = bound_schema(&schema, &script);
        let element = Element::of(&schema).as_str();
        let mut chain = Interpreted { element, steps: script.steps, end: script.end, output: None, pairs: false };
        self.interpreted(&mut chain, bound, why)
    }

    fn check_count(&self, arguments: &Arguments, given: usize) -> Result<(), Failure> {
        let Arguments { least, most, .. } = arguments;
        if given >= *least && most.is_none_or(|most| given <= most) {
            return Ok(());
        }
        let takes = match most {
            Some(most) if most == least => most.to_string(),
            Some(most) => format!("{least} to {most}"),
            None => format!("at least {least}"),
        };
        Err(Failure::new(Code::SqlInvalid, format!("function '{}' takes {takes} arguments, and {given} were given", self.name)))
    }

    /// In the first tier; what it lacks is no failure yet.
    fn compiled(&self, schema: &SchemaRef, step: &Step) -> Result<Result<Bound, Why>, Failure> {
        let columns = element(schema)?;
        let Some(seen) = columns.element.filter(|_| !columns.is_mixed) else {
            let reason = "the arguments hold values of several types".to_owned();
            return Ok(Err(Why { reason, stands: None, warning: None }));
        };
        let pipeline = Pipeline { input: seen, steps: vec![step.clone()], end: End::Rows };
        let kernel = match self.lambdas.bind(&self.sandbox, pipeline.clone(), self.limits) {
            Ok(kernel) => kernel,
            Err(Refused::Diagnostic(diagnostic)) => {
                let stands = match appeal(&diagnostic) {
                    Appeal::No => return Err(self.refused(Refused::Diagnostic(diagnostic))),
                    Appeal::Yes => None,
                    Appeal::By(proof) => Some((diagnostic.clone(), proof)),
                };
                let warning = warning(&diagnostic, std::slice::from_ref(&self.pointer), schema);
                return Ok(Err(Why { reason: reason(&diagnostic), stands, warning }));
            }
            Err(other) => return Err(self.refused(other)),
        };
        self.note(&kernel, None, Some(pipeline));
        Bound::new(kernel, self.returns.clone()).map(Ok)
    }

    fn interpreted(&self, chain: &mut Interpreted, bound: SchemaRef, why: Why) -> Result<Decision, Failure> {
        let digest = Digest::of(format!("{} {:?}", chain.config(), bound.fields()).as_bytes());
        let key = format!("{} {}", self.place(), digest.to_hex());
        let declared = self.returns.as_ref().map(declared).transpose()?;
        let (shape, is_found) = match (declared, self.notes.found(&key)) {
            (Some(shape), _) => (shape, false),
            (None, Some(Found::Shape(shape))) => (shape, true),
            (None, Some(Found::Nothing)) => match &why.stands {
                Some((diagnostic, _)) => return Err(self.refused(Refused::Diagnostic(diagnostic.clone()))),
                None => (Shape::json(), true),
            },
            (None, _) if self.notes.leave_open(&key) => {
                let kernel = self.lambdas.interpret(&self.sandbox, chain, bound, self.limits).map_err(|refused| self.refused(refused))?;
                let proof = why.stands.map_or(Proof::None, |(_, proof)| proof);
                return Ok(Decision::Open(Probe { key, kernel, proof }));
            }
            (None, _) => (Shape::json(), false),
        };
        chain.output = Some(shape);
        let kernel = self.lambdas.interpret(&self.sandbox, chain, bound, self.limits).map_err(|refused| self.refused(refused))?;
        if is_found {
            self.notes.note_typed(Typed { kernel: Arc::clone(&kernel), key, pointer: self.place(), is_one: true });
        }
        self.note(&kernel, Some(why), None);
        Bound::new(kernel, self.returns.clone()).map(Decision::Bound)
    }

    fn note(&self, kernel: &Arc<Kernel>, why: Option<Why>, pipeline: Option<Pipeline>) {
        let text = kernel.source.label.chars().take(LABEL_CHARACTERS_MAX).collect();
        let tier = if pipeline.is_some() { "compiled" } else { "interpreted" }.to_owned();
        let (reason, warning) = why.map_or((None, None), |why| (Some(why.reason), why.warning));
        let used = LambdaUse { pointer: self.place(), text, tier, reason };
        self.notes.note(notes::Bound { used, kernel: Arc::clone(kernel), pipeline, warnings: warning.into_iter().collect() });
    }

    /// Which of the functions it is; the text of a query is one place for all of them.
    fn place(&self) -> String {
        format!("/functions/{}", self.name)
    }

    fn refused(&self, refused: Refused) -> Failure {
        refused.at(std::slice::from_ref(&self.pointer))
    }
}

/// One argument is the element, several are a tuple.
fn elements_of(arguments: &Arguments, given: &[FieldRef]) -> SchemaRef {
    match (given, arguments.most) {
        ([one], Some(0 | 1)) => Element::Scalar.schema(vec![one.as_ref().clone().with_name(elements::VALUE)]),
        _ => elements::tuple(&given.iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>()),
    }
}

/// The one column of answers whose type somebody says.
fn declared(of: &DataType) -> Result<Shape, Failure> {
    match word(of) {
        Some(word) => Ok(Shape::one(word)),
        None => Err(Failure::new(Code::SqlType, format!("a lambda cannot answer {of}"))
            .hint("RETURNS takes numbers, texts, BOOLEAN, dates, timestamps, and lists and structs of them")),
    }
}

/// The type that a lambda answers for what is then cast to another.
fn word(of: &DataType) -> Option<Value> {
    Some(match of {
        DataType::Boolean => json!("boolean"),
        of if of.is_integer() => json!("int64"),
        of if of.is_numeric() => json!("float64"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => json!("utf8"),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => json!("timestamp"),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => json!({"list": word(item.data_type())?}),
        DataType::Struct(fields) => {
            let part = |field: &Arc<Field>| Some(json!([field.name(), word(field.data_type())?]));
            json!({"struct": fields.iter().map(part).collect::<Option<Vec<_>>>()?})
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{DataType, Field, json, word};
    use std::sync::Arc;

    #[test]
    fn types_of_sql_have_words() {
        assert_eq!(word(&DataType::Int16), Some(json!("int64")));
        assert_eq!(word(&DataType::Decimal128(10, 2)), Some(json!("float64")));
        assert_eq!(word(&DataType::Date32), Some(json!("timestamp")));
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)));
        assert_eq!(word(&list), Some(json!({"list": "utf8"})));
        assert_eq!(word(&DataType::Struct(vec![Field::new("a", list, true)].into())), Some(json!({"struct": [["a", {"list": "utf8"}]]})));
        assert_eq!(word(&DataType::Binary), None);
    }
}
