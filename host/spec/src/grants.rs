//! What an operator lets a plugin reach. Nothing where nothing is said; a job may only narrow it. How it looks in JSON is
//! in `wire/grants.rs`, what it opens is the sandbox's business.

use crate::{Code, Failure};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Hosts of one grant.
pub(crate) const GRANTED_HOSTS_MAX: usize = 64;
/// Headers of one grant, beside those that every plugin may send.
pub(crate) const GRANTED_HEADERS_MAX: usize = 32;
/// Secrets of one grant.
pub(crate) const GRANTED_SECRETS_MAX: usize = 64;
/// Bytes of a secret's name.
pub(crate) const SECRET_NAME_BYTES_MAX: usize = 128;
/// Bytes that a plugin may keep where its grant does not say.
pub(crate) const STATE_BYTES_DEFAULT: u64 = 1 << 20;
/// Most bytes that a grant may let a plugin keep.
pub(crate) const STATE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a host's name.
const HOST_BYTES_MAX: usize = 253;

/// Capabilities of a plugin's connectors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Where it may send requests to.
    pub http_client: Option<HttpGrant>,
    /// Whether it may read the time.
    pub clock: bool,
    /// Whether it gets random bytes.
    pub random: bool,
    /// The small store of its own.
    pub key_value: Option<KeyValueGrant>,
    /// The secrets that it may read, by name.
    pub secrets: BTreeSet<String>,
}

/// Where requests may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpGrant {
    /// Hosts with their ports.
    pub hosts: Vec<HostPattern>,
    /// Request headers, lower case, beside those that every plugin may send.
    pub headers: BTreeSet<String>,
}

/// What may be kept between jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValueGrant {
    /// Bytes of all keys and values together.
    pub bytes_max: u64,
}

/// `api.example.com:443`, `[::1]:8080`, or `*.example.com:443` for every host below a name. The port is 443 where it is
/// left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    host: String,
    port: u16,
    is_suffix: bool,
}

impl HostPattern {
    /// Whether a host, lower case and an IPv6 address without brackets, and a port are meant.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let is_host = match host.strip_suffix(&self.host) {
            Some(below) if self.is_suffix => below.len() > 1 && below.ends_with('.'),
            Some(below) => below.is_empty(),
            None => false,
        };
        is_host && port == self.port
    }

    /// Whether everything that `other` matches is matched.
    fn covers(&self, other: &Self) -> bool {
        let is_below = other.is_suffix && self.is_suffix && (other.host == self.host || other.host.ends_with(&format!(".{}", self.host)));
        is_below && self.port == other.port || !other.is_suffix && self.matches(&other.host, other.port)
    }
}

impl FromStr for HostPattern {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new(Code::RequestField, format!("'{}' is not a host with its port", text.escape_debug()))
                .hint("for example api.example.com:443, *.example.com:443 or [::1]:8080")
        };
        let lower = text.to_ascii_lowercase();
        let (is_suffix, rest) = lower.strip_prefix("*.").map_or((false, lower.as_str()), |rest| (true, rest));
        let (host, port) = match rest.strip_prefix('[') {
            Some(address) => {
                let (address, port) = address.split_once(']').ok_or_else(wrong)?;
                // One spelling of an address, so that it compares.
                let address: std::net::Ipv6Addr = address.parse().map_err(|_| wrong())?;
                (address.to_string(), port.strip_prefix(':').or(port.is_empty().then_some("443")).ok_or_else(wrong)?)
            }
            None => {
                let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
                let is_label = |label: &str| {
                    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                };
                if host.len() > HOST_BYTES_MAX || !host.split('.').all(is_label) {
                    return Err(wrong());
                }
                (host.to_owned(), port)
            }
        };
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        // A whole top-level domain is nobody's to grant by a slip of the pen.
        if is_suffix && !host.contains('.') {
            return Err(wrong());
        }
        Ok(Self { host, port, is_suffix })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_suffix { "*." } else { "" };
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{star}{}:{}", self.host, self.port) }
    }
}

impl Grants {
    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a job gets that asks for `asked`: exactly that, where all of it was granted.
    ///
    /// # Errors
    /// [`Code::PluginNotGranted`], naming the first thing that was not.
    pub fn narrowed(&self, asked: &Self) -> Result<Self, Failure> {
        match asked.first_beyond(self) {
            Some(beyond) => {
                Err(Failure::new(Code::PluginNotGranted, format!("the job asks for {beyond}, which the plugin was not granted"))
                    .hint("a job can only narrow what the operator granted; see GET /api/v1/plugins/{name}/{version}/grants"))
            }
            None => Ok(asked.clone()),
        }
    }

    /// What is left of a recorded grant after `now` took its place: whatever was taken away since is gone.
    #[must_use]
    pub fn still_within(&self, now: &Self) -> Self {
        let http_client = self.http_client.as_ref().zip(now.http_client.as_ref()).map(|(own, now)| HttpGrant {
            hosts: own.hosts.iter().filter(|host| now.hosts.iter().any(|wider| wider.covers(host))).cloned().collect(),
            headers: own.headers.intersection(&now.headers).cloned().collect(),
        });
        let key_value = self.key_value.zip(now.key_value);
        Self {
            http_client,
            clock: self.clock && now.clock,
            random: self.random && now.random,
            key_value: key_value.map(|(own, now)| KeyValueGrant { bytes_max: own.bytes_max.min(now.bytes_max) }),
            secrets: self.secrets.intersection(&now.secrets).cloned().collect(),
        }
    }

    fn first_beyond(&self, wider: &Self) -> Option<String> {
        if let Some(asked) = &self.http_client {
            let Some(granted) = &wider.http_client else { return Some("'http-client'".to_owned()) };
            if let Some(host) = asked.hosts.iter().find(|host| !granted.hosts.iter().any(|wider| wider.covers(host))) {
                return Some(format!("'http-client' for {host}"));
            }
            if let Some(header) = asked.headers.difference(&granted.headers).next() {
                return Some(format!("'http-client' with the header '{header}'"));
            }
        }
        if self.clock && !wider.clock {
            return Some("'clock'".to_owned());
        }
        if self.random && !wider.random {
            return Some("'random'".to_owned());
        }
        let kept = |grants: &Self| grants.key_value.map_or(0, |grant| grant.bytes_max);
        if kept(self) > kept(wider) {
            return Some(format!("'key-value' with {} bytes", kept(self)));
        }
        self.secrets.difference(&wider.secrets).next().map(|name| format!("the secret '{name}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Grants, HostPattern, HttpGrant, KeyValueGrant};
    use crate::Code;
    use std::collections::BTreeSet;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    fn hosts(texts: &[&str]) -> Option<HttpGrant> {
        Some(HttpGrant { hosts: texts.iter().map(|text| pattern(text)).collect(), headers: BTreeSet::new() })
    }

    #[test]
    fn patterns_match_their_hosts_and_no_others() {
        assert!(pattern("API.example.com").matches("api.example.com", 443));
        assert!(!pattern("api.example.com").matches("api.example.com", 80));
        assert!(!pattern("api.example.com").matches("xapi.example.com", 443));
        assert!(pattern("*.example.com").matches("a.b.example.com", 443));
        for host in ["example.com", ".example.com", "badexample.com", "example.com.evil.net"] {
            assert!(!pattern("*.example.com").matches(host, 443), "{host}");
        }
        assert!(pattern("[0:0::1]:8080").matches("::1", 8080));
        assert_eq!(pattern("[::1]:8080").to_string(), "[::1]:8080");
        for wrong in ["", "*", "*.com", "a b", "http://x", "x:0", "x:70000", "x:", "[::1", "[nope]:1", "u@x", "x/y", ".x"] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_job_narrows_and_never_widens() {
        let granted = Grants {
            http_client: hosts(&["*.example.com:443", "h:80"]),
            key_value: Some(KeyValueGrant { bytes_max: 100 }),
            secrets: BTreeSet::from(["A".to_owned()]),
            ..Grants::default()
        };
        let asked = Grants { http_client: hosts(&["api.example.com:443"]), ..Grants::default() };
        assert_eq!(granted.narrowed(&asked).unwrap(), asked);
        let beyond = [
            Grants { http_client: hosts(&["example.com:443"]), ..Grants::default() },
            Grants { http_client: hosts(&["*.com.example.org:443"]), ..Grants::default() },
            Grants { clock: true, ..Grants::default() },
            Grants { random: true, ..Grants::default() },
            Grants { key_value: Some(KeyValueGrant { bytes_max: 101 }), ..Grants::default() },
            Grants { secrets: BTreeSet::from(["B".to_owned()]), ..Grants::default() },
        ];
        for asked in beyond {
            assert_eq!(granted.narrowed(&asked).unwrap_err().code, Code::PluginNotGranted, "{asked:?}");
        }
    }

    #[test]
    fn what_was_taken_away_is_gone_from_a_recorded_grant() {
        let recorded = Grants { http_client: hosts(&["a:1", "b:2"]), clock: true, random: true, ..Grants::default() };
        let now = Grants { http_client: hosts(&["b:2", "c:3"]), clock: true, ..Grants::default() };
        let left = recorded.still_within(&now);
        assert_eq!(left, Grants { http_client: hosts(&["b:2"]), clock: true, ..Grants::default() });
    }
}
