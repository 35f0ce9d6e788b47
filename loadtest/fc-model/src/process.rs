//! Child processes: the one place that starts, stops and kills them.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

const LISTEN_POLL: Duration = Duration::from_millis(20);

const LOG_TAIL_LINES: usize = 15;

/// A command that can be started repeatedly, for example after a crash.
#[derive(Clone, Debug)]
pub struct ProcessLaunch {
    pub program: PathBuf,
    /// Used in messages and as the log's file name.
    pub name: &'static str,
    pub arguments: Vec<String>,
    /// Added to this process's environment. Secrets belong here: arguments show in process lists.
    pub environment: Vec<(&'static str, String)>,
    /// Folder of the log `<name>.log`.
    pub directory: PathBuf,
}

/// A running child process. Dropping it kills the process.
#[derive(Debug)]
pub struct ChildProcess {
    name: &'static str,
    process: tokio::process::Child,
    /// `loadtest process …` ends when its standard input closes. Waiting for a tokio child would close a stdin that is
    /// still attached, so it is held here.
    _stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl ProcessLaunch {
    /// Starts the process; its output is appended to the log.
    ///
    /// On Linux `loadtest process …` is killed when the *thread* that called this ends. Call it from a runtime thread,
    /// not from a blocking thread.
    ///
    /// # Errors
    /// If the log cannot be opened or the program cannot be started.
    pub fn spawn(&self) -> anyhow::Result<ChildProcess> {
        let log = self.directory.join(format!("{}.log", self.name));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut process = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C at the terminal must reach this process only: it still needs its children to end the run in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        let stdin = process.stdin.take();
        Ok(ChildProcess { name: self.name, process, _stdin: stdin, log })
    }
}

impl ChildProcess {
    /// Waits until `address` accepts connections.
    ///
    /// # Errors
    /// If the process ends first, or does not listen within `bound`.
    pub async fn listening(&mut self, address: SocketAddr, bound: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + bound;
        loop {
            self.check()?;
            if TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("{} does not listen after {bound:?}; last log lines:\n{}", self.name, self.log_tail());
            }
            sleep(LISTEN_POLL).await;
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Sends SIGKILL and waits.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Sends SIGTERM and waits; sends SIGKILL after `bound`.
    ///
    /// # Errors
    /// If the process exits with a failure or had to be killed.
    pub async fn stop(mut self, bound: Duration) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        match timeout(bound, self.process.wait()).await {
            Ok(status) => {
                let status = status?;
                if !status.success() {
                    bail!("{} stopped with {status}; last log lines:\n{}", self.name, self.log_tail());
                }
                Ok(())
            }
            Err(_elapsed) => {
                self.kill().await?;
                bail!("{} did not stop within {bound:?}; last log lines:\n{}", self.name, self.log_tail())
            }
        }
    }

    /// Sends `signal`, unless the process has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        match pid {
            // The child has not been reaped, so the pid is still its own.
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Ok(()),
        }
    }

    /// Resolves with exit status and last log lines when the process ends.
    pub fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<String> {
        let status = ready!(pin!(self.process.wait()).poll(context));
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Poll::Ready(format!("{} ended with {status}; last log lines:\n{}", self.name, self.log_tail()))
    }

    /// # Errors
    /// If the process has ended, with its last log lines.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} ended with {status}; last log lines:\n{}", self.name, self.log_tail())
            }
        }
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}
