//! Flags of `drain-worker tune`.

use std::path::PathBuf;

use clap::value_parser;
use shared::config::DatabaseUrl;

use super::knee::Limits;

/// Finds out how many orders a second the database takes, and recommends a cap.
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
    /// Length of a step, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u32).range(1..=600))]
    pub step_s: u32,
    /// Connections that write: of all workers together
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u32).range(1..=256))]
    pub writers: u32,
    /// Most orders in a transaction; never more than a fiftieth of the rate
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = value_parser!(u32).range(1..=2_000))]
    pub transaction_orders_max: u32,
    /// SKUs that orders are spread over; 1: all for one hot SKU
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    pub skus: u32,
    /// Most units of a SKU for one buyer; without it SKUs have no limit, which is a little cheaper
    #[arg(long, value_name = "UNITS", value_parser = value_parser!(u32).range(1..=1_000))]
    pub per_user_limit: Option<u32>,
    /// How many times its latency at low rates (99 of 100 commits) is too slow
    #[arg(long, value_name = "TIMES", default_value_t = 4, value_parser = value_parser!(u32).range(2..=100))]
    pub latency_factor: u32,
    /// How far the recommended cap stays under what the database kept up with, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 30, value_parser = value_parser!(u32).range(0..=90))]
    pub margin_percent: u32,
    /// Write steps and recommendation to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

const HELP: &str = "What it does
  It makes a database of its own on the server (spillway_scratch_…), commits made-up orders to it at growing rates, by the
  same transactions as a worker's, and drops it at the end, on Ctrl-C too. Each line is a step: what was offered, what was
  committed, how long a batch's transaction took. Below the knee latency hardly changes with the rate; above it orders pile
  up in front of the database and every transaction waits. It doubles back to find the knee within a tenth.

When to run it
  While nobody needs the database: it is driven to its limit, and other users of the server slow down. From a machine as
  far from the database as the workers are. With as many --writers as all workers have together.

What the figure means
  The cap is for orders committed by all workers together. The margin is for what a measurement does not have: tables
  that have grown, backups, other users, a failover's smaller machine. Measure again after the database was changed.

Examples
  drain-worker tune --database-url mysql://admin:…@db:3306/
  drain-worker tune --database-url mysql://admin:…@db:3306/ --skus 1 --writers 16    # one hot SKU, four workers
  drain-worker tune --database-url mysql://admin:…@db:3306/ --from 1000 --to 20000 --step-s 30 --output tune.json

Exit codes: 0 a cap is recommended, 1 failed or stopped, 2 wrong flags.";

impl TuneArgs {
    /// What counts as keeping up.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            follow_min: 0.95,
            latency_factor_max: f64::from(self.latency_factor),
            margin: f64::from(self.margin_percent) / 100.0,
        }
    }
}
