//! Web pages as unwanted callers: a browser sends requests of any page to a server on the same machine. Nothing about who
//! a wanted caller is.

use axum::http::{HeaderMap, HeaderName, header};
use azora_spec::{Code, Failure};
use std::net::IpAddr;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses requests that a browser sent for another site's page. Programs that are no browsers send none of these headers.
pub(crate) fn check(headers: &HeaderMap, is_local: bool) -> Result<(), Failure> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(&header::HOST);
    if is_local && host.is_some_and(|host| !is_this_machine(host)) {
        let failure = Failure::new(Code::RequestOrigin, "this server is only known as localhost or by an address");
        return Err(failure.hint("set --allow-remote on a server that has a name"));
    }
    let is_foreign = match text(&header::ORIGIN) {
        None => text(&FETCH_SITE) == Some("cross-site"),
        Some(origin) => origin.split_once("://").map(|(_, authority)| authority) != host,
    };
    if is_foreign {
        return Err(Failure::new(Code::RequestOrigin, "pages of other sites may not use this server"));
    }
    Ok(())
}

/// Whether a `Host` names this machine without asking anybody else.
fn is_this_machine(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::check;
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    fn is_taken(headers: &[(&'static str, &str)], is_local: bool) -> bool {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))).collect();
        check(&headers, is_local).is_ok()
    }

    #[test]
    fn programs_and_own_pages_are_taken() {
        assert!(is_taken(&[], true));
        for host in ["localhost", "localhost:4301", "127.0.0.1:4301", "[::1]:4301", "[::1]", "10.1.2.3"] {
            assert!(is_taken(&[("host", host)], true), "{host}");
        }
        assert!(is_taken(&[("host", "localhost:4301"), ("origin", "http://localhost:4301"), ("sec-fetch-site", "same-origin")], true));
        assert!(is_taken(&[("host", "jobs.example.org"), ("origin", "https://jobs.example.org")], false));
    }

    #[test]
    fn pages_of_other_sites_are_not() {
        assert!(!is_taken(&[("host", "localhost:4301"), ("origin", "https://example.org")], true));
        assert!(!is_taken(&[("host", "localhost:4301"), ("origin", "http://localhost:3000")], true));
        assert!(!is_taken(&[("host", "localhost:4301"), ("origin", "null")], true));
        assert!(!is_taken(&[("host", "localhost:4301"), ("sec-fetch-site", "cross-site")], true));
        assert!(!is_taken(&[("host", "jobs.example.org"), ("origin", "https://example.org")], false));
    }

    #[test]
    fn a_name_that_points_here_is_not_taken() {
        for host in ["example.org", "example.org:4301", "localhost.example.org", "127.0.0.1.example.org:80", "", "a:b"] {
            assert!(!is_taken(&[("host", host), ("origin", &format!("http://{host}"))], true), "{host}");
        }
    }
}
