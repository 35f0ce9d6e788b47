//! `loadtest bench`: what the generator costs, beside the known tools, in one run on one machine.

mod children;
mod generator;
mod tools;

use std::process::ExitCode;

pub use generator::GeneratorArgs;

/// Measure Spillway's parts side by side with others. Figures are medians over the rounds; quote them with the
/// command, the date and the machine.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Bench {
    /// The generator's CPU a request and its slip, beside wrk, oha and k6 where they are installed
    Generator(GeneratorArgs),
}

impl Bench {
    /// Measures.
    ///
    /// # Errors
    /// If a process cannot be started or does not end as it should.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Generator(args) => generator::run(args).await,
        }
    }
}
