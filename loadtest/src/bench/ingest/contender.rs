//! Who is measured, and how each is started.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::args::IngestArgs;
use crate::bench::children::rss_high_bytes;
use crate::parts::{Child, free_address};
use crate::stage::Stage;

/// A server under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// A bare axum handler that parses the same JSON and answers 202
    Bare,
    /// The same handler on as many runtimes of one thread each as ingest-fn has
    BareWorkers,
    /// ingest-fn without a broker: everything but the sending
    Unpublished,
    /// ingest-fn publishing to the real RocketMQ
    Real,
    /// ingest-fn publishing to the embedded broker
    Embedded,
}

impl Contender {
    pub(super) const ALL: [Self; 5] =
        [Self::Bare, Self::BareWorkers, Self::Unpublished, Self::Real, Self::Embedded];

    /// For the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "(a) bare axum handler",
            Self::BareWorkers => "(a1) the same, a runtime a thread",
            Self::Unpublished => "(b) ingest-fn, publishing off",
            Self::Real => "(c) ingest-fn, Apache RocketMQ",
            Self::Embedded => "(d) ingest-fn, embedded broker",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Where a contender finds its broker.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// It needs none.
    Nowhere,
    /// Here. The one without a broker takes its keys from it all the same.
    Stage(&'a Stage),
}

/// A contender under way.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    pub(super) address: SocketAddr,
    pub(super) pid: u32,
    /// Of the broker, if it has to do with the orders.
    pub(super) broker_pid: Option<u32>,
}

/// How long a start may take.
const START_BOUND: Duration = Duration::from_secs(40);

const STOP_BOUND: Duration = Duration::from_secs(30);

impl Server {
    /// Starts `contender` and waits until it listens.
    pub(super) async fn start(
        contender: Contender,
        place: &Place<'_>,
        args: &IngestArgs,
        catalogue: &Path,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let (mut process, broker_pid) = match place {
            Place::Nowhere => {
                let mut arguments = vec![format!("--listen={address}")];
                if contender == Contender::BareWorkers {
                    arguments.push(format!("--workers={}", available_parallelism()?));
                }
                (Child::start("bare", &arguments, &[], directory)?, None)
            }
            Place::Stage(stage) => {
                let mut launch = ingest_launch(stage, address, catalogue);
                launch.arguments.extend(args.flags.iter().cloned());
                let (arguments, environment) = (&launch.arguments, &launch.environment);
                let name = if contender == Contender::Unpublished { "unpublished" } else { "ingest-fn" };
                let process = match &args.binary {
                    Some(program) if contender != Contender::Unpublished => {
                        Child::start_program(program, name, arguments, environment, directory)?
                    }
                    _ => Child::start(name, arguments, environment, directory)?,
                };
                (process, if contender == Contender::Unpublished { None } else { broker_pid(stage).await })
            }
        };
        process.listening(address, START_BOUND).await?;
        let pid = process.pid().context("the server has ended")?;
        Ok(Self { process, address, pid, broker_pid })
    }

    /// The most memory that it has held so far, bytes.
    pub(super) fn rss_high_bytes(&mut self) -> anyhow::Result<u64> {
        self.process.check()?;
        rss_high_bytes(self.pid)
    }

    /// Ends it: in order if it knows how to.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if self.broker_pid.is_some() {
            self.process.stop(STOP_BOUND).await
        } else {
            self.process.kill().await
        }
    }
}

async fn broker_pid(stage: &Stage) -> Option<u32> {
    let processes = stage.processes().await.ok()?;
    processes.into_iter().find(|(name, _)| name == "broker").map(|(_, pid)| pid)
}

/// How ingest-fn is started.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Launch {
    pub(in crate::bench) arguments: Vec<String>,
    pub(in crate::bench) environment: Vec<(&'static str, String)>,
}

/// Flags and environment of ingest-fn for `stage`.
pub(in crate::bench) fn ingest_launch(stage: &Stage, listen: SocketAddr, catalogue: &Path) -> Launch {
    let (mut arguments, mut environment) = stage.broker_flags();
    arguments.push(format!("--listen={listen}"));
    arguments.push(format!("--catalogue={}", catalogue.display()));
    environment.push(("SPILLWAY_ORDER_ID_KEYS", stage.order_id_keys.clone()));
    environment.push(("SPILLWAY_INSECURE_DEV", "true".to_owned()));
    Launch { arguments, environment }
}
