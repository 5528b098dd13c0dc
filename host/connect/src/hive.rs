//! Columns that are told by names of folders: `country=ZA/year=2024/part-0.parquet`. Here is how they are read; how rows come
//! into folders is in `parted`.

mod parted;

pub use parted::Parted;

use crate::network::decoded;
use arrow::array::{ArrayRef, Int64Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use azora_spec::{Code, Failure};
use std::sync::Arc;

/// What Hive and Spark write for null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The pairs in a key below a base, in order.
#[must_use]
pub fn pairs(key: &str, base: &str) -> Vec<(String, Option<String>)> {
    let below = key.strip_prefix(base).unwrap_or(key);
    let folders = below.rsplit_once('/').map_or("", |(folders, _)| folders);
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = (value != NULL).then(|| decoded(value));
        (!name.is_empty()).then(|| (name.to_owned(), value))
    };
    folders.split('/').filter_map(pair).collect()
}

/// The columns of all keys. Every one has to have the same names.
///
/// # Errors
/// [`Code::FileFormat`] for one that has others.
pub fn columns<'a>(keys: impl Iterator<Item = &'a str> + Clone, base: &str) -> Result<Vec<Field>, Failure> {
    let Some(first) = keys.clone().next() else { return Ok(Vec::new()) };
    let names: Vec<String> = pairs(first, base).into_iter().map(|(name, _)| name).collect();
    let mut is_integer = vec![true; names.len()];
    for key in keys {
        let pairs = pairs(key, base);
        if pairs.iter().map(|(name, _)| name).ne(names.iter()) {
            let message = format!("'{}': its folders name other columns than those of the files before it", key.escape_debug());
            return Err(Failure::new(Code::FileFormat, message));
        }
        for (is_integer, (_, value)) in is_integer.iter_mut().zip(&pairs) {
            // "007" and "+7" are texts: an integer would lose how they are written.
            *is_integer &= value.as_ref().is_none_or(|text| text.parse::<i64>().is_ok_and(|number| number.to_string() == *text));
        }
    }
    let of = |is_integer: bool| if is_integer { DataType::Int64 } else { DataType::Utf8 };
    Ok(names.iter().zip(is_integer).map(|(name, is_integer)| Field::new(name, of(is_integer), true)).collect())
}

/// One value in every row.
#[must_use]
pub fn array(field: &Field, value: Option<&str>, rows: usize) -> ArrayRef {
    match (value, field.data_type()) {
        (None, of) => new_null_array(of, rows),
        (Some(text), DataType::Int64) => Arc::new(Int64Array::from(vec![text.parse::<i64>().ok(); rows])),
        (Some(text), _) => Arc::new(StringArray::from(vec![text; rows])),
    }
}

#[cfg(test)]
mod tests {
    use super::{columns, pairs};
    use crate::network::decoded;
    use arrow::datatypes::DataType;

    #[test]
    fn folders_are_columns() {
        let keys = ["t/country=ZA/year=2024/a.json", "t/country=__HIVE_DEFAULT_PARTITION__/year=7/b.json"];
        let fields = columns(keys.iter().copied(), "t").unwrap();
        let got: Vec<_> = fields.iter().map(|field| (field.name().as_str(), field.data_type())).collect();
        assert_eq!(got, [("country", &DataType::Utf8), ("year", &DataType::Int64)]);
        assert_eq!(pairs(keys[1], "t")[0], ("country".to_owned(), None));
        assert!(columns(["t/a=1/x", "t/b=1/x"].iter().copied(), "t").is_err());
        assert_eq!(columns(["t/a=007/x"].iter().copied(), "t").unwrap()[0].data_type(), &DataType::Utf8);
        assert_eq!((decoded("a%2Fb%zz%4"), decoded("%C5%81")), ("a/b%zz%4".to_owned(), "Ł".to_owned()));
    }
}
