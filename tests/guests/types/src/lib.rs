//! Every type of the SDK through a component, for tests that compare what comes out with what went in.

mod kinds;
mod same;

use azora_guest::prelude::*;

plugin! {
    functions: [
        same::same_bool, same::same_i8, same::same_i16, same::same_i32, same::same_i64,
        same::same_u8, same::same_u16, same::same_u32, same::same_u64, same::same_f32, same::same_f64,
        same::same_str, same::same_string, same::same_bytes, same::same_binary,
        same::same_timestamp, same::same_date, same::same_decimal,
        same::same_list, same::same_texts, same::same_flags, same::same_nested, same::same_slice,
        same::same_row, same::same_struct, same::same_pair,
        kinds::strict, kinds::total, kinds::scaled, kinds::shout, kinds::is_even, kinds::is_even_batch, kinds::repeat, kinds::Running,
        kinds::invert, kinds::explode, kinds::Fails,
    ],
    aggregates: [kinds::Mean, kinds::Longest],
}
