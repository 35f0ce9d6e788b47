//! `loadtest demo`: a small flash sale from the first request to the last row.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::environment::{FaultPlan, LaunchConfig, OfferedSale, Stack, SystemUnderTest};
use crate::run::{self, Interrupts, RunSummary, play};
use crate::scenario::{
    Buyers, ClientBehaviour, DrainSettings, GeneratorSettings, RatePhase, RequestMix, Scenario, ScenarioSale,
};

const CATALOGUE: &str = include_str!("../catalogues/demo.toml");

const SALE_ID: &str = "demo-sale";

/// Requests a second before and after the burst.
const QUIET_RPS: f64 = 100.0;

/// Share of requests that are new orders: less than in the mix, so that chance does not leave too few.
const OWN_ORDERS_SHARE: f64 = 0.94;

/// Play a small flash sale from the first request to the last row and check the ledger.
///
/// Everything runs as child processes of this one, on loopback: the embedded broker and SQLite, or with --real the
/// broker and database that infra/local/stack has started.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the ledger adds up, 1 it does not or the demo failed, 2 invalid flags."
)]
pub(crate) struct DemoArgs {
    /// Minimum orders, not counting replays, changed bodies and invalid requests
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub orders: u32,

    /// Maximum orders that the drain commits in one second
    #[arg(long, value_name = "ORDERS", default_value = "2000")]
    pub drain_rate: NonZeroU32,

    /// Requests a second in the burst
    #[arg(long, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub burst: u32,

    /// Seed; the same seed sends the same requests
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

    /// Kill the drain worker (SIGKILL) in the middle and restart it
    #[arg(long)]
    pub kill_worker: bool,

    /// Kill the embedded broker (SIGKILL) in the middle and restart it
    #[arg(long, conflicts_with = "real")]
    pub kill_broker: bool,

    /// Leave everything running until Ctrl-C and print the addresses
    #[arg(long)]
    pub keep: bool,

    /// Write the ledger's verdict to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// A run that fails or is not judged is an exit code, not an error.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let scenario = scenario(&args);
    let sale = OfferedSale { catalogue_toml: CATALOGUE.to_owned(), sale_id: SALE_ID.to_owned() };
    let stack = if args.real { Stack::Real { proxy: args.proxy } } else { Stack::Embedded };
    let faults = FaultPlan {
        kill_worker: args.kill_worker,
        kill_broker: args.kill_broker,
        at_rows: u64::from(args.orders) / 4,
    };
    let config = LaunchConfig { sale, stack, through_fc: None, faults };
    let mut system = SystemUnderTest::launch(&scenario, config).await?;
    if let Some((_, services)) = &system.launched {
        println!("Console: http://{}/", services.admin);
    }
    let report = match play(&scenario, &mut system, &[], None, &interrupts).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("Logs: {}", system.log_directory().unwrap_or_default());
            return Err(error);
        }
    };
    println!("\n{}", RunSummary(&report));
    if let (Some(path), Some(verdict)) = (&args.json, &report.ledger) {
        std::fs::write(path, serde_json::to_vec_pretty(verdict)?)?;
    }
    if args.keep && interrupts.count() == 0 {
        print_addresses(&system);
        interrupts.reach(1).await;
    }
    system.stop(args.keep).await?;
    Ok(run::exit_code(report.verdict))
}

/// Quiet, a ramp, the burst, quiet.
fn scenario(args: &DemoArgs) -> Scenario {
    let burst = f64::from(args.burst);
    let requests = f64::from(args.orders) / OWN_ORDERS_SHARE;
    let rest = requests - QUIET_RPS * 4.0 - f64::midpoint(QUIET_RPS, burst);
    let quiet = RatePhase::Constant { rps: QUIET_RPS, seconds: 2.0 };
    let phases = [
        quiet,
        RatePhase::Linear { from_rps: QUIET_RPS, to_rps: burst, seconds: 1.0 },
        RatePhase::Constant { rps: burst, seconds: (rest / burst).max(0.1) },
        quiet,
    ];
    Scenario {
        name: "demo".to_owned(),
        description: "A small flash sale from the first request to the last row.".to_owned(),
        seed: args.seed,
        phases: phases.map(Into::into).to_vec(),
        arrivals: Default::default(),
        sale: ScenarioSale::default(),
        // A third of the orders request the first of the four SKUs, the hot one.
        buyers: Buyers {
            users: args.orders.div_ceil(2).max(1),
            sku_zipf: 0.4,
            lines_max: 2,
            ..Buyers::default()
        },
        mix: RequestMix { replays: 0.03, changed: 0.01, invalid: 0.01, hang_ups: 0.0, slow_bodies: 0.0 },
        clients: ClientBehaviour { connections_max: args.connections, ..ClientBehaviour::default() },
        drain: DrainSettings { rate: args.drain_rate.get() },
        // All processes share this machine: the demo proves that no order is lost, not how fast the services are.
        generator: GeneratorSettings { send_delay_p999_us_max: 20_000, ..GeneratorSettings::default() },
        expect: Default::default(),
        abort: Default::default(),
    }
}

const EXAMPLE_ORDER: &str = r#"{"sale_id":"demo-sale","user_id":"me","items":[{"sku":"CABLE","quantity":1}],"currency":"CNY","shipping_address":{"recipient":"Me","line1":"1 Nanjing Road","city":"Shanghai","country":"CN"}}"#;

fn print_addresses(system: &SystemUnderTest) {
    let Some((environment, services)) = &system.launched else { return };
    println!(
        "\nRunning until Ctrl-C:
  console     http://{admin}/
              Pause the drain, send the order below, and resume. Find the order of the buyer \"me\". Lower the rate, and
              see who did it in the audit trail.
  orders      curl -i http://{ingest}/v1/orders -H 'content-type: application/json' -H 'idempotency-key: mine-1' -d '{body}'
  look-up     curl -i http://{query}/v1/orders/<order_id>
  metrics     curl http://{ingest}/metrics   http://{admin}/metrics
  broker      {broker} (gRPC)
  database    {database}
  logs        {directory}",
        ingest = services.ingest,
        query = services.query,
        admin = services.admin,
        broker = environment.client.endpoints,
        database = environment.read_url,
        directory = environment.directory().display(),
        body = EXAMPLE_ORDER,
    );
}
