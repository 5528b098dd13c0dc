//! Ids and names as text in records.

pub(crate) mod id {
    //! Anything that prints and parses.
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

pub(crate) mod digest {
    //! A digest as `sha256:…`.
    use azora_spec::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(value: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).ok_or_else(|| D::Error::custom("not a digest"))
    }
}

pub(crate) mod failure {
    //! A failure as an object. A code that this version does not know is read as `internal`, its text kept.
    use azora_spec::{Code, Failure, Position};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Record {
        code: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pointer: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<(u32, u32, String)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<u64>,
    }

    pub(crate) fn serialize<S: Serializer>(value: &Failure, serializer: S) -> Result<S::Ok, S::Error> {
        Record {
            code: value.code.as_str().to_owned(),
            message: value.message.clone(),
            hint: value.hint.clone(),
            pointer: value.pointer.clone(),
            position: value.position.as_ref().map(|at| (at.line, at.column, at.excerpt.clone())),
            row: value.row,
        }
        .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Failure, D::Error> {
        let record = Record::deserialize(deserializer)?;
        Ok(Failure {
            code: Code::parse(&record.code).unwrap_or(Code::Internal),
            message: record.message,
            hint: record.hint,
            pointer: record.pointer,
            position: record.position.map(|(line, column, excerpt)| Position { line, column, excerpt }),
            row: record.row,
        })
    }
}
