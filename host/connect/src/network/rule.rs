//! One entry of an operator's list of allowed places: `10.1.0.0/16`, `db.internal:5432`, `*.example.com`, `[fd00::1]:6379`.

use super::scope::bare;
use std::net::IpAddr;

/// A place that an operator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    place: Place,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Network {
        address: IpAddr,
        bits: u8,
    },
    Host(String),
    /// Every name below this one; it begins with a dot.
    Below(String),
}

impl Rule {
    /// Reads an entry; nothing where it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(network) = network(&text) {
            return Some(Self { place: network, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Some(network) = network(host) {
            return Some(Self { place: network, port });
        }
        let is_name = |name: &str| super::is_name(name) && !super::is_numeric(name);
        match host.strip_prefix('*') {
            Some(below) if below.strip_prefix('.').is_some_and(is_name) => Some(Self { place: Place::Below(below.to_owned()), port }),
            None if is_name(host) => Some(Self { place: Place::Host(host.to_owned()), port }),
            _ => None,
        }
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|of| of == port)
    }

    /// Whether the rule names this address itself.
    pub(super) fn covers(&self, address: IpAddr, port: u16) -> bool {
        match &self.place {
            Place::Network { address: of, bits } => self.has_port(port) && is_inside(bare(address), *of, *bits),
            Place::Host(_) | Place::Below(_) => false,
        }
    }

    /// Whether the rule names this host.
    pub(super) fn names(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.has_port(port)
            && match &self.place {
                Place::Host(name) => *name == host,
                Place::Below(name) => host.ends_with(name),
                Place::Network { .. } => false,
            }
    }
}

fn network(text: &str) -> Option<Place> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse().ok()?, Some(bits.parse::<u8>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some(Place::Network { address, bits })
}

fn is_inside(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let shift = width.saturating_sub(u32::from(bits));
        shift >= width || a >> shift == b >> shift
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn entries_name_networks_and_hosts() {
        let rule = |text: &str| Rule::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert!(rule("10.1.0.0/16").covers("10.1.2.3".parse().unwrap(), 1));
        assert!(!rule("10.1.0.0/16").covers("10.2.2.3".parse().unwrap(), 1));
        assert!(rule("0.0.0.0/0").covers("8.8.8.8".parse().unwrap(), 1));
        assert!(rule("127.0.0.1:80").covers("::ffff:127.0.0.1".parse().unwrap(), 80));
        assert!(!rule("127.0.0.1:80").covers("127.0.0.1".parse().unwrap(), 81));
        assert!(rule("[fd00::1]:6379").covers("fd00::1".parse().unwrap(), 6379));
        assert!(rule("*.Example.com").names("a.b.example.COM.", 1));
        assert!(!rule("*.example.com").names("example.com", 1) && !rule("*.example.com").names("badexample.com", 1));
        assert!(rule("db:5432").names("db", 5432) && !rule("db:5432").names("db", 1));
        for bad in ["", "*", "10.0.0.0/33", "a b", "host:99999", "*.", "http://x", "300.1.1.1", "0x7f.1"] {
            assert!(Rule::parse(bad).is_none(), "{bad}");
        }
    }
}
