//! The demo: a small flash sale from the first request to the last row, with a ledger that adds up.

mod args;
mod progress;
mod services;
mod stage;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use shared::catalogue::Catalogue;
use shared::order::{OrderIdKeys, SaleId};
use tokio::time::{Instant, sleep};

use crate::ledger::{self, Reader};
use crate::play::{Phase, Played, Player, Schedule, Target, Workload, WorkloadConfig};

pub use args::DemoArgs;
use progress::Progress;
use services::Services;
use stage::Stage;

/// The catalogue that ships with the demo.
pub const CATALOGUE: &str = include_str!("../../catalogues/demo.toml");

/// Requests a second before and after the burst.
const QUIET_RPS: f64 = 100.0;

/// Without any change for this long, the drain is given up; longer than a killed worker's messages stay hidden.
const STALL: Duration = Duration::from_secs(45);

/// Plays the sale.
///
/// # Errors
/// Whatever keeps it from being played to the end. A ledger that does not add up is no error but exit code 1.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let interrupted = shared::shutdown::on_signal()?;
    let mut stage = Stage::set(&args).await?;
    let played = tokio::select! {
        played = play(&args, &mut stage) => played,
        () = interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    match played {
        Ok((services, adds_up)) => {
            if args.keep {
                keep(&stage, &services);
                interrupted.cancelled().await;
            }
            services.stop().await?;
            stage.strike(args.keep).await?;
            Ok(if adds_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => {
            eprintln!("The logs are in {}", stage.directory().display());
            Err(error)
        }
    }
}

async fn play(args: &DemoArgs, stage: &mut Stage) -> anyhow::Result<(Services, bool)> {
    let catalogue = Catalogue::from_toml(CATALOGUE)?;
    println!("Preparing: schema, stock, the group's place on every queue");
    let prepared = drain_worker::init::init(
        &stage.migrate_url,
        &catalogue,
        stage.client.clone(),
        &stage.group,
        &stage.topic,
    )
    .await?;
    stage.schema_changed().await?;
    println!("Starting ingest-fn and drain-worker ({} queues)", prepared.queues);
    let services = Services::start(args, stage).await?;

    let (player, planned) = plan(args, stage, &catalogue, services.ingest)?;
    println!(
        "Playing: {} requests in {:.1} s, {QUIET_RPS}/s at first, {}/s in the burst; the drain may take {}/s\n",
        planned.requests,
        planned.length.as_secs_f64(),
        args.burst,
        args.rate
    );
    let mut reader = Reader::connect(&stage.read_url).await?;
    let mut progress = Progress::new(args.rate.get());
    let mut playing = tokio::spawn(player.clone().play());
    let mut parts = Parts {
        services,
        kill_worker: args.kill_worker,
        kill_broker: args.kill_broker,
        kill_at: u64::from(args.orders) / 4,
    };
    let played = loop {
        tokio::select! {
            played = &mut playing => break played.context("the player failed")?,
            () = sleep(progress.interval()) => {
                let settled = reader.settled().await?;
                progress.show(&player.counters, settled, false);
                parts.carry_out(stage, settled.rows).await?;
            }
        }
    };
    drain(&mut reader, &mut progress, &player, &played, &mut parts, stage).await?;
    let adds_up = conclude(args, &mut reader, &played).await?;
    Ok((parts.services, adds_up))
}

/// What the plan comes to.
struct PlanSize {
    requests: usize,
    length: Duration,
}

fn plan(
    args: &DemoArgs,
    stage: &Stage,
    catalogue: &Catalogue,
    address: SocketAddr,
) -> anyhow::Result<(Arc<Player>, PlanSize)> {
    let sale_id = SaleId::parse("demo-sale")?;
    let sale = catalogue.sale(&sale_id).context("the demo's sale")?;
    let keys: OrderIdKeys = stage.order_id_keys.parse()?;
    let key = keys.get(&sale.order_id_key).context("the sale's key")?.clone();
    // The hot one first, as the workload wants it.
    let mut skus: Vec<_> = sale.skus.keys().map(|sku| sku.as_str().to_owned()).collect();
    skus.sort_by_key(|sku| !sku.starts_with("HOT"));
    let config = WorkloadConfig {
        seed: args.seed,
        users: args.orders.div_ceil(2).max(1),
        replays: 0.03,
        changed: 0.01,
        invalid: 0.01,
    };
    let mut workload = Workload::new(config, key, &sale_id, skus);
    let burst = f64::from(args.burst);
    let quiet = Phase { length: Duration::from_secs(2), from: QUIET_RPS, to: QUIET_RPS };
    let ramp = Phase { length: Duration::from_secs(1), from: QUIET_RPS, to: burst };
    // Five in a hundred requests are no orders of their own, by chance a few more: so many orders, and not fewer.
    let requests = f64::from(args.orders) / 0.94;
    let rest = requests - QUIET_RPS * 4.0 - f64::midpoint(QUIET_RPS, burst);
    let held = Phase { length: Duration::from_secs_f64((rest / burst).max(0.1)), from: burst, to: burst };
    let schedule = Schedule::new(&[quiet, ramp, held, quiet]);
    let mut plan = Vec::with_capacity(schedule.send_at.len());
    plan.resize_with(schedule.send_at.len(), || workload.next_request());
    let size = PlanSize { requests: plan.len(), length: schedule.length() };
    let target = Target { address, connections: args.connections, timeout: Duration::from_secs(10) };
    Ok((Player::new(plan, schedule, target), size))
}

/// The services, and what is still to be killed.
struct Parts {
    services: Services,
    kill_worker: bool,
    kill_broker: bool,
    /// Rows after which the killing begins.
    kill_at: u64,
}

impl Parts {
    async fn carry_out(&mut self, stage: &mut Stage, rows: u64) -> anyhow::Result<()> {
        if rows >= self.kill_at && std::mem::take(&mut self.kill_worker) {
            println!("\nkill -9: the drain worker, in the middle of the drain");
            self.services.crash_worker().await?;
        }
        if rows >= self.kill_at && std::mem::take(&mut self.kill_broker) {
            println!("\nkill -9: the broker, in the middle of the sale");
            stage.crash_broker().await?;
        }
        stage.check()?;
        self.services.check()
    }
}

/// Waits until everything accepted has been settled, or nothing moves any more.
async fn drain(
    reader: &mut Reader,
    progress: &mut Progress,
    player: &Player,
    played: &Played,
    parts: &mut Parts,
    stage: &mut Stage,
) -> anyhow::Result<()> {
    let expected = ledger::settlements_expected(&played.attempts);
    let mut last = reader.settled().await?;
    let mut moved_at = Instant::now();
    loop {
        sleep(progress.interval()).await;
        let settled = reader.settled().await?;
        progress.show(&player.counters, settled, true);
        parts.carry_out(stage, settled.rows).await?;
        if settled != last {
            last = settled;
            moved_at = Instant::now();
        }
        let complete = settled.rows + settled.conflicts >= expected;
        // A second of quiet: whatever else is on its way (an order of an unknown request) shows itself.
        if (complete && moved_at.elapsed() >= Duration::from_secs(1)) || moved_at.elapsed() >= STALL {
            progress.end();
            return Ok(());
        }
    }
}

async fn conclude(args: &DemoArgs, reader: &mut Reader, played: &Played) -> anyhow::Result<bool> {
    let facts = reader.facts().await?;
    let verdict = ledger::check(&played.attempts, &facts, Some(args.rate.get()));
    let mut latencies = played.latencies_us.clone();
    latencies.sort_unstable();
    let percentile = |share: f64| {
        let index = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(0.0, |us| *us as f64 / 1_000.0)
    };
    println!(
        "Answers, from the planned send time: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms; sent at most {:.1} ms late",
        percentile(0.5),
        percentile(0.99),
        percentile(1.0),
        played.slip_max.as_secs_f64() * 1_000.0
    );
    println!("\nLedger\n{verdict}");
    for surprise in played.surprises.iter().take(5) {
        println!("SURPRISE: {surprise}");
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&verdict)?)?;
    }
    Ok(verdict.adds_up() && played.surprises.is_empty())
}

const EXAMPLE_ORDER: &str = r#"{"sale_id":"demo-sale","user_id":"me","items":[{"sku":"CABLE","quantity":1}],"currency":"CNY","shipping_address":{"recipient":"Me","line1":"1 Nanjing Road","city":"Shanghai","country":"CN"}}"#;

fn keep(stage: &Stage, services: &Services) {
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
