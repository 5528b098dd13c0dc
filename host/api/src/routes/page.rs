//! Pages of rows: `?limit=` and `?cursor=`, and the link to the next one. A cursor names what its rows are of, so that a
//! dataset which was written again meanwhile is noticed.

use crate::routes::query::Query;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use azora_jobs::JobResult;
use azora_spec::{Code, Failure};

/// Names of the query.
pub(crate) const NAMES: [&str; 3] = ["format", "limit", "cursor"];
/// Rows of a page whose request has a cursor and no limit.
const ROWS_DEFAULT: u64 = 1000;
/// Most rows of a page. It is streamed, so this is no matter of memory.
const ROWS_MAX: u64 = 1_000_000_000;
/// How many rows there are on all pages.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// Where a page begins, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    from: u64,
    limit: u64,
}

impl Page {
    /// The page that a request asks for; none where it asks for everything. `of` names what the rows are of.
    pub(crate) fn of(query: &Query, of: &str) -> Result<Option<Self>, Failure> {
        let limit = query.number("limit", (1, ROWS_MAX), ROWS_DEFAULT)?;
        let Some(cursor) = query.text("cursor") else {
            return Ok(query.text("limit").map(|_| Self { from: 0, limit }));
        };
        let wrong = || Failure::new(Code::RequestField, "the cursor is not one that a page gave").at("/cursor");
        let (named, from) = cursor.rsplit_once('.').ok_or_else(wrong)?;
        let from = from.parse().map_err(|_| wrong())?;
        if named != of {
            return Err(Failure::new(Code::RequestField, "what the cursor is of has been written again, or is another thing")
                .at("/cursor")
                .hint("begin again without a cursor"));
        }
        Ok(Some(Self { from, limit }))
    }

    /// Its rows.
    pub(crate) fn rows(self, result: &JobResult) -> Result<JobResult, Failure> {
        match result.shape {
            azora_jobs::Shape::Rows => Ok(result.page(self.from, self.limit)),
            _ => Err(Failure::new(Code::RequestField, "the answer is one value, which has no pages").hint("ask without limit and cursor")),
        }
    }

    /// Says in the headers of an answer how many rows there are, and where the next page is, if there is one. `path` and
    /// `format` are those of the request.
    pub(crate) fn link(self, response: &mut Response, (path, of): (&str, &str), format: Option<&str>, total: u64) {
        response.headers_mut().insert(TOTAL, HeaderValue::from(total));
        let next = self.from.saturating_add(self.limit);
        if next >= total {
            return;
        }
        let format = format.map(|format| format!("&format={format}")).unwrap_or_default();
        let link = format!("<{path}?limit={}&cursor={of}.{next}{format}>; rel=\"next\"", self.limit);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
}
