//! Integers among JSON's numbers: whole ones, however they are written. Below 2^53 a double tells them apart, as it does for
//! JavaScript; beyond, only their text does.

use arrow::array::{Array as _, Float64Array, Int64Array, StringArray};
use serde_json::Value;

/// Below it every integer is a double of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn of_double(double: f64) -> Option<i64> {
    (double.trunc() == double && double.abs() < EXACT).then_some(double as i64)
}

/// One number.
#[must_use]
pub fn of_value(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().and_then(of_double))
}

/// A column that was read as doubles; nothing where one of them is not whole, or too large to say which integer it was.
#[must_use]
pub fn of_doubles(doubles: &Float64Array) -> Option<Int64Array> {
    let values: Vec<i64> = doubles.values().iter().map(|double| *double as i64).collect();
    // Without a way out early, so that it becomes vector instructions. What lies under a null is zero.
    let is_exact = |(double, integer): (&f64, &i64)| (*integer as f64 == *double) & (double.abs() < EXACT);
    let are_exact = doubles.values().iter().zip(&values).fold(true, |all, pair| all & is_exact(pair));
    are_exact.then(|| Int64Array::new(values.into(), doubles.nulls().cloned()))
}

/// A column that was read as text; nothing where one of them is no integer.
#[must_use]
pub fn of_texts(texts: &StringArray) -> Option<Int64Array> {
    let value = |text: Option<&str>| match text {
        None => Some(None),
        Some(text) => text.parse().ok().or_else(|| text.parse().ok().and_then(of_double)).map(Some),
    };
    texts.iter().map(value).collect()
}
