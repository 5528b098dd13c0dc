//! Text: borrowed strings in, strings, numbers, lists and structs out.

use azora_guest::prelude::*;

/// FNV-1a hash of the UTF-8 bytes, 64 bits.
#[map]
pub fn fnv1a(text: &str) -> i64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}

/// The first letter of every word in upper case, the others in lower case.
#[map]
pub fn title_case(text: &str) -> String {
    let mut title = String::with_capacity(text.len());
    let mut is_inside = false;
    for each in text.chars() {
        match is_inside {
            true => title.extend(each.to_lowercase()),
            false => title.extend(each.to_uppercase()),
        }
        is_inside = each.is_alphanumeric() || each == '\'';
    }
    title
}

const GOOD: [&str; 8] = ["good", "great", "love", "happy", "excellent", "fair", "sweet", "joy"];
const BAD: [&str; 8] = ["bad", "poor", "hate", "sad", "terrible", "foul", "bitter", "grief"];

/// How friendly a text is, from -1 to 1: friendly words minus unfriendly words, by all such words. 0 where there is
/// none.
#[map]
pub fn score(text: &str) -> f64 {
    let (mut good, mut bad) = (0_u32, 0_u32);
    for word in words(text) {
        good += u32::from(GOOD.iter().any(|known| word.eq_ignore_ascii_case(known)));
        bad += u32::from(BAD.iter().any(|known| word.eq_ignore_ascii_case(known)));
    }
    match good + bad {
        0 => 0.0,
        all => (f64::from(good) - f64::from(bad)) / f64::from(all),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|each: char| !each.is_alphanumeric() && each != '\'').map(|word| word.trim_matches('\'')).filter(|word| !word.is_empty())
}

/// The words of a text in lower case, one row each.
#[flat_map]
pub fn tokens(text: &str) -> impl Iterator<Item = String> {
    words(text).map(str::to_lowercase)
}

/// Keeps texts with at least one letter and no control characters but tabs.
#[filter]
pub fn clean(text: &str) -> bool {
    text.chars().any(char::is_alphabetic) && !text.chars().any(|each| each.is_control() && each != '\t')
}

/// What a text is made of. Its fields are the columns of the answer.
#[derive(Row, Debug, PartialEq)]
pub struct Profile {
    /// Unicode characters.
    pub characters: i64,
    /// Words.
    pub words: i64,
    /// The longest word, the first of equals; null where there is none.
    pub longest: Option<String>,
    /// Words by their first letter, in order of the text.
    pub initials: Vec<String>,
}

/// Counts characters and words.
#[map]
pub fn profile(text: &str) -> Profile {
    let longest = words(text).fold(None, |best: Option<&str>, word| match best {
        Some(best) if best.chars().count() >= word.chars().count() => Some(best),
        _ => Some(word),
    });
    Profile {
        characters: text.chars().count() as i64,
        words: words(text).count() as i64,
        longest: longest.map(str::to_owned),
        initials: words(text).filter_map(|word| word.chars().next()).map(String::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        assert_eq!(fnv1a("").cast_unsigned(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a").cast_unsigned(), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn titles() {
        assert_eq!(title_case("shall i compare thee, ÉTÉ?"), "Shall I Compare Thee, Été?");
        assert_eq!(title_case("love's labour"), "Love's Labour");
    }

    #[test]
    fn scores_weigh_both_sides() {
        assert_eq!(score("Good, great but SAD"), 1.0 / 3.0);
        assert_eq!(score("neither"), 0.0);
    }

    #[test]
    fn tokens_are_words() {
        assert_eq!(tokens("To be, or NOT 'to be'").collect::<Vec<_>>(), ["to", "be", "or", "not", "to", "be"]);
        assert_eq!(tokens(" … ").count(), 0);
    }

    #[test]
    fn clean_texts_have_letters() {
        assert!(clean("a\tb"));
        assert!(!clean("12 34") && !clean("a\u{7}"));
    }

    #[test]
    fn profiles() {
        let expected = Profile { characters: 9, words: 2, longest: Some("über".into()), initials: vec!["o".into(), "ü".into()] };
        assert_eq!(profile("oho, über"), expected);
        assert_eq!(profile("").longest, None);
    }
}
