//! The program as people and service managers meet it: its output, its exit codes, its signals. Crashes are in `process`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests end a test as its assertions do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

fn azora(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azora"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).current_dir(folder).stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let Output { status, stdout, stderr } = azora(folder, arguments, variables).output().expect("it runs");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// A server that listens, and what it said.
struct Server {
    child: Child,
    line: String,
    output: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["serve", "--port", "0", "--data-dir", "data"].into_iter().chain(arguments.iter().copied()).collect();
        let mut child = azora(folder, &all, &[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says where it listens");
        Self { child, line, output }
    }

    fn address(&self) -> &str {
        self.line.trim().strip_prefix("listening on http://").expect("a clear line")
    }

    fn ask(&self, text: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut answer = String::new();
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        while !answer.ends_with("\r\n\r\n") && reader.read_line(&mut answer).expect("it answers") > 0 {}
        (stream, answer)
    }

    /// Asks it to stop; true where it ended by itself and well.
    fn stop(mut self, signal: &str) -> (bool, String) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("its output ends");
        (self.child.wait().expect("it ends").success(), rest)
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_server_says_where_it_listens_and_stops_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let folder = folder();
        let server = Server::start(folder.path(), &["--port-file", "port"]);
        let port = std::fs::read_to_string(folder.path().join("port")).expect("the port file");
        assert_eq!(format!("127.0.0.1:{}", port.trim()), server.address());
        let (idle, answer) = server.ask("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // A connection that a client keeps open must not hold the server up.
        assert_eq!(server.stop(signal), (true, String::new()), "{signal}");
        drop(idle);
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (_, foreign) = server.ask("GET /health HTTP/1.1\r\nhost: localhost\r\norigin: https://example.org\r\n\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    let (_, renamed) = server.ask("GET /health HTTP/1.1\r\nhost: example.org\r\n\r\n");
    assert!(renamed.starts_with("HTTP/1.1 403"), "{renamed}");
    assert!(server.stop("-TERM").0);
}

#[test]
fn a_data_directory_has_one_server() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let (is_well, text) = run(folder.path(), &["serve", "--port", "0", "--data-dir", "data"], &[]);
    assert!(!is_well && text.contains("azora: "), "{text}");
    assert!(server.stop("-TERM").0);
    // What the first one left does not keep the next one from starting.
    assert!(Server::start(folder.path(), &[]).stop("-TERM").0);
}

/// Starts a server over a directory, waits until the interpreter of lambdas is ready, and answers what the log said of it.
fn interpreter_line(folder: &Path) -> String {
    let arguments = ["serve", "--port", "0", "--data-dir", "data", "--log", "info"];
    let mut child = azora(folder, &arguments, &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let log = BufReader::new(child.stderr.take().expect("its log"));
    let line = log.lines().map_while(Result::ok).find(|line| line.contains("interpreter"));
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    line.expect("it says so")
}

#[test]
fn the_interpreter_is_compiled_at_the_first_start_and_loaded_at_the_next() {
    let folder = TempDir::new().unwrap();
    let first = interpreter_line(folder.path());
    assert!(first.contains("ready") && first.contains("is_compiled=true"), "{first}");
    let second = interpreter_line(folder.path());
    assert!(second.contains("ready") && second.contains("is_compiled=false"), "{second}");
}

#[test]
fn settings_say_where_they_come_from() {
    let folder = folder();
    std::fs::write(folder.path().join("azora.toml"), "memory = \"1g\"\n").expect("written");
    let (is_well, text) = run(folder.path(), &["config", "show", "--port", "5"], &[("AZORA_HOST", "::1")]);
    assert!(is_well, "{text}");
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("port").contains("--port"), "{text}");
    assert!(line("host").contains("AZORA_HOST"), "{text}");
    assert!(line("memory").contains("azora.toml"), "{text}");
    assert!(line("threads").contains("default"), "{text}");
}

#[test]
fn a_wrong_setting_is_named() {
    let folder = folder();
    let check = |arguments: &[&str], variables: &[(&str, &str)], part: &str| {
        let (is_well, text) = run(folder.path(), arguments, variables);
        assert!(!is_well && text.contains(part), "{text}");
    };
    check(&["serve"], &[("AZORA_SPARK_PORT", "many")], "AZORA_SPARK_PORT is 'many'");
    check(&["serve", "--memory", "much"], &[], "--memory is 'much'");
    check(&["serve", "--host", "0.0.0.0"], &[], "--allow-remote");
    check(&["serve", "--config", "absent.toml"], &[], "absent.toml");
    check(&["serve", "--file-root", "absent", "--port", "0"], &[], "absent");
}

#[test]
fn the_doctor_looks_without_touching() {
    let folder = folder();
    let (is_well, text) = run(folder.path(), &["doctor", "--port", "0", "--data-dir", "data"], &[]);
    assert!(is_well && text.contains("will be made"), "{text}");
    assert!(!folder.path().join("data").exists());
}
