//! Which offsets are read: found once, when a job is planned.

use super::fetch::Part;
use crate::client::{Client, Entered, make};
use crate::config::{End, Reading, Start};
use crate::error::{Error, is_of_members, is_unreachable};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Fewest offsets for which another consumer is worth it.
const PART_OFFSETS_MIN: u64 = 50_000;
/// Pause before a partition without a leader is asked again.
const PAUSE: Duration = Duration::from_millis(100);

type Found = BTreeMap<(String, i32), i64>;

/// One part for each partition that has something to read.
pub(crate) fn parts(reading: &Reading, entered: &Entered) -> Result<Vec<Part>, Error> {
    let client: Client = make(&entered.consumer(&reading.group))?;
    let asked = Asked { client, entered, deadline: Instant::now() + entered.cluster.connect_time };
    for (topic, partition) in named(reading) {
        let count = entered.topics.iter().find(|(name, _)| *name == topic).map_or(0, |(_, count)| *count);
        if partition >= count {
            let (partition, count) = (i64::from(partition), usize::try_from(count).unwrap_or_default());
            return Err(Error::PartitionMissing { cluster: entered.cluster.label(), topic, partition, count });
        }
    }
    if reading.is_committed {
        asked.check_alone(&reading.group)?;
    }
    let starts = match &reading.start {
        Start::Time(at) => asked.by_time(*at)?,
        Start::Group => asked.committed()?,
        Start::Offsets(offsets) => offsets.clone(),
        Start::Earliest | Start::Latest => Found::new(),
    };
    let ends = match &reading.end {
        End::Time(at) => asked.by_time(*at)?,
        End::Offsets(offsets) => offsets.clone(),
        End::Latest => Found::new(),
    };
    let mut parts = Vec::new();
    for (topic, partition) in asked.partitions() {
        let (low, high) = asked.again(|client, time| client.fetch_watermarks(&topic, partition, time), "asking for offsets")?;
        let key = (topic, partition);
        let start = match &reading.start {
            Start::Latest => high,
            // Nothing was committed yet, or it is gone: everything that is there.
            Start::Group => starts.get(&key).copied().unwrap_or(low).max(low),
            Start::Time(_) => starts.get(&key).copied().unwrap_or(high),
            Start::Earliest | Start::Offsets(_) => starts.get(&key).copied().unwrap_or(low),
        };
        let end = ends.get(&key).copied().unwrap_or(high);
        let (topic, partition) = key;
        let is_told = |offset: i64, told: bool| told && !(low..=high).contains(&offset);
        let told = (matches!(reading.start, Start::Offsets(_)), matches!(reading.end, End::Offsets(_)));
        if let Some(offset) = [(start, told.0), (end, told.1)].into_iter().find(|(offset, told)| is_told(*offset, *told)) {
            return Err(Error::OffsetMissing { cluster: entered.cluster.label(), topic, partition, offset: offset.0, low, high });
        }
        if reading.is_followed {
            parts.push(Part { topic, partition, start, end: None });
        } else if start < end || (start == end && reading.is_committed) {
            // A partition without anything to read has a place in it all the same, which the group is to know.
            parts.push(Part { topic, partition, start, end: Some(end) });
        }
    }
    Ok(parts)
}

fn named(reading: &Reading) -> Vec<(String, i32)> {
    let start = if let Start::Offsets(offsets) = &reading.start { Some(offsets) } else { None };
    let end = if let End::Offsets(offsets) = &reading.end { Some(offsets) } else { None };
    start.into_iter().chain(end).flat_map(|offsets| offsets.keys().cloned()).collect()
}

/// Cuts long parts, so that about `parallelism` readers have as much to do each.
pub(crate) fn cut(parts: Vec<Part>, parallelism: usize) -> Vec<Part> {
    let total: u64 = parts.iter().map(Part::len).sum();
    let size = total.div_ceil(parallelism.max(1) as u64).max(PART_OFFSETS_MIN);
    let mut pieces = Vec::new();
    for part in parts {
        let count = part.len().div_ceil(size).max(1);
        let each = i64::try_from(part.len().div_ceil(count)).unwrap_or(i64::MAX);
        let (mut start, end) = (part.start, part.end.unwrap_or(part.start));
        if start >= end {
            pieces.push(part);
            continue;
        }
        while start < end {
            let next = start.saturating_add(each).min(end);
            pieces.push(Part { start, end: Some(next), ..part.clone() });
            start = next;
        }
    }
    pieces
}

/// Refuses a part that the group has gone past since the part was planned: another job has read it.
pub(crate) fn check_unread(reading: &Reading, entered: &Entered, part: &Part) -> Result<(), Error> {
    let client: Client = make(&entered.consumer(&reading.group))?;
    let asked = Asked { client, entered, deadline: Instant::now() + entered.cluster.connect_time };
    match asked.committed()?.get(&(part.topic.clone(), part.partition)) {
        Some(stands) if *stands > part.start => {
            Err(asked.in_use(&reading.group, "another job has read what this one was planned to read".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Puts the group behind the parts. It never goes back: where it stands further on, another job has read more.
pub(crate) fn commit(reading: &Reading, entered: &Entered, parts: &[Part]) -> Result<(), Error> {
    let mut ends = Found::new();
    for part in parts {
        let Some(end) = part.end else { continue };
        let known = ends.entry((part.topic.clone(), part.partition)).or_insert(end);
        *known = end.max(*known);
    }
    let connect_time = entered.cluster.connect_time;
    let mut config = entered.consumer(&reading.group);
    // So long the client waits for the group's coordinator.
    config.set("session.timeout.ms", connect_time.as_millis().clamp(1000, 60_000).to_string()).set("heartbeat.interval.ms", "500");
    let asked = Asked { client: make(&config)?, entered, deadline: Instant::now() + connect_time };
    let stands = asked.committed()?;
    ends.retain(|key, end| stands.get(key).is_none_or(|stands| stands < end));
    if ends.is_empty() {
        return Ok(());
    }
    const DOING: &str = "moving the group on";
    let mut list = TopicPartitionList::with_capacity(ends.len());
    for ((topic, partition), end) in &ends {
        list.add_partition_offset(topic, *partition, Offset::Offset(*end))
            .map_err(|error| Error::of(&error, &entered.cluster.label(), DOING))?;
    }
    asked.ask(|client, _| client.commit(&list, CommitMode::Sync)).map_err(|error| match error.rdkafka_error_code() {
        Some(code) if is_of_members(code) => asked.in_use(&reading.group, "its members move its offsets, not this job".to_owned()),
        _ => Error::of(&error, &entered.cluster.label(), DOING),
    })
}

/// Questions about offsets, asked again while a partition has no leader.
struct Asked<'a> {
    client: Client,
    entered: &'a Entered,
    deadline: Instant,
}

impl Asked<'_> {
    fn partitions(&self) -> Vec<(String, i32)> {
        self.entered.topics.iter().flat_map(|(topic, count)| (0..*count).map(move |partition| (topic.clone(), partition))).collect()
    }

    fn again<T>(&self, ask: impl Fn(&Client, Duration) -> KafkaResult<T>, doing: &'static str) -> Result<T, Error> {
        self.ask(ask).map_err(|error| Error::of(&error, &self.entered.cluster.label(), doing))
    }

    fn ask<T>(&self, ask: impl Fn(&Client, Duration) -> KafkaResult<T>) -> KafkaResult<T> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now()).max(PAUSE);
            match ask(&self.client, left) {
                Err(error) if Instant::now() < self.deadline && is_passing(&error) => std::thread::sleep(PAUSE),
                answer => return answer,
            }
        }
    }

    /// Refuses a group that has live members: they read the same records, and its offsets are theirs to move.
    fn check_alone(&self, group: &str) -> Result<(), Error> {
        let found = self.again(|client, time| client.fetch_group_list(Some(group), time), "looking at the group")?;
        let members = found.groups().iter().find(|of| of.name() == group).map_or(0, |of| of.members().len());
        match members {
            0 => Ok(()),
            1 => Err(self.in_use(group, "a consumer is a member of it".to_owned())),
            _ => Err(self.in_use(group, format!("{members} consumers are members of it"))),
        }
    }

    fn in_use(&self, group: &str, reason: String) -> Error {
        Error::GroupInUse { cluster: self.entered.cluster.label(), group: group.escape_debug().to_string(), reason }
    }

    /// The first offsets at or after a time; partitions that have none are left out.
    fn by_time(&self, at: i64) -> Result<Found, Error> {
        let list = self.list(Offset::Offset(at))?;
        let found = self.again(|client, time| client.offsets_for_times(list.clone(), time), "asking for offsets by time")?;
        Ok(offsets(&found))
    }

    /// Where the group stands.
    fn committed(&self) -> Result<Found, Error> {
        let list = self.list(Offset::Invalid)?;
        let found = self.again(|client, time| client.committed_offsets(list.clone(), time), "asking for the group's offsets")?;
        Ok(offsets(&found))
    }

    fn list(&self, offset: Offset) -> Result<TopicPartitionList, Error> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in self.partitions() {
            list.add_partition_offset(&topic, partition, offset)
                .map_err(|error| Error::of(&error, &self.entered.cluster.label(), "asking for offsets"))?;
        }
        Ok(list)
    }
}

fn offsets(list: &TopicPartitionList) -> Found {
    let one = |(key, offset): ((String, i32), Offset)| if let Offset::Offset(at) = offset { Some((key, at)) } else { None };
    list.to_topic_map().into_iter().filter_map(one).collect()
}

fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as K;
    error.rdkafka_error_code().is_some_and(|code| {
        is_unreachable(code) || matches!(code, K::LeaderNotAvailable | K::NotLeaderForPartition | K::NotCoordinator | K::UnknownPartition)
    })
}

#[cfg(test)]
mod tests {
    use super::{Part, cut};

    fn part(partition: i32, start: i64, end: i64) -> Part {
        Part { topic: "t".to_owned(), partition, start, end: Some(end) }
    }

    #[test]
    fn pieces_cover_every_offset_once() {
        for parallelism in [1, 2, 7, 64] {
            let parts = vec![part(0, 5, 1_000_005), part(1, 0, 10), part(2, 3, 3), part(3, 100, 150_101)];
            let pieces = cut(parts.clone(), parallelism);
            for part in parts {
                let mut at = part.start;
                for piece in pieces.iter().filter(|piece| piece.partition == part.partition) {
                    assert_eq!(piece.start, at);
                    at = piece.end.unwrap();
                }
                assert_eq!(at, part.end.unwrap());
            }
            assert!(pieces.len() <= parallelism + 3, "{parallelism}: {}", pieces.len());
        }
    }
}
