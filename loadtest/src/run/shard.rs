//! `loadtest run --shard`: plays one share of a scenario and writes a part instead of a report.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use super::interrupt::Interrupts;
use super::progress::duration;
use super::session::{SentRun, send};
use super::{EXIT_INTERRUPTED, machine};
use crate::environment::{ExternalSystem, OfferedSale, SystemUnderTest};
use crate::generator::{PartFacts, PartFile, SendPlan, Shard};
use crate::scenario::Scenario;
use crate::workload::RunId;

/// The time before the start in which the threads start and allocate their memory.
const PREPARATION: Duration = Duration::from_secs(3);

/// Maximum pause between two looks at the clock, which may be set meanwhile.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Maximum distance of the common start: a later one is a mistake in the date.
const START_AHEAD_MAX: time::Duration = time::Duration::DAY;

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Several machines as one run")]
pub struct ShardArgs {
    /// Play only the Ith of N shares of the scenario, and write a part instead of a report: the same command with I from
    /// 1 to N on N machines plays the scenario once, and `loadtest merge` judges all parts together
    #[arg(
        long,
        value_name = "I/N",
        requires_all = ["target", "start_at", "run_id", "part"],
        conflicts_with_all = ["report", "no_report", "junit", "csv", "lookup_url"]
    )]
    pub shard: Option<Shard>,

    /// With --shard: common start of all machines (RFC 3339, within 24 hours), such as 2026-11-29T12:00:00Z. Their clocks
    /// must agree (NTP)
    #[arg(long, value_name = "TIME", requires = "shard", value_parser = start_time)]
    start_at: Option<OffsetDateTime>,

    /// With --shard: id of the run, 16 hexadecimal digits, the same on all machines and never used before; `loadtest
    /// prepare` draws one
    #[arg(long, value_name = "ID", requires = "shard")]
    run_id: Option<RunId>,

    /// With --shard: file to write this machine's part to; it must not exist
    #[arg(long, value_name = "FILE", requires = "shard")]
    part: Option<PathBuf>,
}

/// A share of a run to play.
#[derive(Clone, Debug)]
pub(super) struct ShardRun {
    shard: Shard,
    start_at: OffsetDateTime,
    run_id: RunId,
    part: PathBuf,
}

impl ShardArgs {
    /// `None` without `--shard`.
    pub(super) fn shard_run(&self) -> Option<ShardRun> {
        Some(ShardRun {
            shard: self.shard?,
            start_at: self.start_at?,
            run_id: self.run_id?,
            part: self.part.clone()?,
        })
    }
}

fn start_time(text: &str) -> Result<OffsetDateTime, String> {
    let syntax = "expected a time as 2026-11-29T12:00:00Z";
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| syntax.to_owned())?;
    let ahead = at - OffsetDateTime::now_utc();
    if ahead.is_negative() {
        return Err(format!("this start has passed {:.0} ago", ahead.abs()));
    }
    if ahead > START_AHEAD_MAX {
        return Err(format!("this start is {ahead:.0} away; at most 24 hours are allowed"));
    }
    Ok(at)
}

impl ShardRun {
    /// Plays the share. The exit code says only if it was played: a part is no verdict.
    ///
    /// # Errors
    /// If nothing was sent, or the part could not be written.
    pub(super) async fn play(
        self,
        scenario: &Scenario,
        external: ExternalSystem,
        pin_to: &[usize],
        metrics_listen: Option<SocketAddr>,
        mut interrupts: Interrupts,
    ) -> anyhow::Result<ExitCode> {
        let part = PartFile::create(&self.part)?;
        let sale = external.sale.clone();
        let mut system = SystemUnderTest::attach(scenario, external, self.run_id).await?;
        let mut plan = SendPlan::new(scenario, system.workload.clone(), system.target.clone(), self.shard);
        plan.pin_to = pin_to.to_vec();
        // The merge may have no keys of order ids.
        plan.keep_order_ids = true;
        println!(
            "Playing shard {} of {}: {} of {} requests; the start is at {}\n",
            self.shard,
            scenario.name,
            self.shard.requests(plan.schedule.requests()),
            plan.schedule.requests(),
            self.start_at.format(&Rfc3339)?
        );
        if !until_start(self.start_at, &mut interrupts).await {
            println!("Interrupted before the start: nothing was sent");
            return Ok(ExitCode::from(EXIT_INTERRUPTED));
        }
        let sent =
            send(scenario, &mut system, plan, Some(self.start_at), metrics_listen, &interrupts).await?;
        let interrupted = interrupts.count() > 0;
        let (played, facts) = self.facts(scenario, sale, sent, interrupted)?;
        println!("\n{}", summary(&facts));
        if let Some(aborted) = &facts.aborted {
            println!("ABORTED: {aborted}");
        }
        let path = part.write(facts, &played)?;
        println!("Part: {} (no verdict: `loadtest merge` judges all parts together)", path.display());
        Ok(if interrupted { ExitCode::from(EXIT_INTERRUPTED) } else { ExitCode::SUCCESS })
    }

    fn facts(
        &self,
        scenario: &Scenario,
        sale: OfferedSale,
        sent: SentRun,
        interrupted: bool,
    ) -> anyhow::Result<(crate::generator::RunResult, PartFacts)> {
        let SentRun { played, mut monitor, .. } = sent;
        let aborted = monitor.aborted.take();
        let mut processes = monitor.finish();
        for process in &mut processes {
            process.name = format!("{} {}", process.name, self.shard);
        }
        let facts = PartFacts {
            run_id: self.run_id,
            shard: self.shard,
            scenario_toml: toml::to_string(scenario)?,
            sale,
            start_at: self.start_at.format(&Rfc3339)?,
            host: machine::host(),
            machine: machine::describe(),
            interrupted,
            aborted,
            totals: played.totals(),
            generator: played.health(),
            processes,
        };
        Ok((played, facts))
    }
}

/// Waits until shortly before the start; returns false after an interrupt.
async fn until_start(start_at: OffsetDateTime, interrupts: &mut Interrupts) -> bool {
    loop {
        let left = start_at - PREPARATION - OffsetDateTime::now_utc();
        if !left.is_positive() {
            return interrupts.count() == 0;
        }
        tokio::select! {
            () = sleep(left.unsigned_abs().min(PAUSE_MAX)) => {}
            () = interrupts.reach(1) => return false,
        }
    }
}

fn summary(facts: &PartFacts) -> String {
    let (totals, generator) = (&facts.totals, &facts.generator);
    let mut text = format!(
        "Shard {}: planned {}, sent {} (including {} retries), accepted {}, shed {}, refused {}, unknown {}, unsent {}\n\
         Send delay of the generator: p99.9 {}",
        facts.shard,
        totals.planned,
        totals.sent,
        totals.retries,
        totals.accepted,
        totals.shed,
        totals.refused,
        totals.unknown,
        totals.unsent,
        duration(generator.send_delay.p999_us)
    );
    if let Some(because) = &generator.void_because {
        text.push_str(&format!("\nVOID, and with it the latencies of the whole run: {because}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_start_is_in_the_next_24_hours() {
        let in_seconds = |seconds: i64| {
            let at = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
            start_time(&at.format(&Rfc3339).expect("a time"))
        };
        assert!(in_seconds(60).is_ok() && in_seconds(86_000).is_ok());
        assert!(in_seconds(-5).is_err_and(|error| error.contains("passed")));
        assert!(in_seconds(90_000).is_err_and(|error| error.contains("24 hours")));
        assert!(start_time("12:00").is_err_and(|error| error.contains("2026-11-29T12:00:00Z")));
    }
}
