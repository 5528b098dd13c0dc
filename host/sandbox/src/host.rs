//! What guests may import. The log is always there; everything else stops the guest where it was not granted, and says
//! what for.

use crate::abi;
use crate::capabilities::Capabilities;
use crate::http_client::Unanswered;
use crate::manifest::Capability;
use crate::store::{State, Stop};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

/// The namespace and package of everything of ours.
const PACKAGE: &str = "azora:plugin/";
/// Interfaces that hold nothing but types; importing them asks for nothing.
const TYPES: [&str; 2] = ["batch-types", "failures"];
const LOG: &str = "log";
/// Random bytes of one call.
const RANDOM_BYTES_MAX: usize = 64 << 10;

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

/// A linker with the log, and with the other imports, each of which stops the guest where it was not granted.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.instance("azora:plugin/log@0.1.0")?.func_wrap("log", log)?;
    linker.instance("azora:plugin/http-client@0.1.0")?.func_wrap("send", send)?;
    let mut clock = linker.instance("azora:plugin/clock@0.1.0")?;
    clock.func_wrap("now-ms", now_ms)?;
    clock.func_wrap("monotonic-ns", monotonic_ns)?;
    linker.instance("azora:plugin/random@0.1.0")?.func_wrap("bytes", random_bytes)?;
    let mut store = linker.instance("azora:plugin/key-value@0.1.0")?;
    store.func_wrap("get", state_get)?;
    store.func_wrap("set", state_set)?;
    store.func_wrap("delete", state_delete)?;
    linker.instance("azora:plugin/secrets@0.1.0")?.func_wrap("get", secret)?;
    Ok(linker)
}

type Context<'a> = StoreContextMut<'a, State>;

fn log(mut context: Context<'_>, (level, text): (abi::LogLevel, WasmStr)) -> wasmtime::Result<()> {
    context.data_mut().count_host_call()?;
    // A line beyond the bound is not even read.
    if context.data_mut().wants_log() {
        let line = text.to_str(&context)?.into_owned();
        context.data_mut().write_log(level, &line);
    }
    Ok(())
}

fn denied(context: &mut Context<'_>, capability: Capability, what: impl Into<String>) -> wasmtime::Error {
    context.data_mut().stop(Stop::Denied(capability.as_str(), what.into()))
}

fn send(mut context: Context<'_>, (request,): (abi::Request,)) -> wasmtime::Result<(Result<abi::Response, String>,)> {
    context.data_mut().enter_host()?;
    let capabilities = context.data().capabilities();
    let Some((client, grant)) = capabilities.http() else {
        return Err(denied(&mut context, Capability::HttpClient, request.url));
    };
    let (cancel, left) = (context.data().cancel_flag(), context.data().wait_left());
    let begun = Instant::now();
    let answer = client.send(request, grant, &cancel, left);
    context.data_mut().wait_ended(begun.elapsed());
    match answer {
        Ok(response) => Ok((Ok(response),)),
        Err(Unanswered::Failed(reason)) => Ok((Err(reason),)),
        Err(Unanswered::NotGranted(what)) => Err(denied(&mut context, Capability::HttpClient, what)),
        Err(Unanswered::Cancelled) => Err(context.data_mut().stop(Stop::Cancelled)),
        Err(Unanswered::Timeout) => Err(context.data_mut().stop(Stop::Timeout)),
    }
}

fn now_ms(mut context: Context<'_>, (): ()) -> wasmtime::Result<(i64,)> {
    clock(&mut context)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((i64::try_from(since.as_millis()).unwrap_or(i64::MAX),))
}

/// Counted from the instance's birth: nothing of the host is told by it.
fn monotonic_ns(mut context: Context<'_>, (): ()) -> wasmtime::Result<(u64,)> {
    clock(&mut context)?;
    Ok((u64::try_from(context.data().age().as_nanos()).unwrap_or(u64::MAX),))
}

fn clock(context: &mut Context<'_>) -> wasmtime::Result<()> {
    context.data_mut().enter_host()?;
    if context.data().capabilities().has_clock() { Ok(()) } else { Err(denied(context, Capability::Clock, "")) }
}

fn random_bytes(mut context: Context<'_>, (count,): (u32,)) -> wasmtime::Result<(Vec<u8>,)> {
    context.data_mut().enter_host()?;
    if !context.data().capabilities().has_random() {
        return Err(denied(&mut context, Capability::Random, ""));
    }
    let mut bytes = vec![0; (count as usize).min(RANDOM_BYTES_MAX)];
    getrandom::fill(&mut bytes).map_err(|error| wasmtime::Error::msg(error.to_string()))?;
    Ok((bytes,))
}

/// What a call of the store begins with: its capabilities, where the store is among them, and the key.
fn entered(context: &mut Context<'_>, key: &WasmStr) -> wasmtime::Result<(Arc<Capabilities>, String)> {
    context.data_mut().enter_host()?;
    let capabilities = context.data().capabilities();
    if capabilities.key_value().is_none() {
        return Err(denied(context, Capability::KeyValue, ""));
    }
    Ok((capabilities, key.to_str(&*context)?.into_owned()))
}

fn state_get(mut context: Context<'_>, (key,): (WasmStr,)) -> wasmtime::Result<(Option<Vec<u8>>,)> {
    let (capabilities, key) = entered(&mut context, &key)?;
    Ok((capabilities.key_value().and_then(|state| state.get(&key)),))
}

fn state_set(mut context: Context<'_>, (key, value): (WasmStr, WasmList<u8>)) -> wasmtime::Result<(Result<(), String>,)> {
    let (capabilities, key) = entered(&mut context, &key)?;
    let Some(state) = capabilities.key_value() else { return Ok((Err(String::new()),)) };
    Ok((state.set(&key, value.as_le_slice(&context)),))
}

fn state_delete(mut context: Context<'_>, (key,): (WasmStr,)) -> wasmtime::Result<()> {
    let (capabilities, key) = entered(&mut context, &key)?;
    if let Some(state) = capabilities.key_value() {
        state.delete(&key);
    }
    Ok(())
}

fn secret(mut context: Context<'_>, (name,): (WasmStr,)) -> wasmtime::Result<(Option<String>,)> {
    context.data_mut().enter_host()?;
    let name = name.to_str(&context)?.into_owned();
    let capabilities = context.data().capabilities();
    if !capabilities.has_secrets() {
        return Err(denied(&mut context, Capability::Secrets, name));
    }
    let secret = capabilities.secret(&name);
    if let Some(secret) = &secret {
        context.data_mut().told(secret.clone());
    }
    Ok((secret.map(|secret| secret.expose().to_owned()),))
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
