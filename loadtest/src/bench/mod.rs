//! `loadtest bench`: what Spillway's parts cost, beside others, in one run on one machine.

mod children;
mod cold_start;
mod drain;
mod figures;
mod generator;
mod ingest;
mod pool;
mod receive;
mod tools;

use std::process::ExitCode;

pub use cold_start::ColdStartArgs;
pub use drain::DrainArgs;
pub use generator::GeneratorArgs;
pub use ingest::IngestArgs;
pub use pool::PoolArgs;
pub use receive::ReceiveArgs;

/// Measure Spillway's parts side by side with others. Figures are medians over the rounds; quote them with the
/// command, the date and the machine.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Bench {
    /// The generator's CPU a request and its slip, beside wrk, oha and k6 where they are installed
    Generator(GeneratorArgs),
    /// ingest-fn's CPU, latency and memory, beside a bare axum handler
    Ingest(IngestArgs),
    /// One cap for a pool that grows, is killed and shrinks
    Pool(PoolArgs),
    /// From ingest-fn's exec to its first 202, through a running broker
    ColdStart(ColdStartArgs),
    /// How fast the drain commits, beside a plain INSERT of the same rows
    Drain(DrainArgs),
    /// Messages a second that the drain receives, beside the broker's own ceiling
    Receive(ReceiveArgs),
}

impl Bench {
    /// Measures.
    ///
    /// # Errors
    /// If a process cannot be started or does not end as it should.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Generator(args) => generator::run(args).await,
            Self::Ingest(args) => ingest::run(args).await,
            Self::Pool(args) => pool::run(args).await,
            Self::ColdStart(args) => cold_start::run(args).await,
            Self::Drain(args) => drain::run(args).await,
            Self::Receive(args) => receive::run(args).await,
        }
    }
}
