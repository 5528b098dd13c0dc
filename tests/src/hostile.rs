//! The hostile components of `tests/guests/hostile` as bytes, each with the stage at which it strikes and the code that
//! it must end with. How they are run is the tests' business: through the sandbox, and through REST.
//!
//! A case is a core module in text: `healthy.wat` with some of its sections replaced, so that nothing but the attack
//! differs. What is too large to be a file is generated here.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The patch version of the first case; the healthy plugin has the one before it.
const FIRST_VERSION: usize = 101;
/// The version in the text of `healthy.wat`.
const VERSION: &str = "1.0.100";

/// A transform with every import that a plugin may have.
const WORLD: &str = "
package azora:corpus;
world hostile {
  include azora:plugin/transform-plugin@0.1.0;
  import azora:plugin/http-client@0.1.0;
  import azora:plugin/clock@0.1.0;
  import azora:plugin/random@0.1.0;
  import azora:plugin/key-value@0.1.0;
  import azora:plugin/secrets@0.1.0;
}";

/// A source and a sink with every import that a plugin may have.
const CONNECTOR_WORLD: &str = "
package azora:corpus;
world hostile {
  include azora:plugin/connector-plugin@0.1.0;
}";

/// When a hostile component strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The upload is refused.
    Upload,
    /// Binding fails.
    Open,
    /// A batch fails.
    Process,
    /// The end of a partition fails.
    Finish,
}

/// One hostile component. Its manifest says `hostile`, function `double` over an Int64 column `value`, unless the attack
/// is there; each case has a version of its own.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file's name, or the generator's.
    pub name: String,
    /// When it strikes.
    pub stage: Stage,
    /// The stable code of the failure.
    pub code: String,
    /// The upload.
    pub bytes: Vec<u8>,
}

/// The healthy plugin that the cases are made of: its `double` doubles Int64.
pub fn healthy(root: &Path) -> Result<Vec<u8>> {
    let text = fs::read_to_string(root.join("tests/guests/hostile/healthy.wat"))?;
    wrap(root, &text)
}

/// The healthy plugin with the sections of `text` in place of its own.
pub fn variant(root: &Path, text: &str) -> Result<Vec<u8>> {
    let healthy = fs::read_to_string(root.join("tests/guests/hostile/healthy.wat"))?;
    wrap(root, &replace_sections(&healthy, text)?)
}

/// All cases: those of the folder, then the generated ones. `root` is the checkout.
pub fn cases(root: &Path) -> Result<Vec<Case>> {
    let folder = root.join("tests/guests/hostile");
    let healthy = fs::read_to_string(folder.join("healthy.wat"))?;
    let listed: Vec<Value> = serde_json::from_str(&fs::read_to_string(folder.join("cases.json"))?)?;
    let mut cases = Vec::with_capacity(listed.len());
    for (at, case) in listed.iter().enumerate() {
        let word = |key: &str| case.get(key).and_then(Value::as_str).with_context(|| format!("case {at} without {key}"));
        let name = word("name")?;
        let stage = match word("stage")? {
            "upload" => Stage::Upload,
            "open" => Stage::Open,
            "process" => Stage::Process,
            "finish" => Stage::Finish,
            other => bail!("unknown stage {other}"),
        };
        let text = fs::read_to_string(folder.join(format!("{name}.wat"))).with_context(|| name.to_owned())?;
        let bytes = if text.contains(";;@") {
            let module = replace_sections(&healthy, &text).with_context(|| name.to_owned())?;
            wrap(root, &module.replace(VERSION, &format!("1.0.{}", FIRST_VERSION + at))).with_context(|| name.to_owned())?
        } else {
            wat::parse_str(&text).with_context(|| name.to_owned())?
        };
        cases.push(Case { name: name.to_owned(), stage, code: word("code")?.to_owned(), bytes });
    }
    cases.extend(generated()?);
    Ok(cases)
}

/// The healthy plugin with a source and a sink that the hostile connectors are made of.
pub fn healthy_connector(root: &Path) -> Result<Vec<u8>> {
    wrap_as(root, &fs::read_to_string(root.join("tests/guests/hostile-connectors/healthy.wat"))?, CONNECTOR_WORLD)
}

/// A hostile connector: the call of the contract in which it strikes, and the code that it must end with.
#[derive(Debug, Clone)]
pub struct ConnectorCase {
    /// The file's name.
    pub name: String,
    /// `plan`, `open`, `read`, `sink-open`, `write`, `prepare`, `commit` or `abort`.
    pub stage: String,
    /// The stable code of the failure.
    pub code: String,
    /// The upload.
    pub bytes: Vec<u8>,
}

/// All hostile connectors.
pub fn connector_cases(root: &Path) -> Result<Vec<ConnectorCase>> {
    let folder = root.join("tests/guests/hostile-connectors");
    let healthy = fs::read_to_string(folder.join("healthy.wat"))?;
    let listed: Vec<Value> = serde_json::from_str(&fs::read_to_string(folder.join("cases.json"))?)?;
    let of = |(at, case): (usize, &Value)| {
        let word = |key: &str| case.get(key).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("case {at} without {key}"));
        let name = word("name")?;
        let text = fs::read_to_string(folder.join(format!("{name}.wat"))).with_context(|| name.clone())?;
        let module = replace_sections(&healthy, &text)?.replace(VERSION, &format!("1.0.{}", FIRST_VERSION + at));
        let bytes = wrap_as(root, &module, CONNECTOR_WORLD).with_context(|| name.clone())?;
        Ok(ConnectorCase { name, stage: word("stage")?, code: word("code")?, bytes })
    };
    listed.iter().enumerate().map(of).collect()
}

fn sections(text: &str) -> Vec<(&str, String)> {
    let mut sections = vec![("", String::new())];
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(";;@") {
            sections.push((name, String::new()));
        } else if let Some((_, text)) = sections.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    sections
}

/// The last section of `healthy.wat` also holds the end of the module, which every replacement keeps.
fn replace_sections(healthy: &str, text: &str) -> Result<String> {
    let mut replaced: BTreeMap<&str, String> = sections(text).into_iter().filter(|(name, _)| !name.is_empty()).collect();
    let mut module = String::new();
    for (name, healthy) in sections(healthy) {
        match replaced.remove(name) {
            Some(text) if name == "extra" => module.extend([text, healthy]),
            Some(text) => module.push_str(&text),
            None => module.push_str(&healthy),
        }
    }
    if let Some(name) = replaced.keys().next() {
        bail!("no section {name} to replace");
    }
    Ok(module)
}

/// A core module in text as a component that imports what the module imports.
fn wrap(root: &Path, text: &str) -> Result<Vec<u8>> {
    wrap_as(root, text, WORLD)
}

fn wrap_as(root: &Path, text: &str, world: &str) -> Result<Vec<u8>> {
    let mut module = wat::parse_str(text)?;
    let mut resolve = Resolve::default();
    resolve.push_dir(root.join("wit"))?;
    let package = resolve.push_str("corpus.wit", world)?;
    let world = resolve.select_world(&[package], Some("hostile"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.encode()
}

fn upload(name: &str, code: &str, bytes: Vec<u8>) -> Case {
    Case { name: name.to_owned(), stage: Stage::Upload, code: code.to_owned(), bytes }
}

fn generated() -> Result<Vec<Case>> {
    let core = wat::parse_str("(module (func (export \"run\")))")?;
    let component = wat::parse_str("(component)")?;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(4096, 0);
    let mut cut = component_of(&core);
    cut.truncate(cut.len() - 3);
    Ok(vec![
        upload("empty", "plugin.not_component", Vec::new()),
        upload("noise", "plugin.not_component", noise(100_000)),
        upload("text", "plugin.not_component", b"(component)".to_vec()),
        upload("core-module", "plugin.not_component", core.clone()),
        upload("compiled-artefact", "plugin.not_component", elf),
        upload("truncated", "plugin.not_component", cut),
        upload("noise-after-header", "plugin.not_component", [&component[..8], &noise(10_000)].concat()),
        upload("functions-300k", "plugin.too_large", component_of(&functions(300_000))),
        upload("one-function-100k-ifs", "plugin.too_large", component_of(&one_function(&ifs(400_000)))),
        upload("locals-50k", "plugin.too_large", component_of(&one_function(&[&[1], leb(50_000).as_slice(), &[0x7f, 0x0b]].concat()))),
        upload("branch-table-1m", "plugin.too_large", component_of(&one_function(&branch_table(1_000_000)))),
        upload("nested-blocks-300k", "plugin.too_large", component_of(&one_function(&nested(300_000)))),
        upload("modules-1000", "plugin.too_large", many_modules(&core, 1000)),
        upload("custom-section-20m", "plugin.too_large", section(component, 0, &[&[1, b'x'], vec![0; 20 << 20].as_slice()].concat())),
        upload("over-upload-limit", "plugin.too_large", vec![0; (32 << 20) + 1]),
        upload("compile-bomb", "plugin.compile_limit", component_of(&bomb(48, 900_000))),
    ])
}

/// Bytes without a pattern, the same in every run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn section(mut module: Vec<u8>, id: u8, body: &[u8]) -> Vec<u8> {
    module.push(id);
    module.extend(leb(body.len()));
    module.extend(body);
    module
}

fn component_of(module: &[u8]) -> Vec<u8> {
    section(b"\0asm\x0d\0\x01\0".to_vec(), 1, module)
}

fn many_modules(module: &[u8], count: usize) -> Vec<u8> {
    (0..count).fold(b"\0asm\x0d\0\x01\0".to_vec(), |component, _| section(component, 1, module))
}

/// A core module of functions without parameters and results; a body starts with its local variables.
fn module(bodies: &[&[u8]]) -> Vec<u8> {
    let mut types = leb(bodies.len());
    types.extend(std::iter::repeat_n(0, bodies.len()));
    let mut code = leb(bodies.len());
    for body in bodies {
        code.extend(leb(body.len()));
        code.extend(*body);
    }
    let module = section(b"\0asm\x01\0\0\0".to_vec(), 1, &[1, 0x60, 0, 0]);
    section(section(module, 3, &types), 10, &code)
}

fn functions(count: usize) -> Vec<u8> {
    module(&vec![[0, 0x0b].as_slice(); count])
}

fn one_function(body: &[u8]) -> Vec<u8> {
    module(&[body])
}

/// `i32.const 1 if end`, many times.
fn ifs(count: usize) -> Vec<u8> {
    let mut body = vec![0];
    for _ in 0..count {
        body.extend([0x41, 1, 0x04, 0x40, 0x0b]);
    }
    body.push(0x0b);
    body
}

/// `local.get if local.get local.set end`, many times, over locals that all stay alive: what is costly is to find them registers.
fn lives(bytes: usize) -> Vec<u8> {
    const LOCALS: usize = 120;
    let mut body = vec![1, LOCALS as u8, 0x7f];
    for round in 0..bytes / 9 {
        let local = |at: usize| ((round + at) % LOCALS) as u8;
        body.extend([0x20, local(0), 0x04, 0x40, 0x20, local(7), 0x21, local(3), 0x0b]);
    }
    body.push(0x0b);
    body
}

/// `block`, many times, and as many ends.
fn nested(count: usize) -> Vec<u8> {
    let mut body = vec![0];
    body.extend([0x02, 0x40].repeat(count));
    body.resize(body.len() + count + 1, 0x0b);
    body
}

fn branch_table(targets: usize) -> Vec<u8> {
    let mut body = vec![0, 0x41, 0, 0x0e];
    body.extend(leb(targets));
    body.extend(std::iter::repeat_n(0, targets + 1));
    body.push(0x0b);
    body
}

/// Functions that each stay under the bound of a body, and together cost gigabytes and minutes.
fn bomb(count: usize, bytes: usize) -> Vec<u8> {
    let body = lives(bytes);
    module(&vec![body.as_slice(); count.min(30 * (1 << 20) / body.len())])
}
