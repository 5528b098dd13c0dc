//! What somebody may have meant by a name that does not exist. Nothing about where the names come from.

/// Names longer than this are not compared.
const NAME_CHARS_MAX: usize = 64;

/// The known name nearest to a wrong one, where one is near enough to be meant: letter case does not count, and about one
/// letter in three may be wrong, missing, extra or swapped with its neighbour.
#[must_use]
pub fn closest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.chars().count() > NAME_CHARS_MAX {
        return None;
    }
    let wrong: Vec<char> = wrong.chars().flat_map(char::to_lowercase).filter(|letter| letter.is_alphanumeric()).collect();
    let distance_max = (wrong.len() / 3).max(1);
    known
        .into_iter()
        .map(|name| {
            let letters: Vec<char> = name.chars().flat_map(char::to_lowercase).filter(|letter| letter.is_alphanumeric()).collect();
            (distance(&wrong, &letters), name)
        })
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A hint for a wrong name where a known one was probably meant.
#[must_use]
pub fn meant<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(wrong, known).map(|name| format!("did you mean '{name}'?"))
}

/// A hint for a wrong name: the known one that was probably meant, else the first of them behind an introduction.
#[must_use]
pub fn suggestion<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>, introduction: &str) -> String {
    /// Names listed in a hint.
    const NAMES_MAX: usize = 20;
    let known: Vec<&str> = known.into_iter().collect();
    meant(wrong, known.iter().copied()).unwrap_or_else(|| match known.as_slice() {
        [] => "there are none".to_owned(),
        known => format!("{introduction} {}", known.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ")),
    })
}

/// Edits between two words, a swap of neighbours counting as one (optimal string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut line = Vec::with_capacity(to.len() + 1);
        line.push(row + 1);
        for (column, other) in to.iter().enumerate() {
            let mut best = (above[column] + usize::from(letter != other)).min(above[column + 1] + 1).min(line[column] + 1);
            let is_swap = row > 0 && column > 0 && from[row - 1] == *other && to[column - 1] == *letter;
            if is_swap {
                best = best.min(before[column - 1] + 1);
            }
            line.push(best);
        }
        before = above;
        above = line;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{closest, meant, suggestion};

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["map", "mapValues", "filter", "flatMap", "reduceByKey", "count", "countByKey"];
        let check = |wrong, expect| assert_eq!(closest(wrong, known), expect, "{wrong}");
        check("mpa", Some("map"));
        check("flatmap", Some("flatMap"));
        check("flat_map", Some("flatMap"));
        check("fliter", Some("filter"));
        check("reducebykey", Some("reduceByKey"));
        check("cuont", Some("count"));
        check("explode", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }

    #[test]
    fn names_that_are_nearly_right_are_suggested() {
        assert_eq!(suggestion("prise", ["price", "qty"].into_iter(), "the columns are"), "did you mean 'price'?");
        assert_eq!(meant("prise", ["price", "qty"]), Some("did you mean 'price'?".to_owned()));
        assert_eq!(meant("zzz", ["price", "qty"]), None);
        assert_eq!(suggestion("zzz", [], "the columns are"), "there are none");
        assert_eq!(suggestion("zzz", ["price", "qty"].into_iter(), "the columns are"), "the columns are price, qty");
    }
}
