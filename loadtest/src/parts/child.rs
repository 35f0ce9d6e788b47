//! A child process: started, waited for, stopped, killed.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

/// A part under way.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    process: tokio::process::Child,
    /// Held for as long as the part is to live: it ends when its standard input does. Waiting for a process would
    /// close it, so it is not left there.
    _alive: Option<ChildStdin>,
    log: PathBuf,
}

/// A loopback address that nobody listens on at this moment.
///
/// # Errors
/// If there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Child {
    /// Starts `loadtest part <name> <args…>`, its output going to `<directory>/<name>.log`.
    ///
    /// On Linux the part is killed when the *thread* that calls this ends, which must therefore live as long: a
    /// runtime's thread does, one of its blocking threads does not.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(
        name: &'static str,
        arguments: &[String],
        environment: &[(&str, String)],
        directory: &Path,
    ) -> anyhow::Result<Self> {
        // The binary as it was when this process began, even if it has been built anew since.
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("part").arg(name);
        Self::start_command(command, name, arguments, environment, directory)
    }

    /// Starts another program the same way. It is no part and does not notice if this process is killed.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start_program(
        program: &Path,
        name: &'static str,
        arguments: &[String],
        environment: &[(&str, String)],
        directory: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_command(Command::new(program), name, arguments, environment, directory)
    }

    fn start_command(
        mut command: Command,
        name: &'static str,
        arguments: &[String],
        environment: &[(&str, String)],
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut process = command
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A Ctrl-C at the terminal is this process's to answer: the parts are still needed then.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let alive = process.stdin.take();
        Ok(Self { name, process, _alive: alive, log })
    }

    /// Waits until something listens at `address`.
    ///
    /// # Errors
    /// If the process ends first, or takes longer than `bound`.
    pub async fn listening(&mut self, address: SocketAddr, bound: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + bound;
        loop {
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended with {status}; its log ends:\n{}", self.name, self.log_tail());
            }
            if TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("{} does not listen after {bound:?}; its log ends:\n{}", self.name, self.log_tail());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends it at once, as a crash would (SIGKILL).
    ///
    /// # Errors
    /// If it cannot be ended.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Asks it to stop (SIGTERM) and waits; after `bound` ends it at once.
    ///
    /// # Errors
    /// If it stopped with a failure.
    pub async fn stop(mut self, bound: Duration) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        match timeout(bound, self.process.wait()).await {
            Ok(status) => {
                let status = status?;
                if !status.success() {
                    bail!("{} stopped with {status}; its log ends:\n{}", self.name, self.log_tail());
                }
                Ok(())
            }
            Err(_elapsed) => {
                self.kill().await?;
                bail!("{} did not stop within {bound:?}; its log ends:\n{}", self.name, self.log_tail())
            }
        }
    }

    /// Sends it a signal, unless it has ended.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        match pid {
            // Not waited for yet, so the number is still this process's.
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Whether it has ended; if not, the task is woken when it does. How it ended and what its log says last.
    pub fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<String> {
        let status = ready!(pin!(self.process.wait()).poll(context));
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Poll::Ready(format!("{} ended with {how}; its log ends:\n{}", self.name, self.log_tail()))
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// If it has ended: with what its log says.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}; its log ends:\n{}", self.name, self.log_tail()),
        }
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}
