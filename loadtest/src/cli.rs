//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::bench::Bench;
use crate::demo::{self, DemoArgs};
use crate::fc_local::{self, FcLocalArgs};
use crate::parts::Part;
use crate::plan::{self, PlanArgs};
use crate::report::{self, CompareArgs, ReportArgs};
use crate::run::{self, RunArgs};
use crate::scenario::ScenariosArgs;
use crate::simulate::{self, SimulateArgs};

/// Plays a flash sale against Spillway and keeps the ledger that proves nothing was lost.
#[derive(Debug, clap::Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Play a small flash sale through the whole path and check the ledger
    Demo(DemoArgs),
    /// Play a scenario and report
    Run(Box<RunArgs>),
    /// List the scenarios that ship, or print one
    Scenarios(ScenariosArgs),
    /// Draw a report's page anew from its JSON, or print the JSON's schema
    Report(ReportArgs),
    /// Tell what changed between two runs beyond noise
    Compare(CompareArgs),
    /// Size a sale: instances, broker, gateway, queue, price, every figure with its source
    Plan(Box<PlanArgs>),
    /// Simulate a sale on Function Compute: latency, cold starts, throttling, instances, cost
    Simulate(Box<SimulateArgs>),
    /// Play Function Compute on this machine, with ingest-fn processes as instances
    FcLocal(Box<FcLocalArgs>),
    /// Measure the generator beside others
    #[command(subcommand)]
    Bench(Bench),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run one of Spillway's services: the processes that a run starts
    #[command(subcommand, hide = true)]
    Part(Part),
}

/// Runs `loadtest` with the process's arguments.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Part(part) => part.run(),
        Command::Scenarios(args) => ended(args.run()),
        Command::Report(args) => ended(report::run_report(args)),
        Command::Compare(args) => report::run_compare(&args),
        Command::Plan(args) => ended(plan::run(&args)),
        Command::Simulate(args) => ended(simulate::run(&args)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "loadtest", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Demo(args) => ended(on_runtime(demo::run(args))),
        Command::Bench(bench) => ended(on_runtime(bench.run())),
        Command::Run(args) => ended(on_runtime(run::run(*args))),
        Command::FcLocal(args) => ended(fc_local::on_one_thread(*args)),
    }
}

#[tokio::main]
async fn on_runtime(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    command.await
}

/// The exit code; an error is told and is 1.
fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("loadtest: {error:#}");
        ExitCode::FAILURE
    })
}
