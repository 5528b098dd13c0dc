//! Streams: entries up to the last id that was there when the job was planned.

use super::keys::{pairs, text};
use super::{Item, Part};
use crate::client::Client;
use crate::error::Error;
use azora_connect::json::SAMPLE_BYTES_MAX;
use redis::{Value as Answer, cmd};
use serde_json::{Value, json};

/// Entries that are read at once.
const TOGETHER: usize = 512;
/// Before the first entry of every stream.
pub(super) const START: &str = "0-0";

/// What is to be read of a stream, and about how many entries it has; nothing where it has none.
pub(super) async fn part(client: &mut Client, key: &str) -> Result<Option<(Part, u64)>, Error> {
    check(client, key).await?;
    let last: Answer = client.ask(cmd("XREVRANGE").arg(key).arg("+").arg("-").arg("COUNT").arg(1), "looking at a stream").await?;
    let Some(last) = entries(last).into_iter().next().map(|(id, _)| id) else { return Ok(None) };
    let rows: u64 = client.ask(cmd("XLEN").arg(key), "looking at a stream").await?;
    Ok(Some((Part::Stream { key: key.to_owned(), after: START.to_owned(), last }, rows)))
}

async fn check(client: &mut Client, key: &str) -> Result<(), Error> {
    let of: String = client.ask(cmd("TYPE").arg(key), "looking at a stream").await?;
    let (server, key) = (client.label.clone(), key.escape_debug().to_string());
    match of.as_str() {
        "stream" => Ok(()),
        "none" => Err(Error::StreamMissing { server, key }),
        _ => Err(Error::NoStream { server, key, of }),
    }
}

/// Looks whether a stream has a group.
pub(super) async fn check_group(client: &mut Client, key: &str, group: &str) -> Result<(), Error> {
    check(client, key).await?;
    let groups: Vec<Answer> = client.ask(cmd("XINFO").arg("GROUPS").arg(key), "looking at a group").await?;
    let is_it = |answer: &Answer| {
        // Some of the members may be null, so they are looked at one by one.
        let Answer::Array(flat) = answer else { return false };
        let is_text = |answer: &Answer, wanted: &str| text(answer, &mut 0).as_deref() == Ok(wanted);
        flat.chunks(2).any(|pair| matches!(pair, [name, value] if is_text(name, "name") && is_text(value, group)))
    };
    if groups.iter().any(is_it) {
        return Ok(());
    }
    let (key, group) = (key.escape_debug().to_string(), group.escape_debug().to_string());
    Err(Error::GroupMissing { server: client.label.clone(), key, group })
}

/// The fields of the first entries of each stream, whoever was given them: the same ones when asked again later.
pub(super) async fn sample(client: &mut Client, names: &[String], rows: usize) -> Result<Vec<Value>, Error> {
    let each = rows.div_ceil(names.len().max(1));
    let (mut values, mut bytes) = (Vec::new(), 0);
    for name in names {
        let Some((Part::Stream { key, after, last }, _)) = part(client, name).await? else { continue };
        let mut stream = Stream { key, after, last, is_over: false };
        let mut left = each;
        while left > 0 && bytes < SAMPLE_BYTES_MAX {
            let Some(items) = stream.next(client).await? else { break };
            bytes += items.iter().map(|item| item.bytes).sum::<usize>();
            values.extend(items.into_iter().take(left).filter_map(|item| item.row.ok()?.get_mut("value").map(Value::take)));
            left = left.saturating_sub(TOGETHER);
        }
    }
    Ok(values)
}

/// A stream being read.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: String,
    pub(super) after: String,
    pub(super) last: String,
    pub(super) is_over: bool,
}

impl Stream {
    pub(super) async fn next(&mut self, client: &mut Client) -> Result<Option<Vec<Item>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let mut range = cmd("XRANGE");
        range.arg(&self.key).arg(format!("({}", self.after)).arg(&self.last).arg("COUNT").arg(TOGETHER);
        let found = entries(client.ask(&range, "reading a stream").await?);
        self.is_over = found.len() < TOGETHER;
        let Some((id, _)) = found.last() else { return Ok(None) };
        self.after.clone_from(id);
        Ok(Some(found.into_iter().map(|(id, fields)| item(&self.key, id, fields)).collect()))
    }
}

/// The row of an entry.
pub(super) fn item(key: &str, id: String, fields: Answer) -> Item {
    let mut bytes = 32;
    let row = pairs(fields, &mut bytes).map(|pairs| {
        let value: Value = pairs.into_iter().map(|(name, text)| (name, Value::String(text))).collect::<serde_json::Map<_, _>>().into();
        let time = id.split_once('-').and_then(|(time, _)| time.parse::<i64>().ok());
        json!({"stream": key, "id": id, "timestamp": time, "value": value})
    });
    Item { position: id, row, bytes }
}

/// Ids and fields of an answer.
pub(super) fn entries(answer: Answer) -> Vec<(String, Answer)> {
    let Answer::Array(entries) = answer else { return Vec::new() };
    let entry = |entry: Answer| {
        let Answer::Array(parts) = entry else { return None };
        let [Answer::BulkString(id), fields] = <[Answer; 2]>::try_from(parts).ok()? else { return None };
        Some((String::from_utf8(id).ok()?, fields))
    };
    entries.into_iter().filter_map(entry).collect()
}

/// Whether a text is an id of an entry.
pub(super) fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(time, number)| time.parse::<u64>().is_ok() && number.parse::<u64>().is_ok())
}
