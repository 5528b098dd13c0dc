//! What a request says of Redis.

use azora_connect::network::Url;
use azora_connect::{Setup, json};
use azora_spec::wire::{Fields, Unknown};
use azora_spec::{Code, Failure, Secret};
use serde_json::{Map, Value};
use std::time::Duration;

/// Most keys or streams that a request names.
const NAMES_MAX: usize = 100_000;
/// Longest key that a request names.
const KEY_BYTES_MAX: usize = 4096;

/// A server and how to enter it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: i64,
    pub(crate) username: Option<Secret>,
    pub(crate) password: Option<Secret>,
    pub(crate) connect_time: Duration,
}

/// A validated configuration of a source.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) server: Server,
    pub(crate) what: What,
    pub(crate) batch_rows: Option<usize>,
    pub(crate) sample_rows: usize,
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// Keys that match, all where there is no pattern.
    Pattern(Option<String>),
    Keys(Vec<String>),
    /// Streams, from behind what a group was given where one is named.
    Streams {
        names: Vec<String>,
        group: Option<String>,
    },
}

/// A validated configuration of a sink.
#[derive(Debug, Clone)]
pub(crate) struct Writing {
    pub(crate) server: Server,
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) value_column: Option<String>,
    pub(crate) ttl: Option<Duration>,
}

/// What a row becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Strings,
    Hashes,
    Lists,
    Streams,
}

/// The key that a row goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Fixed(String),
    Column { prefix: String, column: String },
}

impl Server {
    fn read(fields: &mut Fields<'_>, setup: &Setup, default: Option<&Secret>) -> Result<Self, Failure> {
        let name = fields.name_of(&["redisUrl", "url"])?;
        let told = match fields.text(name)? {
            Some(text) => Some(setup.secrets.expand(text).map_err(|failure| failure.at(fields.pointer(name)))?),
            None => default.cloned(),
        };
        let told = told.ok_or_else(|| fields.missing("redisUrl").hint("give redisUrl, or start the server with REDIS_URL"))?;
        // A fault of the URL must not repeat it: it may hold a password.
        let wrong = |message: &str| fields.wrong(name, message).hint("write redis://HOST:PORT/DATABASE");
        let url = Url::parse(told.expose().trim()).map_err(|_| wrong("not a URL"))?;
        if url.scheme() == "rediss" {
            return Err(Failure::new(Code::FeatureUnavailable, "Redis over TLS is not there yet").at(fields.pointer(name)));
        }
        if url.scheme() != "redis" {
            return Err(wrong("the URL's scheme is not 'redis'"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port().unwrap_or(6379);
        let path = url.path().trim_matches('/');
        let of_path =
            if path.is_empty() { 0 } else { path.parse().map_err(|_| wrong("the URL's path is not the number of a database"))? };
        setup.network.check_host(&host, port).map_err(|failure| failure.at(fields.pointer(name)))?;
        let text = |text: &str| {
            let bytes = percent(text);
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
            connect_time: fields.milliseconds("connectTimeoutMs", 100..=120_000)?.unwrap_or(Duration::from_secs(10)),
        })
    }

    /// The server for people.
    pub(crate) fn label(&self) -> String {
        format!("redis://{}:{}", self.host, self.port)
    }
}

impl Reading {
    pub(crate) fn read(config: &Map<String, Value>, setup: &Setup, default: Option<&Secret>) -> Result<Self, Failure> {
        let mut fields = Fields::config(config);
        let server = Server::read(&mut fields, setup, default)?;
        let pattern = fields.text("pattern")?.map(str::to_owned);
        let keys = fields.text_or_texts("keys")?;
        let name = fields.name_of(&["stream", "streams"])?;
        let streams = fields.text_or_texts(name)?;
        let group = fields.text("groupId")?.map(str::to_owned);
        for (names, name) in [(&keys, "keys"), (&streams, name)] {
            let is_sound = |names: &Vec<String>| {
                (1..=NAMES_MAX).contains(&names.len()) && names.iter().all(|name| !name.is_empty() && name.len() <= KEY_BYTES_MAX)
            };
            if names.as_ref().is_some_and(|names| !is_sound(names)) {
                return Err(fields.wrong(name, format!("name 1 to {NAMES_MAX} keys of at most {KEY_BYTES_MAX} bytes")));
            }
        }
        if group.is_some() && streams.is_none() {
            return Err(fields.wrong("groupId", "a group belongs to streams"));
        }
        let what = match (pattern, keys, streams) {
            (pattern, None, None) => What::Pattern(pattern),
            (None, Some(keys), None) => What::Keys(sorted(keys)),
            (None, None, Some(names)) => What::Streams { names: sorted(names), group },
            _ => return Err(fields.wrong("pattern", "give one of 'pattern', 'keys' and 'stream'")),
        };
        let read = Self {
            server,
            what,
            batch_rows: fields.size("batchSize", 1..=1_000_000)?,
            sample_rows: fields.size("sampleRows", 1..=100_000)?.unwrap_or(json::SAMPLE_ROWS),
        };
        // Whoever runs the job reads this one.
        fields.value("badRecords");
        fields.finish(Unknown::Refuse)?;
        Ok(read)
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

impl Writing {
    pub(crate) fn read(config: &Map<String, Value>, setup: &Setup, default: Option<&Secret>) -> Result<Self, Failure> {
        let mut fields = Fields::config(config);
        let server = Server::read(&mut fields, setup, default)?;
        let kinds = [("strings", Kind::Strings), ("hashes", Kind::Hashes), ("lists", Kind::Lists), ("streams", Kind::Streams)];
        let kind = fields.choice("write", &kinds)?.unwrap_or(Kind::Strings);
        let key = fields.text("key")?.map(str::to_owned);
        let column = fields.text("keyColumn")?.map(str::to_owned);
        let prefix = fields.text("keyPrefix")?.map(str::to_owned);
        let target = match (key, column) {
            (Some(key), None) if matches!(kind, Kind::Lists | Kind::Streams) && !key.is_empty() && prefix.is_none() => Target::Fixed(key),
            (None, Some(column)) => Target::Column { prefix: prefix.unwrap_or_default(), column },
            (Some(_), _) => return Err(fields.wrong("key", "one key takes a list or a stream; other rows need 'keyColumn'")),
            (None, None) => return Err(fields.missing("keyColumn")),
        };
        let value_column = fields.text("valueColumn")?.map(str::to_owned);
        if value_column.is_some() && matches!(kind, Kind::Hashes | Kind::Streams) {
            return Err(fields.wrong("valueColumn", "hashes and streams take every column as a field"));
        }
        let ttl = fields.milliseconds("ttlMs", 1..=u64::from(u32::MAX))?;
        if ttl.is_some() && kind != Kind::Strings {
            return Err(fields.wrong("ttlMs", "only strings are written with a time to live"));
        }
        fields.finish(Unknown::Refuse)?;
        Ok(Self { server, kind, target, value_column, ttl })
    }
}

/// The text behind `%xx`.
fn percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%').then(|| behind.get(..2)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Reading, What, Writing};
    use azora_connect::{Policy, Setup};
    use azora_spec::{Code, Failure};
    use serde_json::{Value, json};

    fn read(config: Value) -> Result<Reading, Failure> {
        Reading::read(config.as_object().unwrap(), &Setup::local(), None)
    }

    #[test]
    fn the_seed_configuration_is_taken() {
        let reading = read(json!({"redisUrl": "redis://u:p%40ss@h:7/3", "keys": "k"})).unwrap();
        assert_eq!((reading.server.label().as_str(), reading.server.database), ("redis://h:7", 3));
        assert_eq!(reading.server.password.as_ref().unwrap().expose(), "p@ss");
        assert_eq!(reading.what, What::Keys(vec!["k".to_owned()]));
        assert!(!format!("{reading:?}").contains("p@ss"));
        assert_eq!(read(json!({"redisUrl": "redis://h"})).unwrap().what, What::Pattern(None));
    }

    #[test]
    fn faults_have_pointers_and_tell_no_password() {
        let check = |config: Value, code: Code, pointer: &str| {
            let failure = read(config).unwrap_err();
            assert_eq!((failure.code, failure.pointer.as_deref()), (code, Some(pointer)), "{failure}");
            assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
        };
        check(json!({}), Code::ConnectorConfig, "");
        check(json!({"redisUrl": "redis://:canary@"}), Code::ConnectorConfig, "/redisUrl");
        check(json!({"redisUrl": "http://:canary@h"}), Code::ConnectorConfig, "/redisUrl");
        check(json!({"redisUrl": "rediss://:canary@h"}), Code::FeatureUnavailable, "/redisUrl");
        check(json!({"redisUrl": "redis://h", "keys": ["a"], "pattern": "*"}), Code::ConnectorConfig, "/pattern");
        check(json!({"redisUrl": "redis://h", "nonsense": 1}), Code::ConnectorConfig, "/nonsense");
        let remote = Setup { network: Policy::remote(), ..Setup::local() };
        let config = json!({"redisUrl": "redis://:canary@127.0.0.1"});
        let failure = Reading::read(config.as_object().unwrap(), &remote, None).unwrap_err();
        assert_eq!(failure.code, Code::NetworkRefused);
        let config = json!({"redisUrl": "redis://h", "write": "strings", "key": "k"});
        assert_eq!(Writing::read(config.as_object().unwrap(), &remote, None).unwrap_err().pointer.as_deref(), Some("/key"));
    }
}
