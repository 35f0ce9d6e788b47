use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::demo::{self, DemoArgs};
use crate::fc_local::{self, FcLocalArgs};
use crate::plan::{self, PlanArgs};
use crate::process::{Process, exit_code};
use crate::report::{self, CompareArgs, ReportArgs};
use crate::run::{self, MergeArgs, PrepareArgs, RunArgs};
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
    Run(Box<RunArgs>),
    Prepare(Box<PrepareArgs>),
    Merge(Box<MergeArgs>),
    /// List the scenarios that ship, or print one
    Scenarios(ScenariosArgs),
    /// Render a report's page again from its JSON, or print the JSON's schema
    Report(ReportArgs),
    /// Report what changed between two runs, or two groups of runs, beyond noise
    Compare(CompareArgs),
    /// Size a sale: instances, broker, gateway, queue, price; every figure with its source
    Plan(Box<PlanArgs>),
    /// Simulate a sale on Function Compute: latency, cold starts, throttling, instances, cost
    Simulate(Box<SimulateArgs>),
    /// Emulate Function Compute on this machine, with ingest-fn processes as instances
    FcLocal(Box<FcLocalArgs>),
    /// Print shell completions
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
    /// Run one of Spillway's services as a child process of a run
    #[command(subcommand, hide = true)]
    Process(Process),
}

pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Process(process) => process.run(),
        Command::Scenarios(args) => exit_code("loadtest", args.run()),
        Command::Report(args) => exit_code("loadtest", report::run_report(args)),
        Command::Compare(args) => report::run_compare(&args),
        Command::Plan(args) => exit_code("loadtest", plan::run(&args)),
        Command::Simulate(args) => exit_code("loadtest", simulate::run(&args)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "loadtest", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Demo(args) => exit_code("loadtest", on_runtime(demo::run(args))),
        Command::Run(args) => exit_code("loadtest", on_runtime(run::run(*args))),
        Command::Prepare(args) => exit_code("loadtest", on_runtime(run::prepare(*args))),
        Command::Merge(args) => exit_code("loadtest", on_runtime(run::merge(*args))),
        Command::FcLocal(args) => exit_code("loadtest", fc_local::run(&args)),
    }
}

#[tokio::main]
async fn on_runtime(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    command.await
}
