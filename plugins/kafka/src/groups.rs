//! Which consumer groups the jobs of this server read for: of one topic one job at a time, since two that begin at the
//! same offsets would both write what they read. Consumers elsewhere are seen where a job is planned, as live members.

use crate::config::Reading;
use crate::error::Error;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

/// Cluster, group and topic.
type Key = (String, String, String);
type Turn = Arc<tokio::sync::Mutex<()>>;

/// All claims. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    turns: Arc<Mutex<HashMap<Key, Turn>>>,
}

/// A group that is one source's, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    _turns: Vec<OwnedMutexGuard<()>>,
}

impl Claims {
    /// The group, where no other source reads for it.
    pub(crate) fn claim_now(&self, reading: &Reading) -> Option<Claim> {
        let turns = self.turns(reading).into_iter().map(tokio::sync::Mutex::try_lock_owned);
        turns.collect::<Result<_, _>>().ok().map(|turns| Claim { _turns: turns })
    }

    /// Waits no longer than connecting may take until no other source reads for the group.
    pub(crate) async fn claim(&self, reading: &Reading) -> Result<Claim, Error> {
        let turns = self.turns(reading);
        let all = async {
            let mut taken = Vec::with_capacity(turns.len());
            // Topics are sorted, so two that want several never wait for one another.
            for turn in turns {
                taken.push(turn.lock_owned().await);
            }
            Claim { _turns: taken }
        };
        timeout(reading.cluster.connect_time, all).await.map_err(|_| Error::GroupInUse {
            cluster: reading.cluster.label(),
            group: reading.group.clone(),
            reason: "another job of this server reads for it".to_owned(),
        })
    }

    fn turns(&self, reading: &Reading) -> Vec<Turn> {
        let mut all = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turn| Arc::strong_count(turn) > 1);
        let mut brokers: Vec<String> = reading.cluster.brokers.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        brokers.sort_unstable();
        let key = |topic: &String| (brokers.join(","), reading.group.clone(), topic.clone());
        reading.topics.iter().map(|topic| Arc::clone(all.entry(key(topic)).or_default())).collect()
    }
}
