//! An API as a source: pages one after the other, each taken apart into rows. A position names the page and the rows of it
//! that were given; whether the page is the same when it is asked for again is the API's promise.

use crate::config::Config;
use crate::pace::Sender;
use crate::page::Page;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use azora_connect::element::Element;
use azora_connect::json::{self, Decoder, MixedTypes};
use azora_connect::{Outcome, Position, ReadRequest, Reader, Source, Split};
use azora_spec::wire::shown;
use azora_spec::{Code, Failure};
use serde_json::{Value, json};
use std::sync::Arc;

/// The only split.
const SPLIT: &str = "pages";

/// An API whose schema is known.
#[derive(Debug)]
pub(crate) struct ApiSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    sender: Sender,
    schema: SchemaRef,
}

/// One answer, taken apart.
#[derive(Debug)]
struct Answer {
    rows: Vec<Value>,
    next: Option<Page>,
}

impl ApiSource {
    /// Asks for the first page where the columns are not told.
    pub(crate) async fn new(config: Config, sender: Sender) -> Result<Self, Failure> {
        let schema = match &config.columns {
            Some(columns) => Element::Object.schema(columns.clone()),
            None => {
                let first = fetch(&config, &sender, &Page::default()).await?;
                json::infer(first.rows.iter().take(config.sample_rows), MixedTypes::Json)?
            }
        };
        Ok(Self { inner: Arc::new(Inner { config, sender, schema }) })
    }
}

async fn fetch(config: &Config, sender: &Sender, page: &Page) -> Result<Answer, Failure> {
    let url = config.pages.url(&config.url, page)?;
    let response = sender.send(&config.request(url, &[], config.body.clone())?).await?;
    let named = || {
        let (host, port) = (config.url.host_str().unwrap_or_default(), config.url.port_or_known_default().unwrap_or_default());
        format!("'{host}:{port}' for '{}'", shown(config.url.path()))
    };
    let body: Value = serde_json::from_slice(&response.body)
        .map_err(|_| Failure::new(Code::RecordBad, format!("the answer of {} is not JSON", named())))?;
    let rows = rows(&body, config.rows.as_deref())
        .ok_or_else(|| Failure::new(Code::RecordBad, format!("the answer of {} has nothing at 'rows'", named())).at("/rows"))?;
    let next = config.pages.after(page, &response, &body, rows.len())?;
    Ok(Answer { rows, next })
}

/// The rows of an answer: what the configuration points at, else its list, its `data`, or the answer as one row.
fn rows(body: &Value, pointer: Option<&str>) -> Option<Vec<Value>> {
    let found = match pointer {
        Some(pointer) => body.pointer(pointer)?,
        None => match body.get("data") {
            Some(data @ Value::Array(_)) => data,
            _ => body,
        },
    };
    Some(match found {
        Value::Array(rows) => rows.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    })
}

#[async_trait]
impl Source for ApiSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.inner.schema)
    }

    /// Pages name one another, so there is one split.
    async fn plan(&self, _: usize) -> Result<Vec<Split>, Failure> {
        Ok(vec![Split { payload: SPLIT.to_owned(), rows: None }])
    }

    async fn open(&self, split: &Split, position: Option<&Position>, request: ReadRequest) -> Result<Box<dyn Reader>, Failure> {
        if split.payload != SPLIT {
            return Err(Failure::new(Code::Internal, "a split that this source did not make"));
        }
        let (page, given) = position.map(place).transpose()?.unwrap_or_default();
        let decoder = Decoder::new(Arc::clone(&self.inner.schema));
        Ok(Box::new(ApiReader { inner: Arc::clone(&self.inner), page: Some(page), given, answer: None, decoder, request }))
    }
}

fn place(position: &Position) -> Result<(Page, usize), Failure> {
    let read = || {
        let value: Value = serde_json::from_str(&position.0).ok()?;
        let next = value.get("next")?;
        let page = Page { number: value.get("page")?.as_u64()?, next: next.as_str().map(str::to_owned) };
        Some((page, usize::try_from(value.get("row")?.as_u64()?).ok()?))
    };
    read().ok_or_else(|| Failure::new(Code::Internal, "a position that this source did not make"))
}

#[derive(Debug)]
struct ApiReader {
    inner: Arc<Inner>,
    /// The page in hand, or the one to ask for; none behind the last one.
    page: Option<Page>,
    /// Rows of it that were given, or are to be left out.
    given: usize,
    answer: Option<Answer>,
    decoder: Decoder,
    request: ReadRequest,
}

impl ApiReader {
    /// As many rows of the page in hand as a batch may hold; rows that do not fit are handed over.
    fn take(&mut self, page: &Page) -> Result<Option<Outcome>, Failure> {
        let Some(answer) = &self.answer else { return Ok(None) };
        let first = self.given;
        for row in answer.rows.iter().skip(first).take(self.request.batch_rows.max(1)) {
            let record = serde_json::to_vec(row).map_err(|_| Failure::new(Code::Internal, "a row is JSON"))?;
            if !self.decoder.is_empty() && self.decoder.bytes() + record.len() > self.request.batch_bytes {
                break;
            }
            self.decoder.push(&record);
            self.given += 1;
        }
        if self.given == first {
            return Ok(None);
        }
        let decoded = self.decoder.flush();
        for (at, record, reason) in &decoded.rejected {
            self.request.rejects.reject(&format!("page {}, row {}", page.number, first + at), reason, record)?;
        }
        let position = Position(json!({"page": page.number, "next": page.next, "row": self.given}).to_string());
        let batch = match &self.request.projection {
            Some(columns) => decoded.batch.project(columns).map_err(|_| Failure::new(Code::Internal, "columns that are not there"))?,
            None => decoded.batch,
        };
        Ok(Some(Outcome::Batch(batch, position)))
    }
}

#[async_trait]
impl Reader for ApiReader {
    async fn read(&mut self) -> Result<Outcome, Failure> {
        while let Some(page) = self.page.clone() {
            if self.answer.is_none() {
                self.answer = Some(fetch(&self.inner.config, &self.inner.sender, &page).await?);
            }
            if let Some(outcome) = self.take(&page)? {
                return Ok(outcome);
            }
            self.page = self.answer.take().and_then(|answer| answer.next);
            self.given = 0;
        }
        Ok(Outcome::End)
    }
}

#[cfg(test)]
mod tests {
    use super::rows;
    use serde_json::json;

    #[test]
    fn rows_are_found_where_existing_callers_expect_them() {
        assert_eq!(rows(&json!([1, 2]), None).unwrap().len(), 2);
        assert_eq!(rows(&json!({"data": [1, 2, 3]}), None).unwrap().len(), 3);
        assert_eq!(rows(&json!({"data": {"a": 1}}), None).unwrap(), [json!({"data": {"a": 1}})]);
        assert_eq!(rows(&json!({"x": {"items": [1]}}), Some("/x/items")).unwrap().len(), 1);
        assert_eq!(rows(&json!({"x": null}), Some("/x")).unwrap().len(), 0);
        assert!(rows(&json!({}), Some("/x")).is_none());
    }
}
