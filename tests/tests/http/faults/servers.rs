//! The servers that faults are met at: real ones, and for HTTP, WebSockets and lines ones of this test.

use anyhow::Result;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};
use azora_services::{Azure, Dead, FerretDb, Gcs, Kafka, MariaDb, Postgres, Redis, S3, free_port};
use futures::SinkExt as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

/// All of them.
pub(crate) struct Servers {
    pub(crate) kafka: Kafka,
    pub(crate) redis: Redis,
    /// One that wants a password.
    pub(crate) closed_redis: Redis,
    pub(crate) postgres: Postgres,
    pub(crate) mariadb: MariaDb,
    pub(crate) mongodb: FerretDb,
    pub(crate) s3: S3,
    /// One that looks at keys, and knows none.
    pub(crate) closed_s3: S3,
    pub(crate) gcs: Gcs,
    pub(crate) azure: Azure,
    /// HTTP.
    pub(crate) web: SocketAddr,
    /// A WebSocket whose second message is of another type, and one whose second message is no JSON.
    pub(crate) feeds: [SocketAddr; 2],
    /// Lines.
    pub(crate) lines: SocketAddr,
    /// A port on which nobody listens.
    pub(crate) dead: u16,
    /// One to which packets vanish.
    pub(crate) hole: Dead,
    /// One that takes connections and says nothing.
    pub(crate) mute: Dead,
}

impl Servers {
    pub(crate) async fn start(files: &Path) -> Result<Self> {
        std::fs::write(files.join("other.ndjson"), "{\"id\":1}\n{\"id\":\"many\"}\n")?;
        std::fs::write(files.join("broken.ndjson"), "{\"id\":1}\nno record\n")?;
        std::fs::write(files.join("none.parquet"), "no parquet")?;
        std::fs::write(files.join("none.db"), "no database, whatever its name says")?;
        let kafka = Kafka::start()?;
        for topic in ["other", "broken"] {
            kafka.topic(topic, 1)?;
        }
        let (redis, closed_redis) = (Redis::start()?, Redis::start()?);
        say(closed_redis.process.address(), "CONFIG SET requirepass right\r\n")?;
        say(redis.process.address(), "SET text plain\r\n")?;
        say(redis.process.address(), "SET broken \"\\xff\\xfe\"\r\n")?;
        let postgres = Postgres::start()?;
        postgres.run("CREATE TABLE numbers (id int PRIMARY KEY)")?;
        let mariadb = MariaDb::start()?;
        mariadb.run("CREATE TABLE numbers (id INT PRIMARY KEY)")?;
        let s3 = S3::start()?;
        let (gcs, azure) = (Gcs::start()?, Azure::start()?);
        for (key, bytes) in [
            ("other.ndjson", "{\"id\":1}\n{\"id\":\"many\"}\n"),
            ("broken.ndjson", "{\"id\":1}\nno record\n"),
            ("none.parquet", "no parquet"),
        ] {
            gcs.put(key, bytes.as_bytes())?;
            azure.put(key, bytes.as_bytes())?;
            s3.put(key, bytes.as_bytes())?;
        }
        Ok(Self {
            kafka,
            redis,
            closed_redis,
            postgres,
            mariadb,
            mongodb: FerretDb::start()?,
            s3,
            closed_s3: S3::closed()?,
            gcs,
            azure,
            web: web().await?,
            feeds: [feed([r#"{"id":1}"#, r#"{"id":"many"}"#]).await?, feed([r#"{"id":1}"#, "no record"]).await?],
            lines: lines().await?,
            dead: free_port()?,
            hole: Dead::hole()?,
            mute: Dead::mute()?,
        })
    }
}

/// One command to a Redis server.
fn say(address: SocketAddr, command: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(command.as_bytes())?;
    let mut answer = [0; 64];
    let n = stream.read(&mut answer)?;
    anyhow::ensure!(answer.starts_with(b"+OK"), "{command} answered {}", String::from_utf8_lossy(&answer[..n]));
    Ok(())
}

/// `/private` wants to know who asks, `/closed` refuses everybody as Google does, `/text` is no JSON, `/other` has a row of another type.
async fn web() -> Result<SocketAddr> {
    let router = Router::new()
        .route("/private", any(|| async { StatusCode::UNAUTHORIZED }))
        .route("/closed/{*path}", any(|| async { (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>") }))
        .route("/text", get(|| async { "no JSON" }))
        .route("/other", get(|| async { r#"[{"id":1},{"id":"many"}]"# }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// A WebSocket that says two messages to everybody.
async fn feed(messages: [&'static str; 2]) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await?;
                for message in messages {
                    socket.send(Message::text(message)).await?;
                }
                socket.close(None).await
            });
        }
    });
    Ok(address)
}

/// Says three lines to everybody: a record, one of another type, and none.
async fn lines() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A reader that has seen enough goes away.
                stream.write_all(b"{\"id\":1}\n{\"id\":\"many\"}\nno record\n").await.ok();
            });
        }
    });
    Ok(address)
}
