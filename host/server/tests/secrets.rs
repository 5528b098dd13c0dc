//! Passwords, tokens and keys in requests, through every connector, in jobs that fail and in jobs that succeed: none of them
//! is found again in an answer, a job's view, its events, its recorded request, the log at its most talkative, or any byte
//! of the data directory; and jobs that need them go on after a kill all the same.

use anyhow::{Result, bail, ensure};
use azora_services::{FerretDb, Postgres, Redis, S3};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for a start or an end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Canaries that have to be planted at least.
const PLANTED_MIN: usize = 30;

/// Makes canaries and remembers them.
#[derive(Debug, Default)]
struct Canaries(Mutex<Vec<String>>);

impl Canaries {
    fn plant(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Letters only, so that no encoding of a URL or a header changes it.
        let number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let letters: String =
            format!("{number:016x}").chars().map(|digit| char::from(b'a' + digit.to_digit(16).unwrap_or(0) as u8)).collect();
        let canary = format!("canary{letters}");
        self.keep(&canary);
        canary
    }

    fn keep(&self, secret: &str) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(secret.to_owned());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The canaries in some bytes.
    fn hits(&self, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        self.all().into_iter().filter(|canary| text.contains(canary.as_str())).collect()
    }
}

/// An HTTP server that answers every request with rows, or, below `/fail`, with a 500 that repeats all that it was sent.
/// Requests below `/slow` wait until somebody lets them go.
struct Api {
    port: u16,
    gate: Arc<AtomicBool>,
    seen: Arc<Mutex<String>>,
}

impl Api {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let api = Self { port: listener.local_addr()?.port(), gate: Arc::default(), seen: Arc::default() };
        let (gate, seen) = (Arc::clone(&api.gate), Arc::clone(&api.seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (gate, seen) = (Arc::clone(&gate), Arc::clone(&seen));
                std::thread::spawn(move || drop(answer(stream, &gate, &seen)));
            }
        });
        Ok(api)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn seen(&self) -> String {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

fn answer(stream: TcpStream, gate: &AtomicBool, seen: &Mutex<String>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    head.push_str(&String::from_utf8_lossy(&body));
    seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push_str(&head);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    while path.starts_with("/slow") && !gate.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (status, body) = if path.starts_with("/fail") { ("401 No", head) } else { ("200 OK", r#"[{"a":1},{"a":2}]"#.to_owned()) };
    let mut stream = stream;
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    Ok(stream.write_all(answer.as_bytes())?)
}

struct Server {
    child: Child,
    url: String,
    http: Client,
    /// Everything that it answered.
    said: Mutex<Vec<u8>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(folder: &Path, secrets: &[(String, String)]) -> Result<Server> {
    let port_file = folder.join("port");
    if port_file.exists() {
        fs::remove_file(&port_file)?;
    }
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_azora"));
    command.args(["serve", "--port", "0", "--drain-seconds", "1", "--log", "trace"]);
    command.args(["--data-dir", &folder.join("data").display().to_string(), "--port-file", &port_file.display().to_string()]);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.envs(secrets.iter().map(|(name, value)| (format!("AZORA_SECRET_{name}"), value)));
    let mut child = command.spawn()?;
    let began = Instant::now();
    loop {
        let port = fs::read_to_string(&port_file).unwrap_or_default();
        if let Ok(port) = port.trim().parse::<u16>() {
            let http = Client::builder().timeout(PATIENCE).build()?;
            let server = Server { child, url: format!("http://127.0.0.1:{port}"), http, said: Mutex::default() };
            server.send("POST", "/spark/init", Some(&json!({})))?;
            return Ok(server);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the server ended with {status}:\n{}", fs::read_to_string(folder.join("log"))?);
        }
        ensure!(began.elapsed() < PATIENCE, "the server does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Server {
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let mut request = self.http.request(method.parse()?, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send()?;
        let (status, headers) = (response.status().as_u16(), format!("{:?}", response.headers()));
        let bytes = response.bytes()?;
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        said.extend_from_slice(headers.as_bytes());
        said.extend_from_slice(&bytes);
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Submits a job; one that is refused has no id.
    fn submit(&self, job: &Value) -> Result<std::result::Result<String, Value>> {
        let (status, answer) = self.send("POST", "/api/v1/jobs", Some(job))?;
        ensure!(status != 500, "{answer}");
        Ok(answer["id"].as_str().filter(|_| status == 202).map(str::to_owned).ok_or_else(|| answer.clone()))
    }

    /// Waits for a job's end and asks for everything that can be asked of it.
    fn ended(&self, id: &str) -> Result<Value> {
        let began = Instant::now();
        let job = loop {
            let (_, job) = self.send("GET", &format!("/api/v1/jobs/{id}"), None)?;
            if matches!(job["state"].as_str(), Some("succeeded" | "failed" | "cancelled")) {
                break job;
            }
            ensure!(began.elapsed() < PATIENCE, "a job does not end: {job}");
            std::thread::sleep(Duration::from_millis(20));
        };
        for part in ["request", "events", "result"] {
            self.send("GET", &format!("/api/v1/jobs/{id}/{part}"), None)?;
        }
        Ok(job)
    }
}

/// What stands around the first of the canaries that were found.
fn around(bytes: &[u8], found: &[String]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let Some(at) = found.first().and_then(|canary| text.find(canary.as_str())) else { return String::new() };
    let before: String = text.get(..at).unwrap_or_default().chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
    before + &text.get(at..).unwrap_or_default().chars().take(200).collect::<String>()
}

fn walk(folder: &Path, look: &mut dyn FnMut(&Path, &[u8])) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, look)?;
        } else {
            look(&path, &fs::read(&path)?);
        }
    }
    Ok(())
}

/// Configurations with a canary in every place that takes a secret, for servers that are not there, refuse it, or repeat it.
fn failing(canaries: &Canaries, api: &Api, redis: &Redis, postgres: &Postgres, mongodb: &FerretDb) -> Vec<Value> {
    let c = || canaries.plant();
    let dead = azora_services::free_port().unwrap_or(1);
    let redis_address = redis.url().trim_start_matches("redis://").to_owned();
    let postgres_port = postgres.process.port();
    let connection = |kind: &str, port: u16| json!({"url": format!("{kind}://user:{}@127.0.0.1:{port}/db", c()), "connectTimeoutMs": 2000});
    vec![
        json!({"type": "kafka", "topic": "t", "brokers": [format!("127.0.0.1:{dead}")], "connectTimeoutMs": 1500,
            "security": {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": c(), "password": c()}}),
        json!({"type": "kafka", "topic": "t", "brokers": [format!("127.0.0.1:{dead}")], "connectTimeoutMs": 1500,
            "security": {"protocol": "SSL", "caPem": c(), "certificatePem": c(), "keyPem": c(), "keyPassword": c()}}),
        json!({"type": "redis", "redisUrl": format!("redis://:{}@{redis_address}", c())}),
        json!({"type": "redis", "url": format!("redis://u:{}@127.0.0.1:{dead}/", c()), "connectTimeoutMs": 1000}),
        json!({"type": "redis", "redisUrl": redis.url(), "username": c(), "password": c()}),
        json!({"type": "redis", "redisUrl": c()}),
        json!({"type": "postgresql", "table": "t", "connection": connection("postgres", postgres_port)}),
        json!({"type": "postgresql", "table": "t", "connection": {"host": "127.0.0.1", "port": postgres_port, "user": Postgres::USER, "password": c()}}),
        json!({"type": "postgresql", "table": "t", "connection": {"host": "127.0.0.1", "port": "no port", "password": c()}}),
        json!({"type": "mysql", "table": "t", "connection": connection("mysql", dead)}),
        json!({"type": "database", "databaseType": "mysql", "query": "SELECT 1", "connection": format!("mysql://u:{}@127.0.0.1:{dead}/d", c())}),
        json!({"type": "mongodb", "collection": "t", "connection": connection("mongodb", dead)}),
        json!({"type": "mongodb", "collection": "t", "connection": connection("mongodb", mongodb.process.port())}),
        json!({"type": "mongodb", "collection": "t", "database": FerretDb::DATABASE,
            "connection": {"host": "127.0.0.1", "port": mongodb.process.port(), "user": FerretDb::USER, "password": c()}}),
        json!({"type": "database", "databaseType": "mongodb", "collection": "t", "connection": format!("mongodb+srv://u:{}@nobody.example/d", c())}),
        json!({"type": "mongodb", "collection": "t", "connection": {"host": "127.0.0.1", "port": dead, "password": c(), "tls": "prefer"}}),
        // A file has no password; one that is given all the same is one.
        json!({"type": "sqlite", "table": "t", "path": "nobody.db", "connection": {"path": "nobody.db", "password": c()}}),
        json!({"type": "sqlite", "table": "t", "connection": format!("sqlite:nobody.db?key={}", c())}),
        json!({"type": "database", "databaseType": "sqlite", "table": "t", "connection": format!("sqlite://u:{}@h/nobody.db", c())}),
        json!({"type": "s3", "bucket": "nobody", "key": "x.json", "endpoint": api.url("/fail"),
            "accessKeyId": c(), "secretAccessKey": c(), "sessionToken": c()}),
        json!({"type": "gcs", "bucket": "nobody", "key": "x.json", "serviceAccountKey": c()}),
        json!({"type": "azure", "account": "nobody", "container": "nobody", "key": "x.json", "endpoint": api.url("/fail"), "accessKey": c()}),
        json!({"type": "api", "url": api.url("/fail/a"), "headers": {"x-api-key": c(), "authorization": c()}}),
        json!({"type": "api", "url": api.url("/fail/b"), "auth": {"type": "bearer", "token": c()}}),
        json!({"type": "api", "url": api.url("/fail/c"), "auth": {"type": "basic", "user": "u", "password": c()}}),
        json!({"type": "api", "url": format!("{}?api_key={}", api.url("/fail/d"), c())}),
        json!({"type": "api", "url": format!("http://u:{}@127.0.0.1:{}/", c(), api.port)}),
        json!({"type": "api", "url": api.url("/fail/e"), "method": "POST", "body": {"client_secret": c()}}),
        json!({"type": "api", "url": api.url("/fail/f"), "headers": {"x-key": 4711, "y-key": c(), "bad header": c()}}),
        json!({"type": "websocket", "url": format!("ws://127.0.0.1:{dead}/"), "headers": {"cookie": c()}, "maxRows": 1}),
        json!({"type": "websocket", "url": format!("ws://127.0.0.1:{}/fail", api.port), "auth": {"type": "bearer", "token": c()}, "maxRows": 1}),
        json!({"type": "socket", "host": "127.0.0.1", "port": dead, "subscribe": c(), "maxRows": 1}),
        json!({"type": "api", "url": api.url("/fail/g"), "headers": {"x": format!("${{secret:MISSING}}{}", c())}}),
        json!({"type": "api", "url": api.url("/fail/h"), "headers": {"x": "${secret:HEADER}"}, "auth": {"type": "bearer", "token": {"secret": "TOKEN"}}}),
        json!({"type": "plugin", "plugin": "nobody@1.0.0", "config": {"token": c()}}),
    ]
}

#[test]
fn thirty_canaries_and_no_hit() -> Result<()> {
    // The HTTP client is built without a provider of cryptography.
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir()?;
    let canaries = Canaries::default();
    let secrets: Vec<(String, String)> = ["HEADER", "TOKEN", "ID", "KEY"].map(|name| (name.to_owned(), canaries.plant())).into();
    let (api, redis, postgres, s3) = (Api::start()?, Redis::start()?, Postgres::start()?, S3::start()?);
    let mongodb = FerretDb::start()?;
    canaries.keep(Postgres::PASSWORD);
    canaries.keep(FerretDb::PASSWORD);
    let mut server = start(folder.path(), &secrets)?;
    let mut planted_in_jobs = Vec::new();
    for config in failing(&canaries, &api, &redis, &postgres, &mongodb) {
        // As source and sink of jobs, and in the seed's way.
        let kind = config["type"].clone();
        for job in [json!({"source": config}), json!({"data": [{"a": 1}], "sink": config})] {
            if let Ok(id) = server.submit(&job)? {
                let ended = server.ended(&id)?;
                ensure!(ended["state"] == "failed", "{kind} did not fail: {ended}");
                planted_in_jobs.push(id);
            }
        }
        let (status, answer) = server.send("POST", "/ingest", Some(&json!({"type": kind, "config": config})))?;
        ensure!(status >= 400 && status != 500, "{kind}: {status}, {answer}");
        let name = kind.as_str().unwrap_or_default().to_owned();
        for verb in ["validate", "preview"] {
            server.send("POST", &format!("/api/v1/connectors/{name}/{verb}"), Some(&json!({"config": config})))?;
        }
    }
    let keys = json!({"endpoint": s3.endpoint(), "bucket": S3::BUCKET, "accessKeyId": "${secret:ID}", "secretAccessKey": "${secret:KEY}"});
    let with = |config: &Value, more: Value| {
        let mut config = config.clone();
        for (name, value) in more.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        config
    };
    let own_keys = with(&keys, json!({"accessKeyId": canaries.plant(), "secretAccessKey": canaries.plant()}));
    let login = json!({"host": "127.0.0.1", "port": postgres.process.port(), "user": Postgres::USER, "password": Postgres::PASSWORD, "database": "postgres"});
    let bearer = canaries.plant();
    let documents = json!({"host": "127.0.0.1", "port": mongodb.process.port(), "user": FerretDb::USER, "password": FerretDb::PASSWORD,
        "database": FerretDb::DATABASE, "authSource": "admin"});
    let succeeding = [
        json!({"data": [{"a": 1}], "sink": with(&keys, json!({"type": "s3", "key": "a/", "format": "json"}))}),
        json!({"source": with(&own_keys, json!({"type": "s3", "key": "a/"})), "sink": with(&own_keys, json!({"type": "s3", "key": "b/", "format": "json"}))}),
        json!({"data": [{"a": 1}], "sink": {"type": "postgresql", "table": "t", "create": true, "connection": login}}),
        json!({"source": {"type": "postgresql", "table": "t", "connection": login}, "sink": {"type": "dataset", "name": "t"}}),
        json!({"data": [{"a": 1}], "sink": {"type": "mongodb", "collection": "t", "create": true, "connection": documents}}),
        json!({"source": {"type": "mongodb", "collection": "t", "columns": ["a"], "connection": documents}, "sink": {"type": "sqlite", "table": "t", "create": true, "path": "kept.db"}}),
        json!({"source": {"type": "sqlite", "table": "t", "path": "kept.db"}, "sink": {"type": "dataset", "name": "of-a-file"}}),
        json!({"source": {"type": "api", "url": api.url("/rows"), "auth": {"type": "bearer", "token": bearer}, "headers": {"x-key": "${secret:HEADER}"}}}),
    ];
    for job in &succeeding {
        let id = server.submit(job)?.map_err(|answer| anyhow::anyhow!("refused: {answer}"))?;
        let ended = server.ended(&id)?;
        ensure!(ended["state"] == "succeeded", "{ended}");
    }
    ensure!(api.seen().contains(&bearer) && api.seen().contains(&secrets[0].1), "the API was not told the secrets");
    // What needs a literal secret goes on after a kill.
    let late = canaries.plant();
    let columns = json!({"a": "int64"});
    let slow = json!({"source": {"type": "api", "url": api.url("/slow"), "headers": {"x-late": late}, "columns": columns}, "sink": {"type": "dataset", "name": "slow"}});
    let id = server.submit(&slow)?.map_err(|answer| anyhow::anyhow!("refused: {answer}"))?;
    std::thread::sleep(Duration::from_millis(300));
    let mut said = std::mem::take(&mut *server.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    server.child.kill()?;
    server.child.wait()?;
    let asked = api.seen().matches(&late).count();
    server = start(folder.path(), &secrets)?;
    api.gate.store(true, Ordering::Relaxed);
    let ended = server.ended(&id)?;
    ensure!(ended["state"] == "succeeded" && ended["rows"] == 2, "{ended}");
    ensure!(api.seen().matches(&late).count() > asked, "the secret was lost on the way");
    said.extend_from_slice(&server.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    drop(server);
    let planted = canaries.all().len();
    ensure!(planted >= PLANTED_MIN && !planted_in_jobs.is_empty(), "{planted} canaries, {} failed jobs", planted_in_jobs.len());
    let answers = canaries.hits(&said);
    ensure!(answers.is_empty(), "in answers: {answers:?}: {}", around(&said, &answers));
    let log = fs::read(folder.path().join("log"))?;
    ensure!(log.len() > 1000, "nothing was logged");
    let logged = canaries.hits(&log);
    let lines: Vec<_> =
        String::from_utf8_lossy(&log).lines().filter(|line| !canaries.hits(line.as_bytes()).is_empty()).map(str::to_owned).collect();
    ensure!(logged.is_empty(), "in the log: {logged:?}\n{}", lines.join("\n"));
    let (mut found, mut bytes) = (Vec::new(), 0);
    walk(&folder.path().join("data"), &mut |path, content| {
        bytes += content.len();
        found.extend(canaries.hits(content).into_iter().map(|canary| format!("{canary} in {}", path.display())));
    })?;
    ensure!(found.is_empty() && bytes > 10_000, "on disk ({bytes} bytes): {found:?}");
    Ok(())
}
