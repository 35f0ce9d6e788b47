//! `loadtest run`: plays a scenario, keeps the ledger, reports.

mod args;
mod expect;
mod field;
mod interrupt;
mod machine;
mod overrides;
mod progress;
mod sampler;
mod session;
mod summary;
mod timeline;

use std::path::Path;
use std::process::ExitCode;

use shared::config::EXIT_CONFIG;

use crate::generator;
use crate::report::{self, Report};
use crate::scenario::{self, SALE_ID, Scenario};

pub use args::RunArgs;
pub use field::{External, Faults, Field, Offer, Setup};
pub use interrupt::Interrupts;
pub(crate) use machine::describe as describe_machine;
pub use overrides::Overrides;
pub use session::play;
pub use summary::Summary;

/// Exit code of a run that Ctrl-C ended, as shells have it.
const EXIT_INTERRUPTED: u8 = 130;

/// Plays what the flags ask for.
///
/// # Errors
/// Whatever keeps it from being played to the end. A ledger that does not add up is no error but exit code 1.
pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let scenario = match effective(&args) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("loadtest: {error}");
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    if args.print_scenario {
        print!("{}", toml::to_string(&scenario)?);
        return Ok(ExitCode::SUCCESS);
    }
    generator::raise_open_files();
    let interrupts = Interrupts::listen()?;
    let faults = Faults { worker: args.kill_worker, broker: args.kill_broker, at_rows: args.kill_at_rows };
    let mut field = match args.external() {
        Some(external) => Field::external(&scenario, &external).await?,
        None => {
            let offer = Offer { catalogue_toml: scenario.catalogue_toml(), sale_id: SALE_ID.to_owned() };
            let setup = Setup { offer, stack: args.stack(), through_fc: args.through_fc(), faults };
            Field::own(&scenario, setup).await?
        }
    };
    let report = match play(&scenario, &mut field, &args.pin, &interrupts).await {
        Ok(report) => report,
        Err(error) => {
            if let Some(logs) = field.logs() {
                eprintln!("The logs are in {logs}");
            }
            return Err(error);
        }
    };
    println!("\n{}", Summary(&report));
    if !args.no_report {
        write(&report, &args.report)?;
    }
    // What a failed run left behind is what explains it.
    if let Some(platform) = field.strike(!report.passed()).await? {
        println!("\nFunction Compute on this machine\n{platform}");
    }
    Ok(if report.run.interrupted {
        ExitCode::from(EXIT_INTERRUPTED)
    } else if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The scenario with every flag applied, checked.
fn effective(args: &RunArgs) -> Result<Scenario, scenario::ScenarioError> {
    let mut scenario = scenario::load(&args.scenario)?;
    args.overrides.apply(&mut scenario);
    scenario.check()?;
    Ok(scenario)
}

/// Writes `name.json` and `name.html`.
fn write(report: &Report, name: &Path) -> anyhow::Result<()> {
    let (json, html) = (name.with_added_extension("json"), name.with_added_extension("html"));
    report::write_json(report, &json)?;
    report::write_html(report, &html)?;
    println!("Report: {} and {}", html.display(), json.display());
    Ok(())
}
