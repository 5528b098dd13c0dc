//! Which representation of a result a caller wants: `Accept` with its weights, or `?format=`.

use axum::http::{HeaderMap, header};
use azora_spec::{Code, Failure, FileFormat, wire::suggestion};

/// The formats in order of preference where a caller has none, with media types (the first is answered) and short names.
const FORMATS: &[(FileFormat, &[&str], &str)] = &[
    (FileFormat::Json, &["application/json", "text/json"], "json"),
    (FileFormat::Ndjson, &["application/x-ndjson", "application/jsonl", "application/x-jsonlines"], "ndjson"),
    (FileFormat::Csv, &["text/csv"], "csv"),
    (FileFormat::Parquet, &["application/vnd.apache.parquet", "application/x-parquet"], "parquet"),
    (FileFormat::Arrow, &["application/vnd.apache.arrow.stream"], "arrow"),
];

/// Most entries of `Accept` that are looked at.
const ENTRIES_MAX: usize = 64;

/// The format to answer with.
///
/// # Errors
/// [`Code::RequestNotAcceptable`] when nothing fits `Accept`, [`Code::RequestField`] for an unknown `format`.
pub(crate) fn format(headers: &HeaderMap, named: Option<&str>) -> Result<FileFormat, Failure> {
    if let Some(named) = named {
        return FORMATS.iter().find(|(_, _, name)| *name == named).map(|(format, _, _)| *format).ok_or_else(|| {
            let failure = Failure::new(Code::RequestField, "unknown 'format'");
            failure.hint(suggestion(named, FORMATS.iter().map(|(_, _, name)| *name), "formats are"))
        });
    }
    let texts: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Ok(FileFormat::Json);
    }
    let entries: Vec<Entry<'_>> = texts.iter().flat_map(|text| text.split(',')).take(ENTRIES_MAX).filter_map(Entry::of).collect();
    let weighed = FORMATS.iter().map(|(format, types, _)| {
        let named = types.iter().filter_map(|name| exact(&entries, name));
        (
            *format,
            named
                .fold(None, |best: Option<f32>, next| Some(best.map_or(next, |best| best.max(next))))
                .unwrap_or_else(|| weight(&entries, types.first().copied().unwrap_or_default())),
        )
    });
    // The first of equally wanted formats wins, so the fold keeps what it has unless the next is strictly better.
    let best = weighed.fold(None, |best: Option<(FileFormat, f32)>, next| match best {
        Some((_, weight)) if weight >= next.1 => best,
        _ => Some(next),
    });
    match best {
        Some((format, weight)) if weight > 0.0 => Ok(format),
        _ => Err(Failure::new(Code::RequestNotAcceptable, "a result has none of the media types in 'accept'")
            .hint("ask for application/json, application/x-ndjson, text/csv, application/vnd.apache.parquet or application/vnd.apache.arrow.stream")),
    }
}

/// Whether `Accept` allows a media type.
pub(crate) fn allows(headers: &HeaderMap, media_type: &str) -> bool {
    let texts: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let entries: Vec<Entry<'_>> = texts.iter().flat_map(|text| text.split(',')).take(ENTRIES_MAX).filter_map(Entry::of).collect();
    texts.iter().all(|text| text.trim().is_empty()) || weight(&entries, media_type) > 0.0
}

/// One media range of `Accept`.
struct Entry<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: f32,
}

impl<'a> Entry<'a> {
    /// Nothing for text that is no media range.
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let weight =
            parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))).map_or(Some(1.0), |q| q.parse().ok())?;
        (0.0..=1.0).contains(&weight).then_some(Self { kind, subtype, weight })
    }
}

/// The weight of the range that names a media type, without wildcards.
fn exact(entries: &[Entry<'_>], media_type: &str) -> Option<f32> {
    let (kind, subtype) = media_type.split_once('/')?;
    entries
        .iter()
        .find(|entry| entry.kind.eq_ignore_ascii_case(kind) && entry.subtype.eq_ignore_ascii_case(subtype))
        .map(|entry| entry.weight)
}

/// The weight of the most specific range that covers a media type; 0 where none does.
fn weight(entries: &[Entry<'_>], media_type: &str) -> f32 {
    let kind = media_type.split('/').next().unwrap_or_default();
    let kinds = entries.iter().find(|entry| entry.kind.eq_ignore_ascii_case(kind) && entry.subtype == "*");
    let wildcard = kinds.or_else(|| entries.iter().find(|entry| entry.kind == "*" && entry.subtype == "*"));
    exact(entries, media_type).or(wildcard.map(|entry| entry.weight)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{allows, format};
    use axum::http::{HeaderMap, HeaderValue, header};
    use azora_spec::{Code, FileFormat};

    fn accept(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(text).expect("a header"))])
    }

    #[test]
    fn the_best_format_wins() {
        let check = |text: &str, expect: Option<FileFormat>| assert_eq!(format(&accept(text), None).ok(), expect, "{text}");
        check("*/*", Some(FileFormat::Json));
        check("", Some(FileFormat::Json));
        check("text/csv", Some(FileFormat::Csv));
        check("text/*", Some(FileFormat::Csv));
        check("Application/X-NDJSON", Some(FileFormat::Ndjson));
        check("application/json;q=0.5, text/csv", Some(FileFormat::Csv));
        check("application/json;q=0, */*;q=0.1", Some(FileFormat::Ndjson));
        check("text/html, application/vnd.apache.arrow.stream;q=0.9", Some(FileFormat::Arrow));
        check("image/png", None);
        check("garbage", None);
        check("text/csv;q=nan", None);
        check("text/csv;q=7", None);
        assert_eq!(format(&HeaderMap::new(), None).ok(), Some(FileFormat::Json));
    }

    #[test]
    fn a_named_format_wins_over_the_header() {
        assert_eq!(format(&accept("text/csv"), Some("parquet")).ok(), Some(FileFormat::Parquet));
        let failure = format(&HeaderMap::new(), Some("parqet")).expect_err("a wrong name");
        assert_eq!((failure.code, failure.hint.as_deref()), (Code::RequestField, Some("did you mean 'parquet'?")));
    }

    #[test]
    fn event_streams_are_negotiated_too() {
        assert!(allows(&accept("text/event-stream"), "text/event-stream"));
        assert!(allows(&HeaderMap::new(), "text/event-stream"));
        assert!(!allows(&accept("application/json"), "text/event-stream"));
    }
}
