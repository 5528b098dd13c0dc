//! `Date.parse`: the format of the standard, and the others that people write. Local time is UTC.
//!
//! What is neither is a noted failure rather than a guess, unless it is surely no date.

use crate::date::{DAY, date_clip, days, is_weekday, month_of};
use crate::failure;
use crate::text::Text;

/// The rest of a text.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if first.eq_ignore_ascii_case(&byte) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn spaces(&mut self) -> bool {
        let mut any = false;
        while self.eat(b' ') {
            any = true;
        }
        any
    }

    /// Digits: their value and how many they are.
    #[optimize(size)]
    fn number(&mut self) -> Option<(i64, usize)> {
        let n = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if n == 0 || n > 9 {
            return None;
        }
        let (digits, rest) = self.0.split_at(n);
        self.0 = rest;
        Some((digits.iter().fold(0, |value, digit| value * 10 + (digit - b'0') as i64), n))
    }

    fn exactly(&mut self, n: usize) -> Option<i64> {
        self.number().filter(|(_, digits)| *digits == n).map(|(value, _)| value)
    }

    fn word(&mut self) -> &'a [u8] {
        let n = self.0.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (word, rest) = self.0.split_at(n);
        self.0 = rest;
        word
    }
}

/// Milliseconds of a day, and minutes that the clock is before UTC.
#[derive(Default)]
struct Clock {
    time: i64,
    offset: i64,
}

/// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.s…`.
#[optimize(size)]
fn clock(rest: &mut Rest<'_>, is_strict: bool) -> Option<i64> {
    let (hours, digits) = rest.number()?;
    if is_strict && digits != 2 || digits > 2 || !rest.eat(b':') {
        return None;
    }
    let minutes = rest.exactly(2)?;
    let (mut seconds, mut milliseconds) = (0, 0);
    if rest.eat(b':') {
        seconds = rest.exactly(2)?;
        if rest.eat(b'.') {
            let n = rest.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if n == 0 {
                return None;
            }
            let (digits, behind) = rest.0.split_at(n);
            rest.0 = behind;
            for at in 0..3 {
                milliseconds = milliseconds * 10 + digits.get(at).map_or(0, |digit| (digit - b'0') as i64);
            }
        }
    }
    let is_midnight = hours == 24 && minutes == 0 && seconds == 0 && milliseconds == 0;
    (hours < 24 && minutes < 60 && seconds < 60 || is_midnight).then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
}

/// `+hh:mm` or `+hhmm`, in minutes.
#[optimize(size)]
fn offset(rest: &mut Rest<'_>) -> Option<i64> {
    let is_behind = rest.eat(b'-');
    if !is_behind && !rest.eat(b'+') {
        return None;
    }
    let (first, digits) = rest.number()?;
    let (hours, minutes) = match digits {
        2 if rest.eat(b':') => (first, rest.exactly(2)?),
        4 => (first / 100, first % 100),
        _ => return None,
    };
    let all = hours * 60 + minutes;
    (hours < 24 && minutes < 60).then_some(if is_behind { -all } else { all })
}

fn made(day: i64, clock: &Clock) -> f64 {
    date_clip(day as f64 * DAY + (clock.time - clock.offset * 60_000) as f64)
}

/// The format of the standard.
#[optimize(size)]
fn iso(text: &[u8]) -> Option<f64> {
    let mut rest = Rest(text);
    let is_negative = rest.0.first() == Some(&b'-');
    let year = if is_negative || rest.0.first() == Some(&b'+') {
        rest.0 = rest.0.get(1..)?;
        let year = rest.exactly(6)?;
        if is_negative && year == 0 {
            return None;
        }
        if is_negative { -year } else { year }
    } else {
        rest.exactly(4)?
    };
    let (mut month, mut day) = (1, 1);
    if rest.eat(b'-') {
        month = rest.exactly(2)?;
        if rest.eat(b'-') {
            day = rest.exactly(2)?;
        }
    }
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut when = Clock::default();
    if rest.eat(b'T') {
        when.time = clock(&mut rest, true)?;
        if !rest.eat(b'Z') && !rest.0.is_empty() {
            when.offset = offset(&mut rest)?;
        }
    }
    rest.0.is_empty().then(|| made(days(year, month - 1, day), &when))
}

/// A year of two digits is one of the last century or of this one.
fn full_year((year, digits): (i64, usize)) -> Option<i64> {
    match (digits, year) {
        (1 | 2, 0..50) => Some(year + 2000),
        (1 | 2, _) => Some(year + 1900),
        (4, _) => Some(year),
        _ => None,
    }
}

/// Year, month from 1 and day of the date that a text begins with.
#[optimize(size)]
fn day(rest: &mut Rest<'_>) -> Option<(i64, i64, i64)> {
    let mut look = *rest;
    let word = look.word();
    if word.len() >= 3 && is_weekday(word) {
        look.eat(b',');
        look.spaces();
        *rest = look;
    }
    let mut look = *rest;
    let word = look.word();
    if !word.is_empty() {
        // Jan 5, 2024
        let month = month_of(word)? + 1;
        look.eat(b'.');
        look.spaces();
        let (day, digits) = look.number()?;
        look.eat(b',');
        if digits > 2 || !look.spaces() {
            return None;
        }
        *rest = look;
        return Some((full_year(rest.number()?)?, month, day));
    }
    let (first, digits) = rest.number()?;
    for separator in [b'/', b'-'] {
        if rest.eat(separator) {
            let (second, _) = rest.number().filter(|(_, digits)| *digits <= 2)?;
            if !rest.eat(separator) {
                return None;
            }
            let third = rest.number()?;
            return match (digits, separator) {
                // 2024/1/5, 2024-1-5
                (4, _) if third.1 <= 2 => Some((first, second, third.0)),
                // 1/5/2024
                (1 | 2, b'/') => Some((full_year(third)?, first, second)),
                _ => None,
            };
        }
    }
    // 5 Jan 2024
    if digits > 2 || !rest.spaces() {
        return None;
    }
    let month = month_of(rest.word())? + 1;
    rest.eat(b',');
    rest.spaces();
    Some((full_year(rest.number()?)?, month, first))
}

/// What people write beside the standard; none where it is not known what JavaScript would make of it.
#[optimize(size)]
fn other(text: &[u8]) -> Option<f64> {
    let mut rest = Rest(text);
    let (year, month, day) = day(&mut rest)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    rest.eat(b',');
    let mut when = Clock::default();
    if rest.spaces() && !rest.0.is_empty() {
        when.time = clock(&mut rest, false)?;
        rest.spaces();
        let mut look = rest;
        let word = look.word();
        let is = |known: &[u8]| word.eq_ignore_ascii_case(known);
        if is(b"am") || is(b"pm") {
            let hours = when.time / 3_600_000;
            if !(1..=12).contains(&hours) {
                return None;
            }
            when.time += (if is(b"pm") { 12 } else { 0 } - if hours == 12 { 12 } else { 0 }) * 3_600_000;
            rest = look;
            rest.spaces();
        }
        look = rest;
        let word = look.word();
        if [&b"z"[..], b"utc", b"gmt"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
            rest = look;
        }
        if matches!(rest.0.first(), Some(b'+' | b'-')) {
            when.offset = offset(&mut rest)?;
        }
        rest.spaces();
        if rest.0.first() == Some(&b'(') && rest.0.last() == Some(&b')') {
            rest.0 = &[];
        }
    }
    rest.0.is_empty().then(|| made(days(year, month - 1, day), &when))
}

/// Whether a text begins as a date of the standard with a month or day that no calendar has: that is no date.
#[optimize(size)]
fn is_beyond_the_calendar(text: &[u8]) -> bool {
    let mut rest = Rest(text);
    let (Some(_), true, Some(month)) = (rest.exactly(4), rest.eat(b'-'), rest.exactly(2)) else { return false };
    if !(1..=12).contains(&month) {
        return true;
    }
    rest.eat(b'-') && rest.exactly(2).is_some_and(|day| !(1..=31).contains(&day))
}

/// `Date.parse(s)`.
#[unsafe(no_mangle)]
#[optimize(size)]
pub extern "C" fn date_parse(s: u64) -> f64 {
    let text = Text::of(s).slice();
    if let Some(time) = iso(text).or_else(|| other(text)) {
        return time;
    }
    if text.iter().any(u8::is_ascii_digit) && !is_beyond_the_calendar(text) {
        failure::note("a date in a form that is not known here; write it as 2024-01-31T12:30:00Z");
    }
    f64::NAN
}
