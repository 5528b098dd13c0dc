//! Who runs next: jobs run in the order in which they were accepted, also after a restart. How long they run is theirs.
//!
//! A job takes its ticket when it is accepted (or found again by a restart) and says later, when it is written down and
//! planned, that it is ready. A free runner waits for the oldest ticket to become ready, but not for ever: one that does
//! not within [`PATIENCE`] is passed by and comes as soon as it can.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest time that a job which is not ready yet holds up those behind it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The runners and who waits for them.
#[derive(Debug)]
pub(crate) struct Turns {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    places: usize,
    patience: Duration,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    free: usize,
    /// Number of the next ticket.
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Reserved(Instant),
    Ready(oneshot::Sender<Turn>),
}

/// A place in the line. Dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Ticket {
    inner: Arc<Inner>,
    number: u64,
    called: Option<oneshot::Receiver<Turn>>,
}

/// A runner, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    inner: Arc<Inner>,
}

impl Turns {
    pub(crate) fn new(places: usize) -> Self {
        Self::with(places, PATIENCE)
    }

    fn with(places: usize, patience: Duration) -> Self {
        let line = Line { free: places, next: 0, waiting: BTreeMap::new() };
        Self { inner: Arc::new(Inner { places, patience, line: Mutex::new(line) }) }
    }

    /// The next place in the line.
    pub(crate) fn reserve(&self) -> Ticket {
        let mut line = self.inner.line.lock();
        let number = line.next;
        line.next += 1;
        line.waiting.insert(number, Waiting::Reserved(Instant::now()));
        Ticket { inner: Arc::clone(&self.inner), number, called: None }
    }

    /// Runners at work.
    pub(crate) fn running(&self) -> usize {
        self.inner.places - self.inner.line.lock().free
    }
}

impl Ticket {
    /// From here on it may be called.
    pub(crate) fn ready(&mut self) {
        let (call, called) = oneshot::channel();
        self.called = Some(called);
        self.inner.line.lock().waiting.insert(self.number, Waiting::Ready(call));
        serve(&self.inner);
    }

    /// Waits until it is called; none for a ticket that was never ready, or was called before.
    pub(crate) async fn turn(&mut self) -> Option<Turn> {
        let called = self.called.as_mut()?;
        loop {
            tokio::select! {
                biased;
                turn = &mut *called => {
                    self.called = None;
                    return turn.ok();
                }
                // Somebody before it may have used up the patience.
                () = tokio::time::sleep(self.inner.patience) => serve(&self.inner),
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.inner.line.lock().waiting.remove(&self.number);
        serve(&self.inner);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.inner.line.lock().free += 1;
        serve(&self.inner);
    }
}

/// Calls those whose turn it is.
fn serve(inner: &Arc<Inner>) {
    // Given back by whom nobody listens to any more; dropped only when the line is unlocked.
    let mut returned = Vec::new();
    let mut line = inner.line.lock();
    while line.free > 0 {
        let Some(number) = first_ready(&line, inner.patience) else { break };
        let Some(Waiting::Ready(call)) = line.waiting.remove(&number) else { break };
        line.free -= 1;
        if let Err(turn) = call.send(Turn { inner: Arc::clone(inner) }) {
            returned.push(turn);
        }
    }
    drop(line);
    drop(returned);
}

fn first_ready(line: &Line, patience: Duration) -> Option<u64> {
    for (number, waiting) in &line.waiting {
        match waiting {
            Waiting::Ready(_) => return Some(*number),
            Waiting::Reserved(since) if since.elapsed() < patience => return None,
            Waiting::Reserved(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Ticket, Turns};
    use std::time::Duration;

    fn is_called(ticket: &mut Ticket) -> bool {
        ticket.called.as_mut().is_some_and(|called| !called.is_empty())
    }

    #[test]
    fn the_order_is_that_of_tickets_whoever_is_ready_first() {
        let turns = Turns::new(1);
        let mut tickets: Vec<Ticket> = (0..3).map(|_| turns.reserve()).collect();
        for at in [2, 1] {
            tickets[at].ready();
        }
        assert!(!is_called(&mut tickets[1]), "the first one is to be waited for");
        tickets[0].ready();
        for at in 0..3 {
            assert_eq!((is_called(&mut tickets[at]), turns.running()), (true, 1));
            assert!(!tickets.get_mut(at + 1).is_some_and(is_called));
            // Dropping the ticket drops the turn in it.
            tickets[at].called = None;
        }
        assert_eq!(turns.running(), 0);
    }

    #[test]
    fn who_leaves_the_line_holds_up_nobody() {
        let turns = Turns::new(1);
        let (first, mut second) = (turns.reserve(), turns.reserve());
        second.ready();
        assert!(!is_called(&mut second));
        drop(first);
        assert!(is_called(&mut second));
    }

    #[tokio::test]
    async fn patience_ends() {
        let turns = Turns::with(2, Duration::from_millis(20));
        let (mut late, mut second, mut third) = (turns.reserve(), turns.reserve(), turns.reserve());
        second.ready();
        third.ready();
        let both = (second.turn().await.unwrap(), third.turn().await.unwrap());
        assert_eq!(turns.running(), 2);
        late.ready();
        drop(both);
        assert!(late.turn().await.is_some());
        assert!(late.turn().await.is_none(), "one turn for a ticket");
    }
}
