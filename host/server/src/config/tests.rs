//! Layers, origins, and the messages about values that do not fit.

use super::{Config, Flags, LogFormat, Origin, Setting};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn flags(values: &[(&'static str, &str)], config: &Path) -> Flags {
    Flags { config: Some(config.to_owned()), values: values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect() }
}

fn load(values: &[(&'static str, &str)], variables: &[(&str, &str)], config: &Path) -> Result<Config, String> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Config::of(flags(values, config), &|name| variables.get(name).map(|value| (*value).to_owned())).map_err(|error| error.to_string())
}

fn setting(config: &Config, name: &str) -> Setting {
    config.settings().iter().find(|setting| setting.name == name).expect("a setting").clone()
}

#[test]
fn defaults_stand_alone() {
    let config = load(&[], &[], Path::new("")).expect("defaults");
    assert_eq!(config.address.to_string(), "127.0.0.1:4301");
    assert_eq!((config.data_dir.as_path(), config.log_format), (Path::new("azora-data"), LogFormat::Text));
    assert_eq!(config.file_roots, [PathBuf::from("azora-data/files")]);
    assert_eq!(config.memory_bytes, 2 << 30);
    assert!(config.settings().iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("azora.toml");
    std::fs::write(&file, "port = 1\nmemory = \"1g\"\nthreads = 3\nfile_roots = [\"/a\", \"/b\"]\n").expect("written");
    let config =
        load(&[("port", "3")], &[("AZORA_SPARK_PORT", "2"), ("AZORA_MEMORY", "512m"), ("AZORA_THREADS", "")], &file).expect("a config");
    assert_eq!((config.address.port(), config.memory_bytes, config.threads), (3, 512 << 20, 3));
    assert_eq!(config.file_roots, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(setting(&config, "port").origin.to_string(), "--port");
    assert_eq!(setting(&config, "memory").origin.to_string(), "AZORA_MEMORY");
    assert_eq!(setting(&config, "threads").origin, Origin::File(file));
}

#[test]
fn the_file_at_fault_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("azora.toml");
    let check = |text: &str, parts: &[&str]| {
        std::fs::write(&file, text).expect("written");
        let message = load(&[], &[], &file).expect_err(text);
        assert!(message.contains("azora.toml") && parts.iter().all(|part| message.contains(part)), "{message}");
    };
    check("prot = 1", &["'prot'", "did you mean 'port'?"]);
    check("port = \"x\"", &["'port' in ", "'x'", "a port from 0"]);
    check("port = 1\nport = 2", &["not valid TOML", "line 2"]);
    assert!(load(&[], &[], &folder.path().join("absent.toml")).expect_err("absent").contains("absent.toml"));
}

#[test]
fn the_variable_or_flag_at_fault_is_named() {
    let check = |values: &[(&'static str, &str)], variables: &[(&str, &str)], part: &str| {
        let message = load(values, variables, Path::new("")).expect_err(part);
        assert!(message.contains(part), "{message}");
    };
    check(&[], &[("AZORA_SPARK_PORT", "70000")], "AZORA_SPARK_PORT is '70000'");
    check(&[("memory", "lots")], &[], "--memory is 'lots'");
    check(&[("memory", "1k")], &[], "--memory is '1k'");
    check(&[("threads", "0")], &[], "--threads is '0'");
    check(&[("host", "example.org")], &[], "--host is 'example.org'");
    check(&[("log_format", "xml")], &[], "--log-format is 'xml'");
}

#[test]
fn other_machines_need_a_word() {
    let message = load(&[("host", "0.0.0.0")], &[], Path::new("")).expect_err("remote");
    assert!(message.contains("--allow-remote"), "{message}");
    assert!(load(&[("host", "0.0.0.0"), ("allow_remote", "true")], &[], Path::new("")).is_ok());
    assert!(load(&[("host", "::1")], &[], Path::new("")).is_ok());
    assert!(load(&[("host", "localhost")], &[], Path::new("")).is_ok());
}

#[test]
fn secrets_come_from_a_closed_file_and_are_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secrets.toml");
    std::fs::write(&file, "db-password = \"canary-1\"\n").expect("written");
    let named = file.display().to_string();
    let load = || load(&[], &[("AZORA_SECRETS_FILE", named.as_str()), ("REDIS_URL", "redis://u:canary-2@h:1/0")], Path::new(""));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("opened");
    assert!(load().expect_err("open").contains("chmod 600"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("closed");
    let config = load().expect("a config");
    assert_eq!(config.secrets.get("DB_PASSWORD").expect("a secret").expose(), "canary-1");
    assert_eq!(setting(&config, "redis_url").value, "redis://***@h:1/0");
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
    std::fs::write(&file, "db = canary-3").expect("written");
    assert!(!load().expect_err("no TOML").contains("canary"));
}

#[test]
fn places_are_checked_at_the_start() {
    let message = load(&[], &[("AZORA_NETWORK_ALLOW", "db.internal:5432,10.0.0.0/99")], Path::new("")).expect_err("no network");
    assert!(message.contains("AZORA_NETWORK_ALLOW"), "{message}");
    let config = load(&[], &[("AZORA_NETWORK_ALLOW", "db.internal:5432, 10.0.0.0/8"), ("KAFKA_BROKERS", "a:1,b:2")], Path::new(""));
    let config = config.expect("a config");
    assert_eq!((config.network_allow.len(), config.kafka_brokers.as_deref()), (2, Some("a:1,b:2")));
}
