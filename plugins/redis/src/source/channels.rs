//! Channels: what is said while somebody listens. Nothing of it can be read again, so a job that is taken up after a crash
//! listens anew, from then on.

use super::Item;
use super::keys::text;
use crate::client::Client;
use crate::config::{Channels, Server};
use crate::error::Error;
use azora_connect::Policy;
use azora_spec::Failure;
use redis::aio::SendError;
use redis::{PushInfo, PushKind, Value as Answer, cmd};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Most messages that wait to be read.
const WAITING_MAX: usize = 65_536;
/// Most bytes of them, beside one message.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How long messages are waited for before those that are there are given.
const GATHER_TIME: Duration = Duration::from_millis(100);
/// Messages that are handed on at once.
const TOGETHER: usize = 1024;

/// A message and its size.
type Message = (PushInfo, usize);

/// What was said and waits to be read.
#[derive(Debug)]
struct Waiting {
    /// None where nothing more comes.
    to: Mutex<Option<mpsc::Sender<Message>>>,
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

/// Channels being listened to.
#[derive(Debug)]
pub(super) struct Listening {
    messages: mpsc::Receiver<Message>,
    waiting: Arc<Waiting>,
    deadline: Option<Instant>,
    left: u64,
    heard: u64,
}

impl Listening {
    /// Subscribes. The client is what keeps the connection.
    pub(super) async fn new(server: &Server, network: &Policy, channels: &Channels) -> Result<(Self, Client), Failure> {
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let (bytes, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let waiting = Arc::new(Waiting { to: Mutex::new(Some(sender)), bytes, is_over });
        let heard = Arc::clone(&waiting);
        let mut client = Client::listen(server, network, move |said: PushInfo| heard.hear(said)).await?;
        for (word, names) in [("SUBSCRIBE", &channels.names), ("PSUBSCRIBE", &channels.patterns)] {
            if !names.is_empty() {
                client.ask::<Answer>(cmd(word).arg(names), "subscribing").await?;
            }
        }
        let deadline = channels.time_max.map(|time| Instant::now() + time);
        Ok((Self { messages, waiting, deadline, left: channels.rows_max.unwrap_or(u64::MAX), heard: 0 }, client))
    }

    /// What was said since the last call; nothing where it is time to end.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Option<Vec<Item>>, Error> {
        let mut items: Vec<Item> = Vec::new();
        let mut until = self.deadline;
        while self.left > 0 && items.len() < TOGETHER {
            let said = match until {
                Some(until) => timeout_at(until, self.messages.recv()).await,
                None => Ok(self.messages.recv().await),
            };
            match said {
                Err(_) => break,
                Ok(None) if self.waiting.is_over.load(Ordering::Relaxed) => return Err(Error::TooFast { server: client.label.clone() }),
                Ok(None) => return Err(Error::Unreachable { server: client.label.clone(), reason: "the connection was lost" }),
                Ok(Some((said, bytes))) => {
                    self.waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
                    self.heard += 1;
                    self.left -= 1;
                    items.push(Item { position: self.heard.to_string(), row: row(&said), bytes });
                    let gathered = Instant::now() + GATHER_TIME;
                    let soon = if items.len() == 1 { gathered } else { until.unwrap_or(gathered) };
                    until = Some(self.deadline.map_or(soon, |deadline| deadline.min(soon)));
                }
            }
        }
        Ok(if items.is_empty() { None } else { Some(items) })
    }
}

impl Waiting {
    /// Takes what the server says. Where too much waits nothing more is taken, and the job fails: nobody can ask for it again.
    fn hear(&self, said: PushInfo) -> Result<(), SendError> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        match said.kind {
            PushKind::Message | PushKind::PMessage | PushKind::SMessage => {}
            PushKind::Disconnection => *to = None,
            _ => return Ok(()),
        }
        let Some(sender) = to.as_ref() else { return Err(SendError) };
        let bytes = said.data.iter().map(|part| if let Answer::BulkString(part) = part { part.len() + 32 } else { 32 }).sum();
        let is_full = self.bytes.fetch_add(bytes, Ordering::Relaxed) > WAITING_BYTES_MAX;
        if is_full || sender.try_send((said, bytes)).is_err() {
            self.is_over.store(true, Ordering::Relaxed);
            *to = None;
            return Err(SendError);
        }
        Ok(())
    }
}

/// Channel and payload stand last; a pattern before them.
fn row(said: &PushInfo) -> Result<Value, String> {
    let [.., channel, payload] = said.data.as_slice() else { return Err("the server said what it should not".to_owned()) };
    let channel = text(channel, &mut 0).map_err(|_| "the channel is not UTF-8".to_owned())?;
    let payload = text(payload, &mut 0)?;
    let value = serde_json::from_str(&payload).unwrap_or(Value::String(payload));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(json!({"channel": channel, "timestamp": i64::try_from(since.as_millis()).unwrap_or_default(), "value": value}))
}
