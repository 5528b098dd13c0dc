//! The formats of objects and their compression. What each looks like in bytes is in the modules below.

pub(crate) mod csv;
pub(crate) mod encode;
pub(crate) mod parquet;
pub(crate) mod records;

use azora_connect::compress::Codec;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One document: an array of rows, or values one behind the other.
    Json,
    /// One value a line.
    Ndjson,
    /// Separated values.
    Csv,
    /// One row `{text}` a line.
    Text,
    /// Parquet.
    Parquet,
    /// Avro object container files.
    Avro,
    /// Arrow IPC files; streams are read, too.
    Arrow,
}

/// How bytes are compressed: inside of Parquet and Avro, around texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Snappy,
    Codec(Codec),
}

impl Format {
    /// The words of requests that are shown.
    pub(crate) const NAMES: [&str; 7] = ["json", "ndjson", "csv", "text", "parquet", "avro", "arrow"];
    /// All words of requests.
    pub(crate) const WORDS: [(&str, Self); 11] = [
        ("json", Self::Json),
        ("ndjson", Self::Ndjson),
        ("jsonl", Self::Ndjson),
        ("csv", Self::Csv),
        ("tsv", Self::Csv),
        ("text", Self::Text),
        ("txt", Self::Text),
        ("parquet", Self::Parquet),
        ("avro", Self::Avro),
        ("arrow", Self::Arrow),
        ("feather", Self::Arrow),
    ];

    /// The format that a key tells.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let name = key.rsplit('/').next()?.to_ascii_lowercase();
        let ending = Codec::of_name(&name).0.rsplit_once('.')?.1;
        if ending == "log" {
            return Some(Self::Text);
        }
        Self::WORDS.iter().find(|(word, _)| *word == ending).map(|(_, format)| *format)
    }

    /// The ending of keys.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Text => "txt",
            Self::Parquet => "parquet",
            Self::Avro => "avro",
            Self::Arrow => "arrow",
        }
    }

    const fn compresses_inside(self) -> bool {
        matches!(self, Self::Parquet | Self::Avro | Self::Arrow)
    }

    /// The compression to write with, if the format has it.
    pub(crate) fn compression(self, wanted: Option<Compression>) -> Option<Compression> {
        match (wanted, self.compresses_inside()) {
            (None | Some(Compression::None), _) if self == Self::Arrow => Some(Compression::None),
            (Some(_), _) if self == Self::Arrow => None,
            (None, true) => Some(Compression::Snappy),
            (None, false) => Some(Compression::None),
            (Some(Compression::Codec(codec)), true) if codec != Codec::Zstd => None,
            (Some(Compression::Snappy), false) => None,
            (Some(other), _) => Some(other),
        }
    }
}

impl Compression {
    /// The words of requests.
    pub(crate) const NAMES: [&str; 6] = ["none", "gzip", "bzip2", "xz", "zstd", "snappy"];

    /// The compression of a word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "snappy" => Some(Self::Snappy),
            other => Codec::parse(other).map(Self::Codec),
        }
    }

    /// What is around the bytes of an object to read.
    pub(crate) fn around(key: &str, told: Option<Self>, format: Format) -> Option<Codec> {
        match told {
            _ if format.compresses_inside() => None,
            Some(told) => told.codec(),
            None => Codec::of_name(key).1,
        }
    }

    /// What is around text.
    pub(crate) const fn codec(self) -> Option<Codec> {
        match self {
            Self::Codec(codec) => Some(codec),
            Self::None | Self::Snappy => None,
        }
    }

    /// What stands behind a key's ending.
    pub(crate) const fn suffix(self, format: Format) -> &'static str {
        match self {
            Self::Codec(codec) if !format.compresses_inside() => codec.suffix(),
            _ => "",
        }
    }
}
