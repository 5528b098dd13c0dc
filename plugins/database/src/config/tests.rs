//! Configurations, good and bad.

use super::{Engine, Mode, Tls, What, connection, reading, writing};
use azora_connect::Secrets;
use azora_spec::{Code, Secret};
use serde_json::{Map, Value, json};
use std::time::Duration;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn the_connection_of_existing_callers_is_read() {
    let config = map(json!({"databaseType": "postgres", "query": "SELECT 1",
        "connection": {"host": "db", "port": "5433", "user": "ann", "password": "pw", "database": "shop"}}));
    let read = connection(&config, Engine::parse("postgres").unwrap(), &Secrets::default()).unwrap();
    assert_eq!((read.host.as_str(), read.port, read.user.as_str(), read.database.as_str()), ("db", 5433, "ann", "shop"));
    assert_eq!(read.password.unwrap().expose(), "pw");
    assert_eq!((read.tls, read.connect_time), (Tls::Prefer, Duration::from_secs(10)));
    assert!(matches!(reading(&config, &[]).unwrap().what, What::Query(query) if query == "SELECT 1"));
}

#[test]
fn a_connection_may_be_a_url_with_members_that_win() {
    let read = connection(&map(json!({"connection": "mysql://u:p@h/d"})), Engine::MySql, &Secrets::default()).unwrap();
    assert_eq!((read.host.as_str(), read.port), ("h", 3306));
    let read = connection(&map(json!({"connection": {"url": "mysql://u:p@h/d", "port": 7}})), Engine::MySql, &Secrets::default()).unwrap();
    assert_eq!(read.port, 7);
}

#[test]
fn complaints_point_at_the_member() {
    let check = |config: Value, pointer: &str| {
        let config = map(config);
        let failure = connection(&config, Engine::Postgres, &Secrets::default())
            .map(|_| ())
            .and_then(|()| reading(&config, &[]).map(|_| ()))
            .unwrap_err();
        assert_eq!(failure.pointer.as_deref(), Some(pointer), "{failure}");
    };
    let good = json!({"host": "h", "user": "u", "database": "d"});
    check(json!({"connection": 7, "table": "t"}), "/connection");
    check(json!({"connection": {"host": "h", "user": "u"}, "table": "t"}), "/connection/database");
    check(json!({"connection": {"host": "/tmp", "user": "u", "database": "d"}}), "/connection/host");
    check(json!({"connection": {"host": "h", "user": "u", "database": "d", "port": 0}}), "/connection/port");
    check(json!({"connection": {"host": "h", "user": "u", "database": "d", "sslcert": "x"}}), "/connection/sslcert");
    check(json!({"connection": good, "table": "t", "query": "x"}), "/query");
    check(json!({"connection": good}), "/table");
    check(json!({"connection": good, "table": "t", "columns": ["a", "a"]}), "/columns");
    check(json!({"connection": good, "table": "t", "partitioncolumn": "a"}), "/partitioncolumn");
}

#[test]
fn keys_make_an_upsert_and_nothing_else_has_them() {
    assert_eq!(writing(&map(json!({"table": "t"})), &[]).unwrap().mode, Mode::Append);
    assert_eq!(writing(&map(json!({"table": "t", "keys": "id"})), &[]).unwrap().mode, Mode::Upsert);
    let failure = writing(&map(json!({"table": "t", "mode": "upsert"})), &[]).unwrap_err();
    assert_eq!(failure.pointer.as_deref(), Some("/keys"));
    let failure = writing(&map(json!({"table": "t", "mode": "overwrite", "keys": ["a"]})), &[]).unwrap_err();
    assert_eq!(failure.pointer.as_deref(), Some("/keys"));
}

#[test]
fn a_password_may_be_the_name_of_a_secret() {
    let secrets = Secrets::new([("shop_db".to_owned(), Secret::new("hunter2".to_owned()))]);
    for password in [json!({"secret": "SHOP-DB"}), json!("${secret:shop_db}")] {
        let config = map(json!({"connection": {"user": "u", "database": "d", "password": password}}));
        let read = connection(&config, Engine::MySql, &secrets).unwrap();
        assert!(!format!("{read:?}").contains("hunter2"));
        assert_eq!(read.password.unwrap().expose(), "hunter2");
    }
    let config = map(json!({"connection": {"user": "u", "database": "d", "password": {"secret": "none"}}}));
    let failure = connection(&config, Engine::MySql, &secrets).unwrap_err();
    assert_eq!((failure.code, failure.pointer.as_deref()), (Code::SecretUnknown, Some("/connection/password")));
}
