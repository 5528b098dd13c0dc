//! Runs a compiled pipeline as the host does: `open`, `process` for each batch, `finish`.

use crate::batch::{self, Columns};
use crate::case::Case;
use azora_expression::{Compiled, Element, Field, Type};
use serde_json::Value;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

wasmtime::component::bindgen!({ path: "../../wit", world: "lambda" });

use azora::plugin::batch_types::{FieldNode, RecordBatch, RowsKept, Schema};
use exports::azora::plugin::transform::{Column, Output};

pub(crate) struct Runner {
    engine: Engine,
}

impl Runner {
    pub(crate) fn new() -> Self {
        let mut config = Config::new();
        config.wasm_component_model(true);
        Self { engine: Engine::new(&config).unwrap() }
    }

    /// One that compiles fast and optimises nothing, for what runs once.
    pub(crate) fn hasty() -> Self {
        let mut config = Config::new();
        config.wasm_component_model(true).cranelift_opt_level(wasmtime::OptLevel::None);
        Self { engine: Engine::new(&config).unwrap() }
    }

    pub(crate) fn component(&self, compiled: &Compiled) -> Result<Component, String> {
        Component::new(&self.engine, &compiled.component).map_err(|error| format!("invalid component: {error:?}"))
    }

    /// The rows that come out, or the text of the failure.
    pub(crate) fn run(
        &self,
        compiled: &Compiled,
        component: &Component,
        case: &Case,
        rows: &[Value],
        batch_rows: usize,
    ) -> Result<Vec<Value>, String> {
        let mut store = Store::new(&self.engine, ());
        let lambda = Lambda::instantiate(&mut store, component, &Linker::new(&self.engine)).unwrap();
        let guest = lambda.azora_plugin_transform();
        let schema = Schema { fields: Vec::new(), metadata: Vec::new() };
        let plan = guest.call_open(&mut store, "", &schema, "{}").unwrap().unwrap();
        let needs: Vec<usize> = plan.needs.iter().map(|need| *need as usize).collect();
        assert_eq!(needs, compiled.needs);
        assert_eq!(plan.made.metadata[0].value, compiled.output.word());
        let mut out = Vec::new();
        let mut previous = None;
        for rows in rows.chunks(batch_rows.min(rows.len()).max(1)) {
            let batch = input(case, rows, &needs, &mut previous);
            let Output { batch, kept } = guest
                .call_process(&mut store, &batch)
                .map_err(|error| format!("{error:?}"))?
                .map_err(|failure| format!("{:?} {} at {:?}", failure.code, failure.message, failure.row))?;
            let made = made(&plan.columns, &compiled.output);
            let kept_rows: Vec<usize> = match kept {
                RowsKept::All => (0..rows.len()).collect(),
                RowsKept::Bitmap(bits) => (0..rows.len()).filter(|row| bits[row / 8] >> (row % 8) & 1 == 1).collect(),
                RowsKept::Indices(indices) => indices.into_iter().map(|index| index as usize).collect(),
            };
            let n_rows = usize::try_from(batch.rows).unwrap();
            let columns = read(&made, batch);
            let passes = plan.columns.iter().any(|column| matches!(column, Column::Passed(_)));
            assert!(!passes || kept_rows.len() == n_rows, "{} kept, {n_rows} made", kept_rows.len());
            for row in 0..n_rows {
                let mut made = columns.iter().map(|column| column[row].clone());
                let parts = plan.columns.iter().map(|column| match column {
                    Column::Made(_) => made.next().unwrap(),
                    Column::Passed(passed) => batch::column(&case.input, &rows[kept_rows[row]], passed.input as usize).clone(),
                });
                out.push(joined(&compiled.output, parts));
            }
        }
        let last = guest.call_finish(&mut store).map_err(|error| format!("{error:?}"))?;
        if let Some(batch) = last.map_err(|failure| format!("{:?} {}", failure.code, failure.message))? {
            let n_rows = usize::try_from(batch.rows).unwrap();
            let columns = read(compiled.output.fields(), batch);
            out.extend((0..n_rows).map(|row| joined(&compiled.output, columns.iter().map(|column| column[row].clone()))));
        }
        Ok(out)
    }
}

fn made(columns: &[Column], output: &Element) -> Vec<Field> {
    columns.iter().zip(output.fields()).filter(|(column, _)| matches!(column, Column::Made(_))).map(|(_, field)| field.clone()).collect()
}

fn joined(output: &Element, mut parts: impl Iterator<Item = Value>) -> Value {
    match output {
        Element::Scalar(_) => parts.next().unwrap(),
        Element::Object(fields) => batch::joined(fields, false, parts),
        Element::Tuple(fields) => batch::joined(fields, true, parts),
    }
}

fn read(fields: &[Field], batch: RecordBatch) -> Vec<Vec<Value>> {
    let mut nodes = batch.nodes.into_iter().map(|node| (node.length, node.null_count));
    let mut buffers = batch.buffers.into_iter();
    let columns = fields.iter().map(|field| batch::read(field, &mut nodes, &mut buffers)).collect();
    assert!(nodes.next().is_none() && buffers.next().is_none(), "nodes or buffers left");
    columns
}

/// All rows of a case in one batch.
pub(crate) fn batch_of(case: &Case, needs: &[usize]) -> RecordBatch {
    input(case, &case.rows, needs, &mut None)
}

fn input(case: &Case, rows: &[Value], needs: &[usize], previous: &mut Option<Value>) -> RecordBatch {
    let mut columns = Columns::default();
    let fields = case.input.fields();
    for need in needs {
        match fields.get(*need) {
            Some(field) => {
                let values: Vec<&Value> = rows.iter().map(|row| batch::column(&case.input, row, *need)).collect();
                batch::write(field, &values, &mut columns);
            }
            None => {
                assert!(case.has_runs());
                let mut last = previous.take();
                let starts: Vec<Value> = rows
                    .iter()
                    .map(|row| {
                        let key = batch::column(&case.input, row, 0);
                        Value::Bool(last.replace(key.clone()).as_ref() != Some(key))
                    })
                    .collect();
                *previous = last;
                let starts: Vec<&Value> = starts.iter().collect();
                batch::write(&Field::new("__start", Type::Boolean, false), &starts, &mut columns);
            }
        }
    }
    RecordBatch {
        rows: rows.len() as u64,
        nodes: columns.nodes.into_iter().map(|(length, null_count)| FieldNode { length, null_count }).collect(),
        buffers: columns.buffers,
    }
}
