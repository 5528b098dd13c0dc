//! Dates as milliseconds since 1970 in UTC: their parts, their making, their texts. Reading texts is in `date_text`.

use crate::failure;
use crate::text::{Text, Writer};

pub const DAY: f64 = 86_400_000.0;
/// The farthest that a date may be from 1970.
const TIME_MAX: f64 = 8.64e15;

const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];

/// Days since 1970-01-01 of a day in the proleptic Gregorian calendar; months count from 0.
#[optimize(size)]
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month from 0, and day of a number of days since 1970-01-01.
#[optimize(size)]
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    (year + era * 400 + (month < 2) as i64, month, day)
}

/// `TimeClip`.
#[unsafe(no_mangle)]
pub extern "C" fn date_clip(time: f64) -> f64 {
    // NaN fails the comparison too; adding 0 makes -0 positive.
    if libm::fabs(time) <= TIME_MAX { libm::trunc(time) + 0.0 } else { f64::NAN }
}

/// A part of a date: 0 year, 1 month, 2 day, 3 hours, 4 minutes, 5 seconds, 6 milliseconds, 7 day of the week.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn date_part(time: f64, which: i32) -> f64 {
    if time.is_nan() {
        return f64::NAN;
    }
    let time = time as i64;
    let (day, rest) = (time.div_euclid(86_400_000), time.rem_euclid(86_400_000));
    let part = match which {
        0 => civil(day).0,
        1 => civil(day).1,
        2 => civil(day).2,
        3 => rest / 3_600_000,
        4 => rest / 60_000 % 60,
        5 => rest / 1_000 % 60,
        6 => rest % 1_000,
        _ => (day + 4).rem_euclid(7),
    };
    part as f64
}

/// `Date.UTC(…)` with all parts given.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn date_make(year: f64, month: f64, day: f64, hours: f64, minutes: f64, seconds: f64, milliseconds: f64) -> f64 {
    let year = libm::trunc(year);
    let year = if (0.0..=99.0).contains(&year) { 1900.0 + year } else { year };
    let (month, day) = (libm::trunc(month), libm::trunc(day));
    let in_bounds = libm::fabs(year) <= 400_000.0 && libm::fabs(month) <= 4_800_000.0 && libm::fabs(day) <= 1e9;
    if !in_bounds {
        return f64::NAN;
    }
    let (year, month) = (year as i64 + (month as i64).div_euclid(12), (month as i64).rem_euclid(12));
    let day = days(year, month, 1) as f64 + day - 1.0;
    let time = libm::trunc(hours) * 3_600_000.0 + libm::trunc(minutes) * 60_000.0 + libm::trunc(seconds) * 1_000.0;
    date_clip(day * DAY + (time + libm::trunc(milliseconds)))
}

#[optimize(size)]
fn digits(out: &mut Writer, value: i64, width: u32) {
    let mut unit = 10_i64.pow(width - 1);
    while unit > 0 {
        out.byte(b'0' + (value / unit % 10) as u8);
        unit /= 10;
    }
}

#[optimize(size)]
fn clock(out: &mut Writer, time: f64) {
    digits(out, date_part(time, 3) as i64, 2);
    out.byte(b':');
    digits(out, date_part(time, 4) as i64, 2);
    out.byte(b':');
    digits(out, date_part(time, 5) as i64, 2);
}

/// `date.toISOString()`; an invalid date is a noted failure.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn date_iso(time: f64) -> u64 {
    if time.is_nan() {
        failure::note("RangeError: Invalid time value");
        return 0;
    }
    let mut out = Writer::new(27);
    let year = date_part(time, 0) as i64;
    if (0..=9999).contains(&year) {
        digits(&mut out, year, 4);
    } else {
        out.byte(if year < 0 { b'-' } else { b'+' });
        digits(&mut out, year.abs(), 6);
    }
    out.byte(b'-');
    digits(&mut out, date_part(time, 1) as i64 + 1, 2);
    out.byte(b'-');
    digits(&mut out, date_part(time, 2) as i64, 2);
    out.byte(b'T');
    clock(&mut out, time);
    out.byte(b'.');
    digits(&mut out, date_part(time, 6) as i64, 3);
    out.byte(b'Z');
    out.finish().packed()
}

#[optimize(size)]
fn year(out: &mut Writer, year: i64) {
    if year < 0 {
        out.byte(b'-');
    }
    let year = year.abs();
    let width = if year > 99_999 {
        6
    } else if year > 9_999 {
        5
    } else {
        4
    };
    digits(out, year, width);
}

/// As `String(date)` (0), `date.toDateString()` (1) or `date.toUTCString()` (2).
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn date_text(time: f64, which: i32) -> u64 {
    if time.is_nan() {
        return Text::constant("Invalid Date").packed();
    }
    let mut out = Writer::new(72);
    let name = |out: &mut Writer, names: &[&[u8; 3]], part: i32| {
        if let Some(name) = names.get(date_part(time, part) as usize) {
            out.bytes(*name);
        }
    };
    name(&mut out, &DAYS, 7);
    if which == 2 {
        out.byte(b',');
    }
    out.byte(b' ');
    if which == 2 {
        digits(&mut out, date_part(time, 2) as i64, 2);
        out.byte(b' ');
    }
    name(&mut out, &MONTHS, 1);
    out.byte(b' ');
    if which != 2 {
        digits(&mut out, date_part(time, 2) as i64, 2);
        out.byte(b' ');
    }
    year(&mut out, date_part(time, 0) as i64);
    if which != 1 {
        out.byte(b' ');
        clock(&mut out, time);
        out.bytes(b" GMT");
    }
    if which == 0 {
        out.bytes(b"+0000 (Coordinated Universal Time)");
    }
    out.finish().packed()
}

/// The number of a month by its first three letters, in any case.
#[optimize(size)]
pub fn month_of(word: &[u8]) -> Option<i64> {
    named(&MONTHS, word)
}

/// Whether a word begins as the name of a day of the week.
pub fn is_weekday(word: &[u8]) -> bool {
    named(&DAYS, word).is_some()
}

fn named(names: &[&[u8; 3]], word: &[u8]) -> Option<i64> {
    let start = word.get(..3)?;
    names.iter().position(|name| name.eq_ignore_ascii_case(start)).map(|at| at as i64)
}
