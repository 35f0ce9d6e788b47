//! Settings, each by flag or environment variable.

mod database;
mod dead_letters;
mod dlq;
mod drain;
mod operate;
mod orders;
mod purge;

use std::path::PathBuf;

use serde::Serialize;
use shared::config::{LogArgs, RocketmqArgs};
use shared::gateway::SignatureArgs;

use crate::lag::LagArgs;
pub use database::{DatabaseArgs, MigratorArgs};
pub use dead_letters::DeadLetterArgs;
pub use dlq::{DlqBulkArgs, DlqCommand, DlqDiscardArgs, DlqListArgs, DlqShowArgs};
pub use drain::{DrainArgs, DrainSettings};
pub use operate::{
    AdminArgs, AuditArgs, AuditContextArgs, BulkArgs, CallArgs, ChangeArgs, CordonArgs, PauseArgs,
    RateCommand, ResumeArgs, ScheduleCommand, SettingsArgs, StatusArgs,
};
pub use orders::{OrderCommand, OrderFindArgs, OrderShowArgs, SalesArgs};
pub use purge::PurgeArgs;

use crate::tune::TuneArgs;

/// Consumes orders from RocketMQ at the rate that operators set, and commits each exactly once
#[derive(Debug, clap::Parser)]
#[command(name = "drain-worker", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Before the first order is published, once:
  drain-worker init --database-url mysql://migrator:…@db/spillway --catalogue sales.toml
Then, on every worker:
  drain-worker run --database-url mysql://worker:…@db/spillway --initial-rate 2000
While it runs, from any host that reaches a worker's admin port:
  drain-worker status --watch
  drain-worker rate set 3000 --ramp 60s --reason 'sale opens'
  drain-worker pause --for 10m
  drain-worker resume --all

Exit codes: 0 success; 1 runtime failure, or something remains to be done; 2 usage error; 3 the worker refuses the
request; 4 no worker answers, or the one that does cannot serve now: retry; 64 invalid configuration, the URL included.";

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Receive, commit and ack orders until SIGTERM
    Run(Box<RunArgs>),
    /// Apply the schema's migrations (needs an account that may change the schema)
    Migrate(MigrateArgs),
    /// Prepare everything before the first publish: schema, catalogue, the group's offset on every queue
    Init(Box<InitArgs>),
    /// Show the pool: cap, rate, lag, time until drained, workers
    Status(StatusArgs),
    /// Change the pool's cap
    #[command(subcommand)]
    Rate(RateCommand),
    /// Stop commits of the whole pool: add a hold
    Pause(PauseArgs),
    /// End a hold, or all; the pool runs when none is left
    Resume(ResumeArgs),
    /// Let one worker finish and receive no more; the others get its share
    Cordon(CordonArgs),
    /// Let it receive again
    Uncordon(CordonArgs),
    /// Caps by time of day
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Show one order, or list a buyer's
    #[command(subcommand)]
    Order(OrderCommand),
    /// Show stock and reserved units by SKU, and why orders are rejected
    Sales(SalesArgs),
    /// List, show, redrive or discard dead letters
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Show the audit trail: who changed what, and the reason
    Audit(AuditArgs),
    /// Remove old personal data and, on request, old rows, at the pool's cap
    Purge(PurgeArgs),
    /// Print totals of the database as JSON
    Totals(TotalsArgs),
    /// Measure the rate that the database sustains, and recommend a cap
    Tune(Box<TuneArgs>),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct RunArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub rocketmq: RocketmqArgs,
    #[command(flatten)]
    pub drain: DrainArgs,
    #[command(flatten, next_help_heading = "Lookups")]
    pub lookups: SignatureArgs,
    #[command(flatten)]
    pub dead_letters: DeadLetterArgs,
    #[command(flatten)]
    pub lag: LagArgs,
    #[command(flatten)]
    pub logs: LogArgs,
    /// Print the effective configuration as JSON, secrets masked, and exit
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
}

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub database: MigratorArgs,
    #[command(flatten)]
    pub logs: LogArgs,
}

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct InitArgs {
    #[command(flatten)]
    pub database: MigratorArgs,
    /// Catalogue with stock and limits, a TOML or JSON file
    #[arg(long, env = "SPILLWAY_CATALOGUE", value_name = "FILE")]
    pub catalogue: PathBuf,
    #[command(flatten)]
    pub rocketmq: RocketmqArgs,
    /// Consumer group; it must exist
    #[arg(long, env = "SPILLWAY_CONSUMER_GROUP", value_name = "GROUP", default_value = "drain")]
    pub consumer_group: String,
    #[command(flatten)]
    pub context: AuditContextArgs,
    #[command(flatten)]
    pub logs: LogArgs,
}

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct TotalsArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
}
