//! Flags of `loadtest bench pool`.

use std::path::PathBuf;

/// Scale the pool 1 → 8, kill two, scale to 2, and see that no second exceeds the cap and how much of it is used.
///
/// Without --real on the embedded broker and SQLite. With it on what `infra/local/stack up` has started; the
/// environment comes from `infra/local/stack env`.
#[derive(Clone, Debug, clap::Args)]
pub struct PoolArgs {
    /// The pool's cap, orders a second
    #[arg(long, value_name = "ORDERS", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=20_000))]
    pub(super) rate: u32,

    /// Length of each of the four phases, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = clap::value_parser!(u64).range(5..=600))]
    pub(super) phase_s: u64,

    /// SKUs that the orders are spread over; 1: one hot row
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) skus: u32,

    /// On the real RocketMQ and MariaDB
    #[arg(long)]
    pub(super) real: bool,

    /// Through the database proxy
    #[arg(long, requires = "real")]
    pub(super) proxy: bool,

    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Leave database, topic and logs behind
    #[arg(long)]
    pub(super) keep: bool,

    /// More flags for every worker, after `--`
    #[arg(last = true, value_name = "FLAGS")]
    pub(super) worker_flags: Vec<String>,
}
