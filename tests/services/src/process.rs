//! One server process: started, waited for, stopped and started again, and never left behind.

use crate::rest;
use anyhow::{Context as _, Result, bail};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a server may take to end after it was asked to.
const ENDING: Duration = Duration::from_secs(20);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(25);
/// How much of a server's log an error shows.
const LOG_BYTES_MAX: usize = 4096;

/// A port of 127.0.0.1 on which nobody listens. Another program may take it before the server does; that is an error
/// which names the port.
///
/// # Errors
/// Where no port is free.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?.local_addr()?.port())
}

/// Where `cargo xtask test` puts a server that is no package of the machine: beside what cargo builds.
///
/// # Errors
/// Where a test does not lie below the target directory.
pub(crate) fn built(program: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(3).context("a test lies below the target directory")?;
    Ok(target.join("services").join(program))
}

/// A running server with its folder. Dropping it ends the server and removes the folder.
pub struct Process {
    name: &'static str,
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    child: Option<Child>,
    folder: TempDir,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Process {
    /// A server that is not started yet. `packages` says what to install where the program is missing.
    ///
    /// # Errors
    /// Where the program is not there.
    pub fn new(name: &'static str, program: &str, packages: &str, folder: TempDir, port: u16) -> Result<Self> {
        let program =
            find(program).with_context(|| format!("{name} is needed by this test: install {packages}, or run `cargo xtask test`"))?;
        Ok(Self { name, program, arguments: Vec::new(), environment: Vec::new(), port, child: None, folder })
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Where it does not start, ends at once, or does not listen in time; the error shows the end of its log.
    pub fn start(mut self) -> Result<Self> {
        self.run()?;
        Ok(self)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The URL of one that speaks HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Sends it an HTTP request, without a token or a signature, and gives the whole answer.
    ///
    /// # Errors
    /// Where it is not answered with success.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<String> {
        rest::send(self.address(), method, path, &[], body)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Errors
    /// Where it cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to end and waits.
    ///
    /// # Errors
    /// Where it does not end in time; it is killed then.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        let deadline = Instant::now() + ENDING;
        while Instant::now() < deadline {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        child.kill()?;
        child.wait()?;
        bail!("{} did not end within {} s", self.name, ENDING.as_secs())
    }

    /// Starts it again on the same port and folder after [`Self::kill`] or [`Self::stop`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn again(&mut self) -> Result<()> {
        self.run()
    }

    fn run(&mut self) -> Result<()> {
        let log = self.log_path();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        // The kernel ends the server when the thread that started it ends, hence the thread below that never does.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", &self.program])
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        self.child = Some(spawn(command).with_context(|| format!("cannot start {}", self.name))?);
        let deadline = Instant::now() + PATIENCE;
        let address = self.address();
        while TcpStream::connect_timeout(&address, PAUSE).is_err() {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if let Some(status) = ended {
                bail!("{} ended with {status} before it listened on {address}:\n{}", self.name, self.log());
            }
            if Instant::now() > deadline {
                bail!("{} does not listen on {address} after {} s:\n{}", self.name, PATIENCE.as_secs(), self.log());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("azora-services.log")
    }

    /// The end of what it printed.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        let from = bytes.len().saturating_sub(LOG_BYTES_MAX);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A server that is gone already is what is wanted.
        self.kill().ok();
    }
}

/// The full path of a program: what is named with a slash, else the first of the search path and where Debian puts servers.
fn find(program: &str) -> Option<String> {
    if program.contains('/') {
        return Path::new(program).exists().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.exists()).map(|path| path.display().to_string())
}

type Order = (Command, mpsc::SyncSender<std::io::Result<Child>>);

/// Starts a process from a thread that lives as long as the test process.
fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<mpsc::SyncSender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, incoming) = mpsc::sync_channel::<Order>(1);
        std::thread::spawn(move || {
            for (mut command, answer) in incoming {
                // Nobody waits for the answer where the test has failed meanwhile.
                answer.send(command.spawn()).ok();
            }
        });
        orders
    });
    let (answer, child) = mpsc::sync_channel(1);
    spawner.send((command, answer)).context("the starting thread is gone")?;
    Ok(child.recv().context("the starting thread is gone")??)
}
