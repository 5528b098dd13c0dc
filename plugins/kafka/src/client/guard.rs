//! A client that asks the network policy before each of its connections.
#![expect(unsafe_code, reason = "rdkafka has no safe way to set the callback that connects")]

use super::{Context, wrong};
use crate::error::Error;
use azora_connect::Policy;
use rdkafka::bindings::{rd_kafka_conf_set_connect_cb, rd_kafka_conf_set_error_cb, rd_kafka_conf_set_log_cb, rd_kafka_poll, rd_kafka_t};
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::types::{RDKafkaRespErr, RDKafkaType};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::PoisonError;
use std::time::Duration;

/// A client for metadata.
pub(super) struct Guarded(Client<Context>);

/// Makes one. Every connection that it makes goes through [`connect`].
pub(super) fn guarded(config: &ClientConfig, network: Policy) -> Result<Guarded, Error> {
    let native = config.create_native_config().map_err(|error| wrong(&error))?;
    // SAFETY: the pointer is that of a configuration that lives until `Client::new` takes it. That also sets the opaque
    // pointer of the callbacks to the context, which the client keeps alive for as long as librdkafka may call them.
    unsafe {
        rd_kafka_conf_set_connect_cb(native.ptr(), Some(connect));
        rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
        rd_kafka_conf_set_log_cb(native.ptr(), None);
    }
    let context = Context { guard: Some(network), ..Context::default() };
    Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, context).map(Guarded).map_err(|error| wrong(&error))
}

impl Guarded {
    pub(super) fn context(&self) -> &Context {
        self.0.context()
    }

    pub(super) fn metadata(&self, topic: &str, time: Duration) -> KafkaResult<Metadata> {
        let found = self.0.fetch_metadata(Some(topic), time);
        // SAFETY: the client is alive. This serves its queue, which ends in `on_error` on this thread.
        unsafe { rd_kafka_poll(self.0.native_ptr(), 0) };
        found
    }
}

/// Connects where the policy allows it. Nothing in here panics: it is called by C.
///
/// # Safety
/// librdkafka calls it with a socket, an address of `length` bytes, a text, and the pointer that `Client::new` has set.
unsafe extern "C" fn connect(
    socket: c_int,
    address: *const libc::sockaddr,
    length: c_int,
    id: *const c_char,
    opaque: *mut c_void,
) -> c_int {
    if address.is_null() || id.is_null() || opaque.is_null() {
        return libc::EACCES;
    }
    // SAFETY: none is null; the opaque pointer is the client's context, and the text ends with a zero.
    let (context, id, target) = unsafe { (&*opaque.cast::<Context>(), CStr::from_ptr(id), read(address, length)) };
    let name = id.to_str().unwrap_or_default();
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    let is_allowed = match (&context.guard, target) {
        (Some(policy), Some(target)) => policy.permits(host.trim_matches(['[', ']']), target),
        _ => false,
    };
    if !is_allowed {
        let mut refused = context.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get_or_insert_with(|| name.chars().take(100).flat_map(char::escape_debug).collect());
        return libc::EACCES;
    }
    let Ok(length) = libc::socklen_t::try_from(length) else { return libc::EACCES };
    // SAFETY: the address is one of this length, as the caller says.
    if unsafe { libc::connect(socket, address, length) } == 0 {
        return 0;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        None | Some(libc::EINPROGRESS) => 0,
        Some(error) => error,
    }
}

/// # Safety
/// The pointer is to an address of `length` bytes.
unsafe fn read(address: *const libc::sockaddr, length: c_int) -> Option<SocketAddr> {
    let length = usize::try_from(length).ok()?;
    // SAFETY: the family stands in front of every address; what is read then is not longer than what is there. Nothing is
    // known of the alignment.
    unsafe {
        match c_int::from(address.read_unaligned().sa_family) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                let found = address.cast::<libc::sockaddr_in>().read_unaligned();
                let ip = Ipv4Addr::from(u32::from_be(found.sin_addr.s_addr));
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(found.sin_port)))
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                let found = address.cast::<libc::sockaddr_in6>().read_unaligned();
                let ip = Ipv6Addr::from(found.sin6_addr.s6_addr);
                Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(found.sin6_port)))
            }
            _ => None,
        }
    }
}

/// # Safety
/// librdkafka calls it with the pointer that `Client::new` has set.
unsafe extern "C" fn on_error(_: *mut rd_kafka_t, code: c_int, _: *const c_char, opaque: *mut c_void) {
    let Ok(code) = RDKafkaRespErr::try_from(code) else { return };
    if !opaque.is_null() {
        // SAFETY: it is the client's context.
        let context = unsafe { &*opaque.cast::<Context>() };
        context.error(KafkaError::Global(RDKafkaErrorCode::from(code)), "");
    }
}
