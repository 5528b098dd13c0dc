//! The second inputs of a job's operations.

use super::{Inputs, inline};
use crate::Error;
use crate::pins::InputPins;
use crate::plan::sql;
use crate::relation::Relation;
use azora_spec::{Failure, Frame, FrameStep, Input, Operation};
use datafusion::execution::session_state::SessionState;

impl Inputs<'_> {
    /// The rows of every second input as a plan, in the order of the operations, and what was decided about them.
    pub(crate) async fn others(
        &self,
        operations: &[Operation],
        state: &SessionState,
        pins: Option<&[InputPins]>,
    ) -> Result<(Vec<Relation>, Vec<InputPins>), Failure> {
        let (mut relations, mut decided) = (Vec::new(), Vec::new());
        for (at, operation) in operations.iter().enumerate() {
            let tables = match operation {
                Operation::Sql(query) => sql::inputs(query, self.catalog)
                    .map_err(|failure| if failure.pointer.is_none() { failure.at("/sql") } else { failure })?,
                Operation::Frame(frame) => of_frame(frame),
                _ => Vec::new(),
            };
            for (input, pointer) in tables {
                let pinned = match pins {
                    Some(pins) => Some(pins.get(decided.len()).ok_or(Error::Damaged { what: "the pins of a job" })?),
                    None => None,
                };
                let relation = self.relation(&input, false, state, pinned).await;
                let (relation, pin) = relation.map_err(|failure| inside(failure, &pointer))?;
                relations.push(relation);
                decided.push(pin);
            }
            let Operation::Combine { other, .. } = operation else { continue };
            let pinned = match pins {
                Some(pins) => Some(pins.get(decided.len()).ok_or(Error::Damaged { what: "the pins of a job" })?),
                None => None,
            };
            let rest = operations.get(at..).unwrap_or_default();
            let pairs = inline::wants_pairs(other.operations.iter().chain(rest));
            let relation = self.relation(&other.input, pairs, state, pinned).await;
            let (relation, pin) = relation.map_err(|failure| within(failure, &other.input, at))?;
            relations.push(relation);
            decided.push(pin);
        }
        Ok((relations, decided))
    }
}

/// The second frames of a frame's steps, and where they stand.
fn of_frame(frame: &Frame) -> Vec<(Input, String)> {
    let other = |(at, step): (usize, &FrameStep)| step.other().map(|input| (input.clone(), frame.pointer(at)));
    frame.steps.iter().enumerate().filter_map(other).collect()
}

/// A failure of an input that stands at a pointer. What is below a table of the request is found there; a text has no parts.
fn inside(failure: Failure, pointer: &str) -> Failure {
    let below = failure.pointer.clone().filter(|_| pointer.starts_with("/tables/")).unwrap_or_default();
    failure.at(format!("{pointer}{below}"))
}

/// A failure whose pointer starts at the second input of an operation. Connectors point into their configuration.
fn within(failure: Failure, input: &Input, at: usize) -> Failure {
    let config = if matches!(input, Input::Source { .. }) { "/source" } else { "" };
    let below = failure.pointer.clone().unwrap_or_default();
    failure.at(format!("/operations/{at}/other{config}{below}"))
}
