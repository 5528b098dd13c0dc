//! Paths that try to leave the roots. What files hold is tested with the inputs.

use super::{Files, list};
use crate::Options;
use azora_spec::Code;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// A root with `in.csv`, a secret beside it, and links between them.
fn setup() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("in.csv"), "a\n1\n").unwrap();
    fs::write(root.join("sub/b.csv"), "a\n2\n").unwrap();
    fs::write(root.join("sub/.hidden"), "x").unwrap();
    fs::write(root.join("sub/_SUCCESS"), "").unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/c.csv"), "secret").unwrap();
    symlink(dir.path().join("secret"), root.join("link")).unwrap();
    symlink("../secret", root.join("relative-link")).unwrap();
    symlink(dir.path().join("outside"), root.join("out")).unwrap();
    symlink("in.csv", root.join("inner-link")).unwrap();
    let options = Options { roots: vec![root], ..Options::new(dir.path().join("data")) };
    let files = Files::new(&options).unwrap();
    (dir, files)
}

fn code(files: &Files, path: &str) -> Result<usize, Code> {
    list(files, path, 100).map(|found| found.len()).map_err(|failure| failure.code)
}

#[test]
fn paths_outside_of_the_root_are_refused() {
    let (dir, files) = setup();
    let absolute = |path: &str| dir.path().join(path).display().to_string();
    let bad = [
        "../secret".to_owned(),
        "sub/../../secret".to_owned(),
        "./../secret".to_owned(),
        "/etc/passwd".to_owned(),
        "//etc/passwd".to_owned(),
        "file:///etc/passwd".to_owned(),
        "file://../secret".to_owned(),
        String::new(),
        "in.csv\0.txt".to_owned(),
        absolute("secret"),
        absolute("root/../secret"),
        absolute("rootless"),
        "x".repeat(5000),
        "link".to_owned(),
        "relative-link".to_owned(),
        "out/c.csv".to_owned(),
        "out".to_owned(),
        "out/*.csv".to_owned(),
        "../*".to_owned(),
        "/**/passwd".to_owned(),
    ];
    for path in bad {
        let got = code(&files, &path);
        assert!(matches!(got, Err(Code::PathOutside | Code::PathMissing | Code::PathUnusable)), "{path}: {got:?}");
        if let Ok(located) = files.locate(&path) {
            assert!(files.root(located.root).unwrap().open_file(&located.path).is_err(), "{path}");
        }
    }
    let failure = list(&files, "../secret", 10).unwrap_err();
    assert_eq!(failure.code, Code::PathOutside);
    assert!(!failure.message.contains(&dir.path().display().to_string()), "{}", failure.message);
}

#[test]
fn paths_inside_are_found_in_order() {
    let (dir, files) = setup();
    assert_eq!(code(&files, "in.csv"), Ok(1));
    assert_eq!(code(&files, "./sub/./b.csv"), Ok(1));
    assert_eq!(code(&files, "inner-link"), Ok(1));
    assert_eq!(code(&files, &dir.path().join("root/in.csv").display().to_string()), Ok(1));
    assert_eq!(code(&files, &format!("file://{}", dir.path().join("root/in.csv").display())), Ok(1));
    assert_eq!(code(&files, "sub"), Ok(1));
    assert_eq!(code(&files, "*.csv"), Ok(1));
    assert_eq!(code(&files, "**/*.csv"), Ok(2));
    assert_eq!(code(&files, "su[b]/?.csv"), Ok(1));
    assert_eq!(code(&files, "missing.csv"), Err(Code::PathMissing));
    assert_eq!(code(&files, "*.nothing"), Err(Code::PathMissing));
    let failure = list(&files, "**/*.csv", 1).unwrap_err();
    assert_eq!(failure.code, Code::ConnectorConfig);
}

#[test]
fn without_roots_nothing_is_reachable() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::new(&Options::new(dir.path().join("data"))).unwrap();
    fs::write(dir.path().join("data/x"), "x").unwrap();
    assert_eq!(code(&files, "x"), Err(Code::PathOutside));
    assert_eq!(code(&files, &dir.path().join("data/x").display().to_string()), Err(Code::PathOutside));
}

#[test]
fn pipes_and_directories_are_not_files() {
    let (dir, files) = setup();
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("root/pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(code(&files, "pipe"), Err(Code::PathUnusable));
    let root = files.root(0).unwrap();
    assert!(root.open_file("sub").is_err());
}

/// A link that changes between inside and outside all the time never lets a byte of the outside through.
#[test]
fn a_swapped_link_never_leads_outside() {
    let (dir, files) = setup();
    let swap = dir.path().join("root/swap");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let put = |target: &Path| {
                let next = dir.path().join("root/.next");
                let _gone = fs::remove_file(&next);
                symlink(target, &next).unwrap();
                fs::rename(&next, &swap).unwrap();
            };
            while !is_done.load(Ordering::Relaxed) {
                put(Path::new("sub"));
                put(&dir.path().join("outside"));
            }
        });
        let root = files.root(0).unwrap();
        let (mut read, mut tries) = (0, 0);
        // The other thread may get its first turn late.
        while tries < 10_000 || (read == 0 && tries < 10_000_000) {
            tries += 1;
            for name in ["swap/b.csv", "swap/c.csv"] {
                if let Ok(file) = root.open_file(name) {
                    let text = std::io::read_to_string(file).unwrap();
                    assert_ne!(text, "secret");
                    read += 1;
                }
            }
        }
        is_done.store(true, Ordering::Relaxed);
        assert!(read > 0, "the link was never seen inside");
    });
}
