//! One Node process that answers all cases.

use super::functions::Value;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

/// Text as JSON; Node and the tests need no more than strings.
fn json(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.encode_utf16() {
        write!(out, "\\u{unit:04x}").unwrap();
    }
    out.push('"');
}

/// An argument for Node: numbers as bits, so that nothing is rounded on the way.
pub(crate) fn to_node(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) => json(text, out),
        Value::Texts(texts) => {
            out.push('[');
            for (index, text) in texts.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                json(text, out);
            }
            out.push(']');
        }
        Value::Number(x) => write!(out, "{{\"bits\":\"{:016x}\"}}", x.to_bits()).unwrap(),
        Value::Int(x) => write!(out, "{{\"int\":\"{x}\"}}").unwrap(),
        Value::Small(x) => write!(out, "{x}").unwrap(),
        Value::Undefined | Value::Thrown => panic!("not an argument"),
    }
}

/// An answer of Node: a letter for the kind, then UTF-16 units in hexadecimal, or bits.
fn from_node(line: &str) -> Value {
    let text = |hex: &str| {
        let units: Vec<u16> = (0..hex.len() / 4).map(|unit| u16::from_str_radix(&hex[unit * 4..unit * 4 + 4], 16).unwrap()).collect();
        String::from_utf16_lossy(&units)
    };
    match line.split_at(1) {
        ("s", hex) => Value::Text(text(hex)),
        ("l", "") => Value::Texts(Vec::new()),
        ("l", list) => Value::Texts(list[1..].split(',').map(text).collect()),
        ("n", bits) => Value::Number(f64::from_bits(u64::from_str_radix(bits, 16).unwrap())),
        ("u", _) => Value::Undefined,
        ("t", _) => Value::Thrown,
        _ => panic!("node answered {line:?}"),
    }
}

const SCRIPT: &str = r"
const units = s => Array.from({ length: s.length }, (_, i) => s.charCodeAt(i).toString(16).padStart(4, '0')).join('');
const view = new DataView(new ArrayBuffer(8));
const argument = a => typeof a !== 'object' || Array.isArray(a) ? a
  : a.int !== undefined ? BigInt(a.int) : (view.setBigUint64(0, BigInt('0x' + a.bits)), view.getFloat64(0));
const answer = v => v === undefined ? 'u' : typeof v === 'string' ? 's' + units(v)
  : Array.isArray(v) ? 'l' + v.map(s => ',' + units(s)).join('')
  : (view.setFloat64(0, Number(v)), 'n' + view.getBigUint64(0).toString(16));
const lines = require('fs').readFileSync(0, 'utf8').trimEnd().split('\n');
const out = [];
let call;
for (const line of lines) {
  if (line[0] === '#') { call = new Function('s', 'x', 'y', 'return ' + line.slice(1)); continue; }
  try { out.push(answer(call(...JSON.parse(line).map(argument)))); } catch (e) { out.push('t'); }
}
process.stdout.write(out.join('\n'));
";

/// What Node answers to each line.
pub(crate) fn node(input: String) -> Vec<Value> {
    let mut child = Command::new("node")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need `node` on the PATH: it says what JavaScript means");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    output.split('\n').map(from_node).collect()
}
