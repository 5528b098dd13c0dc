//! Keys: found by SCAN, cut into ranges, and read by their types.

use super::{Item, Part};
use crate::client::Client;
use crate::error::Error;
use azora_connect::Split;
use azora_connect::json::SAMPLE_BYTES_MAX;
use redis::{Pipeline, Value as Answer, cmd, pipe};
use serde_json::{Map, Number, Value, json};
use std::sync::Arc;

/// Keys that one SCAN looks at.
const SCAN_COUNT: usize = 2000;
/// Most keys of one source.
const KEYS_MAX: usize = 5_000_000;
/// Keys that are read at once.
const TOGETHER: usize = 64;
/// Most members of one key.
const MEMBERS_MAX: i64 = 1_000_000;
/// Longest string.
const STRING_BYTES_MAX: i64 = 64 << 20;
/// Longest key at which a split may begin.
const BORDER_BYTES_MAX: usize = 4096;

/// All keys that match, sorted, each once.
pub(super) async fn find(client: &mut Client, pattern: Option<&str>) -> Result<Vec<Vec<u8>>, Error> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut cursor: u64 = 0;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor);
        if let Some(pattern) = pattern {
            scan.arg("MATCH").arg(pattern);
        }
        scan.arg("COUNT").arg(SCAN_COUNT);
        let (next, found): (u64, Vec<Vec<u8>>) = client.ask(&scan, "looking for keys").await?;
        // What sinks stage is not data.
        keys.extend(found.into_iter().filter(|key| !key.starts_with(crate::sink::STAGING.as_bytes())));
        if keys.len() > KEYS_MAX {
            return Err(Error::TooManyKeys { server: client.label.clone(), max: KEYS_MAX });
        }
        cursor = next;
        if cursor == 0 {
            keys.sort_unstable();
            keys.dedup();
            return Ok(keys);
        }
    }
}

/// Ranges of about as many keys each. Borders are keys that are text.
pub(super) fn cut(keys: &[Vec<u8>], parallelism: usize, at_ms: i64) -> Vec<Split> {
    if keys.is_empty() {
        return Vec::new();
    }
    let size = keys.len().div_ceil(parallelism.max(1));
    let mut splits = Vec::new();
    let (mut from, mut begun) = (None, 0);
    for (at, key) in keys.iter().enumerate().skip(1) {
        let border = (at - begun >= size && key.len() <= BORDER_BYTES_MAX).then(|| std::str::from_utf8(key).ok()).flatten();
        if let Some(border) = border {
            let part = Part::Keys { from: from.take(), to: Some(border.to_owned()), at_ms };
            splits.push(part.split(Some((at - begun) as u64)));
            (from, begun) = (Some(border.to_owned()), at);
        }
    }
    splits.push(Part::Keys { from, to: None, at_ms }.split(Some((keys.len() - begun) as u64)));
    splits
}

/// The values of the first keys.
pub(super) async fn sample(client: &mut Client, keys: &[Vec<u8>], rows: usize) -> Result<Vec<Value>, Error> {
    let (mut values, mut bytes) = (Vec::new(), 0);
    for chunk in keys.get(..rows.min(keys.len())).unwrap_or_default().chunks(TOGETHER) {
        for (value, size) in read(client, chunk).await? {
            bytes += size;
            values.extend(value.ok().flatten());
        }
        if bytes > SAMPLE_BYTES_MAX {
            break;
        }
    }
    Ok(values)
}

/// A range of keys being read.
#[derive(Debug)]
pub(super) struct Keys {
    keys: Arc<[Vec<u8>]>,
    next: usize,
    end: usize,
    at_ms: i64,
}

impl Keys {
    pub(super) fn new(keys: Arc<[Vec<u8>]>, range: (Option<String>, Option<String>), at_ms: i64, after: Option<&str>) -> Self {
        let at = |key: &str| keys.partition_point(|other| other.as_slice() < key.as_bytes());
        let start = range.0.as_deref().map_or(0, at);
        let end = range.1.as_deref().map_or(keys.len(), at);
        let next = after.map_or(start, |after| keys.partition_point(|key| key.as_slice() <= after.as_bytes()).max(start));
        Self { next, end, at_ms, keys }
    }

    /// The next rows. Keys that are gone by now have none.
    pub(super) async fn next(&mut self, client: &mut Client) -> Result<Option<Vec<Item>>, Error> {
        let until = self.end.min(self.next + TOGETHER);
        let chunk = match self.keys.get(self.next..until) {
            None | Some([]) => return Ok(None),
            Some(chunk) => chunk,
        };
        let read = read(client, chunk).await?;
        let items = chunk.iter().zip(read).filter_map(|(key, (value, bytes))| {
            let row = match (std::str::from_utf8(key), value) {
                (_, Ok(None)) => return None,
                (Err(_), _) => Err("the key is not UTF-8".to_owned()),
                (Ok(key), Ok(Some(value))) => Ok(json!({"key": key, "value": value, "timestamp": self.at_ms})),
                (Ok(_), Err(reason)) => Err(reason),
            };
            Some(Item { position: name(key), row, bytes: bytes + key.len() + 16 })
        });
        let items = items.collect();
        self.next = until;
        Ok(Some(items))
    }
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

type Read = (Result<Option<Value>, String>, usize);

/// Keys' values: none where there is no such key, and why where it is no value. In three rounds: what they are, how large,
/// and only then what they hold.
async fn read(client: &mut Client, keys: &[Vec<u8>]) -> Result<Vec<Read>, Error> {
    const DOING: &str = "reading keys";
    let mut asked = pipe();
    for key in keys {
        asked.cmd("TYPE").arg(key);
    }
    let types: Vec<String> = client.ask_all(&asked, DOING).await?;
    let mut sizes = pipe();
    for (key, of) in keys.iter().zip(&types) {
        sizes.cmd(size_command(of)).arg(key);
    }
    let sizes: Vec<i64> = client.ask_all(&sizes, DOING).await?;
    let is_small = |of: &str, size: i64| size <= if of == "string" { STRING_BYTES_MAX } else { MEMBERS_MAX };
    let mut values = pipe();
    for ((key, of), size) in keys.iter().zip(&types).zip(&sizes) {
        if is_small(of, *size) {
            value_command(&mut values, of, key);
        } else {
            values.cmd("EXISTS").arg(key);
        }
    }
    // A key may change its type between the rounds: then its own answer is an error, and not the whole.
    values.ignore_errors();
    let answers: Vec<Answer> = client.ask_all(&values, DOING).await?;
    let one = |((of, size), answer): ((&String, &i64), Answer)| -> Read {
        if is_small(of, *size) { value(of, answer) } else { (Err(format!("the key holds {size} bytes or members, which is too much")), 0) }
    };
    Ok(types.iter().zip(&sizes).zip(answers).map(one).collect())
}

fn size_command(of: &str) -> &'static str {
    match of {
        "string" => "STRLEN",
        "hash" => "HLEN",
        "list" => "LLEN",
        "set" => "SCARD",
        "zset" => "ZCARD",
        _ => "EXISTS",
    }
}

fn value_command(values: &mut Pipeline, of: &str, key: &[u8]) {
    match of {
        "string" => values.cmd("GET").arg(key),
        "hash" => values.cmd("HGETALL").arg(key),
        "list" => values.cmd("LRANGE").arg(key).arg(0).arg(-1),
        "set" => values.cmd("SMEMBERS").arg(key),
        "zset" => values.cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES"),
        _ => values.cmd("EXISTS").arg(key),
    };
}

fn value(of: &str, answer: Answer) -> Read {
    if of == "none" || answer == Answer::Nil {
        return (Ok(None), 0);
    }
    if let Answer::ServerError(_) = answer {
        return (Err("the key changed while it was read".to_owned()), 0);
    }
    let mut bytes = 0;
    let value = match of {
        "string" => text(&answer, &mut bytes).map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))),
        "hash" => pairs(answer, &mut bytes)
            .map(|pairs| Value::Object(pairs.into_iter().map(|(name, text)| (name, Value::String(text))).collect())),
        "list" => texts(answer, &mut bytes).map(Value::from),
        // A set has no order; sorted, it is the same each time.
        "set" => texts(answer, &mut bytes).map(|mut members| {
            members.sort_unstable();
            Value::from(members)
        }),
        "zset" => pairs(answer, &mut bytes).map(|pairs| pairs.into_iter().map(scored).collect()),
        "stream" => Err("the key is a stream; name it as 'stream'".to_owned()),
        other => Err(format!("the key is of the type '{other}', which is not read")),
    };
    (value.map(Some), bytes)
}

fn scored((member, score): (String, String)) -> Value {
    let score = score.parse::<f64>().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number);
    let mut entry = Map::new();
    entry.insert("member".to_owned(), Value::String(member));
    entry.insert("score".to_owned(), score);
    Value::Object(entry)
}

/// A text of an answer.
pub(super) fn text(answer: &Answer, bytes: &mut usize) -> Result<String, String> {
    let text = match answer {
        Answer::BulkString(text) => String::from_utf8(text.clone()).map_err(|_| "the value is not UTF-8".to_owned())?,
        Answer::SimpleString(text) => text.clone(),
        Answer::Double(number) => number.to_string(),
        Answer::Int(number) => number.to_string(),
        _ => return Err("the server answered what it should not".to_owned()),
    };
    *bytes += text.len() + 8;
    Ok(text)
}

fn texts(answer: Answer, bytes: &mut usize) -> Result<Vec<String>, String> {
    match answer {
        Answer::Array(items) | Answer::Set(items) => items.iter().map(|item| text(item, bytes)).collect(),
        _ => Err("the server answered what it should not".to_owned()),
    }
}

/// Names and values that follow each other.
pub(super) fn pairs(answer: Answer, bytes: &mut usize) -> Result<Vec<(String, String)>, String> {
    if let Answer::Map(entries) = answer {
        return entries.iter().map(|(name, value)| Ok((text(name, bytes)?, text(value, bytes)?))).collect();
    }
    let flat = texts(answer, bytes)?;
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    let mut rest = flat.into_iter();
    while let (Some(name), Some(value)) = (rest.next(), rest.next()) {
        pairs.push((name, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::{Keys, cut};
    use crate::source::Part;
    use std::sync::Arc;

    #[test]
    fn ranges_cover_every_key_once() {
        let mut keys: Vec<Vec<u8>> = (0..100).map(|at| format!("k{at:03}").into_bytes()).collect();
        keys.push(vec![0xff, 0x01]);
        let keys: Arc<[Vec<u8>]> = keys.into();
        for parallelism in [1, 3, 7, 500] {
            let mut next = 0;
            for split in cut(&keys, parallelism, 5) {
                let Part::Keys { from, to, .. } = serde_json::from_str(&split.payload).unwrap() else { panic!("a stream") };
                let range = Keys::new(Arc::clone(&keys), (from, to), 5, None);
                assert_eq!((range.next, (range.end - range.next) as u64), (next, split.rows.unwrap()));
                next = range.end;
            }
            assert_eq!(next, keys.len());
        }
        assert!(cut(&[], 3, 5).is_empty());
        assert_eq!(Keys::new(Arc::clone(&keys), (None, None), 5, Some("k041")).next, 42);
    }
}
