//! What planning a job finds out about its lambdas: which tier runs each, what samples decided, what has to be found out
//! before planning can go on. Functions inside of expressions share it with the planner.
//!
//! What a sample is and how it is taken is in `lambda`.

use crate::lambda::{Found, Shape, Wanted};
use crate::node::Kernel;
use crate::plan::ValuesWanted;
use azora_expression::Pipeline;
use datafusion::arrow::datatypes::{DataType, Field};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Types that stand for one that is not known yet, the one that most of SQL takes first.
const GUESSES: [fn() -> DataType; 4] =
    [|| DataType::Null, || DataType::Float64, || DataType::Boolean, || DataType::List(Arc::new(Field::new("item", DataType::Null, true)))];

/// What planning a job finds out about its lambdas.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    samples: Mutex<Samples>,
    uses: Mutex<Vec<Bound>>,
}

/// What was found out about interpreted lambdas, and what has to be.
#[derive(Debug, Default)]
struct Samples {
    found: BTreeMap<String, Found>,
    wanted: Option<Wanted>,
    values: Option<ValuesWanted>,
    /// Whether the interpreter has to be made ready.
    needs_interpreter: bool,
    typed: Vec<Typed>,
    /// Whether a text calls a lambda.
    has_calls: bool,
    /// Functions that were planned without their type, by what their samples will be known by, in the order in which they
    /// were met.
    open: Vec<String>,
    /// Which of [`GUESSES`] stands for the type of each; the first where none is said.
    guesses: BTreeMap<String, usize>,
    /// Those for which all were tried in vain.
    tried: BTreeSet<String>,
    /// Whether the plan stands, so that no sample can be taken any more.
    is_closed: bool,
}

/// A chain of lambdas, and the kernel that it became.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) used: LambdaUse,
    pub(crate) kernel: Arc<Kernel>,
    /// What was compiled; none for the interpreter.
    pub(crate) pipeline: Option<Pipeline>,
    /// What it means, and was probably not meant to.
    pub(crate) warnings: Vec<Warning>,
}

/// What samples decided, and the kernels whose columns are of a sample.
pub(crate) type Sampled = (BTreeMap<String, Found>, Vec<Typed>);

/// A kernel whose columns a sample decided.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) kernel: Arc<Kernel>,
    /// What the sample is known by.
    pub(crate) key: String,
    /// Where in the request its first lambda stands.
    pub(crate) pointer: String,
    /// Whether its answer is one column whatever it is.
    pub(crate) is_one: bool,
}

/// How a job runs the lambdas of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LambdaUse {
    /// Where in the request the first of them stands; for functions of SQL and frames, `/functions/` and the name.
    pub pointer: String,
    /// Their text, in a line, cut where it is long.
    pub text: String,
    /// `compiled`, or `interpreted`.
    pub tier: String,
    /// For [`Self::tier`] `interpreted`: why the compiler does not take them.
    pub reason: Option<String>,
}

/// What was probably not meant, or went wrong without changing how a job ended: a valid lambda that means something else, a
/// source that did not note what was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A stable code, of the same list as those of failures.
    pub code: String,
    /// What it means.
    pub message: String,
    /// What was probably meant, or what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Of a lambda: the line in its text, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Of a lambda: the column in that line in characters, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Of a lambda: the line and, below it, a line with a caret under the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl Notes {
    /// With what samples of an earlier planning of the job decided.
    pub(crate) fn knowing(found: BTreeMap<String, Found>) -> Self {
        Self { samples: Mutex::new(Samples { found, ..Samples::default() }), uses: Mutex::default() }
    }

    /// What a sample decided; none where it was not taken yet.
    pub(crate) fn found(&self, key: &str) -> Option<Found> {
        self.samples.lock().found.get(key).cloned()
    }

    /// Says that planning cannot go on without a sample.
    pub(crate) fn want(&self, wanted: Wanted) {
        self.samples.lock().wanted = Some(wanted);
    }

    /// The sample that planning cannot go on without.
    pub(crate) fn take_wanted(&self) -> Option<Wanted> {
        self.samples.lock().wanted.take()
    }

    /// Says that planning cannot go on without the values of a column.
    pub(crate) fn want_values(&self, wanted: ValuesWanted) {
        self.samples.lock().values = Some(wanted);
    }

    /// The values that planning cannot go on without.
    pub(crate) fn take_wanted_values(&self) -> Option<ValuesWanted> {
        self.samples.lock().values.take()
    }

    /// Says that planning cannot go on without the interpreter.
    pub(crate) fn want_interpreter(&self) {
        self.samples.lock().needs_interpreter = true;
    }

    /// Whether planning cannot go on without the interpreter.
    pub(crate) fn take_needs_interpreter(&self) -> bool {
        std::mem::take(&mut self.samples.lock().needs_interpreter)
    }

    /// Remembers what a sample decided.
    pub(crate) fn learn(&self, key: String, found: Found) {
        let mut samples = self.samples.lock();
        samples.tried.clear();
        samples.found.insert(key, found);
    }

    /// Notes that a function was planned without its type. False where the plan stands already: then it has to have one.
    pub(crate) fn leave_open(&self, key: &str) -> bool {
        let mut samples = self.samples.lock();
        if !samples.is_closed && !samples.open.iter().any(|known| known == key) {
            samples.open.push(key.to_owned());
        }
        !samples.is_closed
    }

    /// Notes that a text calls a lambda. Whether its type is known shows only when somebody asks for it.
    pub(crate) fn meet(&self) {
        self.samples.lock().has_calls = true;
    }

    /// Whether a text calls a lambda.
    pub(crate) fn has_calls(&self) -> bool {
        self.samples.lock().has_calls
    }

    /// The type that a function has until a sample tells its own.
    pub(crate) fn guessed(&self, key: &str) -> DataType {
        let guess = self.samples.lock().guesses.get(key).copied().unwrap_or_default();
        GUESSES.get(guess).map_or(DataType::Null, |guess| guess())
    }

    /// Another guess, where the plan around functions without a type does not take the last ones: of the function that was
    /// met last, then of those before it. False where there is none.
    pub(crate) fn guess_again(&self) -> bool {
        let samples = &mut *self.samples.lock();
        for key in samples.open.iter().rev().filter(|key| !samples.found.contains_key(*key)) {
            if samples.tried.contains(key) {
                continue;
            }
            let guess = samples.guesses.entry(key.clone()).or_default();
            *guess = (*guess + 1) % GUESSES.len();
            if *guess > 0 {
                return true;
            }
            samples.tried.insert(key.clone());
        }
        false
    }

    /// Functions of which no sample could be taken answer any value. Answers whether there were any.
    pub(crate) fn settle_open(&self) -> bool {
        let mut samples = self.samples.lock();
        let open: Vec<String> = std::mem::take(&mut samples.open).into_iter().filter(|key| !samples.found.contains_key(key)).collect();
        let is_any = !open.is_empty();
        samples.tried.clear();
        samples.found.extend(open.into_iter().map(|key| (key, Found::Shape(Shape::json()))));
        is_any
    }

    /// Says that the plan stands.
    pub(crate) fn close(&self) {
        self.samples.lock().is_closed = true;
    }

    /// Whether the plan stands.
    pub(crate) fn is_closed(&self) -> bool {
        self.samples.lock().is_closed
    }

    /// Notes how lambdas run.
    pub(crate) fn note(&self, bound: Bound) {
        let mut uses = self.uses.lock();
        // A chain may be bound several times before it is clear how it ends.
        match uses.iter_mut().find(|known| known.used.pointer == bound.used.pointer) {
            Some(known) => *known = bound,
            None => uses.push(bound),
        }
    }

    /// Notes a kernel whose columns a sample decided.
    pub(crate) fn note_typed(&self, typed: Typed) {
        self.samples.lock().typed.push(typed);
    }

    /// Forgets what was noted: the plan is built anew.
    pub(crate) fn begin(&self) {
        self.uses.lock().clear();
        let mut samples = self.samples.lock();
        samples.typed.clear();
        samples.open.clear();
        samples.has_calls = false;
    }

    /// Every sample's decision and how lambdas run. Nothing is left here: functions of the plan hold this.
    pub(crate) fn take(&self) -> (Sampled, Vec<Bound>) {
        let mut samples = self.samples.lock();
        let sampled = (std::mem::take(&mut samples.found), std::mem::take(&mut samples.typed));
        (sampled, std::mem::take(&mut self.uses.lock()))
    }
}

#[cfg(test)]
mod tests {
    use super::{DataType, Found, Notes, Shape};

    #[test]
    fn types_are_guessed_of_what_was_met_last() {
        let notes = Notes::default();
        assert!(!notes.guess_again(), "there is no function");
        assert!(notes.leave_open("f") && notes.guess_again() && notes.guess_again());
        assert_eq!(notes.guessed("f"), DataType::Boolean);
        // The plan takes that, and meets another one.
        notes.begin();
        assert!(notes.leave_open("f") && notes.leave_open("g") && notes.guess_again());
        assert_eq!((notes.guessed("f"), notes.guessed("g")), (DataType::Boolean, DataType::Float64));
        assert!(notes.guess_again() && notes.guess_again() && notes.guess_again());
        assert!(matches!(notes.guessed("f"), DataType::List(_)), "no guess of the last one helped");
        assert_eq!(notes.guessed("g"), DataType::Null);
        assert!(!notes.guess_again());
    }

    #[test]
    fn functions_without_a_sample_answer_any_value() {
        let notes = Notes::default();
        assert!(notes.leave_open("f"));
        assert!(notes.leave_open("g"));
        notes.learn("g".to_owned(), Found::Shape(Shape::count()));
        assert!(notes.settle_open());
        assert_eq!(notes.found("f"), Some(Found::Shape(Shape::json())));
        assert_eq!(notes.found("g"), Some(Found::Shape(Shape::count())));
        assert!(!notes.settle_open(), "each is settled once");
        notes.close();
        assert!(!notes.leave_open("h"));
    }
}
