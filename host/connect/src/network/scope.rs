//! Where in the world an address lies. Only facts about numbers; what is allowed is decided by the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole internet.
    Public,
    /// An organisation: RFC 1918, RFC 6598, unique local.
    Private,
    /// This machine.
    Loopback,
    /// No place for a connection: link-local (with the metadata services of clouds), multicast, unspecified, reserved.
    Special,
}

/// Metadata services of clouds that lie in private ranges.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

/// The scope of an address; one that carries an IPv4 address inside has the scope of that one.
pub(super) fn scope(address: IpAddr) -> Scope {
    let address = bare(address);
    if METADATA.contains(&address) {
        return Scope::Special;
    }
    match address {
        IpAddr::V4(address) => scope_v4(address),
        IpAddr::V6(address) => scope_v6(address),
    }
}

/// The IPv4 address inside of a mapped, compatible, translated or tunnelled IPv6 address; else the address itself.
pub(super) fn bare(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let s = v6.segments();
    let low = || IpAddr::V4(Ipv4Addr::from_bits((u32::from(s[6]) << 16) | u32::from(s[7])));
    match s {
        // ::1 and :: are themselves; other addresses of ::/96 are the old "compatible" ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => low(),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 1, _, _, _, _, _] => low(),
        [0x2002, high, next, ..] => IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(next))),
        // Teredo hides the client's address with its bits turned.
        [0x2001, 0, ..] => IpAddr::V4(Ipv4Addr::from_bits(!((u32::from(s[6]) << 16) | u32::from(s[7])))),
        _ => address,
    }
}

const fn scope_v4(address: Ipv4Addr) -> Scope {
    match address.octets() {
        [127, ..] => Scope::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Scope::Private,
        // "This network", link-local, protocol assignments, documentation, 6to4 relays, benchmarks, multicast, reserved.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Scope::Special,
        _ => Scope::Public,
    }
}

const fn scope_v6(address: Ipv6Addr) -> Scope {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Scope::Loopback,
        [0xfc00..=0xfdff, ..] => Scope::Private,
        // Documentation, ORCHID and benchmarks inside of the global range.
        [0x2001, 0x0db8 | 0x0002 | 0x0010..=0x002f, ..] | [0x3fff, ..] => Scope::Special,
        [0x2000..=0x3fff, ..] => Scope::Public,
        _ => Scope::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, scope};

    #[test]
    fn addresses_have_scopes() {
        let check = |text: &str, expect: Scope| assert_eq!(scope(text.parse().unwrap()), expect, "{text}");
        for text in [
            "127.0.0.1",
            "127.255.0.9",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::80ff:fffe",
        ] {
            check(text, Scope::Loopback);
        }
        for text in ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12::1", "::ffff:10.0.0.1"] {
            check(text, Scope::Private);
        }
        for text in [
            "169.254.169.254",
            "0.0.0.0",
            "::",
            "fe80::1",
            "ff02::1",
            "224.0.0.1",
            "255.255.255.255",
            "fd00:ec2::254",
            "100.100.100.200",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::",
            "198.18.0.1",
            "240.0.0.1",
            "fec0::1",
            "192.0.2.7",
        ] {
            check(text, Scope::Special);
        }
        for text in ["8.8.8.8", "172.32.0.1", "192.169.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            check(text, Scope::Public);
        }
    }
}
