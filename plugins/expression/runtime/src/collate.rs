//! `localeCompare` without arguments, in the order of CLDR's root collation, for ASCII.

use crate::failure;
use crate::text::Text;

/// The characters that collation does not ignore, in their order; letters stand for both cases.
const ORDER: &[u8] = b"\t\n\x0B\x0C\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz";

/// Each ASCII byte's place in the order, counted from 1; 0 is ignored.
static PLACES: [u8; 128] = places();

const fn places() -> [u8; 128] {
    let mut places = [0; 128];
    let mut index = 0;
    while index < ORDER.len() {
        let byte = ORDER[index];
        places[byte as usize] = index as u8 + 1;
        places[byte.to_ascii_uppercase() as usize] = index as u8 + 1;
        index += 1;
    }
    places
}

/// The next byte that counts, with its place.
fn next(bytes: &mut core::slice::Iter<'_, u8>) -> Option<(u8, u8)> {
    bytes.map(|byte| (PLACES[(byte & 0x7F) as usize], *byte)).find(|(place, _)| *place != 0)
}

/// `a.localeCompare(b)`: -1, 0 or 1. Strings that are not ASCII are equal or a failure: their order needs tables that
/// are not here.
#[unsafe(no_mangle)]
pub extern "C" fn str_locale_compare(a: u64, b: u64) -> i32 {
    if crate::search::str_eq(a, b) == 1 {
        return 0;
    }
    let (a, b) = (Text::of(a), Text::of(b));
    if !a.is_ascii() || !b.is_ascii() {
        failure::note("unsupported: localeCompare of text that is not ASCII");
        return 0;
    }
    let (mut left, mut right) = (a.slice().iter(), b.slice().iter());
    // Case counts only where everything else is the same; small letters come first.
    let mut by_case = 0;
    loop {
        match (next(&mut left), next(&mut right)) {
            (None, None) => return by_case,
            (None, Some(_)) => return -1,
            (Some(_), None) => return 1,
            (Some((left, one)), Some((right, other))) => {
                if left != right {
                    return if left < right { -1 } else { 1 };
                }
                if by_case == 0 && one != other {
                    by_case = if one > other { -1 } else { 1 };
                }
            }
        }
    }
}
