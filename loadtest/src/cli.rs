//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::demo::{self, DemoArgs};
use crate::parts::Part;
use crate::report::{self, CompareArgs, ReportArgs};

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
    /// Draw a report's page anew from its JSON, or print the JSON's schema
    Report(ReportArgs),
    /// Tell what changed between two runs beyond noise
    Compare(CompareArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run one of Spillway's services: the processes that the demo starts
    #[command(subcommand, hide = true)]
    Part(Part),
}

/// Runs `loadtest` with the process's arguments.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Part(part) => part.run(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "loadtest", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Demo(args) => ended(play(args)),
        Command::Report(args) => ended(report::run_report(args)),
        Command::Compare(args) => report::run_compare(&args),
    }
}

/// The exit code; an error is told and is 1.
fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("loadtest: {error:#}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn play(args: DemoArgs) -> anyhow::Result<ExitCode> {
    demo::run(args).await
}
