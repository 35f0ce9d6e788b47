//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::demo::{self, DemoArgs};
use crate::parts::Part;
use crate::plan::{self, PlanArgs};
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
    /// Size a sale: instances, broker, gateway, queue, price, every figure with its source
    Plan(Box<PlanArgs>),
    /// Simulate a sale on Function Compute: latency, cold starts, throttling, instances, cost
    Simulate(Box<SimulateArgs>),
    /// List the scenarios that ship, or print one
    Scenarios(ScenariosArgs),
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
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "loadtest", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Demo(args) => ended(on_runtime(demo::run(args))),
        Command::Run(args) => ended(on_runtime(run::run(*args))),
        Command::Plan(args) => ended(plan::run(&args)),
        Command::Simulate(args) => ended(simulate::run(&args)),
    }
}

#[tokio::main]
async fn on_runtime(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    command.await
}

fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("loadtest: {error:#}");
        ExitCode::FAILURE
    })
}
