//! Rows in folders by the values of columns: which folder a row belongs to, and what is left for its file.

use super::NULL;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::partition;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use azora_spec::wire::{shown, suggestion};
use azora_spec::{Code, Failure};
use std::sync::Arc;

/// Most folders that one partition's rows may fall into.
const FOLDERS_MAX: usize = 10_000;
/// Most bytes of their names together: they are recorded with the job.
const NAMES_BYTES_MAX: usize = 512 << 10;
/// Longest name of a directory on common file systems, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Columns whose values become folders.
#[derive(Debug, Clone)]
pub struct Parted {
    /// Where they stand, and their names.
    by: Vec<(usize, String)>,
    /// Where the others stand.
    left: Vec<usize>,
    schema: SchemaRef,
    folders: usize,
    name_bytes: usize,
}

impl Parted {
    /// Rows of a schema in folders by these columns; `pointer` is where they were told.
    ///
    /// # Errors
    /// [`Code::ColumnUnknown`] for a column that is not there, [`Code::OperationInvalid`] for one whose values are no names
    /// and where no column is left.
    pub fn new(columns: &[String], schema: &Schema, pointer: &str) -> Result<Self, Failure> {
        let mut by = Vec::with_capacity(columns.len());
        for (at, name) in columns.iter().enumerate() {
            let pointer = format!("{pointer}/{at}");
            let (position, field) = schema.column_with_name(name).ok_or_else(|| unknown(name, schema).at(&pointer))?;
            if !is_plain(field.data_type()) {
                let message = format!("the values of '{}' are {}, which cannot name folders", name.escape_debug(), field.data_type());
                return Err(Failure::new(Code::OperationInvalid, message).at(pointer));
            }
            by.push((position, name.clone()));
        }
        let left: Vec<usize> = (0..schema.fields().len()).filter(|at| by.iter().all(|(taken, _)| taken != at)).collect();
        if left.is_empty() && !by.is_empty() {
            return Err(Failure::new(Code::OperationInvalid, "no column would be left for the files").at(pointer));
        }
        let schema = schema.project(&left).map_err(|_| Failure::new(Code::Internal, "columns of a schema"))?;
        Ok(Self { by, left, schema: Arc::new(schema), folders: 0, name_bytes: 0 })
    }

    /// The columns of the files.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a batch with their folders, such as `city=Oslo/day=1`: runs of one folder, in order.
    ///
    /// # Errors
    /// [`Code::DataInvalid`] for a value that is too long for a name.
    pub fn runs(&self, batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>, Failure> {
        let broken = |_| Failure::new(Code::Internal, "columns that cannot be compared");
        let columns: Vec<ArrayRef> = self.by.iter().filter_map(|(at, _)| batch.columns().get(*at)).cloned().collect();
        let rest = batch.project(&self.left).map_err(broken)?;
        let ranges = partition(&columns).map_err(broken)?.ranges();
        ranges.into_iter().map(|range| Ok((self.folder(&columns, range.start)?, rest.slice(range.start, range.len())))).collect()
    }

    /// Counts one more folder that is begun.
    ///
    /// # Errors
    /// [`Code::DataInvalid`] where there are too many.
    pub fn begin(&mut self, folder: &str) -> Result<(), Failure> {
        self.name_bytes += folder.len();
        if self.folders >= FOLDERS_MAX || self.name_bytes > NAMES_BYTES_MAX {
            let message = format!("the rows of one partition fall into more than {} folders", self.folders);
            return Err(Failure::new(Code::DataInvalid, message).hint("part them by columns with fewer values"));
        }
        self.folders += 1;
        Ok(())
    }

    fn folder(&self, columns: &[ArrayRef], row: usize) -> Result<String, Failure> {
        let broken = |_| Failure::new(Code::Internal, "a value that cannot be shown");
        let options = FormatOptions::default();
        let mut folder = String::new();
        for (column, (_, name)) in columns.iter().zip(&self.by) {
            let mut part = escaped(name);
            part.push('=');
            let text = match column.is_null(row) {
                true => String::new(),
                false => ArrayFormatter::try_new(column, &options).and_then(|of| of.value(row).try_to_string()).map_err(broken)?,
            };
            if text.is_empty() {
                part.push_str(NULL);
            } else {
                part.push_str(&escaped(&text));
            }
            if part.len() > NAME_BYTES_MAX {
                let message = format!("a value of '{}' is too long to name a folder", name.escape_debug());
                return Err(Failure::new(Code::DataInvalid, message).hint(format!("a folder's name takes at most {NAME_BYTES_MAX} bytes")));
            }
            if !folder.is_empty() {
                folder.push('/');
            }
            folder.push_str(&part);
        }
        Ok(folder)
    }
}

fn unknown(name: &str, schema: &Schema) -> Failure {
    let names = schema.fields().iter().map(|field| field.name().as_str());
    Failure::new(Code::ColumnUnknown, format!("there is no column '{}'", shown(name))).hint(suggestion(name, names, "columns are"))
}

fn is_plain(of: &DataType) -> bool {
    of.is_numeric()
        || matches!(
            of,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
        )
}

/// As Hive writes names and values: what means something in a path or to a shell comes as `%` and two digits.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_special = letter.is_ascii_control() || "\"#%'*/:=?\\{[]^\u{7f}".contains(letter);
        match u8::try_from(letter) {
            Ok(byte) if is_special => out.push_str(&format!("%{byte:02X}")),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Parted, escaped};
    use crate::json;
    use azora_spec::Code;
    use serde_json::json;

    #[test]
    fn names_are_escaped_as_hive_does() {
        assert_eq!(escaped("a/b=c:d%"), "a%2Fb%3Dc%3Ad%25");
        assert_eq!(escaped("Åre, ok ~"), "Åre, ok ~");
        assert_eq!(escaped("..\n"), "..%0A");
    }

    #[test]
    fn runs_of_rows_have_one_folder_each() {
        let rows = [json!({"n": 1, "s": "a/b"}), json!({"n": 2, "s": "a/b"}), json!({"n": 3, "s": null}), json!({"n": 4, "s": ""})];
        let schema = json::infer(&rows, json::MixedTypes::Refuse).unwrap();
        let parted = Parted::new(&["s".to_owned()], &schema, "/p").unwrap();
        let runs = parted.runs(&json::batch(&schema, &rows).unwrap()).unwrap();
        let shown: Vec<_> = runs.iter().map(|(folder, rows)| (folder.as_str(), rows.num_rows(), rows.num_columns())).collect();
        let null = "s=__HIVE_DEFAULT_PARTITION__";
        assert_eq!(shown, [("s=a%2Fb", 2, 1), (null, 1, 1), (null, 1, 1)]);
        let code = |columns: &[&str]| {
            let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            Parted::new(&columns, &schema, "/p").map_err(|failure| (failure.code, failure.pointer.unwrap())).unwrap_err()
        };
        assert_eq!(code(&["x"]), (Code::ColumnUnknown, "/p/0".to_owned()));
        assert_eq!(code(&["n", "s"]), (Code::OperationInvalid, "/p".to_owned()));
    }
}
