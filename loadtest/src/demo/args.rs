//! Flags of the demo.

use std::num::NonZeroU32;
use std::path::PathBuf;

/// Play a small flash sale through the whole path and check the ledger.
///
/// Everything runs as child processes of this one, on loopback: the embedded broker and SQLite, or with --real the
/// parts that infra/local/stack has started.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 the ledger adds up, 1 it does not or the demo failed, 2 wrong flags.")]
pub struct DemoArgs {
    /// Orders to place at the least, besides replays, changed bodies and invalid ones
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub orders: u32,

    /// Most orders that the drain commits in any one second
    #[arg(long, value_name = "ORDERS", default_value = "2000")]
    pub rate: NonZeroU32,

    /// Requests a second in the burst
    #[arg(long, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub burst: u32,

    /// Seed of every choice; the same seed asks for the same
    #[arg(long, default_value_t = 42)]
    pub seed: u64,

    /// Connections to ingest-fn
    #[arg(long, value_name = "COUNT", default_value_t = 128)]
    pub connections: u32,

    /// Use the real RocketMQ and MariaDB: eval "$(infra/local/stack env)" first
    #[arg(long)]
    pub real: bool,

    /// With --real: write through the database proxy
    #[arg(long, requires = "real")]
    pub proxy: bool,

    /// Kill the drain worker (SIGKILL) in the middle and start it again
    #[arg(long)]
    pub kill_worker: bool,

    /// Kill the embedded broker (SIGKILL) in the middle and start it again
    #[arg(long, conflicts_with = "real")]
    pub kill_broker: bool,

    /// Leave everything running afterwards, with the addresses printed, until Ctrl-C
    #[arg(long)]
    pub keep: bool,

    /// Write the ledger's verdict to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
