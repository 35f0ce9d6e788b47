//! `loadtest run`: plays a scenario, checks the ledger, writes the report. `loadtest prepare` and `merge`: the same on
//! several machines.

mod abort;
mod args;
mod before;
mod conclusion;
mod drain_counter;
mod expect;
mod interrupt;
mod ledger;
mod live_metrics;
mod machine;
mod merge;
mod order_cost;
mod overrides;
mod progress;
mod sampler;
mod session;
mod shard;
mod summary;
mod target_args;
mod timeline;
mod window;

use std::path::Path;
use std::process::ExitCode;

use shared::config::EXIT_CONFIG;

use self::overrides::Overrides;
use crate::environment::{FaultPlan, LaunchConfig, OfferedSale, SystemUnderTest};
use crate::generator;
use crate::report::{self, ReportExports, RunReport, RunVerdict};
use crate::scenario::{self, SALE_ID, Scenario};
use crate::workload::RunId;

pub use args::RunArgs;
pub use before::{PrepareArgs, prepare};
pub(crate) use expect::measure;
pub use interrupt::Interrupts;
pub use machine::describe as describe_machine;
pub use merge::{MergeArgs, merge};
pub use session::play;
pub use summary::RunSummary;

/// Exit code of a run that proves nothing: nothing failed, but something could not be judged.
pub const EXIT_NOT_JUDGED: u8 = 3;

/// Exit code of a run that Ctrl-C ended, as in shells.
const EXIT_INTERRUPTED: u8 = 130;

/// A run that fails or is not judged is an exit code, not an error.
pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let scenario = match effective(&args.scenario, &args.overrides) {
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
    let faults = FaultPlan {
        kill_worker: args.kill_worker,
        kill_broker: args.kill_broker,
        at_rows: args.kill_at_rows,
    };
    let external = args.external(&scenario)?;
    if let (Some(shard), Some(external)) = (args.sharding.shard_run(), external.clone()) {
        return shard.play(&scenario, external, &args.pin, args.metrics_listen, interrupts).await;
    }
    let mut system = match external {
        Some(external) => SystemUnderTest::attach(&scenario, external, RunId::random()).await?,
        None => {
            let sale = OfferedSale { catalogue_toml: scenario.catalogue_toml(), sale_id: SALE_ID.to_owned() };
            let config = LaunchConfig { sale, stack: args.stack(), through_fc: args.through_fc(), faults };
            SystemUnderTest::launch(&scenario, config).await?
        }
    };
    let report = match play(&scenario, &mut system, &args.pin, args.metrics_listen, &interrupts).await {
        Ok(report) => report,
        Err(error) => {
            if let Some(logs) = system.log_directory() {
                eprintln!("Logs: {logs}");
            }
            return Err(error);
        }
    };
    publish(&report, (!args.no_report).then_some(args.report.as_path()), &args.exports)?;
    // Logs and data of a failed run are kept: they explain the failure.
    if let Some(summary) = system.stop(!report.passed()).await? {
        println!("\nFunction Compute on this machine\n{summary}");
    }
    Ok(report_code(&report))
}

fn report_code(report: &RunReport) -> ExitCode {
    if report.run.interrupted { ExitCode::from(EXIT_INTERRUPTED) } else { exit_code(report.verdict) }
}

pub(crate) fn exit_code(verdict: RunVerdict) -> ExitCode {
    match verdict {
        RunVerdict::Passed => ExitCode::SUCCESS,
        RunVerdict::Failed => ExitCode::FAILURE,
        RunVerdict::NotJudged => ExitCode::from(EXIT_NOT_JUDGED),
    }
}

/// Loads the scenario, applies the flags and checks the result.
fn effective(name: &str, overrides: &Overrides) -> Result<Scenario, scenario::ScenarioError> {
    let scenario = overrides.apply(scenario::load(name)?)?;
    scenario.check()?;
    Ok(scenario)
}

/// Prints the summary, and writes the report to `name` and the other formats.
fn publish(report: &RunReport, name: Option<&Path>, exports: &ReportExports) -> anyhow::Result<()> {
    println!("\n{}", RunSummary(report));
    if let Some(name) = name {
        write(report, name)?;
    }
    for path in exports.write(report)? {
        println!("Report: {}", path.display());
    }
    Ok(())
}

fn write(report: &RunReport, name: &Path) -> anyhow::Result<()> {
    let (json, html) = (name.with_added_extension("json"), name.with_added_extension("html"));
    report::write_json(report, &json)?;
    report::write_html(report, &html)?;
    println!("Report: {} and {}", html.display(), json.display());
    Ok(())
}
