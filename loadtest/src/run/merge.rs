//! `loadtest merge`: one report and one ledger of a run that several machines have played.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use shared::config::{DatabaseUrl, Secret};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::spawn_blocking;

use super::before::RunBefore;
use super::conclusion::RunEnd;
use super::interrupt::Interrupts;
use super::ledger::{PlayedRun, database_version, keep_ledger};
use super::publish;
use super::target_args::AccessArgs;
use crate::environment::LedgerSources;
use crate::generator::{PlayedPart, PlayedPlan, Shard, merge_parts};
use crate::report::{GeneratorHealth, ReportExports, ShardReport, TestedStack};
use crate::scenario::Scenario;
use crate::target::TargetUrl;

/// Interrupts that end the wait for the drain: nothing is sent any more that a first one could end.
const INTERRUPTS_CUT: u32 = 1;

/// Merge the parts of a run that several machines played, judge one ledger, and report as `loadtest run` does.
///
/// Histograms are added, so that percentiles are those of all requests. If the generator of one machine was late, the
/// latencies of the whole run are void. For the ledger set SPILLWAY_DATABASE_URL, SPILLWAY_ORDER_ID_KEYS and --before,
/// or --lookup-url.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// Parts of all shards, in any order
    #[arg(value_name = "PART", required = true)]
    parts: Vec<PathBuf>,

    /// State of the database before the run, as `loadtest prepare` has written it; the ledger by the database needs it
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,

    /// The system's database, for the ledger; prefer the environment variable
    #[arg(long, env = "SPILLWAY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<DatabaseUrl>,

    /// The system's keys of order ids, so that the ledger can check ids; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ORDER_ID_KEYS", value_name = "KEYS", hide_env_values = true)]
    order_id_keys: Option<Secret<String>>,

    /// Address of the look-up, http[s]://host[:port][/prefix], for a ledger without the database, or beside it
    #[arg(long, value_name = "URL", group = "reached")]
    lookup_url: Option<TargetUrl>,

    #[command(flatten)]
    access: AccessArgs,

    /// With --lookup-url: maximum orders to look up [default: 200 beside the database, else 10000]
    #[arg(long, value_name = "ORDERS", requires = "lookup_url")]
    lookup_sample: Option<usize>,

    /// Report to write: NAME.json and NAME.html
    #[arg(long, value_name = "NAME", default_value = "loadtest-report")]
    report: PathBuf,

    #[command(flatten)]
    exports: ReportExports,
}

const EXAMPLES: &str = "Example, with three machines:
  loadtest prepare flash-sale --before sale.before          # on the machine that will merge; prints the run's id
  loadtest run flash-sale --target URL --shard 1/3 --run-id ID --start-at 2026-11-29T12:00:00Z --part 1.part
  loadtest merge --before sale.before 1.part 2.part 3.part

Exit codes: as of `loadtest run`; 1 also if a part is missing, doubled, damaged or of another run.";

/// A run that fails or is not judged is an exit code, not an error.
///
/// # Errors
/// If the parts are not all those of one run.
pub async fn merge(args: MergeArgs) -> anyhow::Result<ExitCode> {
    let mut parts =
        args.parts.iter().map(|path| PlayedPart::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    parts.sort_by_key(|part| part.facts.shard);
    let first = check(&parts)?.facts.clone();
    let scenario: Scenario = toml::from_str(&first.scenario_toml).context("the scenario of the parts")?;
    let started_at = OffsetDateTime::parse(&first.start_at, &Rfc3339).context("the start of the parts")?;
    let started_us = (started_at.unix_timestamp_nanos() / 1_000) as i64;
    let sources = LedgerSources {
        database_url: args.database_url,
        order_id_keys: args.order_id_keys,
        look_up: args.access.look_up(args.lookup_url.as_ref())?,
        look_ups_max: args.lookup_sample,
    };
    let scope = match (&args.before, &sources.database_url) {
        (Some(path), Some(_)) => {
            let before = RunBefore::read(path)?;
            before.check(&first, started_us).with_context(|| path.display().to_string())?;
            Some(before.scope)
        }
        (None, Some(_)) => bail!(
            "the ledger compares the stock with its state before the run: set --before to the file of `loadtest \
             prepare`, or unset SPILLWAY_DATABASE_URL for a report without it"
        ),
        (Some(_), None) => bail!("--before: set SPILLWAY_DATABASE_URL for the ledger"),
        (None, None) => None,
    };
    let workload = sources.workload(&scenario, &first.sale, first.run_id)?;
    let interrupts = Interrupts::listen()?;
    let mut access = sources.open().await?;
    let shards: Vec<_> = parts.iter().map(shard_report).collect();
    let aborted = parts.iter().find_map(|part| part.facts.aborted.clone());
    let processes = parts.iter().flat_map(|part| part.facts.processes.clone()).collect();
    let plan = PlayedPlan {
        schedule: scenario.schedule(),
        workload,
        shard: Shard::WHOLE,
        threads: shards.iter().map(|shard| shard.generator.threads).sum(),
        interval_ms: scenario.generator.interval_ms,
        send_delay_p999_us_max: scenario.generator.send_delay_p999_us_max,
    };
    let (keeps_a_ledger, knows_order_ids) = (access.keeps_a_ledger(), sources.knows_order_ids());
    let (played, account) = spawn_blocking(move || {
        let played = merge_parts(parts, plan)?;
        let account = played.account(keeps_a_ledger, knows_order_ids)?;
        anyhow::Ok((played, account))
    })
    .await
    .context("the merge")??;
    println!("Merging {} parts of run {}, {}", shards.len(), first.run_id, scenario.name);
    let run =
        PlayedRun { played: &played, attempts: &account.attempts, clients: scenario.clients, started_us };
    let judgement = keep_ledger(&mut access, scope, run, &interrupts, INTERRUPTS_CUT).await;
    let end = RunEnd {
        scenario: &scenario,
        played: &played,
        generator: generator_of_all(played.health(), &shards),
        surprises: account.surprises,
        judgement,
        started_at,
        stack: TestedStack::External,
        interrupted: interrupts.count() > 0 || shards.iter().any(|shard| shard.interrupted),
        aborted,
        parts: database_version(&mut access).await,
        machine: first.machine,
        processes,
        shards,
    };
    let report = end.report()?;
    publish(&report, Some(&args.report), &args.exports)?;
    Ok(super::report_code(&report))
}

/// Returns the first of `parts`, which ascend by shard.
///
/// # Errors
/// If the parts are not each shard of one run once.
fn check(parts: &[PlayedPart]) -> anyhow::Result<&PlayedPart> {
    let any = parts.first().context("no part")?;
    for part in parts {
        let (facts, expected) = (&part.facts, &any.facts);
        let names = format!("{} and {}", any.path.display(), part.path.display());
        ensure!(
            facts.run_id == expected.run_id,
            "{names} are of two runs: {} and {}",
            expected.run_id,
            facts.run_id
        );
        let (ours, theirs) = (expected.shard.count(), facts.shard.count());
        ensure!(ours == theirs, "{names} are of {ours} and of {theirs} shards");
        ensure!(facts.start_at == expected.start_at, "{names} started at different times");
        let is_same = facts.scenario_toml == expected.scenario_toml && facts.sale == expected.sale;
        ensure!(is_same, "{names} played different scenarios or sales");
    }
    let (mut missing, mut doubled) = (Vec::new(), Vec::new());
    for shard in any.facts.shard.all() {
        let played: Vec<_> = parts.iter().filter(|part| part.facts.shard == shard).collect();
        match played.as_slice() {
            [] => missing.push(shard.to_string()),
            [_] => {}
            [one, other, ..] => {
                doubled.push(format!("{shard} by {} and {}", one.path.display(), other.path.display()));
            }
        }
    }
    ensure!(doubled.is_empty(), "a shard is given twice: {}", doubled.join(", "));
    ensure!(missing.is_empty(), "the part of shard {} is missing", missing.join(", "));
    Ok(any)
}

fn shard_report(part: &PlayedPart) -> ShardReport {
    let facts = &part.facts;
    ShardReport {
        shard: facts.shard.to_string(),
        host: facts.host.clone(),
        machine: facts.machine.clone(),
        sent: facts.totals.sent,
        interrupted: facts.interrupted,
        generator: facts.generator.clone(),
    }
}

/// A machine whose generator was late has measured wrong latencies, however small its share is.
fn generator_of_all(all: GeneratorHealth, shards: &[ShardReport]) -> GeneratorHealth {
    let late: Vec<_> = shards
        .iter()
        .filter_map(|shard| {
            let because = shard.generator.void_because.as_ref()?;
            Some(format!("shard {} on {}: {because}", shard.shard, shard.host))
        })
        .collect();
    if late.is_empty() {
        return all;
    }
    GeneratorHealth { latencies_valid: false, void_because: Some(late.join("; ")), ..all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::machine;

    #[test]
    fn one_late_generator_voids_the_latencies_of_all() {
        let shard = |number: u32, void_because: Option<&str>| ShardReport {
            shard: format!("{number}/3"),
            host: format!("host-{number}"),
            machine: machine::describe(),
            sent: 1,
            interrupted: false,
            generator: GeneratorHealth {
                latencies_valid: void_because.is_none(),
                void_because: void_because.map(str::to_owned),
                ..GeneratorHealth::default()
            },
        };
        let all = || GeneratorHealth { latencies_valid: true, ..GeneratorHealth::default() };
        let punctual = [shard(1, None), shard(2, None), shard(3, None)];
        assert_eq!(generator_of_all(all(), &punctual), all());
        let late = generator_of_all(all(), &[shard(1, None), shard(2, Some("3 ms late")), shard(3, None)]);
        assert!(!late.latencies_valid);
        assert_eq!(late.void_because.as_deref(), Some("shard 2/3 on host-2: 3 ms late"));
    }
}
