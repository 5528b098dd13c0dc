//! Properties that a function reads of its elements and that they do not have. It runs all the same, so this is for warnings.

use super::Reads;
use crate::check::lacking;
use crate::error::{Diagnostic, Span};
use crate::model::Lambda;

/// What every object has.
const INHERITED: &[&str] =
    &["__proto__", "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf"];

/// Those of `reads` that objects with the properties `known` do not have, each in its place in the function's text.
#[must_use]
pub fn missing(lambda: &Lambda, reads: &Reads, known: &[&str]) -> Vec<Diagnostic> {
    let is_missing = |name: &str| !known.contains(&name) && !INHERITED.contains(&name);
    let one = |(name, at): (&String, &u32)| {
        let span = Span { start: *at, end: *at };
        lacking(name, known, span).place(&lambda.text, lambda.operation)
    };
    let mut found: Vec<Diagnostic> = reads.iter().filter(|(name, _)| is_missing(name)).map(one).collect();
    found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    found
}

#[cfg(test)]
mod tests {
    use super::missing;
    use crate::{Lambda, script};

    #[test]
    fn what_is_missing_has_a_place_and_a_guess() {
        let lambda = Lambda::new("r => /a/.test(r.nmae) &&\n  r.toString !== r.kind && r.name", 2);
        let reads = script(&lambda).unwrap().reads[0].clone().unwrap();
        let found = missing(&lambda, &reads, &["name", "price"]);
        let said: Vec<_> = found.iter().map(|one| (one.message.as_str(), one.line, one.column, one.operation)).collect();
        assert_eq!(said, [("there is no property `nmae`", 1, 15, 2), ("there is no property `kind`", 2, 18, 2)]);
        assert_eq!(found[0].hint.as_deref(), Some("did you mean `name`?"));
        assert_eq!(found[0].excerpt, "r => /a/.test(r.nmae) &&\n              ^");
    }
}
