//! `cache`, `persist` and `unpersist`, which RDDs and frames have alike.

use crate::wire::fields::{Fields, shown};
use crate::wire::input::parse_name;
use crate::wire::suggest::suggestion;
use crate::{CacheLevel, Cached, Code, DatasetName, Failure};

/// What is kept, and where: `level` (or `storageLevel`), and `name`.
pub(super) fn kept(fields: &mut Fields<'_>, operation: &str, usual: CacheLevel) -> Result<Cached, Failure> {
    let word = fields.name_of(&["level", "storageLevel"])?;
    let pointer = fields.pointer(word);
    let level = match fields.text(word)? {
        None => usual,
        Some(_) if operation == "cache" => {
            let failure = Failure::new(Code::RequestField, "'cache' has its one level").at(pointer);
            return Err(failure.hint(r#"for example {"type":"persist","level":"MEMORY_AND_DISK"}"#));
        }
        Some(text) => CacheLevel::parse(text).ok_or_else(|| {
            let failure = Failure::new(Code::RequestField, format!("unknown level '{}'", shown(text))).at(pointer);
            failure.hint(suggestion(text, CacheLevel::WORDS.iter().copied(), "levels are"))
        })?,
    };
    Ok(Cached { name: name(fields)?, level })
}

/// The name that rows are kept under.
pub(super) fn name(fields: &mut Fields<'_>) -> Result<Option<DatasetName>, Failure> {
    let name = fields.name_of(&["name", "dataset"])?;
    let pointer = fields.pointer(name);
    fields.text(name)?.map(|text| parse_name(text, pointer)).transpose()
}
