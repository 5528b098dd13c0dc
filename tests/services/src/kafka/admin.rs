//! Making topics, by the one request of Kafka's protocol that it takes: tests of other crates need no client for it.

use anyhow::{Context as _, Result, bail, ensure};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// CreateTopics, in the last version without compact fields.
const CREATE_TOPICS: (i16, i16) = (19, 4);
/// The topic is there already.
const EXISTS: i16 = 36;
/// How long a broker that has just started may refuse.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Makes a topic where it is not there yet.
pub(super) fn create(broker: SocketAddr, topic: &str, partitions: i32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match once(broker, topic, partitions)? {
            0 | EXISTS => return Ok(()),
            error if Instant::now() > deadline => bail!("Kafka does not make the topic '{topic}': error {error}"),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// The error's number of the answer; 0 for none.
fn once(broker: SocketAddr, topic: &str, partitions: i32) -> Result<i16> {
    let mut body = Vec::new();
    body.extend(CREATE_TOPICS.0.to_be_bytes());
    body.extend(CREATE_TOPICS.1.to_be_bytes());
    body.extend(7i32.to_be_bytes());
    text(&mut body, "azora-test")?;
    body.extend(1i32.to_be_bytes());
    text(&mut body, topic)?;
    body.extend(partitions.to_be_bytes());
    body.extend(1i16.to_be_bytes());
    // No assignments, no settings; then the time-out in milliseconds, and that it is meant.
    body.extend(0i32.to_be_bytes());
    body.extend(0i32.to_be_bytes());
    body.extend(10_000i32.to_be_bytes());
    body.push(0);
    let mut stream = TcpStream::connect_timeout(&broker, PATIENCE).context("Kafka takes no connection")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&i32::try_from(body.len())?.to_be_bytes())?;
    stream.write_all(&body)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(i32::from_be_bytes(size))?;
    ensure!(size <= ANSWER_BYTES_MAX, "an answer of {size} bytes");
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    // The number of the request, the throttle, the count, and the topic's name stand before the error.
    let at = 12 + 2 + topic.len();
    let error = answer.get(at..at + 2).context("a short answer")?;
    Ok(i16::from_be_bytes([error[0], error[1]]))
}

fn text(body: &mut Vec<u8>, text: &str) -> Result<()> {
    body.extend(i16::try_from(text.len())?.to_be_bytes());
    body.extend(text.as_bytes());
    Ok(())
}
