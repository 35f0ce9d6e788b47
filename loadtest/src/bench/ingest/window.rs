//! One window: a constant rate for some seconds, and what it cost.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::args::IngestArgs;
use super::contender::{Contender, Server};
use crate::bench::children::{cpu_s_now, run_to_end};
use crate::bench::tools::{Job, Tool};
use crate::report;

/// What a window is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// More is offered than is taken: the peak.
    Saturated,
    /// A share of the peak: the latency.
    Share,
    /// The same rate for all: the CPU.
    Equal,
}

impl Kind {
    /// In this order: the second needs what the first finds.
    pub(super) const ALL: [Self; 3] = [Self::Saturated, Self::Share, Self::Equal];

    const fn name(self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::Share => "share of peak",
            Self::Equal => "equal rate",
        }
    }
}

/// What was measured in one window.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) contender: Contender,
    pub(super) kind: Kind,
    pub(super) round: u32,
    pub(super) offered_per_s: f64,
    /// 202 alone, over the time until the last answer.
    pub(super) accepted_per_s: f64,
    pub(super) accepted: u64,
    /// 429 and 503.
    pub(super) shed: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
    /// Given up by the generator because no connection came free in time.
    pub(super) unsent: u64,
    /// Of the server, an answer of any kind.
    pub(super) server_cpu_us: f64,
    /// Of the broker, an accepted order.
    pub(super) broker_cpu_us: Option<f64>,
    /// Of the generator, an answer of any kind.
    pub(super) generator_cpu_us: f64,
    /// From the planned time of sending to a 202.
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// How late the generator itself was.
    pub(super) slip_p999_us: u64,
}

/// Plays `(requests a second, seconds)` against `server`.
pub(super) async fn play(
    server: &Server,
    contender: Contender,
    kind: Kind,
    round: u32,
    (rps, seconds): (f64, u32),
    args: &IngestArgs,
    directory: &Path,
) -> anyhow::Result<Measured> {
    let program = std::env::current_exe()?;
    let job = Job {
        url: format!("http://{}/v1/orders", server.address),
        rps: (rps.round() as u32).max(1),
        seconds,
        connections: args.connections,
        directory: directory.to_owned(),
    };
    let broker_cpu_s = || server.broker_pid.map(cpu_s_now).transpose();
    let (server_before, broker_before) = (cpu_s_now(server.pid)?, broker_cpu_s()?);
    // Its length, what may wait at its end, and some for a start: nothing may hang the benchmark.
    let bound = Duration::from_secs(u64::from(seconds) + 40);
    let generator = run_to_end(&mut Tool::Loadtest.command(&program, &job)?, bound).await?;
    let (server_after, broker_after) = (cpu_s_now(server.pid)?, broker_cpu_s()?);
    let report = report::read(&directory.join("loadtest.json"))?;
    let totals = &report.totals;
    let answered = totals.accepted + totals.shed + totals.refused;
    let us_of = |cpu_s: f64, count: u64| cpu_s * 1e6 / count.max(1) as f64;
    Ok(Measured {
        contender,
        kind,
        round,
        offered_per_s: f64::from(job.rps),
        accepted_per_s: totals.accepted as f64 * 1_000.0 / report.run.played_ms.max(1) as f64,
        accepted: totals.accepted,
        shed: totals.shed,
        refused: totals.refused,
        unknown: totals.unknown,
        unsent: totals.unsent,
        server_cpu_us: us_of(server_after - server_before, answered),
        broker_cpu_us: broker_after
            .zip(broker_before)
            .map(|(after, before)| us_of(after - before, totals.accepted)),
        generator_cpu_us: us_of(generator.cpu_s, answered),
        p50_us: report.latency.accepted.p50_us,
        p99_us: report.latency.accepted.p99_us,
        slip_p999_us: report.generator.slip.p999_us,
    })
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:<34}{:<14}{:>8.0}/s of {:>7.0}  server {:>5.1} µs",
            self.contender,
            self.kind.name(),
            self.accepted_per_s,
            self.offered_per_s,
            self.server_cpu_us
        )?;
        match self.broker_cpu_us {
            Some(broker_us) => write!(formatter, "  broker {broker_us:>5.1} µs")?,
            None => write!(formatter, "                 ")?,
        }
        write!(
            formatter,
            "  generator {:>5.1} µs  p50 {} µs  p99 {} µs  slip p99.9 {} µs",
            self.generator_cpu_us, self.p50_us, self.p99_us, self.slip_p999_us
        )?;
        let others = [
            ("shed", self.shed),
            ("refused", self.refused),
            ("unknown", self.unknown),
            ("unsent", self.unsent),
        ];
        for (name, count) in others.into_iter().filter(|(_, count)| *count > 0) {
            write!(formatter, "  {name} {count}")?;
        }
        Ok(())
    }
}
