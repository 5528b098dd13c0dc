//! URLs that try to reach what they may not; a canary listens where they lead.

use super::Policy;
use azora_spec::Code;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// Places that a server which others can reach never connects to. `PORT` is the canary's.
const FORBIDDEN: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.255.255.254:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0x7F.1:PORT/",
    "http://0177.0x0.0.1:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2001:0:1::80ff:fffe]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://ｌｏｃａｌｈｏｓｔ:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://user@127.0.0.1:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://example.com:80@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@example.com/",
    "http://127.0.0.1:PORT\\@example.com/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:127.0.0.1:PORT",
    "http:///127.0.0.1:PORT",
    "  http://127.0.0.1:PORT/",
    "http://127.0.0.1\t:PORT/",
    "ht\ntp://127.0.0.1:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://10.0.0.1:PORT/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://[fc00::1]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://192.0.2.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/",
    "ftp://127.0.0.1:PORT/",
    "dict://127.0.0.1:PORT/",
    "unix:///var/run/docker.sock",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT",
    "http://",
    "http://:PORT/",
    "http://127.0.0.1:0/",
    "http://a..b:PORT/",
];

async fn canary() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn no_forbidden_url_reaches_the_canary() {
    let (listener, address) = canary().await;
    let policy = Policy::remote();
    assert!(FORBIDDEN.len() >= 60);
    for pattern in FORBIDDEN {
        let text = pattern.replace("PORT", &address.port().to_string());
        let Ok(url) = policy.check_url(&text, &["http", "https"]) else { continue };
        let (host, port) = (url.host_str().unwrap(), url.port_or_known_default().unwrap());
        let reached = policy.connect(host, port, Duration::from_millis(300)).await;
        // Some resolvers do not know odd spellings of local names at all.
        let code = reached.map(|stream| stream.peer_addr().unwrap()).unwrap_err().code;
        assert!(code == Code::NetworkRefused || (code == Code::ConnectorUnavailable && host.ends_with('.')), "{text}: {code}");
    }
    let heard = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(heard.is_err(), "the canary was reached");
}

/// Databases and the like name a host without a URL, and resolvers know old notations too.
#[tokio::test]
async fn no_forbidden_host_resolves() {
    let policy = Policy::remote();
    for host in [
        "127.0.0.1",
        "::1",
        "[::1]",
        "localhost",
        "localhost.",
        "2130706433",
        "0x7f000001",
        "0177.1",
        "127.1",
        "0",
        "",
        ".",
        "a b",
        "a/b",
        "a@b",
        "-x",
        "169.254.169.254",
    ] {
        let failure = policy.resolve(host, 6379).await.unwrap_err();
        let is_unknown = failure.code == Code::ConnectorUnavailable && host.ends_with('.');
        assert!(is_unknown || matches!(failure.code, Code::NetworkRefused | Code::ConnectorConfig), "{host}: {failure}");
    }
}

#[tokio::test]
async fn a_local_server_reaches_its_machine_and_never_the_metadata() {
    let (_listener, address) = canary().await;
    let policy = Policy::local();
    policy.connect("localhost", address.port(), Duration::from_secs(5)).await.unwrap();
    policy.check_url("http://192.168.0.1/", &["http"]).unwrap();
    for url in ["http://169.254.169.254/", "http://[::ffff:a9fe:a9fe]/", "http://0.0.0.0/", "http://[fe80::1]/"] {
        assert_eq!(policy.check_url(url, &["http"]).unwrap_err().code, Code::NetworkRefused, "{url}");
    }
    let failure = policy.connect("127.0.0.1", 1, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(failure.code, Code::ConnectorUnavailable);
    assert!(failure.message.contains("127.0.0.1:1"), "{}", failure.message);
}

#[tokio::test]
async fn an_operator_opens_and_closes() {
    let (_listener, address) = canary().await;
    let port = address.port();
    let allow = |entry: &str| Policy::remote().allow([entry]).unwrap();
    let check = |policy: Policy, host: &'static str, expect: bool| async move {
        assert_eq!(policy.resolve(host, port).await.is_ok(), expect, "{policy:?} {host}");
    };
    check(allow("127.0.0.1"), "localhost", true).await;
    check(allow("localhost"), "localhost", true).await;
    check(allow(&format!("localhost:{port}")), "localhost", true).await;
    check(allow("localhost:1"), "localhost", false).await;
    check(allow("localhost"), "127.0.0.1", false).await;
    check(allow("169.254.169.254"), "169.254.169.254", true).await;
    check(allow("10.0.0.0/8"), "10.2.3.4", true).await;
    check(Policy::local().only_allowed(), "127.0.0.1", false).await;
    check(Policy::local().allow(["127.0.0.0/8"]).unwrap().only_allowed(), "127.0.0.1", true).await;
    assert_eq!(Policy::remote().allow(["ok.example", "not ok"]).unwrap_err(), "not ok");
}
