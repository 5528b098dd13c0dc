//! Query strings, strictly: an unknown or repeated name is the caller's mistake.

use axum::extract::FromRequestParts;
use axum::extract::Query as Pairs;
use axum::http::request::Parts;
use azora_spec::{Code, Failure, wire::suggestion};
use std::str::FromStr;

use crate::error::Problem;

/// The pairs of a query string.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Pairs::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Pairs(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Failure::new(Code::RequestField, "the query string cannot be read").into()),
        }
    }
}

impl Query {
    /// Refuses names that the route does not know.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self, Failure> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let failure = Failure::new(Code::RequestField, "unknown query parameter");
                return Err(failure.hint(match known {
                    [] => "this path takes none".to_owned(),
                    known => suggestion(name, known.iter().copied(), "this path takes"),
                }));
            }
            if self.0.iter().take(at).any(|(other, _)| other == name) {
                return Err(Failure::new(Code::RequestField, format!("query parameter '{name}' comes twice")));
            }
        }
        Ok(self)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A number between bounds, or the default.
    pub(crate) fn number<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
        &self,
        name: &str,
        bounds: (T, T),
        default: T,
    ) -> Result<T, Failure> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match text.parse::<T>() {
            Ok(number) if bounds.0 <= number && number <= bounds.1 => Ok(number),
            _ => Err(Failure::new(
                Code::RequestField,
                format!("query parameter '{name}' must be an integer from {} to {}", bounds.0, bounds.1),
            )),
        }
    }

    /// `1` or `true`, `0` or `false`, or nothing, which is false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.text(name) {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true" | "") => Ok(true),
            Some(_) => Err(Failure::new(Code::RequestField, format!("query parameter '{name}' must be 1 or 0"))),
        }
    }
}
