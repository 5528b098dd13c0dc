//! A real `azora serve` for the tour: started on a free port, spoken to over HTTP, stopped politely.

use anyhow::{Context, Result, bail};
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a server to listen.
const START_MAX: Duration = Duration::from_secs(60);
/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(600);

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    url: String,
    client: Client,
}

impl Server {
    /// Starts the binary with its data below `folder` and files readable below `roots`.
    pub(crate) fn start(binary: &Path, folder: &Path, roots: &[&Path]) -> Result<Self> {
        let port_file = folder.join("port");
        let mut command = Command::new(binary);
        command.args(["serve", "--port", "0"]).arg("--port-file").arg(&port_file).arg("--data-dir").arg(folder.join("data"));
        for root in roots {
            command.arg("--file-root").arg(root);
        }
        let log = std::fs::File::create(folder.join("server.log")).context("cannot write the server's log")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let began = Instant::now();
        let port = loop {
            match std::fs::read_to_string(&port_file).ok().and_then(|text| text.trim().parse::<u16>().ok()) {
                Some(port) => break port,
                None if began.elapsed() > START_MAX => bail!("the server did not start in {START_MAX:?}"),
                None => {}
            }
            if let Some(status) = child.try_wait().context("cannot ask for the server's state")? {
                let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                bail!("the server ended at once ({status}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let client = Client::builder().timeout(ANSWER_MAX).build().context("cannot make an HTTP client")?;
        Ok(Self { child, url: format!("http://127.0.0.1:{port}"), client })
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        answer(path, self.client.post(format!("{}{path}", self.url)).json(body))
    }

    /// Posts a file as it is.
    pub(crate) fn upload(&self, path: &str, media_type: &str, bytes: Vec<u8>) -> Result<Value> {
        answer(path, self.client.post(format!("{}{path}", self.url)).header("content-type", media_type).body(bytes))
    }

    /// Gets JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        answer(path, self.client.get(format!("{}{path}", self.url)))
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().context("cannot run kill")?;
        if !status.success() {
            bail!("the server could not be asked to stop");
        }
        let status = self.child.wait().context("cannot wait for the server")?;
        if !status.success() {
            bail!("the server did not stop cleanly: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn answer(path: &str, request: RequestBuilder) -> Result<Value> {
    let response = request.send().with_context(|| format!("no answer from {path}"))?;
    let status = response.status();
    let body = response.text().with_context(|| format!("half an answer from {path}"))?;
    if !status.is_success() {
        bail!("{path} answered {status}: {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("{path} did not answer JSON: {body}"))
}
