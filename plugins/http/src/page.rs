//! From one answer to the next: offsets, cursors and links, described in JSON. What the rows are is not known here.

use azora_connect::fetch::Response;
use azora_connect::network::Url;
use azora_spec::wire::{Fields, Unknown, shown};
use azora_spec::{Code, Failure};
use serde_json::{Value, json};

/// Pages of one source that does not say, as the seed has it.
const PAGES_DEFAULT: u64 = 100;
/// Most pages that a configuration may ask for.
const PAGES_MAX: u64 = 1_000_000;
/// Rows of a page that does not say.
const LIMIT_DEFAULT: u64 = 100;
/// Bytes of a cursor or a link.
const NEXT_BYTES_MAX: usize = 8 << 10;
/// Where cursors usually are.
const CURSORS: [&str; 6] = ["/next", "/nextCursor", "/next_cursor", "/cursor", "/meta/next_cursor", "/paging/cursors/after"];

/// How the next answer is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paging {
    /// There is one answer.
    None,
    /// By the number of rows before it.
    Offset { offset_param: String, limit_param: String, limit: u64 },
    /// By what the answer before it says.
    Cursor { param: String, path: Option<String> },
    /// By the `Link` header of the answer before it (RFC 8288).
    Link,
}

/// Paging with its bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) paging: Paging,
    pub(crate) pages_max: u64,
}

/// Which answer is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Counted from 0.
    pub(crate) number: u64,
    /// An offset, a cursor or a link; none for the first page.
    pub(crate) next: Option<String>,
}

impl Pages {
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Failure> {
        let Some(mut inner) = fields.inner("pagination")? else { return Ok(Self { paging: Paging::None, pages_max: 1 }) };
        let text = |inner: &mut Fields<'_>, name, default: &str| Ok::<_, Failure>(inner.text(name)?.unwrap_or(default).to_owned());
        let paging = match inner.required_text("type")? {
            "offset" => Paging::Offset {
                offset_param: text(&mut inner, "offsetParam", "offset")?,
                limit_param: text(&mut inner, "limitParam", "limit")?,
                limit: inner.integer("limit", 1..=100_000)?.unwrap_or(LIMIT_DEFAULT),
            },
            "cursor" => Paging::Cursor { param: text(&mut inner, "cursorParam", "cursor")?, path: inner.text("cursorPath")?.map(pointer) },
            "link" => Paging::Link,
            other => return Err(inner.wrong("type", format!("'{}' is none of 'offset', 'cursor' and 'link'", shown(other)))),
        };
        let pages_max = inner.integer("maxPages", 1..=PAGES_MAX)?.unwrap_or(PAGES_DEFAULT);
        inner.finish(Unknown::Refuse)?;
        Ok(Self { paging, pages_max })
    }

    /// The URL of a page.
    pub(crate) fn url(&self, base: &Url, page: &Page) -> Result<Url, Failure> {
        let mut url = base.clone();
        match (&self.paging, page.next.as_deref()) {
            (Paging::Offset { offset_param, limit_param, limit }, next) => {
                set(&mut url, &[(offset_param, next.unwrap_or("0")), (limit_param, &limit.to_string())]);
            }
            (Paging::Cursor { param, .. }, Some(cursor)) => set(&mut url, &[(param, cursor)]),
            (Paging::Link, Some(link)) => {
                url = base.join(link).map_err(|_| Failure::new(Code::ConnectorUnavailable, "the link to the next page cannot be read"))?;
                // The configuration's headers, secrets among them, go to the host that the configuration names.
                if url.origin() != base.origin() {
                    return Err(Failure::new(Code::ConnectorUnavailable, "the link to the next page leads to another server"));
                }
            }
            (Paging::None | Paging::Cursor { .. } | Paging::Link, _) => {}
        }
        Ok(url)
    }

    /// The page behind one, from its answer; none where that was the last one.
    pub(crate) fn after(&self, page: &Page, response: &Response, body: &Value, rows: usize) -> Result<Option<Page>, Failure> {
        let number = page.number + 1;
        if number >= self.pages_max {
            return Ok(None);
        }
        let next = match &self.paging {
            Paging::None => None,
            Paging::Offset { limit, .. } => {
                let offset: u64 = page.next.as_deref().unwrap_or("0").parse().unwrap_or(0);
                (rows as u64 >= *limit).then(|| (offset + rows as u64).to_string())
            }
            Paging::Cursor { path, .. } => {
                let paths = path.iter().map(String::as_str).chain(CURSORS.into_iter().filter(|_| path.is_none()));
                paths.filter_map(|path| body.pointer(path)).find_map(cursor)
            }
            Paging::Link => response.headers.iter().filter(|(name, _)| name == "link").find_map(|(_, value)| next_link(value)),
        };
        let Some(next) = next else { return Ok(None) };
        if next.len() > NEXT_BYTES_MAX {
            return Err(Failure::new(Code::ConnectorUnavailable, format!("what names the next page has more than {NEXT_BYTES_MAX} bytes")));
        }
        // An answer that names itself would be read for ever.
        if Some(&next) == page.next.as_ref() {
            return Err(Failure::new(Code::ConnectorUnavailable, "a page names itself as the next one"));
        }
        Ok(Some(Page { number, next: Some(next) }))
    }
}

/// `data.items` and `/data/items` are the same.
pub(crate) fn pointer(text: &str) -> String {
    if text.is_empty() || text.starts_with('/') { text.to_owned() } else { format!("/{}", text.replace('.', "/")) }
}

fn cursor(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn set(url: &mut Url, given: &[(&str, &str)]) {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| given.iter().all(|(given, _)| name != given))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut pairs = url.query_pairs_mut();
    pairs.clear().extend_pairs(kept).extend_pairs(given);
}

/// The target of `<…>; rel="next"`.
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, parameters) = after.split_once('>')?;
        // The next link begins behind a comma that a '<' follows; a comma inside of a quoted parameter is none.
        let end = parameters.find('<').unwrap_or(parameters.len());
        let own = parameters.get(..end).unwrap_or_default();
        let is_next = own.split(';').any(|parameter| {
            let (name, value) = parameter.trim().trim_end_matches(',').split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_end_matches(',')
                    .trim()
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|word| word.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.trim().to_owned());
        }
        rest = parameters.get(end..).unwrap_or_default();
    }
    None
}

/// How it looks in a JSON Schema.
pub(crate) fn schema() -> Value {
    json!({"type": "object", "required": ["type"], "additionalProperties": false, "properties": {
        "type": {"enum": ["offset", "cursor", "link"]},
        "maxPages": {"type": "integer", "minimum": 1, "maximum": PAGES_MAX, "default": PAGES_DEFAULT},
        "offsetParam": {"type": "string", "default": "offset"}, "limitParam": {"type": "string", "default": "limit"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": LIMIT_DEFAULT},
        "cursorParam": {"type": "string", "default": "cursor"},
        "cursorPath": {"type": "string", "description": "where in the answer the next cursor is: meta.next or /meta/next"},
    }})
}

#[cfg(test)]
mod tests {
    use super::{Page, Pages, Paging, next_link, pointer};
    use azora_connect::network::Url;

    #[test]
    fn links_to_the_next_page_are_found() {
        let check = |header: &str, expect: Option<&str>| assert_eq!(next_link(header).as_deref(), expect, "{header}");
        check(r#"<https://h/x?page=2>; rel="next", <https://h/x?page=9>; rel="last""#, Some("https://h/x?page=2"));
        check(r#"<https://h/x?page=1>; rel="prev", </x?page=3>; title="a, b"; rel="last next""#, Some("/x?page=3"));
        check("<a>; rel=next", Some("a"));
        check(r#"<a>; rel="nextish""#, None);
        check("", None);
        check("<", None);
    }

    #[test]
    fn urls_keep_what_they_had() {
        let base = Url::parse("http://h/x?q=a%20b&offset=7").unwrap();
        let pages = |paging| Pages { paging, pages_max: 9 };
        let offset = pages(Paging::Offset { offset_param: "offset".into(), limit_param: "limit".into(), limit: 5 });
        let at = |next: &str| Page { number: 1, next: Some(next.to_owned()) };
        assert_eq!(offset.url(&base, &at("10")).unwrap().as_str(), "http://h/x?q=a+b&offset=10&limit=5");
        let cursor = pages(Paging::Cursor { param: "after".into(), path: None });
        assert_eq!(cursor.url(&base, &Page::default()).unwrap(), base);
        assert_eq!(cursor.url(&base, &at("é&")).unwrap().as_str(), "http://h/x?q=a+b&offset=7&after=%C3%A9%26");
        let link = pages(Paging::Link);
        assert_eq!(link.url(&base, &at("/y?p=2")).unwrap().as_str(), "http://h/y?p=2");
        for elsewhere in ["https://h/y", "http://evil/y", "//evil/y", "http://h:81/y"] {
            assert!(link.url(&base, &at(elsewhere)).is_err(), "{elsewhere}");
        }
        assert_eq!((pointer("a.b"), pointer("/a/b"), pointer("")), ("/a/b".into(), "/a/b".into(), String::new()));
    }
}
