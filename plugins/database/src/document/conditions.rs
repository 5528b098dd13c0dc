//! Comparisons of columns as MongoDB's filters. Its comparisons find values of like types only, and a column may hold others,
//! which are converted or refused after they came: documents with such values are always let through, as are those where
//! orders differ. What is left out is neither wanted nor a bad record.

use arrow::datatypes::{SchemaRef, TimeUnit};
use azora_connect::{Compare, Condition, Constant};
use mongodb::bson::{Bson, DateTime, Document, doc};

/// What a document must be for all conditions that the server can look at.
pub(super) fn filters(schema: &SchemaRef, conditions: &[Condition]) -> Vec<Document> {
    let of = |condition: &Condition| filter(schema.fields().get(condition.column)?.name(), condition.compare, &condition.value);
    conditions.iter().filter_map(of).collect()
}

fn filter(name: &str, compare: Compare, value: &Constant) -> Option<Document> {
    // The server would take these for something else.
    if name.is_empty() || name.starts_with('$') || name.contains('.') {
        return None;
    }
    let (types, wanted): (&[&str], Document) = match value {
        // Fractions among whole numbers are bad records, and decimals are converted.
        Constant::Integer(number) => (&["int", "long"], doc! {operator(compare): *number}),
        Constant::Float(number) if number.is_finite() => {
            (&["double", "int", "long"], doc! {operator(without_sign(compare, *number)): *number})
        }
        Constant::Boolean(flag) if compare == Compare::Equal => (&["bool"], doc! {"$eq": *flag}),
        Constant::Text(text) if compare == Compare::Equal => (&["string"], doc! {"$eq": text}),
        Constant::Moment { at, unit, is_instant: true } => (&["date"], around(compare, *at, *unit)?),
        _ => return None,
    };
    let types: Vec<Bson> = types.iter().chain(&["null"]).map(|of| Bson::from(*of)).collect();
    let mut any = vec![
        doc! {name: wanted},
        doc! {name: {"$exists": true, "$not": {"$type": types}}},
        // Otherwise an array is looked at by its elements.
        doc! {name: {"$type": "array"}},
    ];
    if matches!(value, Constant::Float(_)) && compare != Compare::Equal {
        // NaN, for which the order of those who filter again has places. It cannot be named: FerretDB ends the session then.
        any.push(doc! {"$and": [{name: {"$type": "double"}}, {name: {"$not": {"$lte": 0.0}}}, {name: {"$not": {"$gt": 0.0}}}]});
    }
    Some(doc! {"$or": any})
}

const fn operator(compare: Compare) -> &'static str {
    match compare {
        Compare::Equal => "$eq",
        Compare::Less => "$lt",
        Compare::AtMost => "$lte",
        Compare::More => "$gt",
        Compare::AtLeast => "$gte",
    }
}

/// To the server both zeros are one.
fn without_sign(compare: Compare, number: f64) -> Compare {
    match compare {
        Compare::Less if number == 0.0 => Compare::AtMost,
        Compare::More if number == 0.0 => Compare::AtLeast,
        compare => compare,
    }
}

/// Dates have milliseconds.
fn around(compare: Compare, at: i64, unit: TimeUnit) -> Option<Document> {
    let parts = match unit {
        TimeUnit::Second => return Some(doc! {operator(compare): DateTime::from_millis(at.checked_mul(1000)?)}),
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1_000_000,
    };
    let before = DateTime::from_millis(at.div_euclid(parts));
    let behind = DateTime::from_millis(at.div_euclid(parts) + i64::from(at.rem_euclid(parts) > 0));
    Some(match compare {
        Compare::Equal => doc! {"$gte": before, "$lte": behind},
        Compare::Less | Compare::AtMost => doc! {operator(compare): behind},
        Compare::More | Compare::AtLeast => doc! {operator(compare): before},
    })
}

#[cfg(test)]
mod tests {
    use super::filter;
    use azora_connect::{Compare, Constant};
    use mongodb::bson::doc;

    #[test]
    fn what_the_server_would_misread_stays_here() {
        for name in ["", "$where", "a.b"] {
            assert_eq!(filter(name, Compare::Equal, &Constant::Integer(1)), None, "{name}");
        }
        // Texts are ordered by rules of their own there, and a session may not survive what is not finite.
        assert_eq!(filter("a", Compare::Less, &Constant::Text("b".to_owned())), None);
        assert_eq!(filter("a", Compare::Less, &Constant::Float(f64::INFINITY)), None);
    }

    #[test]
    fn documents_of_other_types_are_let_through() {
        let filter = filter("a", Compare::Equal, &Constant::Text("$x".to_owned()));
        let others = doc! {"a": {"$exists": true, "$not": {"$type": ["string", "null"]}}};
        assert_eq!(filter, Some(doc! {"$or": [{"a": {"$eq": "$x"}}, others, {"a": {"$type": "array"}}]}));
    }
}
