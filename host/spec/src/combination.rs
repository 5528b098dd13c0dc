//! Operations over two inputs, by the names that Spark gave them.

use crate::{Input, Operation};

/// How the elements of two inputs become those of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combination {
    /// Pairs of both sides with one key become `[key, [left, right]]`. Null keys meet, as they do in Spark's RDDs.
    Join,
    /// The same; pairs of the left side without a partner stay, with null in its place.
    LeftOuterJoin,
    /// The same for pairs of the right side.
    RightOuterJoin,
    /// The same for pairs of either side.
    FullOuterJoin,
    /// One `[key, [left values, right values]]` per key.
    Cogroup,
    /// The elements of the left side, then those of the right side.
    Union,
    /// Elements that both sides have, each once.
    Intersection,
    /// Elements of the left side that the right side does not have.
    Subtract,
    /// Pairs of the left side whose key the right side does not have.
    SubtractByKey,
    /// Every element of the left side with every element of the right side.
    Cartesian,
    /// The first elements of both sides, the second ones, and so on; both have to have as many.
    Zip,
}

impl Combination {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[
        Self::Join,
        Self::LeftOuterJoin,
        Self::RightOuterJoin,
        Self::FullOuterJoin,
        Self::Cogroup,
        Self::Union,
        Self::Intersection,
        Self::Subtract,
        Self::SubtractByKey,
        Self::Cartesian,
        Self::Zip,
    ];

    /// The name used in requests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::LeftOuterJoin => "leftOuterJoin",
            Self::RightOuterJoin => "rightOuterJoin",
            Self::FullOuterJoin => "fullOuterJoin",
            Self::Cogroup => "cogroup",
            Self::Union => "union",
            Self::Intersection => "intersection",
            Self::Subtract => "subtract",
            Self::SubtractByKey => "subtractByKey",
            Self::Cartesian => "cartesian",
            Self::Zip => "zip",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|combination| combination.name() == name)
    }

    /// Whether both sides have to be pairs.
    #[must_use]
    pub const fn is_by_key(self) -> bool {
        matches!(self, Self::Join | Self::LeftOuterJoin | Self::RightOuterJoin | Self::FullOuterJoin | Self::Cogroup | Self::SubtractByKey)
    }
}

/// The second input of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherInput {
    /// Where its rows come from; never the last dataset, which a request could only mean by leaving it out.
    pub input: Input,
    /// What happens to them first. None of them ends a job, and none takes a further input.
    pub operations: Vec<Operation>,
}

#[cfg(test)]
mod tests {
    use super::Combination;

    #[test]
    fn names_parse_back() {
        for combination in Combination::ALL {
            assert_eq!(Combination::parse(combination.name()), Some(*combination));
        }
        assert_eq!(Combination::parse("outerJoin"), None);
    }
}
