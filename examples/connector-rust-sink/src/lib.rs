//! `shelf@1.0.0/parts`: rows to an HTTP server, all of them or none.
//!
//! The server that it writes to:
//!
//! - `PUT {url}/staging/{part}` keeps a part that nobody sees, and replaces one of the same name;
//! - `POST {url}/commit` with `{"parts": […]}` makes parts visible in one step; those that are visible already stay;
//! - `DELETE {url}/staging/{part}` forgets one that is not visible; one that is not there is no error.
//!
//! A part's name is made of the job's, which is the same after a restart: a commit that is asked for twice names the same
//! parts, and the server does nothing new.

use azora_guest::prelude::*;

plugin! { sinks: [Parts], capabilities: [http_client, secrets] }

/// What a job says: `{"url": "https://shelf.example.com", "tokenSecret": "SHELF_TOKEN"}`.
#[derive(Config, Debug, Clone)]
pub struct Settings {
    /// Where the server is; without a slash at the end.
    url: String,
    /// The name of the secret with the bearer token, where the server wants one.
    #[config(rename = "tokenSecret")]
    token_secret: Option<String>,
}

/// One partition being written: its rows as lines of JSON.
pub struct Parts {
    server: Server,
    name: String,
    lines: String,
}

/// Most bytes of a part that are held back; one instance has 64 MiB for everything.
const PART_BYTES_MAX: usize = 8 << 20;

impl Sink for Parts {
    const NAME: &'static str = "parts";
    const DOC: &'static str = "Rows to an HTTP server as lines of JSON, all of them or none.";
    type Config = Settings;

    fn open(config: Settings, _input: &Schema, writer: Writer) -> Result<Self, Failure> {
        let name = format!("{}-{}-{:05}-{}", writer.job, writer.epoch, writer.partition, writer.attempt);
        Ok(Self { server: Server::new(&config)?, name, lines: String::new() })
    }

    fn write(&mut self, records: &Records<'_>) -> Result<(), Failure> {
        for row in records.json()? {
            self.lines.push_str(&row.to_string());
            self.lines.push('\n');
        }
        if self.lines.len() > PART_BYTES_MAX {
            return Err(Failure::unsupported(format!("a partition has more than {PART_BYTES_MAX} bytes; raise the job's parallelism")));
        }
        Ok(())
    }

    /// The token is the part's name; an empty partition leaves nothing behind.
    fn prepare(self) -> Result<String, Failure> {
        if self.lines.is_empty() {
            return Ok(String::new());
        }
        self.server.stage(&self.name, self.lines)?;
        Ok(self.name)
    }

    fn commit(config: &Settings, tokens: &[String]) -> Result<(), Failure> {
        Server::new(config)?.commit(tokens)
    }

    fn abort(config: &Settings, tokens: &[String]) -> Result<(), Failure> {
        let server = Server::new(config)?;
        tokens.iter().filter(|token| !token.is_empty()).try_for_each(|token| server.forget(token))
    }
}

/// The server of one job.
struct Server {
    url: String,
    token: Option<String>,
}

impl Server {
    fn new(config: &Settings) -> Result<Self, Failure> {
        let token = config.token_secret.as_deref().map(secrets::required).transpose()?;
        Ok(Self { url: config.url.trim_end_matches('/').to_owned(), token })
    }

    fn stage(&self, name: &str, lines: String) -> Result<(), Failure> {
        self.send(http::Request::put(format!("{}/staging/{name}", self.url), lines).header("content-type", "application/x-ndjson"))
    }

    fn commit(&self, tokens: &[String]) -> Result<(), Failure> {
        let names = tokens.iter().filter(|token| !token.is_empty()).cloned().map(Json::Text).collect();
        let body = Json::Object(vec![("parts".to_owned(), Json::List(names))]).to_string();
        self.send(http::Request::post(format!("{}/commit", self.url), body).header("content-type", "application/json"))
    }

    fn forget(&self, name: &str) -> Result<(), Failure> {
        let answer = http::Request::delete(format!("{}/staging/{name}", self.url)).bearer(self.token.as_deref()).send()?;
        if answer.status == 404 { Ok(()) } else { answer.ok().map(drop) }
    }

    /// A failure of the server's is worth another try; the host makes it where it is safe: opening, committing, aborting.
    fn send(&self, request: http::Request) -> Result<(), Failure> {
        request.bearer(self.token.as_deref()).send()?.ok().map(drop)
    }
}
