//! The plan: requirements and cost of a sale on the managed services, from a target and measurements.
//!
//! Facts are in data files with their sources. Every figure carries its formula, its sources, and the certainty of the
//! least certain one. Start with `sections`.

mod args;
pub mod broker;
pub mod cost;
pub mod facts;
pub mod formula;
pub mod plot;
mod price;
pub mod queueing;
mod render;
mod report;
mod sections;
pub mod sizing;
pub mod span;
pub mod specs;
pub mod target;

use std::fs;
use std::process::ExitCode;

use anyhow::Context;

pub use args::{PlanArgs, PlanFormat};
use facts::PlanFacts;
pub use render::render;
pub use report::{FORMAT, SalePlan};
pub use target::PlanTarget;

/// Plans, prints, and writes the JSON file if requested.
///
/// # Errors
///
/// If a file cannot be read or written. Invalid flags are not an error: exit code 2 and a message for each.
pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let prices = match &args.prices {
        Some(path) => Some(fs::read_to_string(path).with_context(|| path.display().to_string())?),
        None => None,
    };
    let facts = PlanFacts::load(prices.as_deref(), args.quota.facts()?)?;
    let target = match PlanTarget::new(args, &facts) {
        Ok(target) => target,
        Err(errors) => {
            eprintln!("loadtest plan: {errors}");
            return Ok(ExitCode::from(2));
        }
    };
    let plan = SalePlan::new(&target, &facts);
    print!("{}", render(&plan, &facts.prices, target.currency, args.format));
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&plan).context("the plan as JSON")?;
        fs::write(path, json).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
