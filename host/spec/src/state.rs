//! The states of a job and the steps between them. Nothing about where states are kept.

use std::fmt;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Recorded durably; the caller may rely on it.
    Accepted,
    /// Its plan is fixed: splits, digests, partitions.
    Planned,
    /// A runner works on it.
    Running,
    /// Ended; its effects are visible exactly once.
    Succeeded,
    /// Ended; none of its effects is visible.
    Failed,
    /// Ended on request; none of its effects is visible.
    Cancelled,
}

/// A step that the state machine refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state it is in.
    pub from: JobState,
    /// The state that was asked for.
    pub to: JobState,
}

impl JobState {
    /// Every state, in order.
    pub const ALL: [Self; 6] = [Self::Accepted, Self::Planned, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The word used in JSON and on disk.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the job has ended. An ended job never changes.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Takes a step, or says which step was refused. Going back to `Accepted` is what a restart does with a job that
    /// had not ended.
    ///
    /// # Errors
    /// When the step is not one of the machine's.
    pub const fn step(self, to: Self) -> Result<Self, Transition> {
        let is_legal = match (self, to) {
            (Self::Accepted, Self::Planned) | (Self::Planned, Self::Running) | (Self::Running, Self::Succeeded) => true,
            (from, Self::Failed | Self::Cancelled | Self::Accepted) => !from.is_ended(),
            _ => false,
        };
        if is_legal { Ok(to) } else { Err(Transition { from: self, to }) }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a job cannot go from {} to {}", self.from, self.to)
    }
}

impl std::error::Error for Transition {}

#[cfg(test)]
mod tests {
    use super::JobState;

    #[test]
    fn an_ended_job_never_changes() {
        for from in JobState::ALL.into_iter().filter(|state| state.is_ended()) {
            for to in JobState::ALL {
                assert!(from.step(to).is_err(), "{from} to {to}");
            }
        }
    }

    #[test]
    fn success_is_only_reached_from_running() {
        for from in JobState::ALL {
            assert_eq!(from.step(JobState::Succeeded).is_ok(), from == JobState::Running);
        }
    }
}
