//! The end-to-end cases over HTTP. A program of its own, not a test harness's, since it also plays the program that
//! compiles uploads: a server starts its own executable for that, which here is this one.
//!
//! An argument names the cases to run by a part of their names.

#[path = "http/connectors.rs"]
mod connectors;
#[path = "http/faults.rs"]
mod faults;

use anyhow::{Result, ensure};
use azora_tests::{Case, Failed, attack, readme};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The secret that the servers of `connectors` may ask for.
const TOKEN: &str = "canary-e2e-token";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "compile-component") {
        return u8::try_from(azora_sandbox::compile_main()).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    match run(&filters) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(filters: &[&String]) -> Result<bool> {
    let all = Case::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/http"))?;
    ensure!(!all.is_empty(), "there are no cases");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut steps, mut failures) = (0, 0);
    let is_wanted = |name: &str| filters.is_empty() || filters.iter().any(|part| name.contains(part.as_str()));
    for case in all.iter().filter(|case| is_wanted(&case.name)) {
        let failed = runtime.block_on(case.run())?;
        tell(&case.name, case.steps(), &failed);
        steps += case.steps();
        failures += failed.len();
    }
    if is_wanted("hostile") {
        let attacks = runtime.block_on(attack::run())?;
        tell("hostile", attacks.total, &attacks.failed);
        steps += attacks.total;
        failures += attacks.failed.len();
    }
    if is_wanted("readme") {
        let tour = runtime.block_on(readme::run())?;
        tell("readme", tour.total, &tour.failed);
        steps += tour.total;
        failures += tour.failed.len();
    }
    if is_wanted("faults") {
        let faults = runtime.block_on(faults::run())?;
        tell("faults", faults.total, &faults.failed);
        steps += faults.total;
        failures += faults.failed.len();
    }
    if is_wanted("plugin-connectors") {
        let outcome = runtime.block_on(connectors::run());
        let failed =
            outcome.as_ref().err().map(|error| Failed { step: "plugin-connectors".to_owned(), reason: anyhow::anyhow!("{error:#}") });
        let (done, failed) = (outcome.unwrap_or(1), Vec::from_iter(failed));
        tell("plugin-connectors", done, &failed);
        steps += done;
        failures += failed.len();
    }
    say(&format!("\nhttp: {steps} steps, {failures} failed"));
    Ok(failures == 0)
}

fn tell(name: &str, steps: usize, failed: &[Failed]) {
    say(&format!("case {name} ... {} of {steps} steps", steps - failed.len()));
    for step in failed {
        say(&format!("  FAILED {}\n    {:#}", step.step, step.reason));
    }
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}
