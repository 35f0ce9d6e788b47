//! `loadtest bench drain`: how fast the drain's store commits, beside a plain INSERT of the same rows.
//!
//! In each round each contender plays one window on empty tables, in an order that changes from round to round. The
//! drain's transactions are fenced by a lease, as a worker's are. A sweep over batch sizes and connections follows.

mod args;
mod contender;
mod figures;
mod raw;
mod table;
mod window;

use std::process::ExitCode;

use drain_worker::tune::Scratch;

use crate::run::{Interrupts, describe_machine};
use contender::Contender;
use figures::{Figures, Lone};
use window::{Ground, Load};

pub use args::DrainArgs;

/// Orders committed one at a time.
const LONE_ORDERS: u32 = 500;

/// Rounds of the sweep: it shows a shape, the rounds before it show the figure.
const SWEEP_ROUNDS_MAX: u32 = 3;

/// Measures and prints. `interrupts` end it between two windows; the database is dropped in any case.
pub(super) async fn run(args: DrainArgs) -> anyhow::Result<ExitCode> {
    let interrupts = Interrupts::listen()?;
    let scratch = Scratch::create(&args.database_url).await?;
    let measured = measure(&args, &scratch, &interrupts).await;
    scratch.drop().await?;
    let figures = measured?;
    println!("\n{}", table::text(&figures));
    if !figures.sweep.is_empty() {
        println!("{}", table::sweep(&figures.sweep));
    }
    for goal in figures::judge(&figures) {
        println!("{goal}");
    }
    if let Some(path) = &args.output {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &DrainArgs, scratch: &Scratch, interrupts: &Interrupts) -> anyhow::Result<Figures> {
    let mut connection = scratch.connect().await?;
    let server: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?;
    let ground = Ground { scratch, fence: scratch.lease().await?, skus: args.skus };
    let mut figures = Figures::new(describe_machine(), server, args);
    let load = Load { orders: args.orders, connections: args.connections, batch_orders: args.batch_orders };
    let contenders = args.contenders();
    for round in 1..=args.rounds {
        // Whoever comes first finds another machine than whoever comes last.
        let first = (round as usize - 1) % contenders.len().max(1);
        for contender in contenders[first..].iter().chain(&contenders[..first]) {
            if interrupts.count() > 0 {
                return Ok(figures);
            }
            let measured = ground.measure(*contender, round, load).await?;
            println!("round {round}: {measured}");
            figures.windows.push(measured);
        }
    }
    figures.lone = Lone::of(&ground.lone(LONE_ORDERS).await?);
    if args.no_sweep {
        return Ok(figures);
    }
    for round in 1..=args.rounds.min(SWEEP_ROUNDS_MAX) {
        for &batch_orders in &args.sweep_batch_orders {
            for &connections in &args.sweep_connections {
                if interrupts.count() > 0 {
                    return Ok(figures);
                }
                let load = Load { orders: args.orders / 2, connections, batch_orders };
                let measured = ground.measure(Contender::Many, round, load).await?;
                println!("sweep {round}: {measured}");
                figures.sweep.push(measured);
            }
        }
    }
    Ok(figures)
}
