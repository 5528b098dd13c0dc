//! Rust guests: finding a compiler for WebAssembly on any machine, and making components.
//!
//! What a guest exports is `wit/`'s business, and how authors write one is the SDK's.

use crate::steps;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::Resolve;

const TARGET: &str = "wasm32-unknown-unknown";
/// The package of the plugin contract.
const OURS: &str = "azora:plugin/";
/// The worlds that a guest may fit, the larger before those that are parts of them.
const WORLDS: [&str; 5] = ["aggregate-plugin", "transform-plugin", "connector-plugin", "source-plugin", "sink-plugin"];
/// The compiler that Debian has beside its ordinary one, for browsers; it is recent and brings its library's source.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "lld-22"];
/// Oldest compiler that the SDK builds with, as `1.x`.
const RUSTC_MINOR_MIN: u32 = 95;
/// Every WebAssembly engine of today has SIMD; the sandbox counts on it.
const RUSTFLAGS: &str = "-Ctarget-feature=+simd128";
/// Loads of WebAssembly carry constant offsets for nothing, and LLVM's strength reduction makes additions of them; what is
/// left over of an unrolled loop should be no loop again, for the sandbox looks at its clock in each round of one. It looks
/// at its clock and its stack in each call too, and a call keeps nothing in registers: what is called once a row belongs into
/// the loop. 800 is where `host/sandbox/benches/udf.rs` gets no better; components grow by a third.
const OPTIMISATIONS: &str = "-Cllvm-args=-disable-lsr -unroll-remainder -inline-threshold=800";

/// A way to compile Rust to WebAssembly.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    rustc: PathBuf,
    /// Where the compiler has no standard library for the target, it is built from source, once a machine.
    builds_std: bool,
    /// Where the compiler brings no linker of its own.
    linker: Option<PathBuf>,
    version: String,
}

/// A guest that was made.
#[derive(Debug)]
pub(crate) struct Built {
    /// The component's file.
    pub(crate) component: PathBuf,
    /// What compiled it.
    pub(crate) toolchain: String,
}

/// What a guest with parts in C needs besides.
#[derive(Debug, Default)]
pub(crate) struct Native<'a> {
    /// Variables for its build scripts.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Flags for the compiler.
    pub(crate) flags: &'a [&'a str],
    /// An export that is called when the guest is built, once for all instances: see `snapshot`.
    pub(crate) initialise: Option<&'a str>,
}

/// Finds a toolchain: a compiler with the target installed, else one with the source of its standard library. Where
/// there is none and `may_install` is set, Debian's is installed; the person's own toolchains are left as they are.
pub(crate) fn toolchain(may_install: bool) -> Result<Toolchain> {
    if let Some(found) = probe() {
        steps::say(&format!("   {found}"));
        return Ok(found);
    }
    if may_install {
        steps::install("guests are compiled to WebAssembly", &DEBIAN_PACKAGES).map_err(|error| error.context(fixes()))?;
        if let Some(found) = probe() {
            steps::say(&format!("   {found}"));
            return Ok(found);
        }
    }
    bail!(fixes())
}

fn fixes() -> String {
    format!("no Rust compiler for {TARGET}: run `rustup target add {TARGET}`, or on Debian `apt-get install {}`", DEBIAN_PACKAGES.join(" "))
}

fn probe() -> Option<Toolchain> {
    let own = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let compilers = [own, PathBuf::from(DEBIAN_RUSTC)];
    let by_target = compilers.iter().find_map(|rustc| inspect(rustc, false));
    by_target.or_else(|| compilers.iter().find_map(|rustc| inspect(rustc, true)))
}

fn inspect(rustc: &Path, builds_std: bool) -> Option<Toolchain> {
    let version = output(Command::new(rustc).arg("--version"))?;
    let minor: u32 = version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()?;
    let sysroot = PathBuf::from(output(Command::new(rustc).args(["--print", "sysroot"]))?);
    let has_library = if builds_std {
        sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").exists()
    } else {
        let folder = std::fs::read_dir(sysroot.join("lib/rustlib").join(TARGET).join("lib"));
        folder.is_ok_and(|files| files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
    };
    if minor < RUSTC_MINOR_MIN || !has_library {
        return None;
    }
    let linker = if brings_linker(&sysroot) { None } else { Some(find_linker()?) };
    Some(Toolchain { rustc: rustc.to_owned(), builds_std, linker, version })
}

/// Whether the compiler finds `rust-lld` among its own files.
fn brings_linker(sysroot: &Path) -> bool {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    hosts.map(|host| host.path().join("bin")).any(|bin| bin.join("rust-lld").exists() || bin.join("rust-lld.exe").exists())
}

/// Debian's linkers carry their version in the name; any will do.
fn find_linker() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = (14..=40).rev().map(|version| format!("wasm-ld-{version}")).chain(["wasm-ld".to_owned()]);
    names.flat_map(|name| folders.iter().map(move |folder| folder.join(&name))).find(|file| file.exists())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let library = if self.builds_std { "its standard library built from source, once" } else { "target installed" };
        write!(f, "{} for {TARGET}: {library}", self.version)
    }
}

impl Toolchain {
    /// `cargo build --release` for the target in a folder, everything built into `target_dir`.
    fn cargo_build(&self, folder: &Path, target_dir: &Path) -> Command {
        let mut cargo = steps::cargo();
        cargo.current_dir(folder).args(["build", "--release", "--target", TARGET]);
        // Flags that the person set for their own programs are not meant for guests.
        cargo
            .env("CARGO_ENCODED_RUSTFLAGS", [RUSTFLAGS, OPTIMISATIONS].join("\x1f"))
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER");
        cargo.env("RUSTC", &self.rustc).env("CARGO_TARGET_DIR", target_dir);
        if self.builds_std {
            // A released compiler takes these options only so; it is the variable that rustc's own build uses. Of the
            // library's features none is of use in a sandbox, backtraces least of all.
            cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
        }
        if let Some(linker) = &self.linker {
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        cargo
    }
}

/// Compiles the guest in a folder and writes its component, named as the package, into `out`.
///
/// All guests share one target folder, so that the SDK and the standard library are compiled once for all of them.
pub(crate) fn build(guest: &Path, out: &Path) -> Result<Built> {
    build_native(guest, out, &Native::default())
}

/// The same for a guest with parts in C.
pub(crate) fn build_native(guest: &Path, out: &Path, native: &Native<'_>) -> Result<Built> {
    let toolchain = toolchain(true)?;
    let target_dir = steps::target_dir().join("guests").join(if toolchain.builds_std { "with-std" } else { "plain" });
    let mut cargo = toolchain.cargo_build(guest, &target_dir);
    cargo.envs(native.environment.iter().copied());
    if !native.flags.is_empty() {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", [&[RUSTFLAGS], native.flags].concat().join("\x1f"));
    }
    // The lock file is the guest's own; whoever changed its dependencies runs cargo there once.
    cargo.arg("--locked").arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    steps::heading(&format!("Compiling the guest {}", guest.strip_prefix(steps::root()).unwrap_or(guest).display()));
    let ran = cargo.spawn().and_then(std::process::Child::wait_with_output).context("cannot start cargo")?;
    if !ran.status.success() {
        bail!("cargo could not compile the guest {} ({})", guest.display(), ran.status);
    }
    let module = module(&ran.stdout).with_context(|| format!("{} made no module: its lib needs crate-type \"cdylib\"", guest.display()))?;
    let core = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let core = match native.initialise {
        Some(initialise) => {
            crate::snapshot::take(&core, initialise).with_context(|| format!("{} cannot be initialised ahead", guest.display()))?
        }
        None => core,
    };
    let component = encode(&core).with_context(|| format!("{} makes no component", guest.display()))?;
    let (world, imports) = audit(&component).with_context(|| format!("{} does not fit the contract", guest.display()))?;

    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let file = out.join(module.file_name().unwrap_or_default());
    std::fs::write(&file, &component).with_context(|| format!("cannot write {}", file.display()))?;
    let imports = if imports.is_empty() { "nothing".to_owned() } else { imports.join(" ") };
    steps::say(&format!("   {}: {} bytes, fits {world}, imports {imports}", file.display(), component.len()));
    Ok(Built { component: file, toolchain: toolchain.version })
}

/// The last WebAssembly module among cargo's messages: dependencies come before it.
fn module(messages: &[u8]) -> Option<PathBuf> {
    let lines = messages.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    let files = lines.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    files.filter_map(|file| file.as_str().filter(|file| file.ends_with(".wasm")).map(PathBuf::from)).next_back()
}

fn encode(core: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().module(core)?.validate(true).encode()
}

/// The world that a component fits, and the functions' interfaces that it imports.
fn audit(component: &[u8]) -> Result<(&'static str, Vec<String>)> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("the file is a WIT package");
    };
    let world = &resolve.worlds[world];
    let has_functions = |item: &wit_parser::WorldItem| match item {
        wit_parser::WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
        _ => true,
    };
    let imports = world.imports.iter().filter(|(_, item)| has_functions(item)).map(|(key, _)| resolve.name_world_key(key));
    let imports: Vec<String> = imports.collect();
    if let Some(foreign) = imports.iter().find(|import| !import.starts_with(OURS)) {
        bail!("it imports {foreign}, which no sandbox of this project gives");
    }
    let mut ours = Resolve::default();
    let (package, _) = ours.push_path(steps::root().join("wit"))?;
    let mut refusals = Vec::new();
    for name in WORLDS {
        let world = ours.select_world(&[package], Some(name))?;
        match wit_component::targets(&ours, world, component) {
            Ok(()) => return Ok((name, imports)),
            Err(error) => refusals.push(format!("{name}: {error:#}")),
        }
    }
    bail!("it fits no world: {}", refusals.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_last_one() {
        let messages = br#"{"reason":"compiler-artifact","filenames":["/t/liba.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/x.wasm"]}
{"reason":"compiler-artifact","filenames":["/t/textkit.wasm","/t/libtextkit.rlib"]}
{"reason":"build-finished","success":true}
not json"#;
        assert_eq!(module(messages), Some(PathBuf::from("/t/textkit.wasm")));
        assert_eq!(module(b"{}"), None);
    }

    #[test]
    fn foreign_imports_are_refused() {
        let wat = r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "get" (func)))))"#;
        let error = audit(&wat::parse_str(wat).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "it imports wasi:cli/environment@0.2.0, which no sandbox of this project gives");
    }

    #[test]
    fn components_that_fit_nothing_are_refused() {
        let error = audit(&wat::parse_str("(component)").unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("it fits no world: aggregate-plugin: "), "{error}");
    }

    #[test]
    fn modules_without_a_contract_make_no_component() {
        let core = wat::parse_str(r#"(module (import "env" "f" (func)))"#).unwrap();
        assert!(encode(&core).is_err());
    }
}
