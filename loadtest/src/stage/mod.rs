//! Where a sale is played: broker, database and services, embedded or real.

mod real;
mod services;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shared::config::DatabaseUrl;
use shared::rocketmq::{ClientConfig, Credentials};

use crate::parts::{Child, free_address};
use crate::report;
use real::Real;

pub use services::{ServiceConfig, Services};

/// The embedded broker's topic.
const TOPIC: &str = "orders";

/// The embedded broker's group.
const GROUP: &str = "drain";

/// What a run is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// The embedded broker and SQLite, started here.
    Embedded,
    /// The real RocketMQ and MariaDB, which `infra/local/stack` has started.
    Real {
        /// Whether the worker writes through the database proxy.
        proxy: bool,
    },
}

impl Stack {
    /// How the report calls it.
    #[must_use]
    pub const fn in_report(self) -> report::Stack {
        match self {
            Self::Embedded => report::Stack::Embedded,
            Self::Real { proxy: false } => report::Stack::Real,
            Self::Real { proxy: true } => report::Stack::RealProxy,
        }
    }
}

/// Broker and database of one run.
#[derive(Debug)]
pub struct Stage {
    directory: PathBuf,
    /// The broker's connection.
    pub client: ClientConfig,
    /// The run's topic.
    pub topic: String,
    /// The run's consumer group.
    pub group: String,
    /// For the schema: an account that may do DDL, no proxy between.
    pub migrate_url: DatabaseUrl,
    /// For the worker.
    pub worker_url: DatabaseUrl,
    /// For the ledger.
    pub read_url: DatabaseUrl,
    /// For ingest-fn, and for deriving the ids that the answers must have: `name=hex`.
    pub order_id_keys: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The broker's process.
    Embedded(Child),
    Real(Real),
}

/// What parts a run from others: names of topics, databases and folders hold it.
fn run_name() -> anyhow::Result<String> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(format!("{now_ms}_{}", std::process::id()))
}

impl Stage {
    /// Sets the stage. `key_name` is what the catalogue calls its order-id key.
    ///
    /// # Errors
    /// If a part cannot be started, or does not answer.
    pub async fn set(stack: Stack, key_name: &str) -> anyhow::Result<Self> {
        let run = run_name()?;
        let directory = std::env::temp_dir().join(format!("spillway-run-{run}"));
        std::fs::create_dir_all(&directory)?;
        let order_id_keys =
            format!("{key_name}={:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        match stack {
            Stack::Embedded => Self::embedded(directory, order_id_keys).await,
            Stack::Real { proxy } => real::stage(proxy, directory, &run, order_id_keys).await,
        }
    }

    async fn embedded(directory: PathBuf, order_id_keys: String) -> anyhow::Result<Self> {
        let url: DatabaseUrl = format!("sqlite:{}", directory.join("orders.sqlite").display()).parse()?;
        let mut client = ClientConfig::new(free_address()?.into());
        client.request_timeout = Duration::from_secs(5);
        Ok(Self {
            kind: Kind::Embedded(start_broker(&directory, &client).await?),
            directory,
            client,
            topic: TOPIC.to_owned(),
            group: GROUP.to_owned(),
            migrate_url: url.clone(),
            worker_url: url.clone(),
            read_url: url,
            order_id_keys,
        })
    }

    /// Logs, and the embedded parts' data.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What tells a service where the broker is: flags, and the environment of what is secret, because flags show in
    /// process lists.
    #[must_use]
    pub fn broker_flags(&self) -> (Vec<String>, Vec<(&'static str, String)>) {
        let mut flags = vec![
            format!("--rocketmq-endpoint={}", self.client.endpoint),
            format!("--orders-topic={}", self.topic),
        ];
        let mut secrets = Vec::new();
        if let Some(Credentials { access_key, secret_key, .. }) = &self.client.credentials {
            flags.push(format!("--rocketmq-access-key={access_key}"));
            secrets.push(("SPILLWAY_ROCKETMQ_SECRET_KEY", secret_key.clone()));
        }
        (flags, secrets)
    }

    /// Ends the embedded broker as a crash would, and starts it again.
    ///
    /// # Errors
    /// If it does not come back.
    pub async fn crash_broker(&mut self) -> anyhow::Result<()> {
        if let Kind::Embedded(broker) = &mut self.kind {
            broker.kill().await?;
            *broker = start_broker(&self.directory, &self.client).await?;
        }
        Ok(())
    }

    /// Says so if the embedded broker has ended by itself.
    ///
    /// # Errors
    /// If it has.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Embedded(broker) => broker.check(),
            Kind::Real(_) => Ok(()),
        }
    }

    /// Processes to watch: name and pid.
    ///
    /// # Errors
    /// If the real stack's script does not answer.
    pub async fn processes(&self) -> anyhow::Result<Vec<(String, u32)>> {
        match &self.kind {
            Kind::Embedded(broker) => {
                Ok(broker.pid().map(|pid| ("broker".to_owned(), pid)).into_iter().collect())
            }
            Kind::Real(real) => real.processes().await,
        }
    }

    /// Has the database proxy read the schema anew: it does so only at its start.
    ///
    /// # Errors
    /// If it does not come back.
    pub async fn schema_changed(&self) -> anyhow::Result<()> {
        match &self.kind {
            Kind::Real(real) => real.schema_changed().await,
            Kind::Embedded(_) => Ok(()),
        }
    }

    /// Clears away what the run made, unless it is to be kept.
    ///
    /// # Errors
    /// If something cannot be stopped or removed.
    pub async fn strike(self, keep: bool) -> anyhow::Result<()> {
        match self.kind {
            Kind::Embedded(broker) => broker.stop(Duration::from_secs(30)).await?,
            Kind::Real(real) => real.strike(keep).await?,
        }
        if keep {
            println!("Left behind: {}", self.directory.display());
            return Ok(());
        }
        Ok(std::fs::remove_dir_all(&self.directory)?)
    }
}

async fn start_broker(directory: &Path, client: &ClientConfig) -> anyhow::Result<Child> {
    let address = client.endpoint.to_string();
    let arguments = [
        format!("--dir={}", directory.join("broker").display()),
        format!("--listen={address}"),
        format!("--topic={TOPIC}"),
        format!("--group={GROUP}"),
    ];
    let mut broker = Child::start("broker", &arguments, &[], directory)?;
    broker.listening(address.parse()?, Duration::from_secs(20)).await?;
    Ok(broker)
}
