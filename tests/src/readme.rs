//! The README's tour, word for word: every `curl` of its five minutes is run by a shell against a real server, its Python
//! by the environment that `cargo xtask test` makes, and an answer that the README shows must be the answer.

use crate::{Failed, Server, guests};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the README says the server is.
const ADDRESS: &str = "localhost:4301";
/// Where the README says guests are built.
const GUESTS: &str = "@target/guests/components/";
/// What stands for the job that was submitted last.
const ID: &str = "ID";
/// Longest wait for a job.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// One command of the README, and the answer shown below it.
#[derive(Debug)]
struct Shown {
    is_python: bool,
    command: String,
    answer: Option<String>,
}

/// What came of the tour.
#[derive(Debug)]
pub struct Tour {
    /// Commands that were run.
    pub total: usize,
    /// Those that did not answer as they should.
    pub failed: Vec<Failed>,
}

/// Runs the tour.
///
/// # Errors
/// When the server does not start, or the README has no tour.
pub async fn run() -> Result<Tour> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a parent")?;
    let text = std::fs::read_to_string(root.join("README.md")).context("README.md")?;
    let shown = commands(&text)?;
    let data = root.join("examples/data").display().to_string();
    let server = Server::with(&[("file_roots", &data)]).await?;
    let address = server.url().trim_start_matches("http://").to_owned();
    let guests = format!("@{}/", guests::folder()?.display());
    let mut job = None;
    let mut failed = Vec::new();
    for shown in &shown {
        let command = shown.command.replace(ADDRESS, &address).replace(GUESTS, &guests);
        let command = job.as_deref().map_or_else(|| command.clone(), |id| command.replace(&format!("/{ID}"), &format!("/{id}")));
        let done = if shown.is_python { python(&command, shown).await.map(|()| None) } else { step(&command, shown).await };
        match done {
            Ok(made) => job = made.or(job),
            Err(reason) => failed.push(Failed { step: shown.command.clone(), reason }),
        }
        if let Some(id) = &job {
            ended(&format!("{address}/api/v1/jobs/{id}")).await?;
        }
    }
    server.stop().await;
    Ok(Tour { total: shown.len(), failed })
}

/// The commands of the tour. What is not `curl` builds or serves, which was done before.
fn commands(readme: &str) -> Result<Vec<Shown>> {
    let section = readme.split("## Five minutes").nth(1).and_then(|rest| rest.split("\n## ").next()).context("the README has a tour")?;
    let mut shown: Vec<Shown> = Vec::new();
    for block in section.split("```").skip(1).step_by(2) {
        let (language, block) = block.split_once('\n').unwrap_or_default();
        if language == "python" {
            let (answers, lines): (Vec<&str>, Vec<&str>) = block.lines().partition(|line| line.starts_with("# "));
            let answer = answers.first().and_then(|line| line.strip_prefix("# ")).map(str::to_owned);
            shown.push(Shown { is_python: true, command: lines.join("\n"), answer });
            continue;
        }
        if language != "sh" {
            continue;
        }
        let mut is_curl = false;
        for line in block.lines() {
            if line.starts_with("curl ") {
                shown.push(Shown { is_python: false, command: line.to_owned(), answer: None });
                is_curl = true;
            } else if let (Some(answer), Some(last)) = (line.strip_prefix("# "), shown.last_mut()) {
                last.answer = Some(answer.to_owned());
            } else if line.starts_with("cargo ") {
                is_curl = false;
            } else if let (true, Some(last)) = (is_curl, shown.last_mut()) {
                last.command.push('\n');
                last.command.push_str(line);
            }
        }
    }
    ensure!(shown.len() >= 5, "only {} commands were found", shown.len());
    ensure!(shown.iter().any(|shown| shown.is_python), "no Python was found");
    Ok(shown)
}

/// Runs a Python program, which prints what the README shows.
async fn python(program: &str, shown: &Shown) -> Result<()> {
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(3).context("a test lies below the target directory")?;
    let python = target.join("services/polars/bin/python");
    ensure!(python.exists(), "{} is missing: run `cargo xtask test` once", python.display());
    let program = program.to_owned();
    let output = tokio::task::spawn_blocking(move || Command::new(python).args(["-c", &program]).output()).await??;
    ensure!(output.status.success(), "ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(Some(&printed) == shown.answer.as_ref(), "printed {printed}, and the README shows {:?}", shown.answer);
    Ok(())
}

/// Runs a command; the id of the job that it made, where it made one.
async fn step(command: &str, shown: &Shown) -> Result<Option<String>> {
    let text = shell(command).await?;
    // With `-i` the head comes first.
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or(("", &text));
    let (body, status) = body.rsplit_once('\n').context("a status")?;
    ensure!(status.starts_with('2'), "answered {status}: {body}");
    if let Some(answer) = &shown.answer {
        ensure!(body == answer, "answered {body}, and the README shows {answer}");
    }
    ensure!(!body.trim().is_empty(), "an empty answer");
    let location = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("location: /api/v1/jobs/").map(str::to_owned));
    Ok(location)
}

async fn ended(url: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = shell(&format!("curl {url}")).await?;
        let job: Value = serde_json::from_str(answer.rsplit_once('\n').map_or("", |(body, _)| body)).context("a job")?;
        if matches!(job["state"].as_str(), Some("succeeded" | "failed" | "cancelled")) {
            ensure!(job["state"] == "succeeded", "the job ended as {job}");
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the job never ended: {job}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a shell prints, with the status of the answer in the last line.
async fn shell(command: &str) -> Result<String> {
    let script = format!("curl() {{ command curl -sS -w '\\n%{{http_code}}' \"$@\"; }}\n{command}");
    let output = tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &script]).output()).await?.context("no shell")?;
    ensure!(output.status.success(), "ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
