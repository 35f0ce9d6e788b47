//! The simulator: a sale on Function Compute on a virtual clock.
//!
//! [`fc_model::Platform`] decides, as it does for `fc-local`. This module adds arrivals from a scenario's phases and a
//! model of an instance: orders take turns on its CPU, then each waits for the broker. Equal seeds give equal outcomes,
//! and every outcome is checked against the laws that it must satisfy.

mod args;
mod arrivals;
mod bill;
mod build;
mod model;
mod outcome;
mod recorder;
pub mod render;
mod service;
mod setup;
mod sweep;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use tokio::time::Instant;

pub use crate::scenario::Spacing;
pub use args::{ColdStartFlag, SimulateArgs};
pub use arrivals::Arrivals;
pub use build::BuildError;
pub use model::simulate;
pub use outcome::{
    CpuUse, FORMAT, Little, SimulatedCost, SimulationInputs, SimulationOutcome, TimelineSample,
};
pub use service::{ColdStarts, PublishLatency};
pub use setup::{Prewarm, SimulationSetup};
pub use sweep::{Sweep, SweepAxis, SweepGoal, SweepParameter, SweepRow, sweep};

use crate::plan::facts::PlanFacts;
use crate::plan::formula::number;

/// Simulates, prints, and writes the JSON file if requested.
///
/// # Errors
///
/// If a file cannot be read or written. Invalid flags are not an error: exit code 2 and a message for each.
pub fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let facts = PlanFacts::load(None, args.quota.facts()?)?;
    let setup = match SimulationSetup::from_flags(args, &facts) {
        Ok(setup) => setup,
        Err(BuildError::Wrong(errors)) => {
            eprintln!("loadtest simulate: {errors}");
            return Ok(ExitCode::from(2));
        }
        Err(error @ BuildError::File(_)) => return Err(error.into()),
    };
    if args.sweep.is_empty() {
        let begun = Instant::now();
        let outcome = simulate(&setup, &facts.prices)?;
        let took_s = begun.elapsed().as_secs_f64();
        print!("{}", render::outcome(&outcome, args.currency));
        let speed = number(outcome.planned as f64 / took_s);
        println!("\n  simulated in {took_s:.3} s: {speed} requests a second, on one core");
        write_json(args.json.as_deref(), &outcome)?;
        return Ok(ExitCode::SUCCESS);
    }
    let p99_ms = args.p99_ms.unwrap_or(facts.measured.assumed.p99_ms.value);
    let goal = SweepGoal { seeds: args.seeds, p99_ms, throttled_max: args.throttled_max };
    let sweep = sweep(&setup, &args.sweep, goal, &facts, args.threads.into())?;
    print!("{}", render::sweep(&sweep, args.currency));
    write_json(args.json.as_deref(), &sweep)?;
    Ok(if sweep.best.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_json(path: Option<&Path>, what: &impl Serialize) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let json = serde_json::to_vec_pretty(what).context("the outcome as JSON")?;
    fs::write(path, json).with_context(|| path.display().to_string())
}
