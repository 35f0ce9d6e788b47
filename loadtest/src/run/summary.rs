//! The summary of a run on the terminal.

use std::fmt;

use super::progress::duration;
use crate::report::{ExpectationResult, Quantiles, RunReport, RunVerdict};
use crate::scenario::ExpectedRange;

#[derive(Debug)]
pub struct RunSummary<'a>(pub &'a RunReport);

impl fmt::Display for RunSummary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let totals = &report.totals;
        writeln!(formatter, "Requests")?;
        writeln!(
            formatter,
            "  planned {}, sent {} (including {} retries), unsent {}",
            totals.planned, totals.sent, totals.retries, totals.unsent
        )?;
        writeln!(
            formatter,
            "  accepted {}, shed {}, refused {}, unknown {}",
            totals.accepted, totals.shed, totals.refused, totals.unknown
        )?;
        for (code, count) in &totals.refused_by_code {
            writeln!(formatter, "    {code:<32}{count:>9}")?;
        }
        for (cause, count) in &totals.unknown_by_cause {
            writeln!(formatter, "    no response: {cause:<19}{count:>9}")?;
        }
        writeln!(formatter, "\nLatency from the planned send time")?;
        line(formatter, "accepted", &report.latency.accepted)?;
        line(formatter, "shed", &report.latency.shed)?;
        let generator = &report.generator;
        line(formatter, "send delay of the generator", &generator.send_delay)?;
        if let Some(because) = &generator.void_because {
            writeln!(formatter, "  VOID: {because}. The ledger is valid.")?;
        }
        writeln!(
            formatter,
            "\nGenerator: {} thread(s), {:.1} µs of CPU per request, at most {} connections, {} opened",
            generator.threads,
            generator.cpu_us_per_request,
            generator.connections_max,
            generator.connections_opened
        )?;
        for shard in &report.shards {
            let interrupted = if shard.interrupted { ", interrupted" } else { "" };
            writeln!(
                formatter,
                "  shard {:<12}{:>9} sent, send delay p99.9 {:>8}  {}{interrupted}",
                shard.shard,
                shard.sent,
                duration(shard.generator.send_delay.p999_us),
                shard.host
            )?;
        }
        for process in &report.processes {
            writeln!(
                formatter,
                "  {:<18}{:>8.1} s CPU  {:>6} MiB maximum",
                process.name,
                process.cpu_s,
                process.rss_max_bytes / (1 << 20)
            )?;
        }
        if !report.expectations.is_empty() {
            writeln!(formatter, "\nExpected")?;
        }
        for expectation in &report.expectations {
            writeln!(
                formatter,
                "  {}  {:<24} {:>12}  of {}",
                match expectation.result {
                    ExpectationResult::Holds => "holds     ",
                    ExpectationResult::Fails => "FAILS     ",
                    ExpectationResult::NotJudged => "not judged",
                },
                expectation.name,
                expectation.actual.map_or_else(|| "-".to_owned(), |actual| format!("{actual:.4}")),
                ExpectedRange { min: expectation.min, max: expectation.max }
            )?;
        }
        if let Some(aborted) = &report.run.aborted {
            writeln!(formatter, "\nABORTED: {aborted}")?;
        }
        for surprise in &report.surprises {
            writeln!(formatter, "\nSURPRISE: {surprise}")?;
        }
        match &report.ledger {
            Some(verdict) => writeln!(formatter, "\nLedger\n{verdict}")?,
            None => writeln!(formatter, "\nNo ledger: neither the database nor the look-up was read.")?,
        }
        let expectations = report.expectations.len();
        let judged = match (&report.ledger, expectations) {
            (Some(_), 0) => "the ledger".to_owned(),
            (Some(_), _) => format!("the ledger and {expectations} expectations"),
            (None, _) => format!("{expectations} expectations, without a ledger"),
        };
        match report.verdict {
            RunVerdict::Passed => write!(formatter, "\nPASSED: {judged}"),
            RunVerdict::Failed => write!(formatter, "\nFAILED: see above"),
            RunVerdict::NotJudged => {
                write!(formatter, "\nNOT JUDGED: nothing failed, but {}", report.not_judged.join("; "))
            }
        }
    }
}

fn line(formatter: &mut fmt::Formatter<'_>, name: &str, quantiles: &Quantiles) -> fmt::Result {
    if quantiles.count == 0 {
        return Ok(());
    }
    writeln!(
        formatter,
        "  {name:<28}p50 {:>8}  p99 {:>8}  p99.9 {:>8}  max {:>8}",
        duration(quantiles.p50_us),
        duration(quantiles.p99_us),
        duration(quantiles.p999_us),
        duration(quantiles.max_us)
    )
}
