//! Flags of `drain-worker tune`.

use std::path::PathBuf;

use clap::value_parser;
use shared::config::DatabaseUrl;

use super::knee::Limits;

/// Measures how many orders a second the database sustains, and recommends a cap
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct TuneArgs {
    /// The database server, with an account that may create and drop databases: mysql://user:password@host:port/
    #[arg(long, env = "SPILLWAY_TUNE_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// First rate, orders a second
    #[arg(long, value_name = "RATE", default_value_t = 500, value_parser = value_parser!(u32).range(10..=1_000_000))]
    pub from: u32,
    /// Highest rate, orders a second
    #[arg(long, value_name = "RATE", default_value_t = 100_000, value_parser = value_parser!(u32).range(10..=1_000_000))]
    pub to: u32,
    /// Duration of a step, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u32).range(1..=600))]
    pub step_s: u32,
    /// Connections that write: those of all workers together
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u32).range(1..=256))]
    pub writers: u32,
    /// Maximum orders in a transaction; never more than a fiftieth of the rate
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = value_parser!(u32).range(1..=2_000))]
    pub transaction_orders_max: u32,
    /// Number of SKUs over which orders are spread; 1: one hot SKU
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    pub skus: u32,
    /// Maximum units of a SKU per buyer; without it SKUs have no limit, which costs a little less
    #[arg(long, value_name = "UNITS", value_parser = value_parser!(u32).range(1..=1_000))]
    pub per_user_limit: Option<u32>,
    /// Commits are too slow from this multiple of the p99 at low rates on
    #[arg(long, value_name = "TIMES", default_value_t = 4, value_parser = value_parser!(u32).range(2..=100))]
    pub latency_factor: u32,
    /// Margin of the recommended cap below the sustained rate, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 30, value_parser = value_parser!(u32).range(0..=90))]
    pub margin_percent: u32,
    /// Write steps and recommendation to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print steps and recommendation as JSON at the end; the steps go to standard error meanwhile
    #[arg(long)]
    pub json: bool,
}

const HELP: &str = "What it does
  It creates a database on the server (spillway_scratch_…), commits generated orders to it at growing rates, by the same
  transactions as a worker, and drops it at the end, also on Ctrl-C. Each line is a step: the offered rate, the committed
  rate, the duration of a batch's transaction. Below the knee the latency hardly changes with the rate; above it orders
  queue in front of the database and every transaction waits. The search bisects until the knee is known within a tenth.

When to run it
  While the database is not in use: the test drives it to its limit, and other users of the server slow down. From a
  machine as far from the database as the workers are. With as many --writers as all workers have together.

What the result means
  The cap is for orders committed by all workers together. The margin covers what a measurement lacks: tables that have
  grown, backups, other users, a smaller machine after a failover. Measure again after a change of the database.

Examples
  drain-worker tune --database-url mysql://admin:…@db:3306/
  drain-worker tune --database-url mysql://admin:…@db:3306/ --skus 1 --writers 16    # one hot SKU, four workers
  drain-worker tune --database-url mysql://admin:…@db:3306/ --from 1000 --to 20000 --step-s 30 --output tune.json

Exit codes: 0 a cap is recommended; 1 failed or stopped; 2 usage error.";

impl TuneArgs {
    /// The limits of a sustained rate.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            follow_min: 0.95,
            latency_factor_max: f64::from(self.latency_factor),
            margin: f64::from(self.margin_percent) / 100.0,
        }
    }
}
