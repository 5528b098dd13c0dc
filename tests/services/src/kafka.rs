//! Apache Kafka from Maven Central: one broker that is its own controller. `cargo xtask test` fetches it.

mod admin;

use crate::{Authority, Process, free_port};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where the jars are, where it is not the target directory.
const JARS: &str = "AZORA_TEST_KAFKA_JARS";

/// A Kafka broker that finds its data again after [`Process::stop`] or [`Process::kill`] and [`Process::again`].
#[derive(Debug)]
pub struct Kafka {
    /// The process.
    pub process: Process,
    ports: Ports,
    authority: Authority,
}

/// Where it listens, and where it says that it does.
#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    sasl: u16,
    /// TLS with a password by SCRAM.
    scram: u16,
    /// TLS with a client's certificate.
    mutual: u16,
    astray: u16,
    elsewhere: u16,
    controller: u16,
}

impl Kafka {
    /// User of [`Self::sasl_brokers`] and [`Self::scram_brokers`].
    pub const USER: &str = "azora";
    /// Password of [`Self::USER`]; a text that must not appear anywhere else.
    pub const PASSWORD: &str = "canary-kafka-7f3a";

    /// A broker of one's own, for tests that stop it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start() -> Result<Self> {
        let jars = jars()?;
        let folder = tempfile::tempdir()?;
        let ports = Ports {
            plain: free_port()?,
            sasl: free_port()?,
            scram: free_port()?,
            mutual: free_port()?,
            astray: free_port()?,
            elsewhere: free_port()?,
            controller: free_port()?,
        };
        let authority = Authority::new(folder.path())?;
        let properties = folder.path().join("server.properties");
        std::fs::write(&properties, settings(folder.path(), ports, &authority)?)?;
        let classes = format!("{}/*", jars.display());
        format_storage(&classes, &properties)?;
        let process = Process::new("Apache Kafka", "java", "default-jre-headless", folder, ports.plain)?
            // Starting fast matters more than long runs: only the first compiler.
            .args(["-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &classes, "kafka.Kafka"])
            .args([properties.display().to_string()])
            .start()?;
        Ok(Self { process, ports, authority })
    }

    /// The broker that the tests of a program share; it ends with the last of them.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Kafka>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// Its address for clients without a password.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.process.address().to_string()
    }

    /// Its address for clients that give [`Self::USER`] and [`Self::PASSWORD`] by SASL PLAIN.
    #[must_use]
    pub fn sasl_brokers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl)
    }

    /// Its address for clients that speak TLS and give [`Self::USER`] and [`Self::PASSWORD`] by SCRAM-SHA-256.
    #[must_use]
    pub fn scram_brokers(&self) -> String {
        format!("localhost:{}", self.ports.scram)
    }

    /// Its address for clients that speak TLS and show the client's certificate of [`Self::authority`].
    #[must_use]
    pub fn mutual_brokers(&self) -> String {
        format!("localhost:{}", self.ports.mutual)
    }

    /// Who vouches for its certificate.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// An address of it at which it sends clients on to [`Self::elsewhere`], where nobody listens.
    #[must_use]
    pub fn astray(&self) -> String {
        format!("127.0.0.1:{}", self.ports.astray)
    }

    /// The port that [`Self::astray`] names.
    #[must_use]
    pub const fn elsewhere(&self) -> u16 {
        self.ports.elsewhere
    }

    /// Makes a topic where it is not there yet; the broker makes none by itself.
    ///
    /// # Errors
    /// Where the broker does not make it.
    pub fn topic(&self, name: &str, partitions: i32) -> Result<()> {
        admin::create(self.process.address(), name, partitions)
    }
}

fn settings(folder: &Path, ports: Ports, authority: &Authority) -> Result<String> {
    let Ports { plain, sasl, scram, mutual, astray, elsewhere, controller } = ports;
    let mut text = String::new();
    let (user, password) = (Kafka::USER, Kafka::PASSWORD);
    writeln!(text, "process.roles=broker,controller\nnode.id=1")?;
    writeln!(text, "controller.quorum.bootstrap.servers=127.0.0.1:{controller}\ncontroller.listener.names=CONTROLLER")?;
    let shared = format!(
        "PLAIN://127.0.0.1:{plain},SASL://127.0.0.1:{sasl},SCRAM://localhost:{scram},MUTUAL://localhost:{mutual},ASTRAY://127.0.0.1"
    );
    writeln!(text, "listeners={shared}:{astray},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners={shared}:{elsewhere}")?;
    writeln!(
        text,
        "listener.security.protocol.map=PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL,ASTRAY:PLAINTEXT,\
         CONTROLLER:PLAINTEXT\ninter.broker.listener.name=PLAIN"
    )?;
    let module = "org.apache.kafka.common.security";
    writeln!(
        text,
        "listener.name.sasl.sasl.enabled.mechanisms=PLAIN\nlistener.name.sasl.plain.sasl.jaas.config=\
         {module}.plain.PlainLoginModule required user_{user}=\"{password}\";"
    )?;
    writeln!(
        text,
        "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256\nlistener.name.scram.scram-sha-256.sasl.jaas.config=\
         {module}.scram.ScramLoginModule required;"
    )?;
    writeln!(text, "ssl.keystore.type=PEM\nssl.keystore.location={}", authority.path("server.both.pem").display())?;
    writeln!(text, "ssl.truststore.type=PEM\nssl.truststore.location={}", authority.path("ca.pem").display())?;
    writeln!(text, "listener.name.mutual.ssl.client.auth=required")?;
    writeln!(text, "log.dirs={}", folder.join("data").display())?;
    writeln!(text, "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\ngroup.initial.rebalance.delay.ms=0")?;
    writeln!(text, "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=4")?;
    writeln!(text, "share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1")?;
    writeln!(text, "auto.create.topics.enable=false\ncontrolled.shutdown.enable=false\nlog.cleaner.enable=false\nlog.retention.ms=-1")?;
    Ok(text)
}

/// Gives the empty data directory an identity, as Kafka wants it.
fn format_storage(classes: &str, properties: &Path) -> Result<()> {
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classes, "kafka.tools.StorageTool"])
        .args(["format", "--standalone", "-t", "azoraAzoraAzoraAzoraAA", "-c"])
        .arg(properties)
        .args(["--add-scram", &format!("SCRAM-SHA-256=[name={},password={}]", Kafka::USER, Kafka::PASSWORD)])
        .stdin(Stdio::null())
        .output()
        .context("java is needed by this test: install default-jre-headless, or run `cargo xtask test`")?;
    if !output.status.success() {
        bail!("Kafka's StorageTool ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The folder with Kafka's jars.
fn jars() -> Result<PathBuf> {
    let told = std::env::var_os(JARS).map(PathBuf::from);
    let target = || match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).join("target"),
    };
    let jars = told.unwrap_or_else(|| target().join("services").join("kafka"));
    if !jars.is_dir() {
        bail!("Apache Kafka is needed by this test and is not in {}: run `cargo xtask test`, which fetches it", jars.display());
    }
    Ok(jars)
}
