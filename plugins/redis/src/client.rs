//! Connections to addresses that the network policy allowed, and commands with a time-out.

use crate::config::Server;
use crate::error::Error;
use azora_connect::Policy;
use azora_spec::Failure;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, ProtocolVersion, RedisConnectionInfo, cmd};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for the answer to one command; a commit is one.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// Part of the connect time-out in which a server may load its data.
const LOADING_SHARE: f64 = 0.9;

/// Pause between two questions whether a server has loaded its data.
const LOADING_PAUSE: Duration = Duration::from_millis(50);

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Client {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    pub(crate) label: String,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What commands go over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Client {
    pub(crate) async fn connect(server: &Server, network: &Policy) -> Result<Self, Failure> {
        Self::connect_with(server, network, AsyncConnectionConfig::new(), ProtocolVersion::RESP2).await
    }

    /// A connection that hands over what the server says unasked, which takes Redis 6 or later.
    pub(crate) async fn listen(server: &Server, network: &Policy, to: impl AsyncPushSender) -> Result<Self, Failure> {
        Self::connect_with(server, network, AsyncConnectionConfig::new().set_push_sender(to), ProtocolVersion::RESP3).await
    }

    async fn connect_with(
        server: &Server,
        network: &Policy,
        config: AsyncConnectionConfig,
        protocol: ProtocolVersion,
    ) -> Result<Self, Failure> {
        // One time for all steps: a server that takes a connection and says nothing is as dead as one that takes none.
        match timeout(server.connect_time, Self::open(server, network, config, protocol)).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::Unreachable { server: server.label(), reason: "no answer in time" }.into()),
        }
    }

    async fn open(server: &Server, network: &Policy, config: AsyncConnectionConfig, protocol: ProtocolVersion) -> Result<Self, Failure> {
        let label = server.label();
        let stream = network.connect(&server.host, server.port, server.connect_time).await?;
        let stream: Box<dyn Wire> = match &server.tls {
            Some(tls) => Box::new(tls.wrap(stream, &server.host, &label, server.connect_time).await?),
            None => Box::new(stream),
        };
        let mut info = RedisConnectionInfo::default().set_db(server.database).set_protocol(protocol).set_skip_set_lib_name();
        if let Some(username) = &server.username {
            info = info.set_username(username.expose());
        }
        if let Some(password) = &server.password {
            info = info.set_password(password.expose());
        }
        let config = config.set_response_timeout(Some(ANSWER_TIME));
        let opened = MultiplexedConnection::new_with_config(&info, stream, config);
        // The handshake needs nobody to drive the connection but itself.
        let (connection, driver) = opened.await.map_err(|error| Error::of(&error, &label, "connecting"))?;
        let mut client = Self { connection, driver: tokio::spawn(driver), label };
        // The answer that says that it is still loading comes a little before the time is over.
        client.until_loaded(server.connect_time.mul_f64(LOADING_SHARE)).await?;
        Ok(client)
    }

    /// A server that was just started takes connections while it still reads its data.
    async fn until_loaded(&mut self, time: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + time;
        loop {
            match cmd("PING").query_async::<()>(&mut self.connection).await {
                Err(error) if error.code() == Some("LOADING") && Instant::now() < deadline => sleep(LOADING_PAUSE).await,
                Err(error) if error.code() == Some("LOADING") => return Err(Error::of(&error, &self.label, "connecting")),
                // Who may not ask this may ask for other things; and a lost connection is told by what is asked next.
                _ => return Ok(()),
            }
        }
    }

    /// Sends a command.
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd, doing: &'static str) -> Result<T, Error> {
        command.query_async(&mut self.connection).await.map_err(|error| Error::of(&error, &self.label, doing))
    }

    /// Sends several commands at once.
    pub(crate) async fn ask_all<T: FromRedisValue>(&mut self, commands: &Pipeline, doing: &'static str) -> Result<T, Error> {
        commands.query_async(&mut self.connection).await.map_err(|error| Error::of(&error, &self.label, doing))
    }
}
