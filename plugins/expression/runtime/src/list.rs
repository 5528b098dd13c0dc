//! Lists, as far as they need no types: membership and positions of numbers and strings, and parts of any list, whose
//! elements are told by how many bytes they take.

use crate::search::same;
use crate::text::{Slots, Text, slots};
use crate::{arena, failure};

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

/// The longest list that JavaScript has.
const COUNT_MAX: f64 = 4_294_967_295.0;

fn packed(at: *const u8, count: usize) -> u64 {
    at as usize as u64 | (count as u64) << 32
}

fn first(list: u64) -> *const u8 {
    list as u32 as usize as *const u8
}

fn count(list: u64) -> usize {
    (list >> 32) as usize
}

/// Room for so many elements.
#[inline(always)]
fn room(count: usize, stride: i32) -> *mut u8 {
    let bytes = count as u64 * stride as u64;
    if bytes > u32::MAX as u64 {
        core::arch::wasm32::unreachable();
    }
    arena::take(bytes as usize)
}

/// A position from the end where it is negative, inside the list; NaN is 0.
#[unsafe(no_mangle)]
pub extern "C" fn list_position(count: f64, position: f64) -> f64 {
    let position = libm::trunc(position);
    let position = if position < 0.0 { count + position } else { position };
    // NaN is less than nothing and more than nothing.
    if position > 0.0 { if position < count { position } else { count } } else { 0.0 }
}

/// `list.slice(from, to)`; what is left out is 0 and infinity.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_slice(list: u64, from: f64, to: f64, stride: i32) -> u64 {
    let n = count(list) as f64;
    let (from, to) = (list_position(n, from) as usize, list_position(n, to) as usize);
    let taken = to.saturating_sub(from);
    let out = room(taken, stride);
    // SAFETY: both places hold so many elements.
    unsafe { core::ptr::copy_nonoverlapping(first(list).add(from * stride as usize), out, taken * stride as usize) };
    packed(out, taken)
}

/// `a.concat(b)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_concat(a: u64, b: u64, stride: i32) -> u64 {
    let (n, m) = (count(a), count(b));
    let out = room(n + m, stride);
    let bytes = n * stride as usize;
    // SAFETY: all places hold so many elements.
    unsafe {
        core::ptr::copy_nonoverlapping(first(a), out, bytes);
        core::ptr::copy_nonoverlapping(first(b), out.add(bytes), m * stride as usize);
    }
    packed(out, n + m)
}

/// A copy of a list, the last element first.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_reverse(list: u64, stride: i32) -> u64 {
    let (n, stride) = (count(list), stride as usize);
    let out = room(n, stride as i32);
    for index in 0..n {
        // SAFETY: both places hold so many elements.
        unsafe { core::ptr::copy_nonoverlapping(first(list).add(index * stride), out.add((n - 1 - index) * stride), stride) };
    }
    packed(out, n)
}

/// The first elements of a list, where they are; none where the number is negative.
#[unsafe(no_mangle)]
pub extern "C" fn list_head(list: u64, n: i64) -> u64 {
    let n = if n < 0 { 0 } else { n as usize };
    packed(first(list), n.min(count(list)))
}

/// The Int64 0, 1, 2 … up to a length.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_count(n: f64) -> u64 {
    let n = libm::trunc(n);
    if n > COUNT_MAX {
        failure::note("RangeError: Invalid array length");
        return 0;
    }
    let n = if n > 0.0 { n as usize } else { 0 };
    if n as u64 * 8 > u32::MAX as u64 {
        core::arch::wasm32::unreachable();
    }
    let mut list = Slots::new(n);
    for index in 0..n {
        list.push(index as u64);
    }
    list.packed()
}

/// The elements of a list without those that were there before, by a hash table in the arena.
#[inline(always)]
fn unique(list: u64, hash: impl Fn(u64) -> u64, is_same: impl Fn(u64, u64) -> bool) -> u64 {
    let all = slots(list);
    let mut out = Slots::new(all.len());
    let size = (all.len() * 2 + 1).next_power_of_two();
    let table = room(size, 4).cast::<u32>();
    // SAFETY: the table has so many entries, and indices are cut to it.
    unsafe {
        core::ptr::write_bytes(table, 0, size);
        for (index, slot) in all.iter().enumerate() {
            let mut at = (hash(*slot).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & (size - 1);
            loop {
                let entry = *table.add(at);
                if entry == 0 {
                    *table.add(at) = index as u32 + 1;
                    out.push(*slot);
                    break;
                }
                if all.get(entry as usize - 1).is_some_and(|known| is_same(*known, *slot)) {
                    break;
                }
                at = (at + 1) & (size - 1);
            }
        }
    }
    out.packed()
}

/// `[...new Set(list)]` of a list of Int64.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_unique_int(list: u64) -> u64 {
    unique(list, |slot| slot, |a, b| a == b)
}

/// `[...new Set(list)]` of a list of Float64: NaN is itself there, and -0 becomes 0.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_unique_num(list: u64) -> u64 {
    let plain = |slot: u64| {
        let number = f64::from_bits(slot);
        if number == 0.0 {
            0
        } else if number.is_nan() {
            f64::NAN.to_bits()
        } else {
            slot
        }
    };
    let found = unique(list, plain, |a, b| plain(a) == plain(b));
    let mut out = Slots::new(count(found));
    for slot in slots(found) {
        out.push(plain(*slot));
    }
    out.packed()
}

/// `[...new Set(list)]` of a list of strings.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn list_unique_str(list: u64) -> u64 {
    let hash = |slot: u64| {
        Text::of(slot).slice().iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ *byte as u64).wrapping_mul(0x100_0000_01B3))
    };
    unique(list, hash, |a, b| {
        let (a, b) = (Text::of(a), Text::of(b));
        a.bytes == b.bytes && same(a.at, b.at, a.bytes)
    })
}
