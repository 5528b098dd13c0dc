//! The real program, killed and started again. What a 202 promised must come true without help: every job reaches its
//! end, its rows are there exactly once, and nothing half-made is ever visible.
//!
//! `AZORA_TEST_KILLS` (30) and `AZORA_TEST_SEED` (from the clock, printed) say how often and when.
#![expect(clippy::print_stderr, reason = "the seed and what happened must be in the test's output")]

#[path = "process/brokers.rs"]
mod brokers;
#[path = "../../../tests/src/hostile.rs"]
#[expect(dead_code, unreachable_pub, reason = "one component of the corpus is used, and it is made for another crate")]
mod hostile;
#[cfg(debug_assertions)]
#[path = "process/points.rs"]
mod points;
#[path = "process/texts.rs"]
mod texts;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Input files, each of which becomes a partition.
const FILES: u64 = 4;
/// Rows of each.
const ROWS: u64 = 150_000;
/// Longest wait for a start, an end or an exit.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks at the same thing.
const LOOK: Duration = Duration::from_millis(20);

/// A place for servers: a data directory and a root with input and output.
struct Place {
    dir: tempfile::TempDir,
    http: Client,
}

/// A server in a process of its own. Dropping it kills it.
struct Server {
    child: Child,
    url: String,
    http: Client,
}

impl Place {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir_all(dir.path().join("files/in"))?;
        fs::create_dir_all(dir.path().join("files/out"))?;
        for file in 0..FILES {
            let mut text = String::from("id\n");
            for row in 0..ROWS {
                text.push_str(&format!("{}\n", file * ROWS + row));
            }
            fs::write(dir.path().join(format!("files/in/{file}.csv")), text)?;
        }
        // The HTTP client is built without a provider of cryptography; another test may have installed it.
        rustls::crypto::ring::default_provider().install_default().ok();
        Ok(Self { dir, http: Client::builder().timeout(PATIENCE).build()? })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azora"));
        command.args(["serve", "--port", "0", "--drain-seconds", "1", "--prepare-interpreter", "false"]);
        command.arg("--data-dir").arg(self.dir.path().join("data"));
        command.arg("--file-root").arg(self.dir.path().join("files"));
        command.arg("--port-file").arg(self.port_file());
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn port_file(&self) -> PathBuf {
        self.dir.path().join("port")
    }

    fn outputs(&self) -> PathBuf {
        self.dir.path().join("files/out")
    }

    fn start(&self) -> Result<Server> {
        self.start_with(&[])
    }

    fn start_with(&self, environment: &[(&str, &str)]) -> Result<Server> {
        if self.port_file().exists() {
            fs::remove_file(self.port_file())?;
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("log"))?;
        let mut child = self.command().envs(environment.iter().copied()).stderr(log).spawn().context("the program does not start")?;
        let began = Instant::now();
        loop {
            let port = fs::read_to_string(self.port_file()).unwrap_or_default();
            if let Ok(port) = port.trim().parse::<u16>() {
                return Ok(Server { child, url: format!("http://127.0.0.1:{port}"), http: self.http.clone() });
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}:\n{}", fs::read_to_string(self.dir.path().join("log"))?);
            }
            ensure!(began.elapsed() < PATIENCE, "the server does not come up");
            std::thread::sleep(LOOK);
        }
    }

    /// Everything that is visible must be whole: a directory with its mark.
    fn check_visible(&self) -> Result<()> {
        for entry in fs::read_dir(self.outputs())? {
            let path = entry?.path();
            let is_hidden = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with('.'));
            ensure!(is_hidden || path.join("_SUCCESS").exists(), "{} is visible and not whole", path.display());
        }
        Ok(())
    }

    /// Files in a directory of output.
    fn parts(&self, name: &str) -> Result<usize> {
        let entries = fs::read_dir(self.outputs().join(name))?.collect::<std::io::Result<Vec<_>>>()?;
        Ok(entries.iter().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "parquet")).count())
    }
}

impl Server {
    fn send(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send()?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes()?).unwrap_or_default()))
    }

    fn upload(&self, component: Vec<u8>) -> Result<()> {
        let request = self.http.post(format!("{}/api/v1/plugins", self.url)).header("content-type", "application/wasm").body(component);
        let response = request.send()?;
        ensure!(response.status().is_success(), "the upload was refused: {}", response.text()?);
        Ok(())
    }

    fn submit(&self, job: &Value) -> Result<String> {
        let (status, answer) = self.send(reqwest::Method::POST, "/api/v1/jobs", Some(job))?;
        ensure!(status == 202, "submitting answered {status}: {answer}");
        Ok(answer["id"].as_str().context("a job has an id")?.to_owned())
    }

    fn job(&self, id: &str) -> Result<Value> {
        let (status, job) = self.send(reqwest::Method::GET, &format!("/api/v1/jobs/{id}"), None)?;
        ensure!(status == 200, "an accepted job answered {status}: {job}");
        Ok(job)
    }

    /// Waits for the end of a job.
    fn ended(&self, id: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            let job = self.job(id)?;
            if matches!(job["state"].as_str(), Some("succeeded" | "failed" | "cancelled")) {
                return Ok(job);
            }
            ensure!(began.elapsed() < PATIENCE, "a job does not end: {job}");
            std::thread::sleep(LOOK);
        }
    }

    /// Count, sum, exclusive or and distinct count of the numbers in a directory of Parquet files.
    fn digest(&self, path: &Path) -> Result<Value> {
        self.send(reqwest::Method::POST, "/spark/init", Some(&json!({})))?;
        let source = json!({"type": "file", "format": "parquet", "path": path});
        let operations = json!([{"type": "aggregate", "aggregates": ["count", "sum", "bitXor", "countDistinct"]}]);
        let (status, answer) =
            self.send(reqwest::Method::POST, "/rdd/process", Some(&json!({"source": source, "operations": operations})))?;
        ensure!(status == 200, "reading the output answered {status}: {answer}");
        Ok(answer["result"].clone())
    }

    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, as a service manager does.
    fn terminate(mut self) -> Result<ExitStatus> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "the signal could not be sent");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(began.elapsed() < PATIENCE, "the server does not stop");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the server could not be killed: {error}");
        }
    }
}

/// File → lambdas → plugin → Parquet. Its rows: twice every id that is no multiple of three.
fn job(place: &Place, name: &str) -> Value {
    json!({
        "name": name,
        "source": {"type": "file", "format": "csv", "path": place.dir.path().join("files/in")},
        "operations": [
            {"type": "map", "function": "row => row.id"},
            {"type": "filter", "function": "id => id % 3 !== 0"},
            {"type": "map", "function": {"plugin": "hostile", "function": "double"}},
        ],
        "sink": {"type": "parquet", "path": place.outputs().join(name)},
        "options": {"parallelism": FILES},
    })
}

/// What [`Server::digest`] must answer, computed here.
fn expected() -> Value {
    let rows: Vec<u64> = (0..FILES * ROWS).filter(|id| id % 3 != 0).map(|id| id * 2).collect();
    json!([rows.len(), rows.iter().sum::<u64>(), rows.iter().fold(0, |all, row| all ^ row), rows.len()])
}

fn setting(name: &str, default: u64) -> Result<u64> {
    std::env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} is no number")))
}

/// The next of a sequence of numbers below one (splitmix64).
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn component() -> Result<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the crate lies two folders below the root")?;
    hostile::healthy(root)
}

#[test]
fn killed_at_random_moments_every_job_ends_with_its_rows_exactly_once() -> Result<()> {
    let kills = setting("AZORA_TEST_KILLS", 30)?;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = setting("AZORA_TEST_SEED", clock)?;
    eprintln!("AZORA_TEST_SEED={seed} AZORA_TEST_KILLS={kills}");
    sweep(kills, seed).with_context(|| format!("AZORA_TEST_SEED={seed} AZORA_TEST_KILLS={kills}"))
}

fn sweep(kills: u64, seed: u64) -> Result<()> {
    let place = Place::new()?;
    let mut random_state = seed;
    let mut server = place.start()?;
    server.upload(component()?)?;
    let began = Instant::now();
    let first = server.submit(&job(&place, "undisturbed"))?;
    let done = server.ended(&first)?;
    ensure!(done["state"] == "succeeded", "the undisturbed job ended as {done}");
    let usual = began.elapsed();
    ensure!(server.digest(&place.outputs().join("undisturbed"))? == expected(), "the undisturbed job wrote other rows");
    let mut ids = BTreeMap::new();
    for kill in 0..kills {
        let name = format!("job{kill}");
        ids.insert(name.clone(), server.submit(&job(&place, &name))?);
        // Anywhere from before the run to after the commit, and sometimes in the middle of a recovery.
        std::thread::sleep(usual.mul_f64(1.2 * random(&mut random_state)));
        server.kill()?;
        place.check_visible()?;
        server = place.start()?;
        if random(&mut random_state) < 0.5 {
            server.ended(&ids[&name])?;
        }
    }
    let mut attempts = 0;
    for (name, id) in &ids {
        let job = server.ended(id)?;
        ensure!(job["state"] == "succeeded", "{name} ended as {job}");
        attempts += job["attempts"].as_u64().unwrap_or_default();
        let digest = server.digest(&place.outputs().join(name))?;
        ensure!(digest == expected(), "{name} wrote {digest}, expected {}", expected());
        ensure!(place.parts(name)? == place.parts("undisturbed")?, "{name} has other files than the undisturbed job");
    }
    place.check_visible()?;
    let left: Vec<_> = fs::read_dir(place.outputs())?
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    ensure!(left.is_empty(), "staging was left behind: {left:?}");
    eprintln!("{} jobs, {kills} kills, {attempts} runs, an undisturbed job took {usual:?}", ids.len());
    Ok(())
}

/// Rows of the file with bad records, every 1,000th of which is no JSON, and every 700th of which has no text.
const MIXED_ROWS: u64 = 200_000;

/// File with bad records → lambda that fails on some rows → dataset, with everything that is left out in another one.
fn leaving_out(place: &Place, name: &str) -> Value {
    json!({
        "source": {"type": "file", "path": place.dir.path().join("files/mixed.ndjson"), "badRecords": "dead-letter"},
        "operations": [{"type": "map", "function": "r => r.s.length + r.id"}, {"type": "filter", "function": "x => x >= 0"}],
        "sink": {"type": "dataset", "name": name},
        "options": {"parallelism": 2, "onError": "dead-letter", "deadLetters": format!("{name}-letters")},
    })
}

#[test]
fn killed_at_random_moments_dead_letters_are_there_exactly_once() -> Result<()> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = setting("AZORA_TEST_SEED", clock)?;
    let kills = setting("AZORA_TEST_KILLS", 30)?.div_ceil(4);
    leave_out(kills, seed).with_context(|| format!("AZORA_TEST_SEED={seed}"))
}

fn leave_out(kills: u64, seed: u64) -> Result<()> {
    let place = Place::new()?;
    let is_broken = |row: u64| row % 1000 == 999;
    let is_null = |row: u64| row % 700 == 350 && !is_broken(row);
    let mut text = String::new();
    for row in 0..MIXED_ROWS {
        text.push_str(&match (is_broken(row), is_null(row)) {
            (true, _) => format!("{{\"id\": {row}, broken\n"),
            (_, true) => format!("{{\"id\":{row},\"s\":null,\"pad\":\"{row:032}\"}}\n"),
            _ => format!("{{\"id\":{row},\"s\":\"abc\",\"pad\":\"{row:032}\"}}\n"),
        });
    }
    fs::write(place.dir.path().join("files/mixed.ndjson"), text)?;
    let (broken, empty) = ((0..MIXED_ROWS).filter(|row| is_broken(*row)).count(), (0..MIXED_ROWS).filter(|row| is_null(*row)).count());
    let good: Vec<u64> = (0..MIXED_ROWS).filter(|row| !is_broken(*row) && !is_null(*row)).map(|row| row + 3).collect();
    let mut random_state = seed;
    let mut server = place.start()?;
    let began = Instant::now();
    ensure!(server.ended(&server.submit(&leaving_out(&place, "undisturbed"))?)?["state"] == "succeeded");
    let usual = began.elapsed();
    let mut ids = Vec::new();
    for kill in 0..kills {
        let name = format!("kept{kill}");
        ids.push((name.clone(), server.submit(&leaving_out(&place, &name))?));
        std::thread::sleep(usual.mul_f64(1.2 * random(&mut random_state)));
        server.kill()?;
        server = place.start()?;
    }
    let mut attempts = 0;
    for (name, id) in &ids {
        let job = server.ended(id)?;
        ensure!(job["state"] == "succeeded" && job["rows"] == good.len(), "{name} ended as {job}");
        attempts += job["attempts"].as_u64().unwrap_or_default();
        let left_out = &job["leftOut"];
        ensure!(left_out["rows"] == broken + empty && left_out["deadLetters"] == format!("{name}-letters"), "{name}: {left_out}");
        let by_code =
            "SELECT code, count(*) AS n, count(DISTINCT coalesce(position, record)) AS d FROM letters GROUP BY code ORDER BY code";
        let sql = json!({"query": by_code.replace("letters", &format!("\"{name}-letters\""))});
        let (status, rows) = server.send(reqwest::Method::POST, "/api/v1/sql", Some(&sql))?;
        ensure!(status == 200, "{name}: {rows}");
        let rows = rows.get("rows").cloned().unwrap_or(rows);
        let expect = json!([{"code": "lambda.threw", "n": empty, "d": empty}, {"code": "record.bad", "n": broken, "d": broken}]);
        ensure!(rows == expect, "{name} has the letters {rows}, expected {expect}");
        let sum = json!({"dataset": name, "operations": [{"type": "sum"}]});
        server.send(reqwest::Method::POST, "/spark/init", Some(&json!({})))?;
        let (_, answer) = server.send(reqwest::Method::POST, "/rdd/process", Some(&sum))?;
        ensure!(answer["result"] == good.iter().sum::<u64>(), "{name}: {answer}");
    }
    eprintln!("{kills} kills, {attempts} runs, an undisturbed job took {usual:?}");
    Ok(())
}

#[test]
fn an_interpreted_job_goes_on_after_kills_and_its_rows_are_there_once() -> Result<()> {
    let place = Place::new()?;
    let mut server = place.start()?;
    let mut request = job(&place, "interpreted");
    request["operations"] = json!([
        {"type": "map", "function": "row => BigInt(new Map([['id', row.id]]).get('id'))"},
        {"type": "filter", "function": "id => id % 3n !== 0n"},
        {"type": "map", "function": "id => id * 2n"},
    ]);
    let id = server.submit(&request)?;
    for pause in [150, 300, 450] {
        std::thread::sleep(Duration::from_millis(pause));
        server.kill()?;
        place.check_visible()?;
        server = place.start()?;
    }
    let done = server.ended(&id)?;
    ensure!(done["state"] == "succeeded" && done["lambdas"][0]["tier"] == "interpreted", "the job ended as {done}");
    ensure!(server.digest(&place.outputs().join("interpreted"))? == expected(), "the job wrote other rows");
    eprintln!("{} runs", done["attempts"]);
    Ok(())
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() -> Result<()> {
    let place = Place::new()?;
    let mut ids: Vec<String> = Vec::new();
    for round in 0..10 {
        let server = place.start()?;
        for id in &ids {
            server.job(id)?;
        }
        let job = json!({"data": [round, 2, 3], "operations": [{"type": "map", "function": "x => x * 2"}]});
        for _ in 0..10 {
            ids.push(server.submit(&job)?);
        }
        server.kill()?;
    }
    let server = place.start()?;
    for id in &ids {
        ensure!(server.ended(id)?["state"] == "succeeded");
    }
    Ok(())
}

#[test]
fn a_signal_drains_and_the_next_start_goes_on() -> Result<()> {
    let place = Place::new()?;
    let server = place.start()?;
    server.upload(component()?)?;
    let ids: Vec<String> = (0..6).map(|at| server.submit(&job(&place, &format!("drained{at}")))).collect::<Result<_>>()?;
    let status = server.terminate()?;
    ensure!(status.success(), "the server ended with {status}");
    place.check_visible()?;
    let server = place.start()?;
    for (at, id) in ids.iter().enumerate() {
        ensure!(server.ended(id)?["state"] == "succeeded");
        ensure!(server.digest(&place.outputs().join(format!("drained{at}")))? == expected());
    }
    Ok(())
}

#[test]
fn a_plugin_stays_while_a_job_needs_it() -> Result<()> {
    let place = Place::new()?;
    let server = place.start()?;
    server.upload(component()?)?;
    let ids: Vec<String> = (0..4).map(|at| server.submit(&job(&place, &format!("using{at}")))).collect::<Result<_>>()?;
    let delete = || server.send(reqwest::Method::DELETE, "/api/v1/plugins/hostile", None);
    let (status, problem) = delete()?;
    ensure!((status, problem["code"].as_str()) == (409, Some("plugin.in_use")), "deleting it answered {status}: {problem}");
    server.kill()?;
    let server = place.start()?;
    for id in &ids {
        ensure!(server.ended(id)?["state"] == "succeeded");
    }
    let (status, answer) = server.send(reqwest::Method::DELETE, "/api/v1/plugins/hostile", None)?;
    ensure!(status < 300, "deleting it answered {status}: {answer}");
    let (status, problem) = server.send(reqwest::Method::POST, "/api/v1/jobs", Some(&job(&place, "without")))?;
    ensure!((status, problem["code"].as_str()) == (400, Some("plugin.unknown")), "a job without its plugin answered {status}: {problem}");
    Ok(())
}

#[test]
fn a_second_server_on_the_same_data_is_told_so() -> Result<()> {
    let place = Place::new()?;
    let server = place.start()?;
    let second = place.command().stderr(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(!second.status.success(), "a second server ran on the same data");
    ensure!(text.contains("another process has it open"), "the second server said: {text}");
    server.kill()
}
