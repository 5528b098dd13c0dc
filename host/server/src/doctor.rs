//! A look at what a server would need, without starting one.

use crate::config::Config;
use std::fmt::Write;
use std::path::Path;

/// Examines a configuration: a line for each finding, and whether a server could start.
#[must_use]
pub fn examine(config: &Config) -> (String, bool) {
    let mut report = String::new();
    let mut is_well = true;
    let mut line = |is_good: bool, text: &str| {
        is_well &= is_good;
        // Writing to a string cannot fail.
        let _infallible = writeln!(report, "{} {text}", if is_good { "ok  " } else { "FAIL" });
    };
    line(
        true,
        &format!("version {}, {} threads, {} MiB for operators", env!("CARGO_PKG_VERSION"), config.threads, config.memory_bytes >> 20),
    );
    let folder = &config.data_dir;
    match writable(folder) {
        Ok(true) => line(true, &format!("data directory {} can be written", folder.display())),
        Ok(false) => line(true, &format!("data directory {} does not exist yet and will be made", folder.display())),
        Err(error) => line(false, &format!("data directory {} cannot be written: {error}", folder.display())),
    }
    for root in &config.file_roots {
        let is_ours = root.starts_with(folder);
        match std::fs::read_dir(root) {
            Ok(_) => line(true, &format!("file root {} can be read", root.display())),
            Err(_) if is_ours && !root.exists() => line(true, &format!("file root {} will be made", root.display())),
            Err(error) => line(false, &format!("file root {} cannot be read: {error}", root.display())),
        }
    }
    match std::net::TcpListener::bind(config.address) {
        Ok(_) => line(true, &format!("{} is free", config.address)),
        Err(error) => line(false, &format!("{} cannot be listened on: {error}", config.address)),
    }
    (report, is_well)
}

/// Whether the directory is there and takes files; an error where it cannot.
fn writable(folder: &Path) -> std::io::Result<bool> {
    if !folder.try_exists()? {
        return Ok(false);
    }
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&probe, b"probe")?;
    std::fs::remove_file(&probe)?;
    Ok(true)
}
