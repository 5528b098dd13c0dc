//! Servers that are not there: packets that vanish, and connections that are taken and never answered. Every connector has
//! to say so within its connect time-out, whichever half is asked.

use super::CANARY;
use super::servers::Servers;
use super::table::{Fault, UNAVAILABLE, fault, with};
use serde_json::{Value, json};
use std::time::Duration;

/// The connect time-out of all of them.
const CONNECT_MS: u64 = 1000;
/// Four answers of connectors that keep it, with time for a machine that does other things too; the defaults and the
/// repetitions of the libraries take longer.
const TIME_MAX: Duration = Duration::from_secs(12);

/// All such faults.
pub(crate) fn faults(servers: &Servers) -> Vec<Fault> {
    let dead = [("a black hole", servers.hole.address()), ("silence", servers.mute.address())];
    let mut faults = Vec::new();
    for (what, address) in dead {
        let place = address.to_string();
        let rows = || json!([{"id": 1, "key": "k"}]);
        for (kind, config, object) in sources(&place, address.port()) {
            // A feed of lines may be silent for as long as it likes.
            if kind == "socket" && what == "silence" {
                continue;
            }
            let hint = if kind == "api" { "connectTimeoutMs" } else { "" };
            faults.push(fault(kind, what, config, UNAVAILABLE, &[&place, object]).within(TIME_MAX).hinted(hint));
        }
        for (kind, config, object) in sinks(&place, address.port()) {
            faults.push(fault(kind, what, config, UNAVAILABLE, &[&place, object]).of_sink(rows()).within(TIME_MAX));
        }
    }
    faults
}

type Asked = (&'static str, Value, &'static str);

fn sources(place: &str, port: u16) -> Vec<Asked> {
    let timed = |config: Value| with(&config, json!({"connectTimeoutMs": CONNECT_MS}));
    let mut all = vec![
        ("websocket", timed(json!({"url": format!("ws://{place}/feed"), "maxRows": 1})), "/feed"),
        ("socket", timed(json!({"host": "127.0.0.1", "port": port, "maxRows": 1})), ""),
    ];
    all.extend(both(place, port));
    all.extend(stores(place, "a.json"));
    all
}

fn sinks(place: &str, port: u16) -> Vec<Asked> {
    let mut all = both(place, port);
    // Which keys are written only the rows say.
    for (_, config, object) in all.iter_mut().filter(|(kind, ..)| *kind == "redis") {
        if let Some(config) = config.as_object_mut() {
            config.shift_remove("stream");
        }
        *object = "";
    }
    for (_, config, _) in all.iter_mut().filter(|(kind, ..)| *kind == "redis") {
        config["keyColumn"] = json!("key");
    }
    all.extend(stores(place, "a").into_iter().map(|(kind, config, object)| (kind, with(&config, json!({"format": "ndjson"})), object)));
    all
}

/// Those whose halves are configured alike.
fn both(place: &str, port: u16) -> Vec<Asked> {
    let timed = |config: Value| with(&config, json!({"connectTimeoutMs": CONNECT_MS}));
    let database = |more: Value| {
        let connection =
            json!({"host": "127.0.0.1", "port": port, "user": "u", "password": CANARY, "database": "d", "connectTimeoutMs": CONNECT_MS});
        with(&json!({"connection": connection}), more)
    };
    vec![
        ("kafka", timed(json!({"brokers": [place], "topic": "wanted"})), "wanted"),
        ("redis", timed(json!({"redisUrl": format!("redis://{place}/"), "stream": "wanted"})), "wanted"),
        ("postgresql", database(json!({"table": "wanted"})), "wanted"),
        ("mysql", database(json!({"table": "wanted"})), "wanted"),
        ("mongodb", database(json!({"collection": "wanted"})), "wanted"),
        ("api", timed(json!({"url": format!("http://{place}/rows")})), "/rows"),
    ]
}

fn stores(place: &str, key: &str) -> Vec<Asked> {
    let at = |more: Value| {
        let config = json!({"endpoint": format!("http://{place}"), "key": key, "connectTimeoutMs": CONNECT_MS});
        with(&config, more)
    };
    vec![
        ("s3", at(json!({"bucket": "rows", "accessKeyId": "id", "secretAccessKey": CANARY})), "s3://rows/a"),
        ("gcs", at(json!({"bucket": "rows"})), "gcs://rows/a"),
        ("azure", at(json!({"account": "azora", "container": "rows", "accessKey": "Y2FuYXJ5"})), "azure://rows/a"),
    ]
}
