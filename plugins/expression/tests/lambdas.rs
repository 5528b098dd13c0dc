//! Cases of `tests/cases/*.json`: each pipeline is compiled, run in wasmtime, and compared with what is written there and
//! with what Node makes of the same functions.
//!
//! `UPDATE_GOLDENS=1` writes what Node answers into the cases; the difference is reviewed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected fails, and says its seed"
)]

#[path = "lambdas/batch.rs"]
mod batch;
#[path = "lambdas/case.rs"]
mod case;
#[path = "lambdas/generated.rs"]
mod generated;
#[path = "lambdas/grammar.rs"]
mod grammar;
#[path = "lambdas/hostile.rs"]
mod hostile;
#[path = "lambdas/node.rs"]
mod node;
#[path = "lambdas/run.rs"]
mod run;

use case::{Case, Expect};
use serde_json::{Value, json};

#[test]
fn kernels_answer_as_written() {
    let runner = run::Runner::new();
    let mut wrong = Vec::new();
    let mut n_cases = 0;
    for case in case::all() {
        n_cases += 1;
        if let Err(what) = check(&runner, &case) {
            wrong.push(format!("{}: {what}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {n_cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(n_cases >= 150, "only {n_cases} cases");
}

fn check(runner: &run::Runner, case: &Case) -> Result<(), String> {
    match (&case.expect, azora_expression::compile(&case.pipeline())) {
        (Expect::Diagnostic(wanted), Err(diagnostic)) => {
            let got = json!({
                "kind": format!("{:?}", diagnostic.kind), "line": diagnostic.line, "column": diagnostic.column,
                "message": diagnostic.message, "hint": diagnostic.hint.clone().unwrap_or_default(),
            });
            for (key, value) in wanted.as_object().unwrap() {
                let is_same = match (value, &got[key]) {
                    (Value::String(part), Value::String(whole)) => whole.contains(part.as_str()),
                    (value, got) => value == got,
                };
                if !is_same {
                    return Err(format!("{key} should be {value}, but the diagnostic is {got}\n{}", diagnostic.excerpt));
                }
            }
            Ok(())
        }
        (_, Err(diagnostic)) => Err(format!("refused: {diagnostic}\n{}", diagnostic.excerpt)),
        (Expect::Diagnostic(_), Ok(_)) => Err("should have been refused".to_owned()),
        (expect, Ok(compiled)) => {
            // Batches of three rows cross state over batches; one large batch runs the unrolled loops.
            let component = runner.component(&compiled)?;
            for (times, batch_rows) in [(1, 3), (1, usize::MAX), (23, usize::MAX)] {
                if times > 1 && !case.is_repeatable() {
                    continue;
                }
                let rows: Vec<Value> = std::iter::repeat_n(case.rows.clone(), times).flatten().collect();
                let got = runner.run(&compiled, &component, case, &rows, batch_rows);
                let is_right = match (expect, &got) {
                    (Expect::Rows(wanted), Ok(got)) => {
                        let wanted: Vec<&Value> = std::iter::repeat_n(wanted, times).flatten().collect();
                        wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| same(wanted, got))
                    }
                    (Expect::Failure(wanted), Err(got)) => got.contains(wanted.as_str()),
                    _ => false,
                };
                if !is_right {
                    return Err(format!("{} rows by {batch_rows}: {got:?}, expected {expect:?}", rows.len()));
                }
            }
            Ok(())
        }
    }
}

#[test]
fn node_answers_as_written() {
    let files = case::files();
    let cases: Vec<Case> = files.iter().flat_map(|(_, cases)| cases.iter().cloned()).collect();
    let answers = node::answers(&cases);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        case::update(&answers);
        return;
    }
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let Some(answer) = answer else { continue };
        let is_right = match (&case.expect, answer) {
            (Expect::Rows(wanted), Value::Array(got)) => wanted.len() == got.len() && wanted.iter().zip(got).all(|(a, b)| same(a, b)),
            (Expect::Failure(_), Value::String(_)) => true,
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{}: Node says {answer}, the case {:?}", case.name, case.expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Functions of the grammar that are compared with Node in each run, each over all rows, and how many are compiled together.
const GRAMMATICAL: usize = 1_800;
const TOGETHER: usize = 6;

#[test]
fn grammatical_functions_answer_as_node_does() {
    let seed = seed();
    let cases = generated::grammatical(seed, GRAMMATICAL / TOGETHER, TOGETHER);
    let answers = node::answers(&cases);
    let pairs: Vec<_> = cases.iter().zip(&answers).collect();
    let runner = run::Runner::hasty();
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let check = |pairs: &[(&Case, &Option<Value>)]| {
            pairs.iter().filter_map(|(case, answer)| differs(&runner, case, answer.as_ref())).collect::<Vec<_>>()
        };
        let workers: Vec<_> = pairs.chunks(pairs.len().div_ceil(n_threads)).map(|pairs| scope.spawn(move || check(pairs))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let n_compared = GRAMMATICAL * cases.first().map_or(0, |case| case.rows.len());
    println!("seed {seed}: {GRAMMATICAL} functions, {n_compared} cases");
    assert!(n_compared >= 20_000);
    assert!(
        wrong.is_empty(),
        "seed {seed}: {} of {} lambdas:\n{}",
        wrong.len(),
        cases.len(),
        wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// What the first function is that does not answer as Node does, if there is one.
fn differs(runner: &run::Runner, case: &Case, answer: Option<&Value>) -> Option<String> {
    let function = |at: usize| case.steps[0].1.lines().nth(at + 1).unwrap_or_default().to_owned();
    let compiled = match azora_expression::compile(&case.pipeline()) {
        Ok(compiled) => compiled,
        Err(diagnostic) => return Some(format!("refused: {diagnostic}\n    {}", function(diagnostic.line.saturating_sub(2) as usize))),
    };
    let got = runner.component(&compiled).and_then(|component| runner.run(&compiled, &component, case, &case.rows, usize::MAX));
    let (wanted, got) = match (answer, got) {
        (Some(Value::Array(wanted)), Ok(got)) => (wanted, got),
        (answer, got) => return Some(format!("Node {answer:?}, ours {:?}\n{}", got.map(|_| "rows"), case.name)),
    };
    for (row, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
        let differing = (0..TOGETHER).find(|at| !same(&wanted[*at], &got[*at]));
        if let Some(at) = differing {
            return Some(format!("row {row}: Node {}, ours {}\n    {}", wanted[at], got[at], function(at)));
        }
    }
    (wanted.len() != got.len()).then(|| format!("{} rows, but {} in Node", got.len(), wanted.len()))
}

/// Functions that are compared with Node in each run.
const GENERATED: usize = 600;
const SEED: u64 = 0x5EED_2026;

fn seed() -> u64 {
    std::env::var("AZORA_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

#[test]
fn generated_functions_answer_as_node_does() {
    let seed = seed();
    let runner = run::Runner::new();
    let cases = generated::cases(seed, GENERATED);
    let answers = node::answers(&cases);
    let (mut wrong, mut n_refused) = (Vec::new(), 0);
    for (case, answer) in cases.iter().zip(answers) {
        let Ok(compiled) = azora_expression::compile(&case.pipeline()) else {
            n_refused += 1;
            continue;
        };
        let got = runner.component(&compiled).and_then(|component| runner.run(&compiled, &component, case, &case.rows, usize::MAX));
        let is_right = match (&got, &answer) {
            (Ok(got), Some(Value::Array(wanted))) => wanted.len() == got.len() && wanted.iter().zip(got).all(|(a, b)| same(a, b)),
            // Where JavaScript throws, a run fails; where its numbers lose digits, ours may fail rather than lose them.
            (Err(failure), Some(Value::String(_))) => failure.contains("User"),
            (Err(failure), _) => failure.contains("Overflow") || failure.contains("gives a number here"),
            _ => false,
        };
        if !is_right {
            let first = match (&got, &answer) {
                (Ok(got), Some(Value::Array(wanted))) => wanted
                    .iter()
                    .zip(got)
                    .enumerate()
                    .find(|(_, (a, b))| !same(a, b))
                    .map(|(at, (a, b))| format!("row {at}: Node {a}, ours {b}")),
                _ => Some(format!("Node {answer:?}, ours {got:?}")),
            };
            wrong.push(format!("{}\n    {}", case.name, first.unwrap_or_default()));
        }
    }
    assert!(wrong.is_empty(), "seed {seed}: {} of {GENERATED}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(n_refused < GENERATED / 2, "{n_refused} of {GENERATED} refused");
}

/// Equal, with 1e-15 of room for functions of `Math` whose last digit is nobody's promise.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            if x == y {
                return true;
            }
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            x == y || (x - y).abs() <= 1e-15 * x.abs().max(y.abs())
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            let null = Value::Null;
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            keys.into_iter().all(|key| same(x.get(key).unwrap_or(&null), y.get(key).unwrap_or(&null)))
        }
        _ => a == b,
    }
}

#[test]
fn what_never_ends_is_stopped() {
    let endless = [
        "x => { while (true) {} }",
        "x => { for (;;) x++; }",
        "x => { do { x = x > 5 ? 0 : x + 1; } while (x < 100); return x; }",
        "x => { for (let i = 0; i < 1; i += 0) {} return x; }",
        "x => { while (true) { switch (x) { default: continue; } } }",
        "x => { let n = 0; for (let i = 0; i < 1e9; i++) for (let j = 0; j < 1e9; j++) n ^= j; return n; }",
    ];
    for text in endless {
        assert_eq!(hostile::run(&generated::over_integers(text)), hostile::Stop::Epoch, "{text}");
    }
}

#[test]
fn what_takes_all_memory_is_stopped() {
    let bombs = [
        "x => { let s = 'x'; while (true) s += s; return s; }",
        "x => { const l = []; while (true) l.push(x); return l; }",
        "x => { let l = [x]; while (true) l = [...l, ...l]; return l; }",
        "x => 'x'.repeat(5e8).length",
        "x => Array(4e9).fill(x).length",
        "x => { let s = ''; for (let i = 0; i < 1e9; i++) s = s + 'abcdefgh' + i; return s.length; }",
    ];
    for text in bombs {
        let stop = hostile::run(&generated::over_integers(text));
        assert!(matches!(stop, hostile::Stop::Trap(_) | hostile::Stop::Failure(_) | hostile::Stop::Epoch), "{text}: {stop:?}");
    }
}

/// Functions that are mangled in each run.
const MANGLED: usize = 3_000;

#[test]
fn mangled_functions_are_refused_or_give_valid_components() {
    let cases = case::all();
    let mut random = generated::Random::new(seed());
    let mut n_compiled = 0;
    for _ in 0..MANGLED {
        let mut case = cases[random.below(cases.len())].clone();
        let other = cases[random.below(cases.len())].clone();
        let donor = other.steps.first().map_or("x => x", |(_, text)| text);
        for (_, text) in &mut case.steps {
            *text = generated::mangle(&mut random, text, donor);
        }
        match azora_expression::compile(&case.pipeline()) {
            Err(diagnostic) => {
                assert!(!diagnostic.message.contains("this function cannot be compiled"), "{:?}: {diagnostic}", case.steps);
            }
            Ok(compiled) => {
                n_compiled += 1;
                let valid = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&compiled.component);
                assert!(valid.is_ok(), "{:?}: {:?}", case.steps, valid.err());
            }
        }
    }
    assert!(n_compiled > MANGLED / 20, "only {n_compiled} of {MANGLED} compiled");
}
