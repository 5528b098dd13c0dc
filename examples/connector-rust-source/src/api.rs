//! The API: its requests, and its answers as rows. What a source makes of them is in `lib.rs`.

use crate::Settings;
use azora_guest::prelude::*;

/// A row. Its fields are the columns.
#[derive(Row, Debug, Clone, PartialEq)]
pub struct Item {
    /// Unique in its collection.
    pub id: i64,
    /// Null where the API has none.
    pub name: Option<String>,
    /// In euros.
    pub price: Option<f64>,
    /// Any number of them.
    pub tags: Vec<String>,
}

impl Item {
    /// About what it takes in columns.
    pub fn bytes(&self) -> u64 {
        let texts = self.tags.iter().map(|tag| tag.len() + 4).sum::<usize>() + self.name.as_ref().map_or(0, String::len);
        24 + texts as u64
    }
}

/// One answer of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In order.
    pub items: Vec<Item>,
    /// Of the next page; none on the last one.
    pub next: Option<String>,
}

/// The API of one job.
pub struct Api {
    url: String,
    page_rows: u32,
    token: Option<String>,
}

impl Api {
    /// Reads the token where the job names one: a job says the name, the server has the value.
    pub fn new(config: &Settings) -> Result<Self, Failure> {
        let token = config.token_secret.as_deref().map(secrets::required).transpose()?;
        Ok(Self { url: config.url.trim_end_matches('/').to_owned(), page_rows: config.page_rows.clamp(1, 10_000), token })
    }

    /// Names, and how many rows each has where the API says so.
    pub fn collections(&self) -> Result<Vec<(String, Option<u64>)>, Failure> {
        let answer = self.get(self.url.clone())?;
        let list = answer.get("collections").and_then(Json::list).ok_or_else(|| unexpected("collections"))?;
        let collection = |each: &Json| {
            let name = each.get("name").and_then(Json::text).ok_or_else(|| unexpected("name"))?;
            Ok((name.to_owned(), each.get("rows").and_then(Json::integer).and_then(|rows| u64::try_from(rows).ok())))
        };
        list.iter().map(collection).collect()
    }

    /// The page behind a cursor, or the first one.
    pub fn page(&self, collection: &str, cursor: Option<&str>) -> Result<Page, Failure> {
        let after = cursor.map(|cursor| format!("&after={}", escaped(cursor))).unwrap_or_default();
        page(&self.get(format!("{}/{}?limit={}{after}", self.url, escaped(collection), self.page_rows))?)
    }

    /// A failure of the server's is worth another try, which the host makes: from the last position, a little later.
    fn get(&self, url: String) -> Result<Json, Failure> {
        http::Request::get(url).header("accept", "application/json").bearer(self.token.as_deref()).send()?.ok()?.json()
    }
}

fn page(answer: &Json) -> Result<Page, Failure> {
    let items = answer.get("items").and_then(Json::list).ok_or_else(|| unexpected("items"))?;
    let items = items.iter().enumerate().map(|(at, each)| item(each).ok_or_else(|| unexpected(&format!("items/{at}"))));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: answer.get("next").and_then(Json::text).map(str::to_owned) })
}

fn item(json: &Json) -> Option<Item> {
    let tags = json.get("tags").and_then(Json::list).unwrap_or_default();
    Some(Item {
        id: json.get("id")?.integer()?,
        name: json.get("name").and_then(Json::text).map(str::to_owned),
        price: json.get("price").and_then(Json::number),
        tags: tags.iter().filter_map(Json::text).map(str::to_owned).collect(),
    })
}

fn unexpected(what: &str) -> Failure {
    Failure::invalid_input(format!("the API's answer has no usable '{what}'"))
}

/// A text as a part of a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_rows() {
        let answer = Json::parse(r#"{"items": [{"id": 1, "name": "x", "price": 2, "tags": ["a"]}, {"id": 2}], "next": "c"}"#).unwrap();
        let read = page(&answer).unwrap();
        assert_eq!(read.items[0], Item { id: 1, name: Some("x".into()), price: Some(2.0), tags: vec!["a".into()] });
        assert_eq!(read.items[1], Item { id: 2, name: None, price: None, tags: vec![] });
        assert_eq!(read.next.as_deref(), Some("c"));
        let broken = Json::parse(r#"{"items": [{"id": 1}, {"id": "x"}]}"#).unwrap();
        assert_eq!(page(&broken).unwrap_err().message, "the API's answer has no usable 'items/1'");
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("a b/ü"), "a%20b%2F%C3%BC");
    }
}
