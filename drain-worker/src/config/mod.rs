//! GroupSettings, by flag and environment alike.

mod database;
mod dead_letters;
mod dlq;
mod drain;
mod operate;

use std::path::PathBuf;

use serde::Serialize;
use shared::config::{LogArgs, RocketmqArgs};
use shared::gateway::SignatureArgs;

use crate::lag::LagArgs;
pub use database::{DatabaseArgs, MigratorArgs};
pub use dead_letters::DeadLetterArgs;
pub use dlq::{DlqBulkArgs, DlqCommand, DlqListArgs, DlqShowArgs};
pub use drain::{DrainArgs, DrainSettings};
pub use operate::{
    AdminArgs, AuditArgs, AuditContextArgs, PauseArgs, RateCommand, ResumeArgs, ScheduleCommand, StatusArgs,
};

use crate::tune::TuneArgs;

/// Takes orders off RocketMQ at the rate that operators set, and writes each exactly once.
#[derive(Debug, clap::Parser)]
#[command(name = "drain-worker", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Before the first order is published, once:
  drain-worker init --database-url mysql://migrator:…@db/spillway --catalogue sales.toml
Then, on every worker:
  drain-worker run --database-url mysql://worker:…@db/spillway --rate 2000
While it runs, from wherever a worker's admin port can be reached:
  drain-worker status --watch
  drain-worker rate set 3000 --ramp 60s --why 'sale opens'
  drain-worker pause --for 10m
  drain-worker resume

Exit codes: 0 done, or stopped in order; 1 failed; 2 wrong flags; 64 wrong configuration.";

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Drain: receive, write, acknowledge, until told to stop
    Run(Box<RunArgs>),
    /// Bring the database's schema up to date (needs an account that may do DDL)
    Migrate(MigrateArgs),
    /// Prepare everything before the first publish: schema, catalogue, the group's place on every queue
    Init(Box<InitArgs>),
    /// Show the pool: cap, speed, lag, time to drained, workers
    Status(StatusArgs),
    /// Change the pool's cap
    #[command(subcommand)]
    Rate(RateCommand),
    /// Commit nothing for a while, in the whole pool
    Pause(PauseArgs),
    /// End a pause
    Resume(ResumeArgs),
    /// Caps by the time of day
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Dead letters: list, show, redrive, give up
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Show who changed what, and why
    Audit(AuditArgs),
    /// Print totals of the database as JSON
    Totals(TotalsArgs),
    /// Find out what the database takes, and recommend a cap
    Tune(Box<TuneArgs>),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Flags of `run`.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct RunArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// RocketMQ's connection.
    #[command(flatten)]
    pub rocketmq: RocketmqArgs,
    /// The drain's bounds.
    #[command(flatten)]
    pub drain: DrainArgs,
    /// Lookups.
    #[command(flatten, next_help_heading = "Lookups")]
    pub lookups: SignatureArgs,
    /// Dead letters.
    #[command(flatten)]
    pub dead_letters: DeadLetterArgs,
    /// What waits on the broker.
    #[command(flatten)]
    pub lag: LagArgs,
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Print the effective configuration as JSON, secrets masked, and exit
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
}

/// Flags of `migrate`.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct MigrateArgs {
    /// The database.
    #[command(flatten)]
    pub database: MigratorArgs,
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Flags of `init`.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct InitArgs {
    /// The database.
    #[command(flatten)]
    pub database: MigratorArgs,
    /// Catalogue whose stock and limits the database takes over, a TOML or JSON file
    #[arg(long, env = "SPILLWAY_CATALOGUE", value_name = "FILE")]
    pub catalogue: PathBuf,
    /// RocketMQ's connection.
    #[command(flatten)]
    pub rocketmq: RocketmqArgs,
    /// Consumer group; it must exist
    #[arg(long, env = "SPILLWAY_CONSUMER_GROUP", value_name = "GROUP", default_value = "drain")]
    pub consumer_group: String,
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Flags of `totals`.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct TotalsArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}
