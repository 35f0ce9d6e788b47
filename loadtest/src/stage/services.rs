//! The services of one run, as child processes.

use std::net::SocketAddr;
use std::time::Duration;

use shared::rocketmq::Credentials;
use tokio::time::sleep;

use super::Stage;
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
}

/// ingest-fn and the drain worker.
#[derive(Debug)]
pub struct Services {
    /// Where orders are posted.
    pub ingest: SocketAddr,
    /// Where orders are looked up.
    pub query: SocketAddr,
    /// The worker's metrics.
    pub admin: SocketAddr,
    ingest_process: Child,
    worker_process: Child,
    worker: Launch,
}

/// How a part is started, again if need be.
#[derive(Clone, Debug)]
struct Launch {
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    directory: std::path::PathBuf,
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
        let mut common = vec![
            format!("--rocketmq-endpoint={}", stage.client.endpoint),
            format!("--orders-topic={}", stage.topic),
        ];
        // Secrets go by the environment: flags show in process lists.
        let mut secrets = Vec::new();
        if let Some(Credentials { access_key, secret_key, .. }) = &stage.client.credentials {
            common.push(format!("--rocketmq-access-key={access_key}"));
            secrets.push(("SPILLWAY_ROCKETMQ_SECRET_KEY", secret_key.clone()));
        }
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
        let launch_ingest = Launch {
            arguments: [
                common.as_slice(),
                &[format!("--listen={ingest}"), format!("--catalogue={}", catalogue.display())],
            ]
            .concat(),
            environment: [&[("SPILLWAY_ORDER_ID_KEYS", stage.order_id_keys.clone())], secrets.as_slice()]
                .concat(),
            directory: stage.directory().to_owned(),
        };
        let mut worker_process = worker.start("drain-worker")?;
        let mut ingest_process = launch_ingest.start("ingest-fn")?;
        worker_process.listening(admin, START_BOUND).await?;
        ingest_process.listening(ingest, START_BOUND).await?;
        Ok(Self { ingest, query, admin, ingest_process, worker_process, worker })
    }

    /// Processes to watch: name and pid.
    #[must_use]
    pub fn processes(&self) -> Vec<(String, u32)> {
        let parts = [("ingest-fn", &self.ingest_process), ("drain-worker", &self.worker_process)];
        parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part.pid()?))).collect()
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

    /// Stops them in order.
    ///
    /// # Errors
    /// If one stops with a failure.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.ingest_process.stop(STOP_BOUND).await?;
        self.worker_process.stop(STOP_BOUND).await
    }
}
