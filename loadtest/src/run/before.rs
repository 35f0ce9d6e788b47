//! `loadtest prepare`: the id of a run of several machines, and the database's state before it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use shared::config::{DatabaseUrl, EXIT_CONFIG, Secret};

use super::effective;
use super::overrides::Overrides;
use crate::environment::{LedgerSources, OfferedSale};
use crate::generator::PartFacts;
use crate::ledger::{LedgerSystem, RunScope};
use crate::workload::RunId;

/// Raised when a reader of the old format would misread the new one.
const FORMAT: u32 = 1;

/// Prepare a run of several machines: draw its id, and write the database's state before it to a file for `loadtest
/// merge`.
///
/// The scenario and its flags must be those of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct PrepareArgs {
    /// A scenario that ships (see `loadtest scenarios`) or a TOML file
    #[arg(value_name = "SCENARIO")]
    scenario: String,

    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    before: PathBuf,

    /// The system's database; prefer the environment variable
    #[arg(long, env = "SPILLWAY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: DatabaseUrl,

    /// The system's keys of order ids, which the merge will need; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ORDER_ID_KEYS", value_name = "KEYS", hide_env_values = true)]
    order_id_keys: Secret<String>,

    /// The system's catalogue [default: the scenario's own sale]
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,

    /// With --catalogue: id of the sale
    #[arg(long, value_name = "ID", requires = "catalogue")]
    sale: Option<String>,

    #[command(flatten)]
    overrides: Overrides,
}

/// The state of a system before a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunBefore {
    format: u32,
    run_id: RunId,
    scenario_toml: String,
    sale: OfferedSale,
    pub(super) scope: RunScope,
}

impl RunBefore {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let json = std::fs::read(path).with_context(|| path.display().to_string())?;
        let before: Self = serde_json::from_slice(&json)
            .with_context(|| format!("{}: not a file of `loadtest prepare`", path.display()))?;
        ensure!(before.format == FORMAT, "{}: the format of another version of loadtest", path.display());
        Ok(before)
    }

    /// # Errors
    /// If it is not the state before the run of `part`, which started at `started_us` by the machines' clocks.
    pub(super) fn check(&self, part: &PartFacts, started_us: i64) -> anyhow::Result<()> {
        let (ours, theirs) = (self.run_id, part.run_id);
        ensure!(ours == theirs, "it was prepared for run {ours}, and the parts are of run {theirs}");
        let is_same = self.scenario_toml == part.scenario_toml && self.sale == part.sale;
        ensure!(is_same, "it was prepared for another scenario or sale; use the same flags");
        let taken_us = self.scope.began_us - self.scope.clock_offset_us;
        ensure!(taken_us <= started_us, "it was written after the start of the run");
        Ok(())
    }
}

/// Writes the file and prints the next steps.
pub async fn prepare(args: PrepareArgs) -> anyhow::Result<ExitCode> {
    let scenario = match effective(&args.scenario, &args.overrides) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("loadtest: {error}");
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let sale = OfferedSale::find(&scenario, args.catalogue.as_deref(), args.sale.as_deref())?;
    let sources = LedgerSources {
        database_url: Some(args.database_url),
        order_id_keys: Some(args.order_id_keys),
        ..LedgerSources::default()
    };
    let run_id = RunId::random();
    let workload = sources.workload(&scenario, &sale, run_id)?;
    let mut access = sources.open().await?;
    let reader = access.reader.as_mut().context("the database")?;
    let system = LedgerSystem { is_own: false, group: None, invisible: access.invisible };
    let scope = reader.begin(&workload, system).await?;
    let scenario_toml = toml::to_string(&scenario)?;
    let before = RunBefore { format: FORMAT, run_id, scenario_toml, sale, scope };
    let file = std::fs::File::create_new(&args.before).with_context(|| args.before.display().to_string())?;
    serde_json::to_writer_pretty(file, &before)?;
    println!(
        "Run id: {run_id}
Before: {}

On each machine I of N, with the same scenario flags and the same TIME:
  loadtest run {} --target URL --shard I/N --run-id {run_id} --start-at TIME --part I.part
Here, with all parts:
  loadtest merge --before {} *.part",
        args.before.display(),
        args.scenario,
        args.before.display()
    );
    Ok(ExitCode::SUCCESS)
}
