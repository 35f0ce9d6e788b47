//! Broker and database of one run, embedded or real.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fc_model::process::{ChildProcess, ProcessLaunch};
use shared::config::DatabaseUrl;
use shared::loopback::free_loopback_address;
use shared::rocketmq::{ClientConfig, Credentials, CredentialsSource};

use super::launch::own_process;
use super::real::{RealStack, RunResources};
use crate::report::TestedStack;

const EMBEDDED_TOPIC: &str = "orders";

const EMBEDDED_GROUP: &str = "drain";

const START_BOUND: Duration = Duration::from_secs(20);

const STOP_BOUND: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// The embedded broker, started here, and SQLite.
    Embedded,
    /// RocketMQ and MariaDB, started by `infra/local/stack`.
    Real {
        /// True if the worker writes through the database proxy.
        proxy: bool,
    },
}

impl From<Stack> for TestedStack {
    fn from(stack: Stack) -> Self {
        match stack {
            Stack::Embedded => Self::Embedded,
            Stack::Real { proxy: false } => Self::Real,
            Stack::Real { proxy: true } => Self::RealProxy,
        }
    }
}

#[derive(Debug)]
pub struct Environment {
    directory: PathBuf,
    pub client: ClientConfig,
    pub topic: String,
    pub group: String,
    /// For migrations: an account with DDL rights, without a proxy.
    pub migrate_url: DatabaseUrl,
    pub worker_url: DatabaseUrl,
    pub read_url: DatabaseUrl,
    /// `name=hex`, for ingest-fn and for the ids that the ledger derives.
    pub order_id_keys: String,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Embedded { broker: Box<ChildProcess>, launch: ProcessLaunch },
    Real(RealStack),
}

impl Environment {
    /// Starts the embedded broker, or creates topic, group and database on the real stack.
    pub async fn start(stack: Stack, order_id_key_name: &str) -> anyhow::Result<Self> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let run = format!("{now_ms}_{}", std::process::id());
        let directory = std::env::temp_dir().join(format!("spillway-run-{run}"));
        std::fs::create_dir_all(&directory)?;
        let order_id_keys =
            format!("{order_id_key_name}={:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        match stack {
            Stack::Embedded => Self::embedded(directory, order_id_keys).await,
            Stack::Real { proxy } => {
                let RunResources { client, topic, group, migrate_url, worker_url, real } =
                    RunResources::create(proxy, &run).await?;
                Ok(Self {
                    directory,
                    client,
                    topic,
                    group,
                    read_url: migrate_url.clone(),
                    migrate_url,
                    worker_url,
                    order_id_keys,
                    backend: Backend::Real(real),
                })
            }
        }
    }

    async fn embedded(directory: PathBuf, order_id_keys: String) -> anyhow::Result<Self> {
        let url: DatabaseUrl = format!("sqlite:{}", directory.join("orders.sqlite").display()).parse()?;
        let address = free_loopback_address()?;
        let mut client = ClientConfig::new(address.into());
        client.request_timeout = Duration::from_secs(5);
        let mut launch = own_process("broker", &directory)?;
        launch.arguments.extend([
            format!("--dir={}", directory.join("broker").display()),
            format!("--listen={address}"),
            format!("--topic={EMBEDDED_TOPIC}"),
            format!("--group={EMBEDDED_GROUP}"),
        ]);
        let mut broker = launch.spawn()?;
        broker.listening(address, START_BOUND).await?;
        Ok(Self {
            backend: Backend::Embedded { broker: Box::new(broker), launch },
            directory,
            client,
            topic: EMBEDDED_TOPIC.to_owned(),
            group: EMBEDDED_GROUP.to_owned(),
            migrate_url: url.clone(),
            worker_url: url.clone(),
            read_url: url,
            order_id_keys,
        })
    }

    /// Folder of the logs and of the embedded broker's and SQLite's data.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Adds the broker's address to a service's launch. The secret goes into the environment, because arguments show in
    /// process lists.
    pub fn add_broker(&self, launch: &mut ProcessLaunch) {
        launch.arguments.extend([
            format!("--rocketmq-endpoint={}", self.client.endpoints),
            format!("--orders-topic={}", self.topic),
        ]);
        let credentials = self.client.credentials.as_ref().and_then(CredentialsSource::current);
        if let Some(Credentials { access_key, secret_key, .. }) = credentials {
            launch.arguments.push(format!("--rocketmq-access-key={access_key}"));
            launch.environment.push(("SPILLWAY_ROCKETMQ_SECRET_KEY", secret_key));
        }
    }

    /// Kills the embedded broker and starts it again.
    pub async fn crash_broker(&mut self) -> anyhow::Result<()> {
        if let Backend::Embedded { broker, launch } = &mut self.backend {
            broker.kill().await?;
            **broker = launch.spawn()?;
            broker.listening(self.client.endpoints.to_string().parse()?, START_BOUND).await?;
        }
        Ok(())
    }

    /// # Errors
    /// If the embedded broker has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match &mut self.backend {
            Backend::Embedded { broker, .. } => broker.check(),
            Backend::Real(_) => Ok(()),
        }
    }

    /// Names and pids of the processes to sample.
    pub async fn processes(&self) -> anyhow::Result<Vec<(String, u32)>> {
        match &self.backend {
            Backend::Embedded { broker, .. } => {
                Ok(broker.pid().map(|pid| ("broker".to_owned(), pid)).into_iter().collect())
            }
            Backend::Real(real) => real.processes().await,
        }
    }

    /// Restarts the database proxy, if there is one: it reads the schema only at its start.
    pub async fn schema_changed(&self) -> anyhow::Result<()> {
        match &self.backend {
            Backend::Real(real) => real.schema_changed().await,
            Backend::Embedded { .. } => Ok(()),
        }
    }

    /// Stops the broker and removes the run's data, unless `keep`.
    pub async fn stop(self, keep: bool) -> anyhow::Result<()> {
        match self.backend {
            Backend::Embedded { broker, .. } => broker.stop(STOP_BOUND).await?,
            Backend::Real(real) => real.drop(keep).await?,
        }
        if keep {
            println!("Data and logs remain in {}", self.directory.display());
            return Ok(());
        }
        Ok(std::fs::remove_dir_all(&self.directory)?)
    }
}
