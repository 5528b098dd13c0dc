//! Lists of numbers and strings, as far as they need no types: membership and positions.

use crate::search::same;
use crate::text::{Text, slots};

/// `list.indexOf(s)` for a list of strings.
#[unsafe(no_mangle)]
pub extern "C" fn list_index_of_str(list: u64, s: u64) -> f64 {
    let wanted = Text::of(s);
    let is_wanted = |slot: &u64| {
        let text = Text::of(*slot);
        text.bytes == wanted.bytes && same(text.at, wanted.at, wanted.bytes)
    };
    slots(list).iter().position(is_wanted).map_or(-1.0, |index| index as f64)
}

/// `list.indexOf(x)` for a list of Float64; NaN is never found.
#[unsafe(no_mangle)]
pub extern "C" fn list_index_of_num(list: u64, x: f64) -> f64 {
    slots(list).iter().position(|slot| f64::from_bits(*slot) == x).map_or(-1.0, |index| index as f64)
}

/// `list.indexOf(x)` for a list of Int64.
#[unsafe(no_mangle)]
pub extern "C" fn list_index_of_int(list: u64, x: u64) -> f64 {
    slots(list).iter().position(|slot| *slot == x).map_or(-1.0, |index| index as f64)
}
