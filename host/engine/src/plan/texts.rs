//! Where in a request's SQL a value went wrong. Values fail while a job runs, when it is not known any more which piece of
//! a text computed them; but a text has few places that can fail in a certain way, and often only one.

use azora_spec::wire::{place, places};
use azora_spec::{AggregateFunction, Code, Expression, Failure, Frame, FrameStep, NamedExpression, Operation, Position};

/// Where a job's query stands.
const QUERY: &str = "/sql";
/// Where the operations of its frame stand.
const FRAME: &str = "/frame";
/// What may leave its range.
const OVERFLOWING: &[&str] =
    &["+", "-", "*", "sum", "cast", "::", "abs", "power", "pow", "factorial", "lcm", "gcd", "round", "ceil", "floor"];
/// What may divide.
const DIVIDING: &[&str] = &["/", "%", "mod", "div"];
/// What may find that a value is not what it is taken for.
const READING: &[&str] = &[
    "cast",
    "::",
    "arrow_cast",
    "to_timestamp",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_date",
    "to_unixtime",
    "to_char",
    "date_trunc",
    "date_part",
    "extract",
    "date_bin",
    "make_date",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "decode",
    "regexp_count",
    "regexp_instr",
    "chr",
    "repeat",
    "lpad",
    "rpad",
    "range",
    "generate_series",
    "array_repeat",
    "array_resize",
    "sqrt",
    "log",
    "power",
    "pow",
    "acos",
    "asin",
    "acosh",
    "atanh",
];

/// The texts of a job.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    all: Vec<Text>,
    /// Whether there is a frame, with texts or without.
    has_frame: bool,
}

#[derive(Debug)]
struct Text {
    /// Where it stands in the request.
    pointer: String,
    text: String,
    /// Whether it stands there as it is; else it says in SQL what an operation does.
    is_literal: bool,
}

impl Text {
    fn literal(pointer: &str, text: &str) -> Self {
        Self { pointer: pointer.to_owned(), text: text.to_owned(), is_literal: true }
    }
}

impl Texts {
    /// The texts of a job's operations.
    pub(crate) fn of(operations: &[Operation]) -> Self {
        let mut texts = Self::default();
        for operation in operations {
            match operation {
                Operation::Sql(query) => texts.all.push(Text::literal(QUERY, &query.text)),
                Operation::Frame(frame) => {
                    texts.has_frame = true;
                    of_frame(frame, &mut texts.all);
                }
                _ => {}
            }
        }
        texts
    }

    /// The query of the job, if it is one.
    pub(crate) fn query(&self) -> Option<&str> {
        self.all.iter().find(|text| text.pointer == QUERY).map(|text| text.text.as_str())
    }

    /// A failure without a place at the place that it must be about.
    pub(crate) fn locate(&self, failure: Failure) -> Failure {
        let words = match failure.code {
            Code::ArithmeticDivision => DIVIDING,
            Code::ArithmeticOverflow => OVERFLOWING,
            Code::DataInvalid => READING,
            Code::OperationInvalid | Code::SqlInvalid | Code::SqlType | Code::SqlUnsupported => &[],
            _ => return failure,
        };
        if failure.pointer.is_some() || failure.row.is_some() {
            return failure;
        }
        if let Some((text, place)) = self.quoted(&failure) {
            return failure.at(text.pointer.as_str()).position(place);
        }
        let found: Vec<_> = self.all.iter().map(|text| (text, places(&text.text, words))).filter(|(_, all)| !all.is_empty()).collect();
        match (found.as_slice(), self.all.as_slice()) {
            ([(text, all)], _) => {
                let failure = failure.at(text.pointer.as_str());
                match all.as_slice() {
                    [place] if text.is_literal => failure.position(place.clone()),
                    _ => failure,
                }
            }
            // Several places of one step.
            ([(text, _), rest @ ..], _) if rest.iter().all(|(other, _)| other.pointer == text.pointer) => failure.at(text.pointer.as_str()),
            (_, [text, ..]) => failure.at(if text.pointer == QUERY { QUERY } else { FRAME }),
            (_, []) if self.has_frame => failure.at(FRAME),
            (_, []) => failure,
        }
    }
}

impl Texts {
    /// The place of a text that a message quotes, where one of the request's has it as a constant, once.
    fn quoted(&self, failure: &Failure) -> Option<(&Text, Position)> {
        if failure.code != Code::DataInvalid {
            return None;
        }
        let value = failure.message.split_once('\'').and_then(|(_, rest)| rest.split_once('\'')).map(|(value, _)| value)?;
        let constant = format!("'{value}'");
        let mut found = self
            .all
            .iter()
            .filter(|text| text.is_literal)
            .flat_map(|text| text.text.match_indices(&constant).map(move |(at, _)| (text, at)));
        let (text, at) = found.next().filter(|_| found.next().is_none())?;
        Some((text, place(&text.text, at)))
    }
}

fn of_frame(frame: &Frame, texts: &mut Vec<Text>) {
    for (at, step) in frame.steps.iter().enumerate() {
        let pointer = frame.pointer(at);
        let mut push = |text: &str| texts.push(Text::literal(&pointer, text));
        let sql = |expression: &NamedExpression| match &expression.expression {
            Expression::Sql(text) => Some(text.clone()),
            Expression::Function(_) => None,
        };
        match step {
            FrameStep::Select(columns) => columns.iter().filter_map(sql).for_each(|text| push(&text)),
            FrameStep::Filter(Expression::Sql(text)) => push(text),
            FrameStep::WithColumns(columns) => {
                for (_, expression) in columns {
                    if let Expression::Sql(text) = expression {
                        push(text);
                    }
                }
            }
            FrameStep::Sort(keys) => keys.iter().for_each(|key| push(&key.expression)),
            FrameStep::Window { function, .. } => push(function),
            FrameStep::Aggregate(grouping) => {
                grouping.keys.iter().filter_map(sql).for_each(|text| push(&text));
                for one in &grouping.aggregates {
                    let text = match one.function {
                        AggregateFunction::Word(word) => format!("{}({})", word.as_str(), one.arguments.join(", ")),
                        AggregateFunction::Plugin { .. } => one.arguments.join(", "),
                    };
                    texts.push(Text { pointer: pointer.clone(), text, is_literal: false });
                }
            }
            FrameStep::Cast(pairs) => {
                for (column, word) in pairs {
                    texts.push(Text { pointer: pointer.clone(), text: format!("CAST({column} AS {word})"), is_literal: false });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Failure, Text, Texts};

    fn located(texts: &[(&str, &str)], code: Code) -> (Option<String>, Option<(usize, usize)>) {
        let all = texts.iter().map(|(pointer, text)| Text::literal(pointer, text)).collect();
        let texts = Texts { all, has_frame: false };
        let failure = texts.locate(Failure::new(code, "wrong"));
        (failure.pointer, failure.position.map(|place| (place.line as usize, place.column as usize)))
    }

    #[test]
    fn the_only_place_is_told() {
        let sql = |text: &str, code| located(&[("/sql", text)], code);
        let at = |line, column| (Some("/sql".to_owned()), Some((line, column)));
        assert_eq!(sql("SELECT a,\n a / b FROM t", Code::ArithmeticDivision), at(2, 4));
        assert_eq!(sql("SELECT count(*), a * b, '+' FROM t WHERE c = -1", Code::ArithmeticOverflow), at(1, 20));
        assert_eq!(sql("SELECT a / b, a % b FROM t", Code::ArithmeticDivision), (Some("/sql".to_owned()), None));
        assert_eq!(sql("SELECT a / b FROM t", Code::MemoryLimit), (None, None));
        let texts = |text: &str| Texts { all: vec![Text::literal("/sql", text)], has_frame: false };
        let failure = || Failure::new(Code::DataInvalid, "cannot cast string 'x' to a number");
        let column = |text: &str| texts(text).locate(failure()).position.map(|place| place.column);
        assert_eq!(column("SELECT a BETWEEN 'x' AND 'y' FROM t"), Some(18));
        assert_eq!(column("SELECT a = 'x' OR b = 'x' FROM t"), None);
        let steps = [("/frame/0", "a > 1"), ("/frame/2", "a / b")];
        assert_eq!(located(&steps, Code::ArithmeticDivision), (Some("/frame/2".to_owned()), Some((1, 3))));
        let steps = [("/frame/0", "a > 1"), ("/frame/2", "a / b"), ("/frame/2", "b / a")];
        assert_eq!(located(&steps, Code::ArithmeticDivision), (Some("/frame/2".to_owned()), None));
        assert_eq!(located(&steps, Code::ArithmeticOverflow), (Some("/frame".to_owned()), None));
    }
}
