//! The demo: a small flash sale from the first request to the last row, with a ledger that adds up.

mod args;

use std::process::ExitCode;

use crate::run::{Faults, Field, Interrupts, Offer, Setup, Summary, play};
use crate::scenario::{Bounds, Buyers, Clients, Drain, Mix, Phase, Sale, Scenario};
use crate::stage::Stack;

pub use args::DemoArgs;

/// The catalogue that ships with the demo.
pub const CATALOGUE: &str = include_str!("../../catalogues/demo.toml");

const SALE_ID: &str = "demo-sale";

/// Requests a second before and after the burst.
const QUIET_RPS: f64 = 100.0;

/// Plays the sale.
///
/// # Errors
/// Whatever keeps it from being played to the end. A ledger that does not add up is no error but exit code 1.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let scenario = scenario(&args);
    let offer = Offer { catalogue_toml: CATALOGUE.to_owned(), sale_id: SALE_ID.to_owned() };
    let stack = if args.real { Stack::Real { proxy: args.proxy } } else { Stack::Embedded };
    let faults =
        Faults { worker: args.kill_worker, broker: args.kill_broker, at_rows: u64::from(args.orders) / 4 };
    let setup = Setup { offer, stack, through_fc: None, faults };
    let mut field = Field::own(&scenario, setup).await?;
    let played = play(&scenario, &mut field, &[], &interrupts).await;
    let report = match played {
        Ok(report) => report,
        Err(error) => {
            eprintln!("The logs are in {}", field.logs().unwrap_or_default());
            return Err(error);
        }
    };
    println!("\n{}", Summary(&report));
    if let (Some(path), Some(verdict)) = (&args.json, &report.ledger) {
        std::fs::write(path, serde_json::to_vec_pretty(verdict)?)?;
    }
    if args.keep && interrupts.count() == 0 {
        tell_addresses(&field);
        interrupts.reach(1).await;
    }
    field.strike(args.keep).await?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Quiet, a ramp, the burst, quiet again.
fn scenario(args: &DemoArgs) -> Scenario {
    let burst = f64::from(args.burst);
    let mix = Mix { replays: 0.03, changed: 0.01, invalid: 0.01, hang_ups: 0.0, slow_bodies: 0.0 };
    // Five in a hundred requests are no orders of their own, by chance a few more: so many orders, and not fewer.
    let requests = f64::from(args.orders) / 0.94;
    let rest = requests - QUIET_RPS * 4.0 - f64::midpoint(QUIET_RPS, burst);
    let quiet = Phase::Constant { rps: QUIET_RPS, seconds: 2.0 };
    Scenario {
        name: "demo".to_owned(),
        about: "A small flash sale through the whole path.".to_owned(),
        seed: args.seed,
        phases: vec![
            quiet,
            Phase::Linear { from_rps: QUIET_RPS, to_rps: burst, seconds: 1.0 },
            Phase::Constant { rps: burst, seconds: (rest / burst).max(0.1) },
            quiet,
        ],
        sale: Sale::default(),
        // A third of all want the first of the four SKUs, the hot one.
        buyers: Buyers {
            users: args.orders.div_ceil(2).max(1),
            sku_zipf: 0.4,
            lines_max: 2,
            ..Buyers::default()
        },
        mix,
        clients: Clients { connections_max: args.connections, ..Clients::default() },
        drain: Drain { rate: args.rate.get() },
        // All parts share this machine: what the demo shows is that nothing is lost, not how fast it is elsewhere.
        generator: Bounds { slip_p999_us_max: 20_000, ..Bounds::default() },
        expect: Default::default(),
    }
}

const EXAMPLE_ORDER: &str = r#"{"sale_id":"demo-sale","user_id":"me","items":[{"sku":"CABLE","quantity":1}],"currency":"CNY","shipping_address":{"recipient":"Me","line1":"1 Nanjing Road","city":"Shanghai","country":"CN"}}"#;

fn tell_addresses(field: &Field) {
    let Some((stage, services)) = &field.own else { return };
    println!(
        "\nKept running until Ctrl-C:
  orders      curl -i http://{ingest}/v1/orders -H 'content-type: application/json' -H 'idempotency-key: mine-1' -d '{body}'
  look-up     curl -i http://{query}/v1/orders/<order_id>
  metrics     curl http://{ingest}/metrics   http://{admin}/metrics
  broker      {broker} (gRPC)
  database    {database}
  logs        {directory}",
        ingest = services.ingest,
        query = services.query,
        admin = services.admin,
        broker = stage.client.endpoint,
        database = stage.read_url,
        directory = stage.directory().display(),
        body = EXAMPLE_ORDER,
    );
}
