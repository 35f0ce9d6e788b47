//! The services of one run, as child processes.

use std::net::SocketAddr;
use std::time::Duration;

use shared::rocketmq::Credentials;
use tokio::time::sleep;

use super::{CATALOGUE, DemoArgs, Stage};
use crate::parts::{Child, free_address};

const START_BOUND: Duration = Duration::from_secs(40);

const STOP_BOUND: Duration = Duration::from_secs(30);

/// ingest-fn and the drain worker.
#[derive(Debug)]
pub(super) struct Services {
    /// Where orders are posted.
    pub(super) ingest: SocketAddr,
    /// Where orders are looked up.
    pub(super) query: SocketAddr,
    /// The worker's metrics.
    pub(super) admin: SocketAddr,
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
    pub(super) async fn start(args: &DemoArgs, stage: &Stage) -> anyhow::Result<Self> {
        let (ingest, query, admin) = (free_address()?, free_address()?, free_address()?);
        let catalogue = stage.directory().join("catalogue.toml");
        std::fs::write(&catalogue, CATALOGUE)?;
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
                    format!("--rate={}", args.rate),
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

    /// Ends the worker as a crash would, and starts it again.
    pub(super) async fn crash_worker(&mut self) -> anyhow::Result<()> {
        self.worker_process.kill().await?;
        sleep(Duration::from_millis(500)).await;
        self.worker_process = self.worker.start("drain-worker")?;
        self.worker_process.listening(self.admin, START_BOUND).await
    }

    /// Says so if a service has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.ingest_process.check()?;
        self.worker_process.check()
    }

    /// Stops them in order.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.ingest_process.stop(STOP_BOUND).await?;
        self.worker_process.stop(STOP_BOUND).await
    }
}
