//! The program ends at named points on the way of a job, each as `kill -9` would do it, and is started again: every row is
//! there exactly once, nothing that was prepared is left behind, and a job whose success was recorded keeps it.
//!
//! Points are passed in builds with debug assertions only; see `azora_spec::milestone`.

use crate::{PATIENCE, Place, Server};
use anyhow::{Context as _, Result, bail, ensure};
use azora_services::{Kafka, MariaDb, Postgres, S3};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

/// Rows of each job, in as many files as there are partitions.
const ROWS: u64 = 4_500;
const PARTITIONS: u64 = 3;
/// SIGKILL.
const KILLED: i32 = 9;

/// Points that every job with a two-phase sink passes.
const OF_JOBS: [&str; 13] = [
    "accepted",
    "running",
    "prepared",
    "prepared:3",
    "token written",
    "token written:2",
    "token written:3",
    "commit?",
    "commit begun",
    "committed",
    "success?",
    "success",
    "sources told",
];

type Count<'a> = Box<dyn Fn(&Server, &str) -> Result<[u64; 3]> + 'a>;

/// A sink: what it is called, what a job says of it, how its rows are counted, and the points of its own commit.
struct Kind<'a> {
    name: &'static str,
    sink: Box<dyn Fn(&str) -> Value + 'a>,
    /// Rows, different ids and the sum of the ids of one job.
    count: Count<'a>,
    /// What was prepared and is still there.
    left: Box<dyn Fn() -> Result<Vec<String>> + 'a>,
    points: &'static [&'static str],
}

fn job(place: &Place, name: &str, sink: Value) -> Value {
    json!({
        "name": name,
        "source": {"type": "file", "format": "csv", "path": place.dir.path().join("files/rows")},
        "operations": [{"type": "map", "function": format!("r => ({{job: '{name}', id: r.id}})")}],
        "sink": sink,
        "options": {"parallelism": PARTITIONS},
    })
}

fn fill(place: &Place) -> Result<()> {
    fs::create_dir_all(place.dir.path().join("files/rows"))?;
    for file in 0..PARTITIONS {
        let rows: String = (0..ROWS / PARTITIONS).map(|row| format!("{}\n", row * PARTITIONS + file)).collect();
        fs::write(place.dir.path().join(format!("files/rows/{file}.csv")), format!("id\n{rows}"))?;
    }
    Ok(())
}

/// The job of that name; it may be there although nobody was told so.
fn find(server: &Server, name: &str) -> Result<String> {
    let (status, answer) = server.send(reqwest::Method::GET, "/api/v1/jobs?limit=100", None)?;
    ensure!(status == 200, "the list of jobs answered {status}: {answer}");
    let jobs = answer["jobs"].as_array().or(answer.as_array()).with_context(|| format!("no jobs in {answer}"))?;
    let found = jobs.iter().find(|job| job["name"] == name).with_context(|| format!("there is no job '{name}'"))?;
    Ok(found["id"].as_str().context("a job has an id")?.to_owned())
}

/// Runs a job that dies at a point, starts the server again, and looks at what is there.
fn die_at(place: &Place, kind: &Kind<'_>, point: &str) -> Result<()> {
    let name: String =
        format!("{} {point}", kind.name).chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let mut server = place.start_with(&[("AZORA_TEST_DIE_AT", point)])?;
    // The answer is lost where the point comes before it.
    server.submit(&job(place, &name, (kind.sink)(&name))).ok();
    let began = Instant::now();
    let status = loop {
        match server.child.try_wait()? {
            Some(status) => break status,
            None if began.elapsed() > PATIENCE => bail!("the point was not reached"),
            None => std::thread::sleep(crate::LOOK),
        }
    };
    ensure!(status.signal() == Some(KILLED), "the server ended with {status}");
    place.check_visible()?;
    drop(server);
    let server = place.start()?;
    let id = find(&server, &name)?;
    if matches!(point, "success" | "sources told") {
        ensure!(server.job(&id)?["state"] == "succeeded", "a success that was recorded is not there: {}", server.job(&id)?);
    }
    let ended = server.ended(&id)?;
    ensure!(ended["state"] == "succeeded", "the job ended as {ended}");
    let counted = (kind.count)(&server, &name)?;
    ensure!(counted == [ROWS, ROWS, ROWS * (ROWS - 1) / 2], "rows, ids and their sum are {counted:?}");
    let left = (kind.left)()?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    server.kill()
}

fn sweep(place: &Place, kind: &Kind<'_>) -> Result<()> {
    for point in OF_JOBS.iter().chain(kind.points) {
        die_at(place, kind, point).with_context(|| format!("{}, died at '{point}'", kind.name))?;
    }
    Ok(())
}

/// Counts by SQL over a table of the request.
fn count(server: &Server, table: &Value, name: &str) -> Result<[u64; 3]> {
    let query = format!("SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(id) AS total FROM t WHERE job = '{name}'");
    let (status, answer) = server.send(reqwest::Method::POST, "/api/v1/sql", Some(&json!({"query": query, "tables": {"t": table}})))?;
    ensure!(status == 200, "counting answered {status}: {answer}");
    let number = |member: &str| answer[0][member].as_u64().unwrap_or_default();
    Ok([number("n"), number("ids"), number("total")])
}

fn hidden(folder: &std::path::Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| name.starts_with('.')).collect())
}

#[test]
fn at_every_point_files_are_there_exactly_once() -> Result<()> {
    let place = Place::new()?;
    fill(&place)?;
    let read = |path: std::path::PathBuf| json!({"source": {"type": "file", "format": "parquet", "path": path}});
    let new = Kind {
        name: "new",
        sink: Box::new(|name| json!({"type": "parquet", "path": place.outputs().join(name)})),
        count: Box::new(|server, name| count(server, &read(place.outputs().join(name)), name)),
        left: Box::new(|| hidden(&place.outputs())),
        points: &["files marked", "files published"],
    };
    sweep(&place, &new)?;
    // Into the same folder, each job replacing or joining the rows of those before.
    let other = |name: &'static str, mode: &'static str, points| {
        let path = place.outputs().join(mode);
        let shown = path.clone();
        Kind {
            name,
            sink: Box::new(move |_| json!({"type": "parquet", "path": path, "mode": mode})),
            count: Box::new(move |server, name| count(server, &read(shown.clone()), name)),
            left: Box::new(|| hidden(&place.outputs())),
            points,
        }
    };
    for (mode, points) in [("overwrite", ["files exchanged", "files marked"]), ("append", ["file appended", "file appended:2"])] {
        let kind = other(mode, mode, &[]);
        // There has to be something first.
        let server = place.start()?;
        ensure!(server.ended(&server.submit(&job(&place, "first", (kind.sink)("first")))?)?["state"] == "succeeded");
        server.kill()?;
        for point in points.iter().chain(&["commit begun", "committed", "success?"]) {
            die_at(&place, &kind, point).with_context(|| format!("{mode}, died at '{point}'"))?;
        }
    }
    Ok(())
}

#[test]
fn at_every_point_rows_of_a_dataset_are_there_exactly_once() -> Result<()> {
    let place = Place::new()?;
    fill(&place)?;
    let kind = Kind {
        name: "dataset",
        sink: Box::new(|_| json!({"type": "dataset", "name": "all", "mode": "append"})),
        count: Box::new(|server, name| count(server, &json!({"dataset": "all"}), name)),
        left: Box::new(|| hidden(&place.dir.path().join("data/datasets/all"))),
        points: &["dataset published"],
    };
    sweep(&place, &kind)
}

#[test]
fn at_every_point_messages_are_there_exactly_once() -> Result<()> {
    let (place, kafka) = (Place::new()?, Kafka::start()?);
    fill(&place)?;
    kafka.topic("out", 2)?;
    let config = |more: Value| {
        let mut config = json!({"topic": "out", "brokers": [kafka.brokers()], "outageTimeoutMs": 60_000});
        for (name, value) in more.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        json!({"type": "kafka", "config": config})
    };
    let columns = json!({"rows": "values", "columns": {"job": "utf8", "id": "int64"}});
    let kind = Kind {
        name: "kafka",
        sink: Box::new(|_| config(json!({}))),
        count: Box::new(|server, name| count(server, &json!({"source": config(columns.clone())}), name)),
        left: Box::new(|| {
            let staging = place.dir.path().join("data/staging/kafka");
            let names = fs::read_dir(staging).into_iter().flatten().map(|entry| Ok(entry?.path().display().to_string()));
            names.collect()
        }),
        points: &[
            "kafka transaction?",
            "kafka transaction begun",
            "kafka some sent",
            "kafka some sent:3",
            "kafka sent",
            "kafka marked",
            "kafka committed",
        ],
    };
    sweep(&place, &kind)
}

#[test]
fn at_every_point_rows_of_databases_are_there_exactly_once() -> Result<()> {
    let (place, postgres, mariadb) = (Place::new()?, Postgres::start()?, MariaDb::start()?);
    fill(&place)?;
    let numbers = |text: String| -> Result<[u64; 3]> {
        let found = text.split(['|', '\t']).map(|number| Ok(number.trim().parse()?)).collect::<Result<Vec<u64>>>()?;
        found.try_into().map_err(|found| anyhow::anyhow!("{found:?}"))
    };
    let counting = |name: &str| format!("SELECT count(*), count(DISTINCT id), sum(id) FROM rows_of_jobs WHERE job = '{name}'");
    let stages = "SELECT relname FROM pg_class WHERE relname LIKE 'azs%'";
    let in_postgres = Kind {
        name: "postgresql",
        sink: Box::new(|_| {
            let (port, user, password) = (postgres.process.port(), Postgres::USER, Postgres::PASSWORD);
            let connection = json!({"host": "127.0.0.1", "port": port, "user": user, "password": password, "database": "postgres"});
            json!({"type": "postgresql", "config": {"table": "rows_of_jobs", "create": true, "connection": connection}})
        }),
        count: Box::new(|_, name| numbers(postgres.run(&counting(name))?)),
        left: Box::new(|| Ok(postgres.run(stages)?.lines().map(str::to_owned).collect())),
        points: &["rows stage?", "rows staged", "rows staged:3", "rows marked", "rows moved", "rows commit?", "rows committed"],
    };
    sweep(&place, &in_postgres)?;
    let in_mariadb = Kind {
        name: "mysql",
        sink: Box::new(|_| {
            let (port, user, password) = (mariadb.process.port(), MariaDb::USER, MariaDb::PASSWORD);
            let connection = json!({"host": "127.0.0.1", "port": port, "user": user, "password": password, "database": MariaDb::DATABASE});
            json!({"type": "mysql", "config": {"table": "rows_of_jobs", "create": true, "connection": connection}})
        }),
        count: Box::new(|_, name| numbers(mariadb.run(&counting(name))?)),
        left: Box::new(|| Ok(mariadb.run("SHOW TABLES LIKE 'azs%'")?.lines().map(str::to_owned).collect())),
        points: &[],
    };
    for point in ["prepared", "commit begun", "rows commit?", "rows committed", "success?"] {
        die_at(&place, &in_mariadb, point).with_context(|| format!("mysql, died at '{point}'"))?;
    }
    let in_a_file = Kind {
        name: "sqlite",
        sink: Box::new(|_| json!({"type": "sqlite", "config": {"path": "jobs.db", "table": "rows_of_jobs", "create": true}})),
        count: Box::new(|server, name| {
            count(server, &json!({"source": {"type": "sqlite", "config": {"path": "jobs.db", "table": "rows_of_jobs"}}}), name)
        }),
        left: Box::new(|| Ok(Vec::new())),
        points: &[],
    };
    for point in ["prepared", "commit begun", "rows commit?", "rows committed", "success?"] {
        die_at(&place, &in_a_file, point).with_context(|| format!("sqlite, died at '{point}'"))?;
    }
    Ok(())
}

#[test]
fn at_every_point_objects_are_listed_exactly_once() -> Result<()> {
    let (place, s3) = (Place::new()?, S3::start()?);
    fill(&place)?;
    let config = |name: &str| {
        let keys = json!({"endpoint": s3.endpoint(), "bucket": S3::BUCKET, "accessKeyId": "id", "secretAccessKey": "key"});
        let mut config = keys;
        config["key"] = json!(format!("{name}/"));
        config["format"] = json!("parquet");
        json!({"type": "s3", "config": config})
    };
    let kind = Kind {
        name: "s3",
        sink: Box::new(config),
        count: Box::new(|server, name| count(server, &json!({"source": config(name)}), name)),
        left: Box::new(|| Ok(Vec::new())),
        points: &[],
    };
    for point in ["prepared", "commit begun", "objects listed", "committed", "success?"] {
        die_at(&place, &kind, point).with_context(|| format!("s3, died at '{point}'"))?;
    }
    Ok(())
}
