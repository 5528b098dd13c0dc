//! What the text of a setting means. Nothing answers a panic or a guess: a text that does not fit is no value.

use crate::config::LogFormat;
use azora_connect::Policy;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What [`flag`] takes, in words.
pub(super) const FLAG: &str = "true or false";
/// What [`bytes`] takes, in words.
pub(super) const BYTES: &str = "a size such as 512m or 2g (memory: at least 16m)";
/// What a count takes, in words.
pub(super) const POSITIVE: &str = "a number from 1 to 1000000";

pub(super) fn host(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { text.parse().ok() }
}

pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub(super) fn between(text: &str, least: usize, most: usize) -> Option<usize> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// A whole number of bytes, with `k`, `m`, `g` or `t` for powers of 1024; `b` or `ib` may follow.
pub(super) fn bytes(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor: usize = match text.strip_prefix(digits)?.trim() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

pub(super) fn optional_path(text: &str) -> Option<Option<PathBuf>> {
    Some(path(text))
}

pub(super) fn paths(text: &str) -> Option<Vec<PathBuf>> {
    Some(text.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect())
}

/// Entries between commas or spaces.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    Some(text.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// The same, each a place in a network.
pub(super) fn places(text: &str) -> Option<Vec<String>> {
    let places = list(text)?;
    Policy::local().allow(places.iter().map(String::as_str)).is_ok().then_some(places)
}

/// A text, where it is not empty.
pub(super) fn optional_text(text: &str) -> Option<Option<String>> {
    Some((!text.is_empty()).then(|| text.to_owned()))
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}
