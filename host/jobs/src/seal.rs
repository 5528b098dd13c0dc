//! Requests as they are recorded: sealed where they may hold secrets. A caller may write a password into a connector's
//! configuration, and a restart needs it again; so the record is encrypted with a key that lies in a file of its own, and
//! neither the journal, nor its index, nor a copy of them gives the password away.

use crate::error::Error;
use azora_spec::{Code, Failure, JobId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// How a sealed record begins; one that is not begins with a brace.
const HEAD: &str = "sealed1:";
/// The folder of the key below the data directory, which only this user may enter.
const FOLDER: &str = "private";
const KEY_FILE: &str = "records.key";
const KEY_BYTES: usize = 32;
/// Members in which connectors are configured. A record without any of them holds no secret.
const CONFIGURING: [&str; 5] = ["source", "sink", "input", "config", "connection"];
/// A member that holds nothing but the caller's rows.
const ROWS: &str = "data";

/// Seals and opens records of one data directory.
pub(crate) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// The seal of a data directory; its key is made where there is none.
    ///
    /// # Errors
    /// Where the key can neither be read nor made.
    pub(crate) fn of(data_dir: &Path) -> Result<Self, Failure> {
        let random = SystemRandom::new();
        let bytes = read_or_make(&data_dir.join(FOLDER), &random).map_err(|error| {
            tracing::error!(%error, "the key of job records cannot be read or made");
            Failure::new(Code::Internal, "the key of job records cannot be read or made")
        })?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| broken())?;
        Ok(Self { key: LessSafeKey::new(key), random })
    }

    /// The text of a job's record, sealed where its request configures a connector.
    pub(crate) fn seal(&self, job: JobId, record: &Value) -> Result<String, Failure> {
        let text = record.to_string();
        if !configures(record) {
            return Ok(text);
        }
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| broken())?;
        let mut bytes = text.into_bytes();
        let job = job.to_string();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(job.as_bytes()), &mut bytes)
            .map_err(|_| broken())?;
        bytes.splice(0..0, nonce);
        Ok(format!("{HEAD}{}", STANDARD.encode(bytes)))
    }

    /// What [`Self::seal`] sealed, or what an earlier version recorded openly.
    pub(crate) fn open(&self, job: JobId, text: &str) -> Result<Value, Failure> {
        let Some(sealed) = text.strip_prefix(HEAD) else {
            return serde_json::from_str(text).map_err(|_| Error::RecordDamaged.into());
        };
        let opened = || {
            let mut bytes = STANDARD.decode(sealed).ok()?;
            let nonce = Nonce::try_assume_unique_for_key(bytes.get(..NONCE_LEN)?).ok()?;
            let job = job.to_string();
            let text = self.key.open_in_place(nonce, Aad::from(job.as_bytes()), bytes.get_mut(NONCE_LEN..)?).ok()?;
            serde_json::from_slice(text).ok()
        };
        opened().ok_or_else(|| {
            tracing::error!(%job, "a sealed record cannot be opened: it is damaged, or the key is another one");
            Error::RecordDamaged.into()
        })
    }
}

fn broken() -> Failure {
    Failure::new(Code::Internal, "a record could not be sealed")
}

/// Whether a record may configure a connector anywhere.
fn configures(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, inner)| {
            let is_configuring = CONFIGURING.contains(&name.as_str()) && (inner.is_object() || inner.is_string());
            is_configuring || (name != ROWS && configures(inner))
        }),
        Value::Array(items) => items.iter().any(configures),
        _ => false,
    }
}

fn read_or_make(folder: &Path, random: &SystemRandom) -> io::Result<Vec<u8>> {
    let path = folder.join(KEY_FILE);
    match fs::read(&path) {
        Ok(bytes) if bytes.len() == KEY_BYTES => return Ok(bytes),
        Ok(_) => return Err(io::Error::other("the file is not a key")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut key = vec![0; KEY_BYTES];
    random.fill(&mut key).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let fresh = folder.join(format!("{KEY_FILE}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    // A key that were lost after its first record would make that record unreadable.
    File::open(folder)?.sync_all()?;
    folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{Seal, configures};
    use azora_spec::{Code, JobId};
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_may_hold_secrets_is_sealed_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let (seal, job) = (Seal::of(folder.path()).unwrap(), JobId::generate());
        let open = json!({"from": "request", "body": {"data": [{"source": {"a": 1}}], "operations": [{"type": "count"}]}});
        assert_eq!(seal.seal(job, &open).unwrap(), open.to_string());
        let record = json!({"from": "request", "body": {"source": {"type": "redis", "redisUrl": "redis://:canary@h/"}}});
        let sealed = seal.seal(job, &record).unwrap();
        assert!(!sealed.contains("canary") && !sealed.contains("redis"), "{sealed}");
        assert_ne!(seal.seal(job, &record).unwrap(), sealed);
        let again = Seal::of(folder.path()).unwrap();
        assert_eq!(again.open(job, &sealed).unwrap(), record);
        assert_eq!(again.open(job, &open.to_string()).unwrap(), open);
        // Another job's record, a changed one, one that was cut, and one of another key.
        let mut changed = sealed.clone();
        changed.replace_range(30..31, if sealed.as_bytes()[30] == b'A' { "B" } else { "A" });
        let other = Seal::of(tempfile::tempdir().unwrap().path()).unwrap();
        for (seal, job, text) in [
            (&again, JobId::generate(), sealed.as_str()),
            (&again, job, changed.as_str()),
            (&again, job, "sealed1:AAAA"),
            (&again, job, "sealed1:"),
            (&other, job, sealed.as_str()),
        ] {
            assert_eq!(seal.open(job, text).unwrap_err().code, Code::Internal, "{text}");
        }
        let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("private"), mode("private/records.key")), (0o700, 0o600));
    }

    #[test]
    fn a_broken_key_is_no_reason_to_make_another() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("private")).unwrap();
        std::fs::write(folder.path().join("private/records.key"), b"short").unwrap();
        assert!(Seal::of(folder.path()).is_err());
    }

    #[test]
    fn connectors_are_found_wherever_they_stand() {
        for body in [
            json!({"sink": {"type": "s3"}}),
            json!({"operations": [{"type": "join", "other": {"source": {"type": "kafka"}}}]}),
            json!({"frame": [{"write": {"sink": {"type": "redis"}}}]}),
            json!({"connector": "database", "config": {"connection": "postgres://u:p@h/d"}}),
        ] {
            assert!(configures(&json!({"body": body})), "{body}");
        }
        assert!(!configures(&json!({"body": {"sql": "SELECT 1", "data": [{"config": {}}]}})));
    }
}
