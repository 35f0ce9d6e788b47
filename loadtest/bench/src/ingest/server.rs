//! The subjects and how each is started.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Context;
use fc_model::process::{ChildProcess, ProcessLaunch};
use loadtest::environment::{Environment, Stack, own_process};
use loadtest::scenario::SALE_ID;
use serde::Serialize;
use shared::catalogue::Catalogue;
use shared::loopback::free_loopback_address;
use shared::order::SaleId;

use super::IngestArgs;
use crate::accounting;

const START_BOUND: Duration = Duration::from_secs(40);

const STOP_BOUND: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IngestSubject {
    /// A plain axum handler that parses the same JSON and responds 202, on single-threaded runtimes as ingest-fn
    AxumBaseline,
    /// The same handler on one multi-threaded runtime, as in axum's examples
    AxumMultiThread,
    /// ingest-fn without a broker: everything but the sending
    NoBroker,
    /// ingest-fn publishing to the real RocketMQ
    Real,
    /// ingest-fn publishing to the embedded broker
    Embedded,
}

impl IngestSubject {
    pub(super) const ALL: [Self; 5] =
        [Self::AxumBaseline, Self::AxumMultiThread, Self::NoBroker, Self::Real, Self::Embedded];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AxumBaseline => "(a) plain axum handler",
            Self::AxumMultiThread => "(a1) the same, one multi-threaded runtime",
            Self::NoBroker => "(b) ingest-fn without a broker",
            Self::Real => "(c) ingest-fn, Apache RocketMQ",
            Self::Embedded => "(d) ingest-fn, embedded broker",
        }
    }
}

impl fmt::Display for IngestSubject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The brokers that the subjects need.
#[derive(Default)]
pub(super) struct Environments {
    embedded: Option<Environment>,
    real: Option<Environment>,
}

impl Environments {
    pub(super) async fn start(catalogue_toml: &str, subjects: &[IngestSubject]) -> anyhow::Result<Self> {
        let catalogue = Catalogue::from_toml(catalogue_toml)?;
        let sale = catalogue.sale(&SaleId::parse(SALE_ID)?);
        let key_name = sale.map(|sale| sale.order_id_key.clone()).unwrap_or_default();
        let mut environments = Self::default();
        // The subject without a broker takes its order-id keys from the embedded environment.
        if subjects.iter().any(|it| matches!(it, IngestSubject::Embedded | IngestSubject::NoBroker)) {
            environments.embedded = Some(Environment::start(Stack::Embedded, &key_name).await?);
        }
        if subjects.contains(&IngestSubject::Real) {
            if std::env::var_os("SPILLWAY_TEST_ROCKETMQ_ENDPOINT").is_some() {
                environments.real = Some(Environment::start(Stack::Real { proxy: false }, &key_name).await?);
            } else {
                println!(
                    "{}: skipped: SPILLWAY_TEST_ROCKETMQ_ENDPOINT is not set; run: infra/local/stack up && eval \"$(infra/local/stack env)\"",
                    IngestSubject::Real
                );
            }
        }
        Ok(environments)
    }

    fn get(&self, subject: IngestSubject) -> Option<&Environment> {
        match subject {
            IngestSubject::AxumBaseline | IngestSubject::AxumMultiThread => None,
            IngestSubject::NoBroker | IngestSubject::Embedded => self.embedded.as_ref(),
            IngestSubject::Real => self.real.as_ref(),
        }
    }

    /// True if `subject` can be measured.
    pub(super) fn has(&self, subject: IngestSubject) -> bool {
        matches!(subject, IngestSubject::AxumBaseline | IngestSubject::AxumMultiThread)
            || self.get(subject).is_some()
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        for environment in [self.embedded, self.real].into_iter().flatten() {
            environment.stop(false).await?;
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct ServerUnderTest {
    pub(super) subject: IngestSubject,
    process: ChildProcess,
    pub(super) address: SocketAddr,
    pub(super) pid: u32,
    /// `None` if the subject has no broker.
    pub(super) broker_pid: Option<u32>,
}

impl ServerUnderTest {
    /// Starts `subject` and waits until it listens.
    pub(super) async fn start(
        subject: IngestSubject,
        environments: &Environments,
        args: &IngestArgs,
        catalogue: &Path,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let address = free_loopback_address()?;
        let mut broker_pid = None;
        let launch = match environments.get(subject) {
            None => {
                let mut launch = own_process("axum-baseline", directory)?;
                launch.arguments.push(format!("--listen={address}"));
                if subject == IngestSubject::AxumBaseline {
                    launch.arguments.push(format!("--workers={}", available_parallelism()?));
                }
                launch
            }
            Some(environment) => {
                let no_broker = subject == IngestSubject::NoBroker;
                let name = if no_broker { "no-broker" } else { "ingest-fn" };
                let mut launch = own_process(name, directory)?;
                if let Some(binary) = args.binary.as_ref().filter(|_| !no_broker) {
                    launch.program.clone_from(binary);
                    launch.arguments.clear();
                }
                ingest_arguments(&mut launch, environment, address, catalogue);
                launch.arguments.extend(args.flags.iter().cloned());
                if !no_broker {
                    let processes = environment.processes().await.unwrap_or_default();
                    broker_pid = processes.into_iter().find(|(name, _)| name == "broker").map(|(_, pid)| pid);
                }
                launch
            }
        };
        let mut process = launch.spawn()?;
        process.listening(address, START_BOUND).await?;
        let pid = process.pid().context("the server has ended")?;
        Ok(Self { subject, process, address, pid, broker_pid })
    }

    pub(super) fn rss_high_bytes(&mut self) -> anyhow::Result<u64> {
        self.process.check()?;
        accounting::rss_high_bytes(self.pid)
    }

    /// Stops ingest-fn in order; kills the subjects that do not handle SIGTERM.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if self.broker_pid.is_some() {
            self.process.stop(STOP_BOUND).await
        } else {
            self.process.kill().await
        }
    }
}

/// Adds ingest-fn's arguments and secrets.
pub(crate) fn ingest_arguments(
    launch: &mut ProcessLaunch,
    environment: &Environment,
    listen: SocketAddr,
    catalogue: &Path,
) {
    environment.add_broker(launch);
    launch.arguments.push(format!("--listen={listen}"));
    launch.arguments.push(format!("--catalogue={}", catalogue.display()));
    launch.environment.push(("SPILLWAY_ORDER_ID_KEYS", environment.order_id_keys.clone()));
    launch.environment.push(("SPILLWAY_INSECURE_DEV", "true".to_owned()));
}
