//! Every runtime function against Node, on generated arguments: one Node process answers all of them.
//!
//! What is known to differ is listed beside the functions.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that meets the unexpected fails")]

#[path = "runtime_node/functions.rs"]
mod functions;
#[path = "runtime_node/guest.rs"]
mod guest;
#[path = "runtime_node/node.rs"]
mod node;
#[path = "runtime_node/random.rs"]
mod random;

use functions::{FUNCTIONS, Function, Value};
use guest::Guest;
use node::{node, to_node};
use random::Random;
use std::fmt::Write as _;

/// The generator starts here, always; a failure names its case, so nothing else is needed to see it again.
const SEED: u64 = 0x5EED_2026;
/// Cases for each function.
const CASES: usize = 160;

/// How many doubles lie between the two, 0 for the same one; NaN is like NaN, and -0 unlike 0.
fn distance(left: f64, right: f64) -> u64 {
    if left.is_nan() && right.is_nan() {
        return 0;
    }
    if left == right && left.is_sign_negative() == right.is_sign_negative() {
        return 0;
    }
    if left.is_nan() || right.is_nan() || left.is_sign_negative() != right.is_sign_negative() {
        return u64::MAX;
    }
    left.to_bits().abs_diff(right.to_bits())
}

fn is_same(function: &Function, ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => distance(*ours, *theirs) <= function.ulps,
        _ => ours == theirs,
    }
}

#[test]
fn runtime_means_what_node_means() {
    let mut random = Random(SEED);
    let mut input = String::new();
    let mut cases = Vec::new();
    for function in FUNCTIONS {
        writeln!(input, "#{}", function.javascript).unwrap();
        for _ in 0..CASES {
            let mut arguments: Vec<Value> = Vec::new();
            for kind in function.kinds {
                let argument = random.argument(*kind, arguments.first());
                arguments.push(argument);
            }
            input.push('[');
            for (index, argument) in arguments.iter().enumerate() {
                input.push_str(if index == 0 { "" } else { "," });
                to_node(argument, &mut input);
            }
            input.push_str("]\n");
            cases.push((function, arguments));
        }
    }
    let theirs = node(input);
    assert_eq!(theirs.len(), cases.len());
    assert!(cases.len() >= 5_000);
    let mut guest = Guest::new();
    let mut wrong = Vec::new();
    for ((function, arguments), theirs) in cases.iter().zip(&theirs) {
        let ours = guest.run(function, arguments);
        if !is_same(function, &ours, theirs) {
            wrong.push(format!("{}{arguments:?}: {ours:?}, but {} is {theirs:?}", function.name, function.javascript));
        }
    }
    let shown: Vec<&String> = wrong.iter().take(40).collect();
    assert!(wrong.is_empty(), "seed {SEED:#x}: {} of {} cases differ: {shown:#?}", wrong.len(), cases.len());
}

/// All characters, each followed by one that ends the word, so that no sigma is in the middle of one.
#[test]
fn case_of_every_character() {
    let characters: Vec<char> = (0..=0x10_FFFF).filter_map(char::from_u32).collect();
    let functions: Vec<&Function> = FUNCTIONS.iter().filter(|function| ["str_upper", "str_lower"].contains(&function.name)).collect();
    let (mut input, mut cases) = (String::new(), Vec::new());
    for function in functions {
        writeln!(input, "#{}", function.javascript).unwrap();
        for block in characters.chunks(4096) {
            let text = Value::Text(block.iter().flat_map(|char| [*char, ' ']).collect());
            input.push('[');
            to_node(&text, &mut input);
            input.push_str("]\n");
            cases.push((function, vec![text]));
        }
    }
    let mut guest = Guest::new();
    for ((function, arguments), theirs) in cases.iter().zip(node(input)) {
        let ours = guest.run(function, arguments);
        let (Value::Text(ours), Value::Text(theirs)) = (&ours, &theirs) else { panic!("{ours:?} {theirs:?}") };
        let differs = ours.split(' ').zip(theirs.split(' ')).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "{}", function.name);
        assert_eq!(ours.len(), theirs.len(), "{}", function.name);
    }
}
