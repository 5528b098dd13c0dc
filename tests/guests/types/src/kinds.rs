//! One function of every kind.

use azora_guest::prelude::*;

/// Null where any argument is.
#[map]
pub fn strict(a: i64, b: f64) -> f64 {
    a as f64 + b
}

/// The sum of two whole columns.
#[map(batch)]
pub fn total(a: Column<f64>, b: Column<Option<f64>>) -> Vec<Option<f64>> {
    a.values().iter().zip(b.iter()).map(|(a, b)| Some(a + b.flatten().unwrap_or(0.0))).collect()
}

/// What to multiply with.
#[derive(Config)]
pub struct Scale {
    /// The factor.
    pub factor: f64,
    /// Added afterwards.
    #[config(default = 0.0)]
    pub offset: f64,
    /// A note for the log.
    #[config(rename = "noteText")]
    pub note: Option<String>,
}

/// Scales by configuration.
#[map]
pub fn scaled(x: f64, #[config] scale: &Scale) -> f64 {
    if let Some(note) = &scale.note {
        log::info(note);
    }
    x * scale.factor + scale.offset
}

/// Upper case; fails for an empty text, and panics for `panic`.
#[map]
pub fn shout(text: &str) -> Result<String, Failure> {
    match text {
        "" => Err(Failure::user("nothing to shout")),
        "panic" => panic!("shouted too loud"),
        text => Ok(text.to_uppercase()),
    }
}

/// Even numbers stay.
#[filter]
pub fn is_even(n: i64) -> bool {
    n % 2 == 0
}

/// Even numbers stay, a column at a time.
#[filter(batch)]
pub fn is_even_batch(n: Column<i64>) -> Vec<bool> {
    n.values().iter().map(|n| n % 2 == 0).collect()
}

/// The text as often as `times` says, numbered.
#[flat_map]
pub fn repeat(text: &str, times: u32) -> Vec<(String, u32)> {
    (0..times).map(|at| (text.to_owned(), at)).collect()
}

/// Exclusive or with a mask of the configuration's own JSON.
#[map]
pub fn invert(n: i64, #[config] config: &Json) -> Result<i64, Failure> {
    match config.get("mask") {
        Some(Json::Integer(mask)) => Ok(n ^ mask),
        _ => Err(Failure::invalid_input("config 'mask' must be an integer")),
    }
}

/// Words, or a failure for the word `bomb`.
#[flat_map]
pub fn explode(text: &str) -> Result<Vec<String>, Failure> {
    match text.contains("bomb") {
        true => Err(Failure::user("bomb found")),
        false => Ok(text.split(' ').map(str::to_owned).collect()),
    }
}

/// A running sum, given out every second row.
#[derive(Default)]
pub struct Running {
    sum: i64,
    held: bool,
}

/// Sums of two rows each; the last one may have one row.
#[map_partitions]
impl Running {
    fn row(&mut self, n: i64) -> Option<i64> {
        self.sum += n;
        self.held = !self.held;
        (!self.held).then_some(self.sum)
    }

    fn finish(&mut self) -> Option<i64> {
        self.held.then_some(self.sum)
    }
}

/// Refuses its configuration.
pub struct Fails;

/// Cannot be opened.
#[map_partitions(name = "fails")]
impl Fails {
    fn new(config: &Scale) -> Result<Self, Failure> {
        Err(Failure::unsupported(format!("no factor will do, not even {}", config.factor)))
    }

    fn row(&mut self, n: i64) -> Vec<i64> {
        vec![n]
    }
}

/// The state of a mean.
#[derive(Default, Row)]
pub struct Mean {
    sum: f64,
    count: i64,
}

/// The mean; null for a group without values.
#[aggregate]
impl Mean {
    fn update(&mut self, x: f64) {
        self.sum += x;
        self.count += 1;
    }

    fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn finish(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The state of the longest text.
#[derive(Default, Row)]
pub struct Longest {
    text: Option<String>,
}

/// The longest text, the first of equals.
#[aggregate(name = "longest")]
impl Longest {
    fn update(&mut self, text: &str) -> Result<(), Failure> {
        if text == "bomb" {
            return Err(Failure::user("bomb found"));
        }
        if self.text.as_ref().is_none_or(|longest| longest.len() < text.len()) {
            self.text = Some(text.to_owned());
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        if let Some(text) = other.text
            && self.text.as_ref().is_none_or(|longest| longest.len() < text.len())
        {
            self.text = Some(text);
        }
    }

    fn finish(self) -> Option<String> {
        self.text
    }
}
