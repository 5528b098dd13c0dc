//! `feed@1.0.0/pages`: the collections of an HTTP API as rows.
//!
//! The API that it reads:
//!
//! - `GET {url}` answers `{"collections": [{"name": "books", "rows": 120}, …]}`;
//! - `GET {url}/books?limit=100&after=CURSOR` answers `{"items": […], "next": "CURSOR"}`, without `next` on the last page.
//!
//! Each collection is a split. A position names the page and the rows of it that were given, so that reading goes on after
//! a crash where it was.

mod api;

use api::{Api, Item, Page};
use azora_guest::prelude::*;

plugin! { sources: [Pages], capabilities: [http_client, secrets] }

/// What a job says: `{"url": "https://api.example.com/v1", "tokenSecret": "FEED_TOKEN"}`.
#[derive(Config, Debug, Clone)]
pub struct Settings {
    /// Where the API is; without a slash at the end.
    url: String,
    /// Only these collections; all of them where it is left out.
    #[config(default = Vec::new())]
    collections: Vec<String>,
    /// Rows that one request asks for.
    #[config(rename = "pageRows", default = 200)]
    page_rows: u32,
    /// The name of the secret with the bearer token, where the API wants one.
    #[config(rename = "tokenSecret")]
    token_secret: Option<String>,
}

/// One collection being read.
pub struct Pages {
    api: Api,
    collection: String,
    place: Place,
    /// The page in hand; it is asked for anew after every start.
    page: Option<Page>,
}

/// Where a reader stands: a page, by the cursor that it was asked for with, and how many of its rows were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    cursor: Option<String>,
    given: usize,
}

impl Place {
    fn write(&self) -> String {
        format!("{} {}", self.given, self.cursor.as_deref().unwrap_or_default())
    }

    fn read(text: &str) -> Result<Self, Failure> {
        let (given, cursor) = text.split_once(' ').ok_or_else(|| Failure::internal("a position that this source did not make"))?;
        Ok(Self { given: given.parse()?, cursor: Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty()) })
    }
}

impl Source for Pages {
    const NAME: &'static str = "pages";
    const DOC: &'static str = "Rows of an HTTP API, page by page.";
    type Config = Settings;
    type Row = Item;

    /// One split a collection: the host spreads them over its partitions.
    fn plan(config: &Settings, _parallelism: usize) -> Result<Vec<Split>, Failure> {
        let all = Api::new(config)?.collections()?;
        let wanted = |name: &str| config.collections.is_empty() || config.collections.iter().any(|wanted| wanted == name);
        if let Some(missing) = config.collections.iter().find(|wanted| all.iter().all(|(name, _)| name != *wanted)) {
            let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Failure::invalid_input(format!("there is no collection '{missing}'; there are {}", names.join(", "))));
        }
        let splits = all.iter().filter(|(name, _)| wanted(name)).map(|(name, rows)| match rows {
            Some(rows) => Split::new(name).rows(*rows),
            None => Split::new(name),
        });
        Ok(splits.collect())
    }

    fn open(config: Settings, split: &str, position: Option<&str>) -> Result<Self, Failure> {
        let place = position.map(Place::read).transpose()?.unwrap_or_default();
        Ok(Self { api: Api::new(&config)?, collection: split.to_owned(), place, page: None })
    }

    /// The rest of the page in hand, or as much of it as is wanted.
    fn read(&mut self, wanted: Wanted) -> Result<Next<Item>, Failure> {
        loop {
            let page = match self.page.take() {
                Some(page) => page,
                None => self.api.page(&self.collection, self.place.cursor.as_deref())?,
            };
            let rest = page.items.get(self.place.given..).unwrap_or_default();
            if !rest.is_empty() {
                // One row at least, then as many as the host would like.
                let mut bytes = 0;
                let fits = |item: &&Item| {
                    let is_first = bytes == 0;
                    bytes += item.bytes();
                    is_first || bytes <= wanted.bytes
                };
                let rows: Vec<Item> = rest.iter().take(wanted.rows).take_while(fits).cloned().collect();
                self.place.given += rows.len();
                self.page = Some(page);
                return Ok(Next::Rows(rows, self.place.write()));
            }
            match page.next {
                Some(next) => self.place = Place { cursor: Some(next), given: 0 },
                None => return Ok(Next::End),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        for place in [Place::default(), Place { cursor: Some("a b".into()), given: 0 }, Place { cursor: Some("x".into()), given: 17 }] {
            assert_eq!(Place::read(&place.write()), Ok(place));
        }
        assert!(Place::read("x").is_err() && Place::read("x y").is_err());
    }
}
