use std::process::ExitCode;

use super::{ABORT_METRICS, EXPECTABLE_METRICS, PHASE_METRICS, SHIPPED, load};

/// List the shipped scenarios, print one as a template, or list the metrics that a scenario can expect.
#[derive(Clone, Debug, clap::Args)]
pub struct ScenariosArgs {
    /// Print the TOML of this scenario
    #[arg(value_name = "NAME", value_parser = SHIPPED.map(|(name, _)| name))]
    pub name: Option<String>,
    /// List the names that `expect` and --expect accept; those with [@PHASE] may name a phase; and those
    /// that `[abort]` and --abort-on accept
    #[arg(long, conflicts_with = "name")]
    pub measures: bool,
}

impl ScenariosArgs {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        if self.measures {
            for (name, meaning) in EXPECTABLE_METRICS {
                let phase = if PHASE_METRICS.contains(&name) { "[@PHASE]" } else { "" };
                println!("{:<24} {meaning}", format!("{name}{phase}"));
            }
            println!("\n[abort] and --abort-on: {}", ABORT_METRICS.join(", "));
            return Ok(ExitCode::SUCCESS);
        }
        for (name, text) in SHIPPED {
            match &self.name {
                Some(wanted) if wanted == name => print!("{text}"),
                Some(_) => {}
                None => println!("{name:<14} {}", load(name)?.description),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
