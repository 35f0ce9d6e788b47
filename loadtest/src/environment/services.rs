//! The services of one run as child processes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fc_model::process::{ChildProcess, ProcessLaunch};
use fc_model::real_time::FrontSummary;
use shared::loopback::free_loopback_address;
use tokio::time::sleep;

use super::launch::own_process;
use super::stack::Environment;

const START_BOUND: Duration = Duration::from_secs(40);

const STOP_BOUND: Duration = Duration::from_secs(30);

/// Time for which a worker hides a received message, the minimum: those of a killed worker are redelivered then.
pub(super) const INVISIBLE: Duration = Duration::from_secs(10);

/// Pause between the kill of a worker and its restart.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// ingest-fn, or fc-local with its instances, and the drain worker.
#[derive(Debug)]
pub struct Services {
    pub ingest: SocketAddr,
    pub query: SocketAddr,
    pub admin: SocketAddr,
    ingest_process: ChildProcess,
    /// Written by fc-local when it stops.
    fc_local_json: Option<PathBuf>,
    worker_process: ChildProcess,
    worker: ProcessLaunch,
}

impl Services {
    /// Starts the services and waits until they listen. `through_fc` are the flags of fc-local, `None` starts a single
    /// ingest-fn.
    pub async fn start(
        environment: &Environment,
        catalogue_toml: &str,
        drain_rate: u32,
        through_fc: Option<&[String]>,
    ) -> anyhow::Result<Self> {
        let (ingest, query, admin) =
            (free_loopback_address()?, free_loopback_address()?, free_loopback_address()?);
        let directory = environment.directory();
        let catalogue = directory.join("catalogue.toml");
        std::fs::write(&catalogue, catalogue_toml)?;
        let mut worker = own_process("drain-worker", directory)?;
        worker.arguments.push("run".to_owned());
        environment.add_broker(&mut worker);
        worker.arguments.extend([
            format!("--consumer-group={}", environment.group),
            format!("--initial-rate={drain_rate}"),
            format!("--query-listen={query}"),
            format!("--admin-listen={admin}"),
            format!("--invisible-s={}", INVISIBLE.as_secs()),
        ]);
        worker.environment.push(("SPILLWAY_DATABASE_URL", environment.worker_url.expose().to_owned()));
        let fc_local_json = through_fc.map(|_| directory.join("fc-local.json"));
        let mut front = match (through_fc, &fc_local_json) {
            (Some(flags), Some(json)) => {
                let mut front = own_process("fc-local", directory)?;
                front.arguments.extend([
                    format!("--listen={ingest}"),
                    "--admin-listen=127.0.0.1:0".to_owned(),
                    format!("--json={}", json.display()),
                    format!("--log-dir={}", directory.display()),
                ]);
                front.arguments.extend_from_slice(flags);
                front.arguments.push("--".to_owned());
                front
            }
            _ => {
                let mut front = own_process("ingest-fn", directory)?;
                front.arguments.push(format!("--listen={ingest}"));
                front
            }
        };
        environment.add_broker(&mut front);
        front.arguments.push(format!("--catalogue={}", catalogue.display()));
        front.environment.extend([
            ("SPILLWAY_ORDER_ID_KEYS", environment.order_id_keys.clone()),
            ("SPILLWAY_INSECURE_DEV", "true".to_owned()),
        ]);
        let mut worker_process = worker.spawn()?;
        let mut ingest_process = front.spawn()?;
        worker_process.listening(admin, START_BOUND).await?;
        ingest_process.listening(ingest, START_BOUND).await?;
        Ok(Self { ingest, query, admin, ingest_process, fc_local_json, worker_process, worker })
    }

    /// Names and pids of the processes to sample.
    pub fn processes(&self) -> Vec<(String, u32)> {
        let mut processes = Vec::new();
        if let Some(pid) = self.ingest_process.pid() {
            let through_fc = self.fc_local_json.is_some();
            let name = if through_fc { "loadtest fc-local" } else { "ingest-fn" };
            processes.push((name.to_owned(), pid));
            let instances = if through_fc { children(pid) } else { Vec::new() };
            processes.extend(instances.into_iter().map(|pid| (format!("ingest-fn {pid}"), pid)));
        }
        processes.extend(self.worker_process.pid().map(|pid| ("drain-worker".to_owned(), pid)));
        processes
    }

    /// Kills the worker and starts it again.
    pub async fn crash_worker(&mut self) -> anyhow::Result<()> {
        self.worker_process.kill().await?;
        sleep(RESTART_PAUSE).await;
        self.worker_process = self.worker.spawn()?;
        self.worker_process.listening(self.admin, START_BOUND).await
    }

    /// # Errors
    /// If a service has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.ingest_process.check()?;
        self.worker_process.check()
    }

    /// Stops the services in order; returns fc-local's summary, if it was used.
    pub async fn stop(self) -> anyhow::Result<Option<FrontSummary>> {
        self.ingest_process.stop(STOP_BOUND).await?;
        let summary = match &self.fc_local_json {
            Some(json) => Some(serde_json::from_slice(&std::fs::read(json)?)?),
            None => None,
        };
        self.worker_process.stop(STOP_BOUND).await?;
        Ok(summary)
    }
}

/// Pids of the processes that `pid`'s main thread has started.
#[cfg(target_os = "linux")]
fn children(pid: u32) -> Vec<u32> {
    let main_thread = || {
        let pid = i32::try_from(pid).ok()?;
        procfs::process::Process::new(pid).ok()?.task_from_tid(pid).ok()?.children().ok()
    };
    main_thread().unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn children(_pid: u32) -> Vec<u32> {
    Vec::new()
}
