//! What a request says of the server: where it is, who asks, and how secretly.

use crate::tls::Tls;
use azora_connect::Setup;
use azora_connect::network::{Url, decoded};
use azora_spec::wire::Fields;
use azora_spec::{Failure, Secret};
use std::time::Duration;

/// A server and how to enter it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: i64,
    pub(crate) username: Option<Secret>,
    pub(crate) password: Option<Secret>,
    pub(crate) connect_time: Duration,
    /// How it is spoken to secretly; openly where there is none.
    pub(crate) tls: Option<Tls>,
}

impl Server {
    pub(super) fn read(fields: &mut Fields<'_>, setup: &Setup, default: Option<&Secret>) -> Result<Self, Failure> {
        let name = fields.name_of(&["redisUrl", "url"])?;
        let told = match fields.text(name)? {
            Some(text) => Some(setup.secrets.expand(text).map_err(|failure| failure.at(fields.pointer(name)))?),
            None => default.cloned(),
        };
        let told = told.ok_or_else(|| fields.missing("redisUrl").hint("give redisUrl, or start the server with REDIS_URL"))?;
        // A fault of the URL must not repeat it: it may hold a password.
        let wrong = |message: &str| fields.wrong(name, message).hint("write redis://HOST:PORT/DATABASE");
        let url = Url::parse(told.expose().trim()).map_err(|_| wrong("not a URL"))?;
        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err(wrong("the URL's scheme is neither 'redis' nor 'rediss'"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port().unwrap_or(6379);
        let path = url.path().trim_matches('/');
        let of_path =
            if path.is_empty() { 0 } else { path.parse().map_err(|_| wrong("the URL's path is not the number of a database"))? };
        setup.network.check_host(&host, port).map_err(|failure| failure.at(fields.pointer(name)))?;
        let text = |text: &str| {
            let bytes = decoded(text);
            (!text.is_empty()).then(|| Secret::new(bytes))
        };
        let of_url = (text(url.username()), url.password().and_then(text));
        let database = fields.integer("database", 0..=65_535)?.map_or(of_path, |number| i64::try_from(number).unwrap_or(0));
        Ok(Self {
            host,
            port,
            database,
            username: setup.secrets.field(fields, "username")?.or(of_url.0),
            password: setup.secrets.field(fields, "password")?.or(of_url.1),
            tls: Tls::read(fields, setup, url.scheme() == "rediss")?,
            connect_time: fields.milliseconds("connectTimeoutMs", 100..=120_000)?.unwrap_or(Duration::from_secs(10)),
        })
    }

    /// The server for people.
    pub(crate) fn label(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}
