//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::demo::{self, DemoArgs};
use crate::parts::Part;

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
        Command::Demo(args) => match play(args) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("loadtest: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

#[tokio::main]
async fn play(args: DemoArgs) -> anyhow::Result<ExitCode> {
    demo::run(args).await
}
