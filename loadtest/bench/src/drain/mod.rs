//! `loadtest-bench drain`: the commit throughput of the drain's store, beside a plain INSERT of the same rows.
//!
//! In each round each subject plays one window on empty tables. A lease fences the drain's transactions, as in a
//! worker. A sweep over batch sizes and connections follows.

mod plain_insert;
mod results;
mod window;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::value_parser;
use drain_worker::tune::Scratch;
use loadtest::run::Interrupts;
use shared::config::DatabaseUrl;

use crate::harness::{rounds, selected, write_json};
use results::{DrainResults, SingleOrders};
use window::{DrainSubject, Fixture, WindowLoad};

/// Orders committed one at a time.
const SINGLE_ORDERS: u32 = 500;

/// The sweep shows a shape; the rounds before it give the result.
const SWEEP_ROUNDS_MAX: u32 = 3;

/// Measure the commit throughput of the drain's store, beside a plain INSERT of the same rows, on MySQL's dialect
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DrainArgs {
    /// Server: mysql://user:password@host:port/ ; the benchmark creates a database there and drops it at the end
    #[arg(long, env = "SPILLWAY_TEST_MYSQL_URL", value_name = "URL", hide_env_values = true)]
    database_url: DatabaseUrl,
    /// Rounds to play
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Orders of one measurement
    #[arg(long, value_name = "COUNT", default_value_t = 40_000, value_parser = value_parser!(u32).range(1_000..=1_000_000))]
    orders: u32,
    /// Connections of the drain and of the plain INSERT
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u32).range(1..=64))]
    connections: u32,
    /// Orders of one batch, which is one transaction
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = value_parser!(u32).range(1..=2_000))]
    batch_orders: u32,
    /// SKUs of the subjects with many SKUs
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = value_parser!(u32).range(2..=1_000))]
    skus: u32,
    /// Only these subjects
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<DrainSubject>,
    /// Batch sizes of the sweep
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_value = "50,100,200,320,500",
          value_parser = value_parser!(u32).range(1..=2_000))]
    sweep_batch_orders: Vec<u32>,
    /// Connections of the sweep
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_value = "1,2,4,8,16",
          value_parser = value_parser!(u32).range(1..=64))]
    sweep_connections: Vec<u32>,
    /// Skip the sweep
    #[arg(long)]
    no_sweep: bool,
    /// Also measure with tables of four times the server's buffer pool, which takes minutes to fill
    #[arg(long)]
    full: bool,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  eval \"$(infra/local/stack env)\"; cargo run --release -p loadtest-bench -- drain
  loadtest-bench drain --database-url mysql://user:…@host:3306/ --connections 8 --no-sweep

Nothing else should run meanwhile. The exit code is 0 even if a goal is missed.";

pub(crate) async fn run(args: DrainArgs) -> anyhow::Result<ExitCode> {
    let interrupts = Interrupts::listen()?;
    let scratch = Scratch::create(&args.database_url).await?;
    let measured = measure(&args, &scratch, &interrupts).await;
    scratch.drop().await?;
    let results = measured?;
    println!("\n{}\n\n{}", results.conditions(), results.table().lines());
    if let Some(single) = results.single {
        println!("\n{single}");
    }
    if !results.sweep.is_empty() {
        println!("\nMany SKUs: orders/s, p50 / p99 of a batch in ms\n\n{}", results.sweep_table().markdown());
    }
    for goal in results.goals() {
        println!("{goal}");
    }
    write_json(args.output.as_deref(), &results)?;
    Ok(ExitCode::SUCCESS)
}

/// Measures until the rounds are over or an interrupt arrives.
async fn measure(
    args: &DrainArgs,
    scratch: &Scratch,
    interrupts: &Interrupts,
) -> anyhow::Result<DrainResults> {
    let mut connection = scratch.connect().await?;
    let server: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?;
    sqlx::raw_sql(plain_insert::YARDSTICK).execute(&mut connection).await?;
    let fixture = Fixture { scratch, fence: scratch.lease().await?, skus: args.skus };
    let mut results = DrainResults::new(server, args);
    let load =
        WindowLoad { orders: args.orders, connections: args.connections, batch_orders: args.batch_orders };
    for (round, subject) in rounds(args.rounds, &selected(&DrainSubject::ALL, &args.only)) {
        if interrupts.count() > 0 {
            return Ok(results);
        }
        let window = fixture.measure(subject, round, load).await?;
        println!("round {round}: {window}");
        results.windows.push(window);
    }
    if args.full {
        let window = fixture.measure(DrainSubject::ManyFull, 1, load).await?;
        println!("{window}");
        results.windows.push(window);
    }
    results.single = SingleOrders::compute(&fixture.single_orders(SINGLE_ORDERS).await?);
    if args.no_sweep {
        return Ok(results);
    }
    for round in 1..=args.rounds.min(SWEEP_ROUNDS_MAX) {
        for &batch_orders in &args.sweep_batch_orders {
            for &connections in &args.sweep_connections {
                if interrupts.count() > 0 {
                    return Ok(results);
                }
                let load = WindowLoad { orders: args.orders / 2, connections, batch_orders };
                let window = fixture.measure(DrainSubject::Many, round, load).await?;
                println!("sweep {round}: {window}");
                results.sweep.push(window);
            }
        }
    }
    Ok(results)
}
