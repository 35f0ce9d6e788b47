//! Flags of `loadtest bench ingest`.

use std::path::PathBuf;

use super::contender::Contender;

/// What a request costs ingest-fn: CPU, latency and memory, beside a bare axum handler, on the same processors
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct IngestArgs {
    /// The rate at which CPU a request is compared, requests a second
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub rps: u32,
    /// The share of its own peak at which a contender's latency is measured, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 70, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub share_percent: u32,
    /// Length of a window, seconds; the system accounts CPU by 10 ms, so 8 or more for figures to quote
    #[arg(long, value_name = "SECONDS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// Length of the windows that warm a server up and find its peak, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub warm_up_seconds: u32,
    /// Connections
    #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub connections: u32,
    /// Rounds; the medians are told
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// Only these contenders
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<Contender>,
    /// Measure this ingest-fn, with a broker, instead of the one in this program
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// More flags of ingest-fn, such as --workers=1; repeat for more
    #[arg(long = "flag", value_name = "FLAG", allow_hyphen_values = true)]
    pub flags: Vec<String>,
    /// Ask wrk as well for each peak, if it is installed
    #[arg(long)]
    pub wrk: bool,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the table to this file as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  cargo build --profile dist -p loadtest && target/dist/loadtest bench ingest
  eval \"$(infra/local/stack env)\"; target/dist/loadtest bench ingest --wrk --markdown speed.md
  loadtest bench ingest --only bare,unpublished --rounds 5

Nothing else should run meanwhile. The exit code is 0 whether or not a goal is reached.";

impl IngestArgs {
    /// Who is measured, each once.
    #[must_use]
    pub fn contenders(&self) -> Vec<Contender> {
        Contender::ALL.into_iter().filter(|all| self.only.is_empty() || self.only.contains(all)).collect()
    }
}
