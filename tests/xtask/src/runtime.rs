//! `cargo xtask runtime`: compiles the lambda runtime to the module that is checked in, and records what it was built of.
//!
//! Everybody else builds without it: the expression crate embeds the module, and a test of that crate fails where the
//! sources are not those of the record.

use crate::steps;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = "plugins/expression/runtime";
const MODULE: &str = "plugins/expression/src/runtime.wasm";
const RECORD: &str = "plugins/expression/src/runtime.digest";
const TARGET: &str = "wasm32-unknown-unknown";
/// Bytes of stack, below the data: the deepest call needs a tenth of it.
const STACK_BYTES: u32 = 32 * 1024;

/// Builds the module and its record in the checkout at `root`.
pub(crate) fn build(root: &Path) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let folder = root.join(CRATE);
    let target = steps::target_dir().join("runtime");
    // Relocations are what the linker of lambdas works by; segments stay apart so that it takes only those in use.
    let flags = format!(
        "-Zunstable-options -Cpanic=immediate-abort -Ctarget-feature=+simd128 -Clink-arg=--emit-relocs \
         -Clink-arg=--no-merge-data-segments -Clink-arg=-zstack-size={STACK_BYTES}"
    );
    let mut cargo = steps::cargo();
    cargo
        .current_dir(&folder)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-Zbuild-std=core,panic_abort", "-Zbuild-std-features=compiler-builtins-mem"])
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Some(linker) = &toolchain.linker {
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    steps::run("Compiling the lambda runtime", &mut cargo)?;

    let built = target.join(TARGET).join("release/azora_expression_runtime.wasm");
    let module = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    fs::write(root.join(MODULE), &module).with_context(|| format!("cannot write {MODULE}"))?;
    let record =
        format!("sources {}\nmodule {}\ntoolchain {}\n", sources(&folder)?, hex::encode(Sha256::digest(&module)), toolchain.version);
    fs::write(root.join(RECORD), record).with_context(|| format!("cannot write {RECORD}"))?;
    steps::say(&format!("   {MODULE}: {} bytes", module.len()));
    Ok(())
}

/// A digest of everything that the module depends on, the toolchain aside. The expression crate's test computes the same.
pub(crate) fn sources(folder: &Path) -> Result<String> {
    let mut files = vec![folder.join("Cargo.lock"), folder.join("Cargo.toml")];
    for entry in fs::read_dir(folder.join("src"))? {
        files.push(entry?.path());
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let name = file.strip_prefix(folder)?.to_str().context("a file's name is not UTF-8")?.replace('\\', "/");
        let bytes = fs::read(&file)?;
        digest.update(format!("{name} {}\n", bytes.len()));
        digest.update(&bytes);
    }
    Ok(hex::encode(digest.finalize()))
}

/// A Rust compiler with the sources of `core`, and a linker for WebAssembly.
struct Toolchain {
    rustc: PathBuf,
    linker: Option<PathBuf>,
    version: String,
}

impl Toolchain {
    /// The toolchain in use where it has the sources, else Debian's.
    fn find() -> Result<Self> {
        let own = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
        if let Some(found) = [own, PathBuf::from("/usr/bin/rustc")].iter().find_map(|rustc| Self::with_sources(rustc)) {
            return Ok(found);
        }
        steps::install("the lambda runtime is compiled with the sources of core", &["rustc-web", "rust-web-src", "lld-22"])?;
        let Some(found) = Self::with_sources(Path::new("/usr/bin/rustc")) else {
            bail!("no Rust compiler with the sources of core: run `rustup component add rust-src`");
        };
        Ok(found)
    }

    fn with_sources(rustc: &Path) -> Option<Self> {
        let sysroot = PathBuf::from(answer(rustc, &["--print", "sysroot"]).ok()?);
        let rustlib = sysroot.join("lib/rustlib");
        if !rustlib.join("src/rust/library/core/src/lib.rs").exists() {
            return None;
        }
        // Rust's own toolchains bring a linker, Debian's do not.
        let is_bundled = fs::read_dir(&rustlib).ok()?.flatten().any(|host| host.path().join("bin/rust-lld").exists());
        let linker = ["/usr/bin/wasm-ld-22", "/usr/bin/wasm-ld"].iter().map(PathBuf::from).find(|linker| linker.exists());
        if !is_bundled && linker.is_none() {
            return None;
        }
        let version = answer(rustc, &["--version"]).ok()?;
        Some(Self { rustc: rustc.to_owned(), linker: linker.filter(|_| !is_bundled), version })
    }
}

/// What a program prints on its first line.
fn answer(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "{} failed", program.display());
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
