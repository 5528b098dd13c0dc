//! Connecting: addresses that the network policy allows, a client that remembers why it cannot connect, and a look at the
//! brokers that the cluster advertises before anything is sent to them.
//!
//! librdkafka connects to what a cluster advertises by itself, as soon as it learns of it. So the first client asks the
//! policy before each of its connections, and asks the cluster for nothing but metadata; every advertised broker is checked
//! before a second client is made. rdkafka's consumers and producers take no such guard: what a cluster advertises later,
//! and what a name resolves to later, is not seen.

mod guard;

use crate::config::Cluster;
use crate::error::{Error, is_denied, words};
use azora_connect::Policy;
use azora_spec::{Code, Failure};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Pause between two looks at metadata that is not there yet.
const PAUSE: Duration = Duration::from_millis(100);

/// A consumer of this connector.
pub(crate) type Client = BaseConsumer<Context>;

/// What a client says beside its answers.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Which connections are allowed, where each is asked about.
    guard: Option<Policy>,
    /// The first that was not, as host and port.
    refused: Mutex<Option<String>>,
    said: Mutex<Option<RDKafkaErrorCode>>,
    undelivered: Mutex<Option<RDKafkaErrorCode>>,
}

impl Context {
    /// Why it cannot connect, where it said so since the last call.
    pub(crate) fn take(&self) -> Option<RDKafkaErrorCode> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The first connection that was not allowed.
    fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why a message was not delivered, the first of them.
    pub(crate) fn undelivered(&self) -> Option<RDKafkaErrorCode> {
        *self.undelivered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much an error tells: a refusal more than a lost connection, and that more than that all are lost.
const fn weight(code: RDKafkaErrorCode) -> u8 {
    match code {
        RDKafkaErrorCode::AllBrokersDown => 0,
        RDKafkaErrorCode::BrokerTransportFailure => 1,
        code if is_denied(code) => 3,
        _ => 2,
    }
}

impl ClientContext for Context {
    // The client's own log names hosts and settings; what matters of it comes as errors.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, _: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|before| weight(before) <= weight(code)) {
            *said = Some(code);
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut undelivered = self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
            *undelivered = undelivered.or(error.rdkafka_error_code());
        }
    }
}

/// Makes a consumer or a producer.
pub(crate) fn make<T: FromClientConfigAndContext<Context>>(config: &ClientConfig) -> Result<T, Error> {
    config.create_with_context(Context::default()).map_err(|error| wrong(&error))
}

fn wrong(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, _, name, _) if name.starts_with("ssl") => Error::Client("a certificate or key of 'security'"),
        KafkaError::ClientCreation(reason) if reason.contains("ssl") => Error::Client("a certificate or key of 'security'"),
        _ => Error::Client("what was given"),
    }
}

/// A cluster that answered, and whose brokers may be connected to.
#[derive(Debug, Clone)]
pub(crate) struct Entered {
    pub(crate) cluster: Cluster,
    bootstrap: String,
    /// The topics that were asked for, and how many partitions each has.
    pub(crate) topics: Vec<(String, i32)>,
}

impl Entered {
    /// Settings of a client of this cluster.
    pub(crate) fn client(&self) -> ClientConfig {
        self.cluster.client(&self.bootstrap)
    }

    /// Settings of a consumer of this cluster.
    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error");
        config
    }
}

/// Connects, checks what the cluster advertises, and looks for topics.
pub(crate) async fn enter(cluster: &Cluster, network: &Policy, topics: &[String]) -> Result<Entered, Failure> {
    let bootstrap = bootstrap(cluster, network).await?;
    let (probed, wanted) = (cluster.clone(), topics.to_vec());
    let config = cluster.client(&bootstrap);
    let guard = network.clone();
    let look = move || look(&config, &probed, guard, &wanted);
    let astray =
        |failure: Failure| Failure { message: format!("{} sends its clients on: {}", cluster.label(), failure.message), ..failure };
    let (advertised, topics) = match blocking(look).await? {
        Ok(seen) => seen,
        Err(error @ Error::Refused { .. }) => return Err(astray(error.into())),
        Err(error) => return Err(error.into()),
    };
    for (host, port) in advertised {
        if let Err(failure) = network.resolve(&host, port).await
            && failure.code == Code::NetworkRefused
        {
            return Err(astray(failure));
        }
    }
    Ok(Entered { cluster: cluster.clone(), bootstrap, topics })
}

/// The addresses to begin with. One of them at least must take a connection, so that a dead broker is told at once.
async fn bootstrap(cluster: &Cluster, network: &Policy) -> Result<String, Failure> {
    let mut found = Vec::new();
    let mut last = None;
    // All at once: brokers that swallow packets take the whole time each.
    let mut asked = JoinSet::new();
    for (host, port) in &cluster.brokers {
        let addresses = match network.resolve(host, *port).await {
            Ok(addresses) => addresses,
            Err(failure) if failure.code == Code::NetworkRefused => return Err(failure),
            Err(failure) => {
                last = Some(failure);
                continue;
            }
        };
        let (network, host_asked, port, time) = (network.clone(), host.clone(), *port, cluster.connect_time);
        asked.spawn(async move { network.connect(&host_asked, port, time).await.map(drop) });
        if cluster.security.needs_names() {
            found.push(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") });
        } else {
            found.extend(addresses.iter().map(ToString::to_string));
        }
    }
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(())) => return Ok(found.join(",")),
            Ok(Err(failure)) => last = Some(failure),
            Err(_) => return Err(Error::Ended.into()),
        }
    }
    last.map_or_else(|| Ok(found.join(",")), Err)
}

type Seen = (Vec<(String, u16)>, Vec<(String, i32)>);

/// Asks for metadata until the topics are there or time is over.
fn look(config: &ClientConfig, cluster: &Cluster, network: Policy, topics: &[String]) -> Result<Seen, Error> {
    let client = guard::guarded(config, network)?;
    let deadline = Instant::now() + cluster.connect_time;
    let mut counts = Vec::new();
    let mut brokers = Vec::new();
    let mut said: Option<RDKafkaErrorCode> = None;
    for topic in topics {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
            // Short waits, so that a wrong password is told at once and not when time is over.
            let metadata = match client.metadata(topic, left.min(Duration::from_secs(1))) {
                Ok(metadata) => metadata,
                Err(error) => {
                    if let Some(host) = client.context().refused() {
                        return Err(Error::Refused { host });
                    }
                    // What tells most of all that was said: after the reason only that no broker is there.
                    let telling = |code: &RDKafkaErrorCode| said.is_none_or(|before| weight(before) <= weight(*code));
                    said = client.context().take().filter(telling).or(said);
                    if let Some(code) = said.filter(|code| is_denied(*code)) {
                        return Err(Error::Denied { cluster: cluster.label(), reason: words(code) });
                    }
                    if Instant::now() < deadline {
                        continue;
                    }
                    let reason = said.map_or_else(|| "no answer in time".to_owned(), words);
                    return Err(match Error::of(&error, &cluster.label(), "asking for metadata") {
                        Error::Unreachable { cluster, .. } => Error::Unreachable { cluster, reason },
                        other => other,
                    });
                }
            };
            brokers = metadata
                .brokers()
                .iter()
                .filter_map(|broker| Some((broker.host().to_owned(), u16::try_from(broker.port()).ok()?)))
                .collect();
            let Some(of) = metadata.topics().iter().find(|of| of.name() == topic) else {
                return Err(Error::TopicMissing { cluster: cluster.label(), topic: topic.clone() });
            };
            match of.error().map(RDKafkaErrorCode::from) {
                None if !of.partitions().is_empty() => {
                    counts.push((topic.clone(), i32::try_from(of.partitions().len()).unwrap_or(i32::MAX)));
                    break;
                }
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                    return Err(Error::TopicMissing { cluster: cluster.label(), topic: topic.clone() });
                }
                Some(code) if is_denied(code) => return Err(Error::Denied { cluster: cluster.label(), reason: words(code) }),
                _ if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Some(code) => return Err(Error::Answer { cluster: cluster.label(), doing: "asking for the topic", reason: words(code) }),
                None => return Err(Error::TopicMissing { cluster: cluster.label(), topic: topic.clone() }),
            }
        }
    }
    Ok((brokers, counts))
}

/// Runs what waits for Kafka where it disturbs nobody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Ended.into())
}

/// The context of a client, shared.
pub(crate) fn reason(context: &Arc<Context>) -> Option<String> {
    context.take().map(words)
}
