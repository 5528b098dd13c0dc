//! Which tier runs a chain of lambdas: the compiler where it takes them, else the interpreter.

use super::Builder;
use crate::fuse::Chain;
use crate::lambda::{self, Appeal, Found, Interpreted, LABEL_CHARACTERS_MAX, Proof, Refused, Shape, Wanted};
use crate::node::Kernel;
use crate::notes::{self, LambdaUse, Typed, Warning};
use azora_connect::element::Element;
use azora_expression::{Diagnostic, End, Pipeline};
use azora_spec::{Code, Digest, Failure};
use datafusion::arrow::datatypes::DataType;
use std::sync::Arc;

/// A chain that has a kernel.
pub(super) enum Bound {
    Whole(Arc<Kernel>),
    /// So many steps compile; the chain has to be parted behind them.
    Behind(usize),
}

/// Why the compiler does not take a chain.
struct Why {
    reason: String,
    /// What it said, where a sample may prove it wrong, and by what.
    stands: Option<(Diagnostic, Proof)>,
    warnings: Vec<Warning>,
}

impl Builder<'_> {
    /// Binds a chain to the elements at hand.
    pub(super) fn bind(&self, chain: &Chain, end: &End) -> Result<Bound, Refused> {
        let refused = match self.compiled(chain, end)? {
            Ok(kernel) => return Ok(Bound::Whole(kernel)),
            Err(refused) => refused,
        };
        if let Some(at) = refused.at
            && at > 0
            && self.compiles(chain, at)?
        {
            return Ok(Bound::Behind(at));
        }
        self.interpreted(chain, end, refused.why).map(Bound::Whole)
    }

    /// The same without parting it.
    pub(super) fn bind_whole(&self, chain: &Chain, end: &End) -> Result<Arc<Kernel>, Refused> {
        match self.compiled(chain, end)? {
            Ok(kernel) => Ok(kernel),
            Err(refused) => self.interpreted(chain, end, refused.why),
        }
    }

    /// Whether elements are nothing but nulls.
    pub(super) fn is_untyped(&self) -> bool {
        matches!(self.rows.schema.fields().as_ref(), [field] if field.data_type() == &DataType::Null)
    }

    fn compiled(&self, chain: &Chain, end: &End) -> Result<Result<Arc<Kernel>, NotCompiled>, Refused> {
        let columns = lambda::element(&self.rows.schema).map_err(|failure| Refused::Failure(self.blamed(failure)))?;
        let is_rows = matches!(end, End::Rows);
        let element = match columns.element {
            // Filters pass what the compiler cannot name.
            Some(element) if !columns.is_mixed || is_rows && chain.only_filters() => element,
            _ => {
                let reason = "the elements hold values of several types".to_owned();
                return Ok(Err(NotCompiled { why: Why { reason, stands: None, warnings: Vec::new() }, at: None }));
            }
        };
        if is_rows && !columns.hidden.is_empty() && chain.spreads() {
            let message = format!("'...' would lose the column '{}', whose type has no meaning in JavaScript", columns.hidden.join("', '"));
            let failure = Failure::new(Code::LambdaUnsupported, message).at(chain.pointer());
            return Err(Refused::Failure(failure.hint("name the properties that the new object shall have")));
        }
        let pipeline = chain.pipeline(element, end.clone());
        match self.ctx.lambdas.bind(&self.ctx.sandbox, pipeline.clone(), self.ctx.options.guest) {
            Ok(kernel) => {
                self.note(chain, &kernel, None, Some(pipeline));
                Ok(Ok(kernel))
            }
            Err(Refused::Diagnostic(diagnostic)) => {
                let at = chain.steps_before(diagnostic.operation);
                let stands = match lambda::appeal(&diagnostic) {
                    _ if columns.is_mixed => None,
                    Appeal::No => return Err(Refused::Diagnostic(diagnostic)),
                    Appeal::Yes => None,
                    // Of nothing but nulls nothing can be learned.
                    Appeal::By(_) if self.is_untyped() => return Err(Refused::Diagnostic(diagnostic)),
                    Appeal::By(proof) => Some((diagnostic.clone(), proof)),
                };
                let warnings = lambda::warning(&diagnostic, chain.pointers(), &self.rows.schema).into_iter().collect();
                Ok(Err(NotCompiled { why: Why { reason: lambda::reason(&diagnostic), stands, warnings }, at: Some(at) }))
            }
            Err(other) => Err(other),
        }
    }

    /// Whether the first steps of a chain compile.
    fn compiles(&self, chain: &Chain, steps: usize) -> Result<bool, Refused> {
        let mut first = chain.clone();
        first.split_off(steps, End::Rows);
        Ok(self.compiled(&first, &End::Rows)?.is_ok())
    }

    fn interpreted(&self, chain: &Chain, end: &End, mut why: Why) -> Result<Arc<Kernel>, Refused> {
        if matches!(end, End::Sum | End::Min | End::Max) {
            // These are the engine's, over rows whose type is known.
            return Err(Refused::End);
        }
        if !self.ctx.lambdas.is_prepared() {
            self.ctx.notes.want_interpreter();
            return Err(Refused::Sample);
        }
        let element = Element::of(&self.rows.schema).as_str();
        let scripted = lambda::scripted(chain.steps(), end).map_err(Refused::Diagnostic)?;
        for warning in lambda::missing(&scripted, chain.pointers(), &self.rows.schema) {
            // The compiler may have said so of the first one already.
            if !why.warnings.iter().any(|known| known.pointer == warning.pointer && known.message == warning.message) {
                why.warnings.push(warning);
            }
        }
        let bound = lambda::bound_schema(&self.rows.schema, &scripted);
        let mut chained = Interpreted { element, steps: scripted.steps, end: scripted.end, output: None, pairs: self.wants_pairs };
        let is_known = match end {
            End::Count => Some(Shape::count()),
            // No column is made: any shape will do.
            End::Rows if chained.only_filters() => Some(Shape::json()),
            _ => None,
        };
        // What is folded by key is one column beside the key.
        let is_one = matches!(end, End::ReduceRuns(_) | End::AggregateRuns { .. });
        let digest = Digest::of(format!("{} {:?}", chained.config(), bound.fields()).as_bytes());
        let key = format!("{} {}", chain.pointer(), digest.to_hex());
        let found = match (self.ctx.notes.found(&key), is_known, &why.stands) {
            (Some(Found::Nothing), _, Some((diagnostic, _))) => return Err(Refused::Diagnostic(diagnostic.clone())),
            (_, Some(known), None) | (Some(_), Some(known), Some(_)) => known,
            (Some(Found::Shape(shape)), None, _) => shape,
            (Some(Found::Nothing | Found::Values(_)), None, _) => Shape::json(),
            (None, _, _) => {
                let kernel = self.ctx.lambdas.interpret(&self.ctx.sandbox, &chained, bound, self.ctx.options.guest)?;
                let proof = why.stands.as_ref().map_or(Proof::None, |(_, proof)| *proof);
                self.ctx.notes.want(Wanted { key, plan: self.rows.plan.clone(), kernel, proof, is_one });
                return Err(Refused::Sample);
            }
        };
        chained.output = Some(found);
        let kernel = self.ctx.lambdas.interpret(&self.ctx.sandbox, &chained, bound, self.ctx.options.guest)?;
        self.ctx.notes.note_typed(Typed { kernel: Arc::clone(&kernel), key, pointer: chain.pointer(), is_one });
        self.note(chain, &kernel, Some(why), None);
        Ok(kernel)
    }

    fn note(&self, chain: &Chain, kernel: &Arc<Kernel>, why: Option<Why>, pipeline: Option<Pipeline>) {
        let pointer = chain.pointer();
        if !pointer.is_empty() {
            let text = kernel.source.label.chars().take(LABEL_CHARACTERS_MAX).collect();
            let tier = if pipeline.is_some() { "compiled" } else { "interpreted" }.to_owned();
            let (reason, warnings) = why.map(|why| (why.reason, why.warnings)).unzip();
            let used = LambdaUse { pointer, text, tier, reason };
            self.ctx.notes.note(notes::Bound { used, kernel: Arc::clone(kernel), pipeline, warnings: warnings.unwrap_or_default() });
        }
    }
}

struct NotCompiled {
    why: Why,
    /// How many steps stand before the one at fault.
    at: Option<usize>,
}
