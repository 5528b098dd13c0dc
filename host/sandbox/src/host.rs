//! What guests may import. The log is always there; everything else is typed here and refused until it is granted.

use crate::abi;
use crate::manifest::Capability;
use crate::store::{State, Stop};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

/// The namespace and package of everything of ours.
const PACKAGE: &str = "azora:plugin/";
/// Interfaces that hold nothing but types; importing them asks for nothing.
const TYPES: [&str; 2] = ["batch-types", "failures"];
const LOG: &str = "log";

/// What an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Import {
    /// Types only.
    Types,
    /// The log.
    Log,
    /// Something that must be granted.
    Capability(Capability),
}

/// Splits `azora:plugin/name@0.1.x` into its interface, for the versions that this host speaks.
pub(crate) fn interface(name: &str) -> Option<&str> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    let version = semver::Version::parse(version).ok()?;
    let is_spoken = version.major == 0 && version.minor == 1 && version.pre.is_empty();
    is_spoken.then_some(interface)
}

/// What may be imported under that name; none for everything else in the world.
pub(crate) fn import(name: &str) -> Option<Import> {
    let interface = interface(name)?;
    if TYPES.contains(&interface) {
        return Some(Import::Types);
    }
    if interface == LOG {
        return Some(Import::Log);
    }
    Capability::parse(interface).map(Import::Capability)
}

/// A linker with the log, and with the other imports in their right types, each of which stops the guest when called.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.instance("azora:plugin/log@0.1.0")?.func_wrap("log", log)?;
    linker
        .instance("azora:plugin/http-client@0.1.0")?
        .func_wrap("send", |cx, _: (abi::Request,)| denied::<(Result<abi::Response, String>,)>(cx, Capability::HttpClient))?;
    let mut clock = linker.instance("azora:plugin/clock@0.1.0")?;
    clock.func_wrap("now-ms", |cx, (): ()| denied::<(i64,)>(cx, Capability::Clock))?;
    clock.func_wrap("monotonic-ns", |cx, (): ()| denied::<(u64,)>(cx, Capability::Clock))?;
    linker.instance("azora:plugin/random@0.1.0")?.func_wrap("bytes", |cx, _: (u32,)| denied::<(Vec<u8>,)>(cx, Capability::Random))?;
    let mut store = linker.instance("azora:plugin/key-value@0.1.0")?;
    store.func_wrap("get", |cx, _: (WasmStr,)| denied::<(Option<Vec<u8>>,)>(cx, Capability::KeyValue))?;
    store.func_wrap("set", |cx, _: (WasmStr, WasmList<u8>)| denied::<(Result<(), String>,)>(cx, Capability::KeyValue))?;
    store.func_wrap("delete", |cx, _: (WasmStr,)| denied::<()>(cx, Capability::KeyValue))?;
    linker
        .instance("azora:plugin/secrets@0.1.0")?
        .func_wrap("get", |cx, _: (WasmStr,)| denied::<(Option<String>,)>(cx, Capability::Secrets))?;
    Ok(linker)
}

fn log(mut context: StoreContextMut<'_, State>, (level, text): (abi::LogLevel, WasmStr)) -> wasmtime::Result<()> {
    context.data_mut().count_host_call()?;
    // A line beyond the bound is not even read.
    if context.data_mut().wants_log() {
        let line = text.to_str(&context)?.into_owned();
        context.data_mut().write_log(level, &line);
    }
    Ok(())
}

fn denied<T>(mut context: StoreContextMut<'_, State>, capability: Capability) -> wasmtime::Result<T> {
    Err(context.data_mut().stop(Stop::Denied(capability.as_str())))
}

#[cfg(test)]
mod tests {
    use super::{Capability, Import, import};

    #[test]
    fn only_our_interfaces_of_a_spoken_version_may_be_imported() {
        assert_eq!(import("azora:plugin/log@0.1.0"), Some(Import::Log));
        assert_eq!(import("azora:plugin/batch-types@0.1.7"), Some(Import::Types));
        assert_eq!(import("azora:plugin/http-client@0.1.0"), Some(Import::Capability(Capability::HttpClient)));
        for refused in [
            "wasi:cli/environment@0.2.0",
            "azora:plugin/log",
            "azora:plugin/log@0.2.0",
            "azora:plugin/log@1.0.0",
            "azora:plugin/log@0.1.0-rc.1",
            "azora:plugin/transform@0.1.0",
            "azora:pluginx/log@0.1.0",
            "log",
            "",
        ] {
            assert_eq!(import(refused), None, "{refused}");
        }
    }
}
