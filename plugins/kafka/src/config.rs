//! What a request says of Kafka: the cluster and how to enter it. What is read and what is written have files of their own.

mod reading;
mod writing;

pub(crate) use reading::{AvroFraming, End, Format, Reading, Shape, Start};
pub(crate) use writing::Writing;

use azora_connect::Setup;
use azora_spec::wire::{Fields, shown};
use azora_spec::{Failure, Secret};
use rdkafka::ClientConfig;
use serde_json::Value;
use std::time::Duration;

/// Most brokers that are named.
const BROKERS_MAX: usize = 64;
/// Longest name of a topic, as Kafka has it.
const TOPIC_BYTES_MAX: usize = 249;
/// Longest value of an option of the client.
const OPTION_BYTES_MAX: usize = 256;

/// Options of librdkafka that a request may set. All others are refused: many of them name files of the server, load
/// libraries into it, or change what is promised.
const OPTIONS: &[&str] = &[
    "batch.size",
    "broker.address.family",
    "check.crcs",
    "client.id",
    "client.rack",
    "compression.level",
    "compression.type",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "linger.ms",
    "max.partition.fetch.bytes",
    "message.max.bytes",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "request.timeout.ms",
    "retries",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "transaction.timeout.ms",
];

/// A cluster and how to enter it.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// Host and port of some of its brokers.
    pub(crate) brokers: Vec<(String, u16)>,
    pub(crate) security: Security,
    options: Vec<(String, String)>,
    /// Longest wait for an answer while connecting.
    pub(crate) connect_time: Duration,
    /// Longest time without any answer while reading or writing, for example where a broker is restarted.
    pub(crate) outage_time: Duration,
}

/// How to enter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Security {
    is_encrypted: bool,
    mechanism: Option<&'static str>,
    username: Option<Secret>,
    password: Option<Secret>,
    ca_pem: Option<Secret>,
    certificate_pem: Option<Secret>,
    key_pem: Option<Secret>,
    key_password: Option<Secret>,
    is_name_checked: bool,
}

impl Cluster {
    /// Reads the fields that sources and sinks share.
    pub(crate) fn read(fields: &mut Fields<'_>, setup: &Setup, default: &[String]) -> Result<Self, Failure> {
        let name = fields.name_of(&["brokers", "bootstrapServers"])?;
        let told = fields.text_or_texts(name)?.unwrap_or_else(|| default.to_vec());
        let brokers: Vec<(String, u16)> = told
            .iter()
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| {
                broker(text).ok_or_else(|| fields.wrong(name, format!("'{}' is not a broker", shown(text))).hint("write HOST:PORT"))
            })
            .collect::<Result<_, _>>()?;
        if brokers.is_empty() {
            return Err(fields.missing("brokers").hint("give brokers as [\"HOST:PORT\"], or start the server with KAFKA_BROKERS"));
        }
        if brokers.len() > BROKERS_MAX {
            return Err(fields.wrong(name, format!("more than {BROKERS_MAX} brokers")));
        }
        for (host, port) in &brokers {
            setup.network.check_host(host, *port).map_err(|failure| failure.at(fields.pointer(name)))?;
        }
        Ok(Self {
            brokers,
            security: Security::read(fields, setup)?,
            options: options(fields)?,
            connect_time: fields.milliseconds("connectTimeoutMs", 100..=120_000)?.unwrap_or(Duration::from_secs(10)),
            outage_time: fields.milliseconds("outageTimeoutMs", 1000..=600_000)?.unwrap_or(Duration::from_secs(30)),
        })
    }

    /// The cluster for people: its first broker.
    pub(crate) fn label(&self) -> String {
        self.brokers.first().map_or_else(|| "kafka://".to_owned(), |(host, port)| format!("kafka://{host}:{port}"))
    }

    /// Settings of every client. `brokers` are addresses that the network policy allowed.
    pub(crate) fn client(&self, brokers: &str) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", brokers)
            .set("client.id", "azora-spark")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.connection.setup.timeout.ms", self.connect_time.as_millis().clamp(1000, 60_000).to_string());
        for (name, value) in &self.options {
            client.set(name, value);
        }
        self.security.set(&mut client);
        client
    }
}

impl Security {
    fn read(fields: &mut Fields<'_>, setup: &Setup) -> Result<Self, Failure> {
        let Some(mut inner) = fields.inner("security")? else { return Ok(Self::default()) };
        let protocols =
            [("PLAINTEXT", (false, false)), ("SSL", (true, false)), ("SASL_PLAINTEXT", (false, true)), ("SASL_SSL", (true, true))];
        let (is_encrypted, is_sasl) = inner.choice("protocol", &protocols)?.ok_or_else(|| inner.missing("protocol"))?;
        let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].map(|word| (word, word));
        let mechanism = inner.choice("mechanism", &mechanisms)?;
        let secrets = &setup.secrets;
        let read = Self {
            is_encrypted,
            mechanism: is_sasl.then(|| mechanism.unwrap_or("PLAIN")),
            username: secrets.field(&mut inner, "username")?,
            password: secrets.field(&mut inner, "password")?,
            ca_pem: secrets.field(&mut inner, "caPem")?,
            certificate_pem: secrets.field(&mut inner, "certificatePem")?,
            key_pem: secrets.field(&mut inner, "keyPem")?,
            key_password: secrets.field(&mut inner, "keyPassword")?,
            is_name_checked: inner.flag("checkHostname")?.unwrap_or(true),
        };
        if is_sasl && (read.username.is_none() || read.password.is_none()) {
            let name = if read.username.is_none() { "username" } else { "password" };
            return Err(inner.missing(name));
        }
        if !is_sasl && (mechanism.is_some() || read.password.is_some()) {
            return Err(inner.wrong("protocol", "a password is sent by the protocols SASL_SSL and SASL_PLAINTEXT only"));
        }
        inner.finish(azora_spec::wire::Unknown::Refuse)?;
        Ok(read)
    }

    /// Whether brokers are told apart by name, so that their names and not their addresses are needed.
    pub(crate) const fn needs_names(&self) -> bool {
        self.is_encrypted
    }

    fn set(&self, client: &mut ClientConfig) {
        let protocol = match (self.is_encrypted, self.mechanism) {
            (false, None) => "PLAINTEXT",
            (true, None) => "SSL",
            (false, Some(_)) => "SASL_PLAINTEXT",
            (true, Some(_)) => "SASL_SSL",
        };
        client.set("security.protocol", protocol);
        if let Some(mechanism) = self.mechanism {
            client.set("sasl.mechanism", mechanism);
        }
        if self.is_encrypted {
            client.set("ssl.endpoint.identification.algorithm", if self.is_name_checked { "https" } else { "none" });
        }
        let secrets = [
            ("sasl.username", &self.username),
            ("sasl.password", &self.password),
            ("ssl.ca.pem", &self.ca_pem),
            ("ssl.certificate.pem", &self.certificate_pem),
            ("ssl.key.pem", &self.key_pem),
            ("ssl.key.password", &self.key_password),
        ];
        for (name, secret) in secrets {
            if let Some(secret) = secret {
                client.set(name, secret.expose());
            }
        }
    }
}

/// The one topic, or several.
pub(crate) fn topic(fields: &mut Fields<'_>) -> Result<String, Failure> {
    let topic = fields.required_text("topic")?;
    check_topic(fields, "topic", topic)?;
    Ok(topic.to_owned())
}

fn check_topic(fields: &Fields<'_>, name: &'static str, topic: &str) -> Result<(), Failure> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_valid = !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && topic.bytes().all(is_letter) && topic != "." && topic != "..";
    if is_valid {
        return Ok(());
    }
    Err(fields
        .wrong(name, format!("'{}' is not the name of a topic", shown(topic)))
        .hint(format!("names have letters, digits, '.', '_' and '-', and at most {TOPIC_BYTES_MAX} of them")))
}

fn options(fields: &mut Fields<'_>) -> Result<Vec<(String, String)>, Failure> {
    let Some(map) = fields.object("options")? else { return Ok(Vec::new()) };
    let pointer = fields.pointer("options");
    let one = |(name, value): (String, Value)| {
        let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        if !OPTIONS.contains(&name.as_str()) {
            return Err(fields
                .wrong("options", format!("the option '{}' of the client cannot be set", shown(&name)))
                .hint(format!("these can be set: {}", OPTIONS.join(", ")))
                .at(at));
        }
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(fields.wrong("options", "a value of an option is a text, a number or true or false").at(at)),
        };
        let is_sound = text.len() <= OPTION_BYTES_MAX && !text.contains('\0');
        let mut probe = ClientConfig::new();
        if !is_sound || probe.set(&name, &text).create_native_config().is_err() {
            return Err(fields.wrong("options", format!("the client does not take this value of '{name}'")).at(at));
        }
        Ok((name, text))
    };
    map.into_iter().map(one).collect()
}

/// `host:port`, `[v6]:port`; the port is 9092 where none is named.
fn broker(text: &str) -> Option<(String, u16)> {
    if text.contains(['/', '@', '?', '#']) {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = if rest.is_empty() { 9092 } else { port(rest.strip_prefix(':')?)? };
        return Some((host.to_owned(), port));
    }
    match text.split_once(':') {
        Some((host, number)) if !host.is_empty() => Some((host.to_owned(), port(number)?)),
        Some(_) => None,
        None => Some((text.to_owned(), 9092)),
    }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests;
