//! Nulls: `Option` takes them and gives them; a parameter without it makes the answer null.

use azora_guest::prelude::*;

/// The nickname where there is one, else first and last name; null where nothing is known.
#[map(name = "display-name")]
pub fn display_name(nickname: Option<&str>, first: Option<&str>, last: Option<&str>) -> Option<String> {
    let full = || match (first, last) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        (one, other) => one.or(other).map(str::to_owned),
    };
    nickname.filter(|nickname| !nickname.is_empty()).map(str::to_owned).or_else(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_name() {
        assert_eq!(display_name(Some("Will"), Some("William"), None).as_deref(), Some("Will"));
        assert_eq!(display_name(Some(""), Some("William"), Some("Shakespeare")).as_deref(), Some("William Shakespeare"));
        assert_eq!(display_name(None, None, Some("Marlowe")).as_deref(), Some("Marlowe"));
        assert_eq!(display_name(None, None, None), None);
    }
}
