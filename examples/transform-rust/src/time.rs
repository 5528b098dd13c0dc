//! Moments, and a function that remembers: one state per partition.

use azora_guest::prelude::*;

/// The width of a bucket.
#[derive(Config)]
pub struct Width {
    /// Minutes.
    #[config(default = 60)]
    pub minutes: u32,
}

const MICROS_A_MINUTE: i64 = 60_000_000;

/// The start of the bucket that a moment falls into, counted from 1970 in UTC.
#[map]
pub fn bucket(at: Timestamp, #[config] width: &Width) -> Timestamp {
    at.truncate(i64::from(width.minutes) * MICROS_A_MINUTE)
}

/// Neighbouring events of one user, no further apart than a gap.
#[derive(Row, Debug, Clone, PartialEq)]
pub struct Session {
    /// Whose.
    pub user: String,
    /// First event.
    pub start: Timestamp,
    /// Last event.
    pub end: Timestamp,
    /// How many events.
    pub events: i64,
}

/// When a session ends.
#[derive(Config)]
pub struct Gap {
    /// Minutes without an event.
    #[config(default = 30)]
    pub minutes: u32,
}

/// Sessions of a partition that is sorted by user and time.
pub struct Sessions {
    gap: i64,
    open: Option<Session>,
}

/// Joins neighbouring events of a user to sessions. The partition must be sorted by `user` and `at`.
#[map_partitions]
impl Sessions {
    fn new(gap: &Gap) -> Self {
        Self { gap: i64::from(gap.minutes) * MICROS_A_MINUTE, open: None }
    }

    fn row(&mut self, user: &str, at: Timestamp) -> Option<Session> {
        if let Some(open) = &mut self.open
            && open.user == user
            && at.micros().saturating_sub(open.end.micros()) <= self.gap
        {
            open.end = at;
            open.events += 1;
            return None;
        }
        self.open.replace(Session { user: user.to_owned(), start: at, end: at, events: 1 })
    }

    fn finish(&mut self) -> Option<Session> {
        self.open.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_micros(minute * MICROS_A_MINUTE)
    }

    #[test]
    fn buckets_start_at_whole_hours() {
        assert_eq!(bucket(minute(125), &Width { minutes: 60 }), minute(120));
        assert_eq!(bucket(minute(-1), &Width { minutes: 60 }), minute(-60));
    }

    #[test]
    fn sessions_end_at_gaps_and_other_users() {
        let mut sessions = Sessions::new(&Gap { minutes: 30 });
        let mut found = Vec::new();
        for (user, at) in [("a", 0), ("a", 30), ("a", 61), ("b", 62)] {
            found.extend(sessions.row(user, minute(at)));
        }
        found.extend(sessions.finish());
        let session = |user: &str, start, end, events| Session { user: user.into(), start: minute(start), end: minute(end), events };
        assert_eq!(found, [session("a", 0, 30, 2), session("a", 61, 61, 1), session("b", 62, 62, 1)]);
    }
}
