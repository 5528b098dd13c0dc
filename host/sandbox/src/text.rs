//! Guest text made fit to show: cut, and without control characters.

/// At most `bytes_max` bytes; control characters except the line feed and the tab become `�`.
pub(crate) fn sanitise(text: &str, bytes_max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let is_plain = !character.is_control() || matches!(character, '\n' | '\t');
        // Direction marks can make a log line read as another one.
        let is_mark = matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let character = if is_plain && !is_mark { character } else { char::REPLACEMENT_CHARACTER };
        if clean.len() + character.len_utf8() > bytes_max {
            break;
        }
        clean.push(character);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::sanitise;

    #[test]
    fn controls_are_replaced_and_the_rest_is_cut_at_a_character() {
        assert_eq!(sanitise("a\u{1b}[31m\tb\n", 100), "a\u{fffd}[31m\tb\n");
        assert_eq!(sanitise("\u{202e}x", 100), "\u{fffd}x");
        assert_eq!(sanitise("äöü", 5), "äö");
        assert_eq!(sanitise("", 0), "");
    }
}
