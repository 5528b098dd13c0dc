//! How a job's lambdas run, for people: types, tier, kernels, the columns that cross, WebAssembly as text.

use crate::notes::{Bound, Warning};
use azora_connect::element::{self, Element};
use azora_sandbox::Column;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use serde::Serialize;

/// Bytes of WebAssembly text that one chain shows.
const WAT_BYTES_MAX: usize = 128 << 10;

/// How a job's lambdas run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Elements of the answer.
    pub output: ElementsExplained,
    /// Each chain of lambdas that became one kernel, in order.
    pub lambdas: Vec<ChainExplained>,
    /// What they mean, and were probably not meant to.
    pub warnings: Vec<Warning>,
    /// The physical plan.
    pub plan: String,
}

/// What elements are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ElementsExplained {
    /// `scalar`, `object` or `tuple`.
    pub element: &'static str,
    /// Their columns.
    pub columns: Vec<ColumnExplained>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnExplained {
    /// Its name.
    pub name: String,
    /// Its type, `json` for values of several types.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold null.
    pub nullable: bool,
}

/// Lambdas that run as one kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChainExplained {
    /// Where in the request the first of them stands.
    pub pointer: String,
    /// Their texts in a line, with how the kernel ends.
    pub text: String,
    /// `compiled` or `interpreted`.
    pub tier: String,
    /// Why it is interpreted.
    pub reason: Option<String>,
    /// The columns of the elements that come in.
    pub input: Vec<ColumnExplained>,
    /// Those of them that cross into the sandbox.
    pub crosses: Vec<String>,
    /// Those that the host keeps back and puts beside what the kernel makes.
    pub passes: Vec<String>,
    /// What comes out.
    pub output: ElementsExplained,
    /// The component as WebAssembly text, for compiled lambdas.
    pub wat: Option<String>,
    /// Whether the text was cut.
    #[serde(rename = "watIsCut")]
    pub wat_is_cut: bool,
}

impl Explained {
    pub(crate) fn of(chains: &[Bound], output: &Schema, plan: String) -> Self {
        let warnings = chains.iter().flat_map(|chain| chain.warnings.clone()).collect();
        Self { output: elements(output), lambdas: chains.iter().map(chain).collect(), warnings, plan }
    }
}

fn elements(schema: &Schema) -> ElementsExplained {
    ElementsExplained { element: Element::of(schema).as_str(), columns: schema.fields().iter().map(|field| column(field)).collect() }
}

fn column(field: &Field) -> ColumnExplained {
    ColumnExplained { name: field.name().clone(), data_type: words(field), nullable: field.is_nullable() }
}

/// A type in the words that a schema of a request has.
fn words(field: &Field) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match field.data_type() {
        _ if element::is_json(field) => "json".to_owned(),
        DataType::List(item) => format!("[{}]", words(item)),
        DataType::Struct(parts) if element::is_tuple(field) => format!("({})", list(parts.iter().map(|part| words(part)).collect())),
        DataType::Struct(parts) => {
            format!("{{{}}}", list(parts.iter().map(|part| format!("{}: {}", part.name(), words(part))).collect()))
        }
        DataType::Timestamp(..) => "timestamp".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

fn chain(bound: &Bound) -> ChainExplained {
    let Bound { used, kernel, pipeline, warnings: _ } = bound;
    let plan = kernel.plan();
    let passes = plan.columns.iter().filter_map(|column| match column {
        Column::Passed { input, .. } => kernel.names.get(*input).cloned(),
        Column::Made(_) => None,
    });
    let compiled = pipeline.as_ref().and_then(|pipeline| azora_expression::compile(pipeline).ok());
    let mut wat = compiled.and_then(|compiled| wasmprinter::print_bytes(&compiled.component).ok());
    let mut wat_is_cut = false;
    if let Some(text) = &mut wat
        && text.len() > WAT_BYTES_MAX
    {
        let mut at = WAT_BYTES_MAX;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.truncate(at);
        wat_is_cut = true;
    }
    ChainExplained {
        pointer: used.pointer.clone(),
        text: used.text.clone(),
        tier: used.tier.clone(),
        reason: used.reason.clone(),
        input: kernel.bound.fields().iter().filter(|field| field.name() != crate::lambda::START).map(|field| column(field)).collect(),
        crosses: kernel.needed().filter(|name| *name != crate::lambda::START).map(str::to_owned).collect(),
        passes: passes.collect(),
        output: elements(&plan.output),
        wat,
        wat_is_cut,
    }
}
