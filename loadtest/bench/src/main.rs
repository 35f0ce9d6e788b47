//! `loadtest-bench`: the cost of Spillway's services and of the load generator, measured beside alternatives in one run
//! on one machine. Does not ship.
//!
//! Each subcommand is a module. All use `harness` for rounds, order of subjects, conditions, tables, goals and JSON,
//! and `accounting` for CPU and memory of processes.

mod accounting;
mod client;
mod cold_start;
mod drain;
mod generator;
mod harness;
mod ingest;
mod minimal_client;
mod pool;
mod process;
mod receive;
mod tools;

use std::process::ExitCode;

use clap::Parser;
use loadtest::process::exit_code;
use loadtest::run::RunArgs;
use mimalloc::MiMalloc;

use process::BenchProcess;

/// The same allocator as in the services and in loadtest.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measure Spillway's services and the load generator beside alternatives. Results are medians over the rounds; quote
/// them with command, date and machine.
#[derive(Debug, clap::Parser)]
#[command(name = "loadtest-bench", version)]
struct BenchCli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    /// Measure the generator's CPU per request and send delay, beside wrk, oha and k6 where they are installed
    Generator(generator::GeneratorArgs),
    /// Measure ingest-fn's CPU, latency and memory, beside a plain axum handler
    Ingest(ingest::IngestArgs),
    /// Check one cap for a pool of drain workers that grows, loses workers and shrinks
    Pool(pool::PoolArgs),
    /// Measure the time from ingest-fn's exec to its first 202
    ColdStart(cold_start::ColdStartArgs),
    /// Measure the drain's commits, beside a plain INSERT of the same rows
    Drain(drain::DrainArgs),
    /// Measure the RocketMQ client's CPU for a message, beside the official Java client and bare calls
    Client(client::ClientArgs),
    /// Measure the messages that the drain receives and acks, beside the broker's maximum
    Receive(receive::ReceiveArgs),
    /// Play a scenario: the generator as a process of its own
    #[command(hide = true)]
    Run(Box<RunArgs>),
    /// Run a service or a subject as a process
    #[command(subcommand, hide = true)]
    Process(BenchProcess),
}

fn main() -> ExitCode {
    match BenchCli::parse().bench {
        Bench::Process(process) => process.run(),
        bench => exit_code("loadtest-bench", run(bench)),
    }
}

#[tokio::main]
async fn run(bench: Bench) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Generator(args) => generator::run(args).await,
        Bench::Ingest(args) => ingest::run(args).await,
        Bench::Pool(args) => pool::run(args).await,
        Bench::ColdStart(args) => cold_start::run(args).await,
        Bench::Drain(args) => drain::run(args).await,
        Bench::Client(args) => client::run(args).await,
        Bench::Receive(args) => receive::run(args).await,
        Bench::Run(args) => loadtest::run::run(*args).await,
        Bench::Process(process) => Ok(process.run()),
    }
}
