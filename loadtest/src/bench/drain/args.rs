//! Flags of `loadtest bench drain`.

use std::path::PathBuf;

use clap::value_parser;
use shared::config::DatabaseUrl;

use super::contender::Contender;

/// How fast the drain's store commits, beside a plain INSERT of the same rows, against MySQL's dialect
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DrainArgs {
    /// The server: mysql://user:password@host:port/ ; a database is made there and dropped at the end
    #[arg(long, env = "SPILLWAY_TEST_MYSQL_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// Rounds; the medians are told
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = value_parser!(u32).range(1..=50))]
    pub rounds: u32,
    /// Orders of one measurement
    #[arg(long, value_name = "COUNT", default_value_t = 40_000, value_parser = value_parser!(u32).range(1_000..=1_000_000))]
    pub orders: u32,
    /// Connections, of the drain and of what it is compared with
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u32).range(1..=64))]
    pub connections: u32,
    /// Orders of one batch, which is one transaction
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = value_parser!(u32).range(1..=2_000))]
    pub batch_orders: u32,
    /// SKUs where orders are for many
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = value_parser!(u32).range(2..=1_000))]
    pub skus: u32,
    /// Only these contenders
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(super) only: Vec<Contender>,
    /// Batch sizes that are swept
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_value = "50,100,200,320,500",
          value_parser = value_parser!(u32).range(1..=2_000))]
    pub sweep_batch_orders: Vec<u32>,
    /// Connections that are swept
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_value = "1,2,4,8,16",
          value_parser = value_parser!(u32).range(1..=64))]
    pub sweep_connections: Vec<u32>,
    /// Leave the sweep out
    #[arg(long)]
    pub no_sweep: bool,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  cargo build --release -p loadtest
  eval \"$(infra/local/stack env)\"; target/release/loadtest bench drain
  loadtest bench drain --database-url mysql://user:…@host:3306/ --connections 8 --no-sweep

Nothing else should run meanwhile. The exit code is 0 whether or not a goal is reached.";

impl DrainArgs {
    /// Who is measured, each once.
    pub(super) fn contenders(&self) -> Vec<Contender> {
        Contender::ALL.into_iter().filter(|all| self.only.is_empty() || self.only.contains(all)).collect()
    }
}
