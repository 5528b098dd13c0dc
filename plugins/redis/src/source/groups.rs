//! Streams for a group: a job is given entries under a consumer of its own, which it can be asked for again until they are
//! acknowledged.
//!
//! Entries are given when a split is opened first, so that a look at the plan takes nothing, and all of them in one step:
//! whoever opens the split again, also after a crash, finds the same ones. When the job has succeeded they are acknowledged;
//! when it has failed they go back. Where the server died they stay the consumer's until they were left alone for as long
//! as the next job says, so rows may come again after a crash, and none is lost.

use super::streams::{entries, item};
use super::{Item, Part};
use crate::client::Client;
use crate::config::Group;
use crate::error::Error;
use azora_connect::Finish;
use azora_spec::JobId;
use redis::{Value as Answer, cmd};
use serde::{Deserialize, Serialize};

/// Entries that are read at once.
const TOGETHER: usize = 512;
/// Gives a consumer its entries, once.
const DELIVER: &str = include_str!("deliver.lua");
/// Acknowledges or gives back.
const SETTLE: &str = include_str!("settle.lua");
/// The consumer that has what was given back.
const RETURNED: &str = "azora-returned";

/// One stream of a group, and the consumer that gets its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) key: String,
    group: String,
    consumer: String,
    rows_max: u64,
    claim_ms: u64,
}

impl Share {
    /// A share that nobody was given yet.
    pub(super) fn part(key: &str, group: &Group) -> Part {
        let claim_ms = u64::try_from(group.claim_after.as_millis()).unwrap_or(u64::MAX);
        let consumer = format!("azora-{}", JobId::generate());
        Part::Share(Self { key: key.to_owned(), group: group.name.clone(), consumer, rows_max: group.rows_max, claim_ms })
    }

    /// Lets the consumer have its entries, where it has not got them already.
    pub(super) async fn deliver(&self, client: &mut Client) -> Result<(), Error> {
        let mut call = cmd("EVAL");
        call.arg(DELIVER).arg(1).arg(&self.key).arg(&self.group).arg(&self.consumer).arg(self.rows_max).arg(self.claim_ms);
        client.ask::<i64>(&call, "giving a group's entries").await.map(|_| ())
    }

    /// Notes what became of the entries. Does nothing where that was done before.
    pub(super) async fn settle(&self, client: &mut Client, finish: Finish) -> Result<(), Error> {
        let word = if finish == Finish::Succeeded { "ack" } else { "back" };
        let mut call = cmd("EVAL");
        call.arg(SETTLE).arg(1).arg(&self.key).arg(&self.group).arg(&self.consumer).arg(word).arg(RETURNED);
        client.ask::<i64>(&call, "acknowledging entries").await.map(|_| ())
    }
}

/// The entries of a consumer being read.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) share: Share,
    pub(super) after: String,
    pub(super) is_over: bool,
}

impl Shared {
    pub(super) async fn next(&mut self, client: &mut Client) -> Result<Option<Vec<Item>>, Error> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            let Share { key, group, consumer, .. } = &self.share;
            let mut read = cmd("XREADGROUP");
            read.arg("GROUP").arg(group).arg(consumer).arg("COUNT").arg(TOGETHER).arg("STREAMS").arg(key).arg(&self.after);
            let Answer::Array(mut streams) = client.ask(&read, "reading a group's entries").await? else { return Ok(None) };
            let Some(Answer::Array(mut stream)) = streams.pop() else { return Ok(None) };
            let found = entries(stream.pop().unwrap_or(Answer::Nil));
            self.is_over = found.len() < TOGETHER;
            let Some((last, _)) = found.last() else { return Ok(None) };
            self.after.clone_from(last);
            // Entries that were deleted from the stream have no fields any more.
            let items: Vec<Item> =
                found.into_iter().filter(|(_, fields)| *fields != Answer::Nil).map(|(id, fields)| item(key, id, fields)).collect();
            if !items.is_empty() {
                return Ok(Some(items));
            }
        }
    }
}
