//! What writing has in common for all engines: names of staging tables, tokens, and the table that says which commits are
//! done.

use crate::error::{Error, Site};
use crate::sql::Table;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Schema;
use azora_connect::{Token, WriterId};
use azora_spec::JobId;
use serde::{Deserialize, Serialize};

/// The table of commits that are done, beside the target.
pub(crate) const COMMITS: &str = "azora_commits";
/// What names of staging tables begin with.
const STAGE: &str = "azs_";

/// That rows have columns at all.
pub(crate) fn check_any(site: &Site, schema: &Schema) -> Result<(), Error> {
    if schema.fields().is_empty() {
        return Err(Error::Columns { site: site.clone(), reason: "rows without columns cannot be written".to_owned() });
    }
    Ok(())
}

/// The failure for a column of the rows that the target lacks.
pub(crate) fn no_column(site: &Site, table: &Table, column: &str) -> Error {
    let reason = format!("'{}' has no column '{}' for the rows' one", table.shown(), column.escape_debug());
    Error::Columns { site: site.clone(), reason }
}

/// What one writer staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Staged {
    pub(crate) table: String,
    pub(crate) rows: u64,
}

impl Staged {
    pub(crate) fn token(&self) -> Result<Token, Error> {
        serde_json::to_string(self).map(Token).map_err(|_| Error::Broken("a token is JSON"))
    }

    /// Reads tokens of this job and epoch, and of no other.
    pub(crate) fn read(tokens: &[Token], job: JobId, epoch: u64) -> Result<Vec<Self>, Error> {
        let prefix = prefix(job, epoch);
        let read = |Token(text): &Token| serde_json::from_str::<Self>(text).ok().filter(|staged| staged.table.starts_with(&prefix));
        tokens.iter().map(|token| read(token).ok_or(Error::Foreign("token"))).collect()
    }
}

/// The name of a writer's staging table: at most 63 bytes, the shortest limit among the engines.
pub(crate) fn stage(id: WriterId) -> String {
    format!("{}{}_{}", prefix(id.job, id.epoch), short(id.partition as u64), short(u64::from(id.attempt)))
}

/// What the names of all staging tables of a job's epoch begin with.
pub(crate) fn prefix(job: JobId, epoch: u64) -> String {
    let job: String = job.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{STAGE}{job}_{}_", short(epoch))
}

/// A number in base 36.
fn short(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// Refuses rows without a value in a key: they would be lost among each other.
pub(crate) fn check_keys(batch: &RecordBatch, keys: &[String]) -> Result<(), Error> {
    match keys.iter().find(|key| batch.column_by_name(key).is_none_or(|column| column.logical_null_count() > 0)) {
        None => Ok(()),
        Some(key) => {
            let place = format!("column '{}'", key.escape_debug());
            Err(Error::Value { place, reason: "a key has no value in one of the rows".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Staged, prefix, stage};
    use azora_connect::WriterId;
    use azora_spec::JobId;

    #[test]
    fn names_are_short_and_belong_to_one_job_and_epoch() {
        let id = WriterId { job: JobId::generate(), partition: 4095, attempt: u32::MAX, epoch: u64::MAX };
        assert!(stage(id).len() <= 63, "{}", stage(id));
        assert!(stage(id).starts_with(&prefix(id.job, id.epoch)));
        assert!(!stage(WriterId { epoch: 36, ..id }).starts_with(&prefix(id.job, 1)));
    }

    #[test]
    fn tokens_of_others_are_refused() {
        let id = WriterId { job: JobId::generate(), partition: 1, attempt: 2, epoch: 3 };
        let staged = Staged { table: stage(id), rows: 7 };
        let tokens = [staged.token().unwrap()];
        assert_eq!(Staged::read(&tokens, id.job, 3).unwrap(), [staged]);
        assert!(Staged::read(&tokens, id.job, 4).is_err());
        assert!(Staged::read(&tokens, JobId::generate(), 3).is_err());
    }
}
