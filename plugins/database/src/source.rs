//! What reading has in common for all engines: how a table is cut into parts, and how parts and places are stored.

pub(crate) mod ahead;

use crate::error::Error;
use azora_connect::{Position, Split};
use serde::{Deserialize, Serialize};

/// Most parts of one plan.
pub(crate) const PARTS_MAX: usize = 4096;
/// Longest stored bound.
const BOUND_BYTES_MAX: usize = 64;

/// A value of the partition column as text: digits, or a date with or without a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Bound(String);

impl Bound {
    /// A bound that is safe inside SQL text.
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b':' | b'.' | b' ' | b'T');
        let is_bound = !text.is_empty() && text.len() <= BOUND_BYTES_MAX && text.bytes().all(is_plain);
        if is_bound { Ok(Self(text.to_owned())) } else { Err(Error::Foreign("bound")) }
    }

    /// The number, where it is one.
    pub(crate) fn number(&self) -> Option<i128> {
        self.0.parse().ok()
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Bound {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(&text)
    }
}

impl From<Bound> for String {
    fn from(bound: Bound) -> Self {
        bound.0
    }
}

/// The rows of one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "rows")]
pub(crate) enum Part {
    /// Every row.
    All,
    /// Rows whose partition column lies in a half-open range. The first range has no lower and the last no upper bound,
    /// so that rows which come after the planning are in one of them.
    Range {
        from: Option<Bound>,
        to: Option<Bound>,
        /// Whether rows without a value belong here too.
        nulls: bool,
    },
    /// Rows in a range of a table's blocks; the last has no end.
    Blocks { from: u64, to: Option<u64> },
}

impl Part {
    pub(crate) fn split(&self, rows: Option<u64>) -> Result<Split, Error> {
        let payload = serde_json::to_string(self).map_err(|_| Error::Broken("a split is JSON"))?;
        Ok(Split { payload, rows })
    }

    pub(crate) fn read(split: &Split) -> Result<Self, Error> {
        serde_json::from_str(&split.payload).map_err(|_| Error::Foreign("split"))
    }
}

/// How far a part was read: rows given, and the last value of the key where the rows are ordered by one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    #[serde(default)]
    pub(crate) rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Bound>,
}

impl Place {
    pub(crate) fn position(&self) -> Result<Position, Error> {
        serde_json::to_string(self).map(Position).map_err(|_| Error::Broken("a position is JSON"))
    }

    pub(crate) fn read(position: Option<&Position>) -> Result<Self, Error> {
        position.map_or(Ok(Self::default()), |Position(text)| serde_json::from_str(text).map_err(|_| Error::Foreign("position")))
    }
}

/// Cuts whole numbers from `min` to `max` into at most so many ranges of about equal width. `show` writes a number as the
/// column's type wants it. Exactly one range has the nulls.
pub(crate) fn ranges(min: i128, max: i128, parallelism: usize, show: impl Fn(i128) -> Result<Bound, Error>) -> Result<Vec<Part>, Error> {
    let width = max.saturating_sub(min).saturating_add(1).max(1);
    let parts = (parallelism.clamp(1, PARTS_MAX) as i128).min(width);
    let mut cuts = Vec::new();
    for at in 1..parts {
        // `width * at` stays far inside: bounds are 64-bit numbers and parts are few.
        cuts.push(show(min.saturating_add(width.saturating_mul(at) / parts))?);
    }
    let mut from = None;
    let mut all = Vec::new();
    for cut in cuts {
        all.push(Part::Range { from: from.take(), to: Some(cut.clone()), nulls: all.is_empty() });
        from = Some(cut);
    }
    let nulls = all.is_empty();
    all.push(Part::Range { from, to: None, nulls });
    Ok(all)
}

/// The rows of each part, where the whole has about so many.
pub(crate) fn share(rows: Option<u64>, parts: usize) -> Option<u64> {
    rows.map(|rows| (rows / parts.max(1) as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::{Bound, Part, Place, ranges};

    #[test]
    fn every_number_is_in_exactly_one_range() {
        for (min, max, parallelism) in [(0, 9, 3), (-5, 5, 4), (7, 7, 8), (i128::from(i64::MIN), i128::from(i64::MAX), 7)] {
            let parts = ranges(min, max, parallelism, |at| Bound::new(&at.to_string())).unwrap();
            assert!(parts.len() <= parallelism);
            for probe in [min - 1, min, (min + max) / 2, max, max + 1] {
                let holds = |part: &&Part| match part {
                    Part::Range { from, to, .. } => {
                        from.as_ref().is_none_or(|from| probe >= from.number().unwrap())
                            && to.as_ref().is_none_or(|to| probe < to.number().unwrap())
                    }
                    _ => false,
                };
                assert_eq!(parts.iter().filter(holds).count(), 1, "{probe} in {parts:?}");
            }
            let nulls = parts.iter().filter(|part| matches!(part, Part::Range { nulls: true, .. })).count();
            assert_eq!(nulls, 1);
        }
    }

    #[test]
    fn parts_and_places_come_back_and_foreign_ones_are_refused() {
        let part = Part::Range { from: Some(Bound::new("2024-01-01 00:00:00").unwrap()), to: None, nulls: false };
        assert_eq!(Part::read(&part.split(None).unwrap()).unwrap(), part);
        let place = Place { rows: 3, key: Some(Bound::new("-7").unwrap()) };
        assert_eq!(Place::read(Some(&place.position().unwrap())).unwrap(), place);
        assert!(Bound::new("1 OR 1=1").is_err());
        assert!(Bound::new("1'").is_err());
        assert!(Part::read(&azora_connect::Split { payload: "{}".to_owned(), rows: None }).is_err());
    }
}
