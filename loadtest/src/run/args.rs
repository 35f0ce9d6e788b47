use std::net::SocketAddr;
use std::path::PathBuf;

use shared::config::{DatabaseUrl, Secret};

use super::overrides::Overrides;
use super::shard::ShardArgs;
use super::target_args::TargetArgs;
use crate::environment::{ExternalSystem, LedgerSources, OfferedSale, Stack};
use crate::report::ReportExports;
use crate::scenario::Scenario;
use crate::target::TargetUrl;

/// Play a scenario and report: requests offered, accepted and shed, latency, and whether the ledger adds up.
///
/// By default everything runs as child processes of this one, on loopback: the embedded broker, SQLite, ingest-fn and
/// the drain worker. With --real the broker and database that infra/local/stack has started replace the embedded ones.
/// With --target the orders go to a system that is already running. With --shard, several machines play one scenario.
///
/// Ctrl-C ends the sending and still reports; a second Ctrl-C also ends the wait for the drain.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// A scenario that ships (see `loadtest scenarios`) or a TOML file
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,

    /// Use the real RocketMQ and MariaDB: eval "$(infra/local/stack env)" first
    #[arg(long)]
    pub real: bool,

    /// With --real: write through the database proxy
    #[arg(long, requires = "real")]
    pub proxy: bool,

    /// Send through fc-local, which starts ingest-fn instances as Function Compute does; FLAGS are fc-local's, such as
    /// "--concurrency 100 --instances-max 4 --provisioned 1"
    #[arg(long, value_name = "FLAGS", num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    pub through_fc: Option<String>,

    /// Kill the drain worker (SIGKILL) in the middle and restart it
    #[arg(long)]
    pub kill_worker: bool,

    /// Kill the embedded broker (SIGKILL) in the middle and restart it
    #[arg(long, conflicts_with = "real")]
    pub kill_broker: bool,

    /// Settled orders at which the kills start
    #[arg(long, value_name = "ROWS", default_value_t = 1_000)]
    pub kill_at_rows: u64,

    /// Processors to pin the sending threads to, in turn
    #[arg(long, value_name = "CPU,…", value_delimiter = ',')]
    pub pin: Vec<usize>,

    /// Serve the run's metrics at http://ADDRESS/metrics in Prometheus' text format, until the run is judged
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,

    /// Report to write: NAME.json and NAME.html
    #[arg(long, value_name = "NAME", default_value = "loadtest-report")]
    pub report: PathBuf,

    #[command(flatten)]
    pub exports: ReportExports,

    /// Do not write a report
    #[arg(long, conflicts_with = "report")]
    pub no_report: bool,

    /// Print the scenario with all flags applied, as TOML, and exit
    #[arg(long)]
    pub print_scenario: bool,

    #[command(flatten)]
    pub reach: TargetArgs,

    /// With --target: the system's database, for the ledger; prefer the environment variable
    #[arg(long, env = "SPILLWAY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,

    /// With --target: the system's keys of order ids, so that the ledger can check ids; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ORDER_ID_KEYS", value_name = "KEYS", hide_env_values = true)]
    pub order_id_keys: Option<Secret<String>>,

    /// With --target: the system's catalogue [default: the scenario's own sale]
    #[arg(long, value_name = "FILE", requires = "target")]
    pub catalogue: Option<PathBuf>,

    /// With --catalogue: id of the sale
    #[arg(long, value_name = "ID", requires = "catalogue")]
    pub sale: Option<String>,

    /// With --target: address of the look-up, http[s]://host[:port][/prefix], for a ledger without the database, or beside
    /// it. Its requests carry the same headers, tokens and signature
    #[arg(long, value_name = "URL", requires = "target")]
    pub lookup_url: Option<TargetUrl>,

    /// With --lookup-url: maximum orders to look up [default: 200 beside the database, else 10000]
    #[arg(long, value_name = "ORDERS", requires = "lookup_url")]
    pub lookup_sample: Option<usize>,

    #[command(flatten)]
    pub sharding: ShardArgs,

    #[command(flatten)]
    pub overrides: Overrides,
}

const EXAMPLES: &str = "Examples:
  loadtest run flash-sale
  loadtest run flash-sale --real --drain-rate 3000 --phase constant:100:3s --phase linear:100:20000:1s --phase constant:20000:10s
  loadtest run flash-sale --through-fc '--concurrency 100 --instances-max 4 --pad-cold-start container'
  loadtest run baseline --target http://127.0.0.1:9000
  loadtest run baseline --target https://staging.shop.test/sale --sign --header 'X-Spillway-User: {user}'
  loadtest run flash-sale --target URL --shard 2/3 --run-id ID --start-at 2026-11-29T12:00:00Z --part 2.part

Exit codes: 0 passed: the ledger adds up and every expectation holds; 1 failed: not so, or the run broke off; 2 wrong
flags; 3 not judged: nothing was sent or accepted, or something could not be judged; 64 a faulty scenario; 130 ended by
Ctrl-C (the report is written). With --shard, 0 says only that the share was played: see `loadtest merge --help`.";

impl RunArgs {
    pub(super) const fn stack(&self) -> Stack {
        if self.real { Stack::Real { proxy: self.proxy } } else { Stack::Embedded }
    }

    /// Flags of fc-local; `None` without `--through-fc`.
    pub(super) fn through_fc(&self) -> Option<Vec<String>> {
        Some(self.through_fc.as_ref()?.split_whitespace().map(str::to_owned).collect())
    }

    /// `None` without `--target`.
    ///
    /// # Errors
    /// If the target cannot be reached.
    pub(super) fn external(&self, scenario: &Scenario) -> anyhow::Result<Option<ExternalSystem>> {
        let Some(target) = self.reach.target()? else { return Ok(None) };
        let sale = OfferedSale::find(scenario, self.catalogue.as_deref(), self.sale.as_deref())?;
        // A shard keeps no ledger, even where the environment names a database.
        let sources = match self.sharding.shard {
            Some(_) => LedgerSources::default(),
            None => LedgerSources {
                database_url: self.database_url.clone(),
                order_id_keys: self.order_id_keys.clone(),
                look_up: self.reach.access.look_up(self.lookup_url.as_ref())?,
                look_ups_max: self.lookup_sample,
            },
        };
        Ok(Some(ExternalSystem { target, sale, sources }))
    }
}
