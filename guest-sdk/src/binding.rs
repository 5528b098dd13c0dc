//! Which columns of the input are a function's arguments.

use crate::array::{Array, Batch};
use crate::failure::{Failure, Result};
use crate::read::Read;
use crate::schema::{DataType, Field, Schema};

/// One parameter of a function.
#[derive(Debug, Clone)]
pub struct Param {
    name: String,
    data_type: DataType,
    is_nullable: bool,
    accepts: fn(&DataType) -> bool,
    may_miss: fn(&Field) -> bool,
    row_fields: Option<Vec<Field>>,
}

impl Param {
    /// A parameter of that type.
    #[must_use]
    pub fn of<'a, T: Read<'a>>(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            data_type: T::data_type(),
            is_nullable: T::NULLABLE,
            accepts: T::accepts,
            may_miss: T::may_miss,
            row_fields: T::row_fields(),
        }
    }

    fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), self.is_nullable)
    }
}

/// The columns that parameters stand for: each its own, but a struct or tuple that stands alone is the whole row.
#[must_use]
pub(crate) fn declared(params: &[Param]) -> Vec<Field> {
    match params {
        [Param { row_fields: Some(fields), .. }] => fields.clone(),
        _ => params.iter().map(Param::field).collect(),
    }
}

/// Parameters bound to columns.
#[derive(Debug)]
pub struct Binding {
    /// Top-level columns of the input, one per argument or per part of the row.
    pub(crate) needs: Vec<usize>,
    pub(crate) fields: Vec<Field>,
    whole_row: Option<Field>,
    may_miss: bool,
}

impl Binding {
    /// Finds the arguments: by name where every parameter has a column of its name, else by position where there are as
    /// many columns as parameters.
    ///
    /// # Errors
    /// [`Failure::invalid_input`] that says what was expected and what was there.
    pub fn new(input: &Schema, params: &[Param]) -> Result<Self> {
        if let [param @ Param { row_fields: Some(parts), .. }] = params
            && !(input.fields.len() == 1 && (param.accepts)(&input.fields[0].data_type))
        {
            return Self::of_row(input, param, parts);
        }
        let by_name: Option<Vec<usize>> = params.iter().map(|param| position(input, &param.name)).collect();
        let needs = match by_name {
            Some(needs) => needs,
            None if input.fields.len() == params.len() => (0..params.len()).collect(),
            None => return Err(mismatch(&declared(params), input)),
        };
        let fields: Vec<Field> = needs.iter().map(|&at| input.fields[at].clone()).collect();
        for (param, field) in params.iter().zip(&fields) {
            check(&param.name, &param.data_type, param.accepts, field)?;
        }
        let may_miss = params.iter().zip(&fields).any(|(param, field)| (param.may_miss)(field));
        Ok(Self { needs, fields, whole_row: None, may_miss })
    }

    fn of_row(input: &Schema, param: &Param, parts: &[Field]) -> Result<Self> {
        let by_name: Option<Vec<usize>> = parts.iter().map(|part| position(input, &part.name)).collect();
        let needs = by_name.ok_or_else(|| mismatch(parts, input))?;
        let fields: Vec<Field> = needs.iter().map(|&at| input.fields[at].clone()).collect();
        let whole = Field::new(&param.name, DataType::Struct(fields.clone()), false);
        check(&param.name, &param.data_type, param.accepts, &whole)?;
        let may_miss = (param.may_miss)(&whole);
        Ok(Self { needs, fields, whole_row: Some(whole), may_miss })
    }

    /// Whether rows can lack an argument, and so have a null for an answer.
    #[must_use]
    pub fn may_miss(&self) -> bool {
        self.may_miss
    }
}

fn position(input: &Schema, name: &str) -> Option<usize> {
    input.fields.iter().position(|field| field.name == name)
}

fn check(name: &str, expected: &DataType, accepts: fn(&DataType) -> bool, got: &Field) -> Result<()> {
    if accepts(&got.data_type) {
        return Ok(());
    }
    let column = if got.name == name { String::new() } else { format!(" in column '{}'", got.name) };
    Err(Failure::invalid_input(format!("argument '{name}': expected {expected}, got {}{column}", got.data_type)))
}

fn mismatch(expected: &[Field], input: &Schema) -> Failure {
    let list = |fields: &[Field]| match fields {
        [] => "none".to_owned(),
        _ => fields.iter().map(|field| format!("{} {}", field.name, field.data_type)).collect::<Vec<_>>().join(", "),
    };
    Failure::invalid_input(format!("arguments do not match: expected columns ({}), got ({})", list(expected), list(&input.fields)))
}

/// The arguments of one call.
#[derive(Debug)]
pub struct Arguments<'a> {
    binding: &'a Binding,
    batch: &'a Batch<'a>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(binding: &'a Binding, batch: &'a Batch<'a>) -> Self {
        Self { binding, batch }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batch.rows
    }

    /// The n-th argument.
    ///
    /// # Errors
    /// An internal failure where there is none.
    pub fn argument(&self, at: usize) -> Result<Array<'a>> {
        match &self.binding.whole_row {
            Some(field) => Ok(Array::of_columns(field, self.batch.rows, &self.batch.columns)),
            None => self.batch.columns.get(at).cloned().ok_or_else(|| Failure::internal(format!("there is no argument {at}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema { fields: fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect(), metadata: vec![] }
    }

    fn params() -> Vec<Param> {
        vec![Param::of::<f64>("lat"), Param::of::<Option<&str>>("name")]
    }

    #[test]
    fn names_come_before_positions() {
        let input = schema(&[("name", DataType::Utf8), ("x", DataType::Int8), ("lat", DataType::Int64)]);
        let binding = Binding::new(&input, &params()).unwrap();
        assert_eq!(binding.needs, [2, 0]);
        assert!(binding.may_miss());
        let by_position = Binding::new(&schema(&[("a", DataType::Float32), ("b", DataType::LargeUtf8)]), &params()).unwrap();
        assert_eq!(by_position.needs, [0, 1]);
    }

    #[test]
    fn refusals_say_what_was_expected() {
        let refuse = |input: &Schema| Binding::new(input, &params()).unwrap_err().message;
        assert_eq!(refuse(&schema(&[("lat", DataType::Utf8), ("name", DataType::Utf8)])), "argument 'lat': expected float64, got utf8");
        assert_eq!(
            refuse(&schema(&[("a", DataType::Float64), ("b", DataType::Int64)])),
            "argument 'name': expected utf8, got int64 in column 'b'"
        );
        assert_eq!(
            refuse(&schema(&[("value", DataType::Int64)])),
            "arguments do not match: expected columns (lat float64, name utf8), got (value int64)"
        );
    }

    #[test]
    fn a_tuple_alone_is_the_row() {
        let param = Param::of::<(String, i64)>("pair");
        assert_eq!(declared(std::slice::from_ref(&param)).iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["_1", "_2"]);
        let binding = Binding::new(&schema(&[("_2", DataType::Int32), ("_1", DataType::Utf8)]), &[param]).unwrap();
        assert_eq!(binding.needs, [1, 0]);
        assert!(binding.whole_row.is_some());
    }
}
