//! What a request says of Redis.

mod server;

pub(crate) use server::Server;

use arrow::datatypes::Fields as Columns;
use azora_connect::{Setup, json};
use azora_spec::wire::{Fields, Unknown};
use azora_spec::{Failure, Secret};
use serde_json::{Map, Value};
use std::time::Duration;

/// Most keys or streams that a request names.
const NAMES_MAX: usize = 100_000;
/// Most channels that a request names, and most patterns.
const CHANNELS_MAX: usize = 1000;
/// Entries of one stream that a job of a group is given where the request does not say.
const GROUP_ROWS: u64 = 100_000;
/// Most of them: they are handed out by one script, during which the server answers nobody else.
const GROUP_ROWS_MAX: u64 = 1_000_000;
/// How long entries stay another consumer's where the request does not say.
const CLAIM_AFTER: Duration = Duration::from_secs(600);
/// Longest time for which channels are listened to, in milliseconds.
const LISTEN_MS_MAX: u64 = 24 * 3_600_000;
/// Longest key that a request names.
const KEY_BYTES_MAX: usize = 4096;

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
    /// Streams, for a group where one is named.
    Streams {
        names: Vec<String>,
        group: Option<Group>,
    },
    Channels(Channels),
}

/// A group of streams' consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Most entries of one stream that one job is given.
    pub(crate) rows_max: u64,
    /// How long entries that a consumer was given and did not acknowledge stay its own.
    pub(crate) claim_after: Duration,
}

/// What is listened to, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Channels {
    pub(crate) names: Vec<String>,
    pub(crate) patterns: Vec<String>,
    pub(crate) rows_max: Option<u64>,
    pub(crate) time_max: Option<Duration>,
    /// Columns of the values where the request tells them.
    pub(crate) columns: Option<Columns>,
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

impl Reading {
    pub(crate) fn read(config: &Map<String, Value>, setup: &Setup, default: Option<&Secret>) -> Result<Self, Failure> {
        let mut fields = Fields::config(config);
        let server = Server::read(&mut fields, setup, default)?;
        let what = what(&mut fields)?;
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

fn what(fields: &mut Fields<'_>) -> Result<What, Failure> {
    let pattern = fields.text("pattern")?.map(str::to_owned);
    let keys = fields.text_or_texts("keys")?;
    let name = fields.name_of(&["stream", "streams"])?;
    let streams = fields.text_or_texts(name)?;
    let group = group(fields)?;
    let channels = channels(fields)?;
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
    match (pattern, keys, streams, channels) {
        (pattern, None, None, None) => Ok(What::Pattern(pattern)),
        (None, Some(keys), None, None) => Ok(What::Keys(sorted(keys))),
        (None, None, Some(names), None) => Ok(What::Streams { names: sorted(names), group }),
        (None, None, None, Some(channels)) => Ok(What::Channels(channels)),
        _ => Err(fields.wrong("pattern", "give one of 'pattern', 'keys', 'stream' and 'channels'")),
    }
}

fn group(fields: &mut Fields<'_>) -> Result<Option<Group>, Failure> {
    let name = fields.text("groupId")?.map(str::to_owned);
    let claim_after = fields.milliseconds("claimIdleMs", 0..=7 * 24 * 3_600_000)?;
    let Some(name) = name else {
        return if claim_after.is_some() { Err(fields.wrong("claimIdleMs", "entries are claimed for a group only")) } else { Ok(None) };
    };
    let rows_max = fields.integer("maxRows", 1..=GROUP_ROWS_MAX)?.unwrap_or(GROUP_ROWS);
    Ok(Some(Group { name, rows_max, claim_after: claim_after.unwrap_or(CLAIM_AFTER) }))
}

fn channels(fields: &mut Fields<'_>) -> Result<Option<Channels>, Failure> {
    let name = fields.name_of(&["channel", "channels"])?;
    let names = fields.text_or_texts(name)?;
    let patterns = fields.text_or_texts("channelPatterns")?;
    if names.is_none() && patterns.is_none() {
        return Ok(None);
    }
    for (texts, name) in [(&names, name), (&patterns, "channelPatterns")] {
        let is_sound = |texts: &Vec<String>| {
            (1..=CHANNELS_MAX).contains(&texts.len()) && texts.iter().all(|text| !text.is_empty() && text.len() <= KEY_BYTES_MAX)
        };
        if texts.as_ref().is_some_and(|texts| !is_sound(texts)) {
            return Err(fields.wrong(name, format!("name 1 to {CHANNELS_MAX} channels of at most {KEY_BYTES_MAX} bytes")));
        }
    }
    let columns = fields.object("columns")?.map(|told| json::told(&told, &fields.pointer("columns"))).transpose()?;
    Ok(Some(Channels {
        names: sorted(names.unwrap_or_default()),
        patterns: sorted(patterns.unwrap_or_default()),
        rows_max: fields.integer("maxRows", 1..=u64::MAX)?,
        time_max: fields.milliseconds("maxMs", 1..=LISTEN_MS_MAX)?,
        columns,
    }))
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
        check(json!({"redisUrl": "rediss://:canary@h", "caPem": "canary"}), Code::ConnectorConfig, "/caPem");
        check(json!({"redisUrl": "rediss://:canary@h", "certificatePem": "canary"}), Code::ConnectorConfig, "/keyPem");
        check(json!({"redisUrl": "redis://h", "caPem": "canary"}), Code::ConnectorConfig, "/caPem");
        check(json!({"redisUrl": "redis://h", "channels": ["a"], "keys": "b"}), Code::ConnectorConfig, "/pattern");
        check(json!({"redisUrl": "redis://h", "channels": []}), Code::ConnectorConfig, "/channels");
        check(json!({"redisUrl": "redis://h", "stream": "s", "claimIdleMs": 5}), Code::ConnectorConfig, "/claimIdleMs");
        check(json!({"redisUrl": "redis://h", "keys": "s", "groupId": "g"}), Code::ConnectorConfig, "/groupId");
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
