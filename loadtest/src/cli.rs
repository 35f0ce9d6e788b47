//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::demo::{self, DemoArgs};
use crate::fc_local::{self, FcLocalArgs};
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
    /// Play Function Compute on this machine, with ingest-fn processes as instances
    FcLocal(FcLocalArgs),
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
        Command::Demo(args) => end(play(args)),
        Command::FcLocal(args) => end(play_platform(args)),
    }
}

fn end(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("loadtest: {error:#}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn play(args: DemoArgs) -> anyhow::Result<ExitCode> {
    demo::run(args).await
}

// One thread: the front shares the machine with everything it plays, and a request never changes threads.
#[tokio::main(flavor = "current_thread")]
async fn play_platform(args: FcLocalArgs) -> anyhow::Result<ExitCode> {
    fc_local::run(args).await
}
