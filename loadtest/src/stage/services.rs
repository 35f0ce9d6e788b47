//! The services of one run, as child processes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;

use super::Stage;
use crate::fc_local;
use crate::parts::{Child, free_address};

const START_BOUND: Duration = Duration::from_secs(40);

const STOP_BOUND: Duration = Duration::from_secs(30);

/// How the services are started.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// The catalogue, TOML.
    pub catalogue_toml: String,
    /// Most orders committed in any one second.
    pub rate: u32,
    /// Flags of fc-local, which then starts instances of ingest-fn behind itself; `None`: one ingest-fn, no platform.
    pub through_fc: Option<Vec<String>>,
}

/// ingest-fn, or the platform with its instances, and the drain worker.
#[derive(Debug)]
pub struct Services {
    /// Where orders are posted.
    pub ingest: SocketAddr,
    /// Where orders are looked up.
    pub query: SocketAddr,
    /// The worker's metrics.
    pub admin: SocketAddr,
    ingest_process: Child,
    /// What the platform tells of itself once it has stopped.
    platform_json: Option<PathBuf>,
    worker_process: Child,
    worker: Launch,
}

/// How a part is started, again if need be.
#[derive(Clone, Debug)]
struct Launch {
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    directory: PathBuf,
}

impl Launch {
    fn start(&self, name: &'static str) -> anyhow::Result<Child> {
        Child::start(name, &self.arguments, &self.environment, &self.directory)
    }
}

impl Services {
    /// Starts both and waits until they listen.
    ///
    /// # Errors
    /// If one does not.
    pub async fn start(config: &ServiceConfig, stage: &Stage) -> anyhow::Result<Self> {
        let (ingest, query, admin) = (free_address()?, free_address()?, free_address()?);
        let catalogue = stage.directory().join("catalogue.toml");
        std::fs::write(&catalogue, &config.catalogue_toml)?;
        let (common, secrets) = stage.broker_flags();
        let worker = Launch {
            arguments: [
                &["run".to_owned()],
                common.as_slice(),
                &[
                    format!("--consumer-group={}", stage.group),
                    format!("--rate={}", config.rate),
                    format!("--query-listen={query}"),
                    format!("--admin-listen={admin}"),
                    // The shortest: what a killed worker held comes back after this.
                    "--invisible-s=10".to_owned(),
                ],
            ]
            .concat(),
            environment: [
                &[("SPILLWAY_DATABASE_URL", stage.worker_url.expose().to_owned())],
                secrets.as_slice(),
            ]
            .concat(),
            directory: stage.directory().to_owned(),
        };
        let catalogue_flag = format!("--catalogue={}", catalogue.display());
        let platform_json = config.through_fc.as_ref().map(|_| stage.directory().join("fc-local.json"));
        let arguments = match (&config.through_fc, &platform_json) {
            (Some(flags), Some(json)) => [
                &[format!("--listen={ingest}"), "--admin-listen=127.0.0.1:0".to_owned()],
                &[format!("--json={}", json.display()), format!("--log-dir={}", stage.directory().display())],
                flags.as_slice(),
                &["--".to_owned()],
                common.as_slice(),
                &[catalogue_flag],
            ]
            .concat(),
            _ => [common.as_slice(), &[format!("--listen={ingest}"), catalogue_flag]].concat(),
        };
        let launch_ingest = Launch {
            arguments,
            environment: [
                &[("SPILLWAY_ORDER_ID_KEYS", stage.order_id_keys.clone())],
                &[("SPILLWAY_INSECURE_DEV", "true".to_owned())],
                secrets.as_slice(),
            ]
            .concat(),
            directory: stage.directory().to_owned(),
        };
        let name = if platform_json.is_some() { "fc-local" } else { "ingest-fn" };
        let mut worker_process = worker.start("drain-worker")?;
        let mut ingest_process = launch_ingest.start(name)?;
        worker_process.listening(admin, START_BOUND).await?;
        ingest_process.listening(ingest, START_BOUND).await?;
        Ok(Self { ingest, query, admin, ingest_process, platform_json, worker_process, worker })
    }

    /// Processes to watch: name and pid.
    #[must_use]
    pub fn processes(&self) -> Vec<(String, u32)> {
        let mut processes = Vec::new();
        if let Some(pid) = self.ingest_process.pid() {
            let platform = self.platform_json.is_some();
            let name = if platform { "loadtest fc-local" } else { "ingest-fn" };
            processes.push((name.to_owned(), pid));
            let instances = if platform { children(pid) } else { Vec::new() };
            processes.extend(instances.into_iter().map(|pid| (format!("ingest-fn {pid}"), pid)));
        }
        processes.extend(self.worker_process.pid().map(|pid| ("drain-worker".to_owned(), pid)));
        processes
    }

    /// Ends the worker as a crash would, and starts it again.
    ///
    /// # Errors
    /// If it does not come back.
    pub async fn crash_worker(&mut self) -> anyhow::Result<()> {
        self.worker_process.kill().await?;
        sleep(Duration::from_millis(500)).await;
        self.worker_process = self.worker.start("drain-worker")?;
        self.worker_process.listening(self.admin, START_BOUND).await
    }

    /// Says so if a service has ended by itself.
    ///
    /// # Errors
    /// If one has.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.ingest_process.check()?;
        self.worker_process.check()
    }

    /// Stops them in order. What the platform tells of itself, if it was there.
    ///
    /// # Errors
    /// If one stops with a failure.
    pub async fn stop(self) -> anyhow::Result<Option<fc_local::Summary>> {
        self.ingest_process.stop(STOP_BOUND).await?;
        let summary = match &self.platform_json {
            Some(json) => Some(serde_json::from_slice(&std::fs::read(json)?)?),
            None => None,
        };
        self.worker_process.stop(STOP_BOUND).await?;
        Ok(summary)
    }
}

/// Processes that `pid`'s main thread has started.
#[cfg(target_os = "linux")]
fn children(pid: u32) -> Vec<u32> {
    let main_thread = || {
        let pid = i32::try_from(pid).ok()?;
        procfs::process::Process::new(pid).ok()?.task_from_tid(pid).ok()?.children().ok()
    };
    main_thread().unwrap_or_default()
}

/// The system does not tell.
#[cfg(not(target_os = "linux"))]
fn children(_pid: u32) -> Vec<u32> {
    Vec::new()
}
