//! The windows of all rounds, their table and the goals.

use std::fmt;
use std::time::Duration;

use loadtest::report;
use serde::Serialize;
use tokio::time::Instant;

use super::IngestArgs;
use super::server::{IngestSubject, ServerUnderTest};
use crate::accounting::{cpu_s_now, machine_cpu_s_now, run_to_end};
use crate::harness::{Conditions, Goal, Spread, Table, mib};
use crate::tools::{LoadJob, Tool};

/// Maximum CPU per request, as a multiple of the plain handler's.
const NO_BROKER_RATIO_MAX: f64 = 1.15;
const REAL_RATIO_MAX: f64 = 1.35;

/// Maximum p99 at the share of the peak.
const REAL_P99_MS_MAX: f64 = 15.0;

/// Maximum memory at full load.
const RSS_MIB_MAX: f64 = 64.0;

/// Minimum accepted orders a second with the embedded broker.
const EMBEDDED_RPS_MIN: f64 = 50_000.0;

/// Processors that other work may use before a window counts as disturbed. The kernel's own work stays below it.
const OTHER_CPUS_MAX: f64 = 0.15;

/// Time to start and to wait for late responses, beyond a window's length.
const WINDOW_BOUND_EXTRA_S: u64 = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WindowKind {
    Saturated,
    Share,
    Equal,
}

impl WindowKind {
    /// In the order of play: the share needs the peak.
    pub(super) const ALL: [Self; 3] = [Self::Saturated, Self::Share, Self::Equal];

    const fn name(self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::Share => "share of peak",
            Self::Equal => "equal rate",
        }
    }
}

/// A constant rate for some seconds, and what it cost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct IngestWindow {
    subject: IngestSubject,
    kind: WindowKind,
    round: u32,
    offered_per_s: f64,
    /// 202 only, over the time until the last response.
    pub(super) accepted_per_s: f64,
    accepted: u64,
    /// 429 and 503.
    shed: u64,
    refused: u64,
    unknown: u64,
    /// Dropped by the generator because no connection was free in time.
    unsent: u64,
    /// Per response of any kind.
    server_cpu_us: f64,
    /// Per accepted order.
    broker_cpu_us: Option<f64>,
    /// Per response of any kind.
    generator_cpu_us: f64,
    /// Processors used by other work, mean; the real broker's stack counts as other work.
    other_cpus: f64,
    /// From the planned send time to the 202.
    p50_us: u64,
    p99_us: u64,
    send_delay_p999_us: u64,
    /// False if the generator was late: the latencies are not the server's.
    latencies_valid: bool,
}

impl IngestWindow {
    pub(super) async fn measure(
        server: &ServerUnderTest,
        kind: WindowKind,
        round: u32,
        job: &LoadJob,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let broker_cpu_s = || server.broker_pid.map(cpu_s_now).transpose();
        let (server_before, broker_before) = (cpu_s_now(server.pid)?, broker_cpu_s()?);
        let (machine_before, started) = (machine_cpu_s_now()?, Instant::now());
        let bound = Duration::from_secs(u64::from(job.seconds) + WINDOW_BOUND_EXTRA_S);
        let generator = run_to_end(&mut Tool::Loadtest.command(&program, job)?, bound).await?;
        let (machine_s, elapsed) = (machine_cpu_s_now()? - machine_before, started.elapsed());
        let server_s = cpu_s_now(server.pid)? - server_before;
        let broker_s = broker_cpu_s()?.zip(broker_before).map(|(after, before)| after - before);
        let ours_s = server_s + broker_s.unwrap_or(0.0) + generator.cpu_s;
        let report = report::read(&job.directory.join("loadtest.json"))?;
        let totals = &report.totals;
        let answered = totals.accepted + totals.shed + totals.refused;
        let us_per = |cpu_s: f64, count: u64| cpu_s * 1e6 / count.max(1) as f64;
        Ok(Self {
            subject: server.subject,
            kind,
            round,
            offered_per_s: f64::from(job.rps),
            accepted_per_s: totals.accepted as f64 * 1_000.0 / report.run.played_ms.max(1) as f64,
            accepted: totals.accepted,
            shed: totals.shed,
            refused: totals.refused,
            unknown: totals.unknown,
            unsent: totals.unsent,
            server_cpu_us: us_per(server_s, answered),
            broker_cpu_us: broker_s.map(|cpu_s| us_per(cpu_s, totals.accepted)),
            generator_cpu_us: us_per(generator.cpu_s, answered),
            other_cpus: ((machine_s - ours_s) / elapsed.as_secs_f64()).max(0.0),
            p50_us: report.latency.accepted.p50_us,
            p99_us: report.latency.accepted.p99_us,
            send_delay_p999_us: report.generator.send_delay.p999_us,
            latencies_valid: report.generator.latencies_valid,
        })
    }

    /// Nothing of a disturbed window is published.
    fn is_disturbed(&self) -> bool {
        self.other_cpus >= OTHER_CPUS_MAX
    }

    fn not_accepted(&self) -> u64 {
        self.shed + self.refused + self.unknown
    }
}

impl fmt::Display for IngestWindow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:<36}{:<14}{:>8.0}/s of {:>7.0}  server {:>5.1} µs",
            self.subject,
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
            "  generator {:>5.1} µs  p50 {} µs  p99 {} µs  send delay p99.9 {} µs",
            self.generator_cpu_us, self.p50_us, self.p99_us, self.send_delay_p999_us
        )?;
        if self.is_disturbed() {
            write!(formatter, "  LEFT OUT: other work used {:.2} processors", self.other_cpus)?;
        } else if !self.latencies_valid {
            write!(formatter, "  LATENCIES LEFT OUT: the generator was late")?;
        }
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

#[derive(Debug, Serialize)]
pub(super) struct IngestResults {
    #[serde(flatten)]
    measured: Conditions,
    rps: u32,
    share_percent: u32,
    seconds: u32,
    connections: u32,
    rounds: u32,
    pub(super) windows: Vec<IngestWindow>,
    pub(super) rss_high_bytes: Vec<(IngestSubject, u64)>,
    /// Accepted a second by wrk.
    pub(super) wrk: Vec<(IngestSubject, f64)>,
    /// p50 and p99 by oha at the equal rate, ms, latency correction on.
    pub(super) oha: Vec<(IngestSubject, f64, f64)>,
}

impl IngestResults {
    pub(super) fn new(args: &IngestArgs) -> Self {
        Self {
            measured: Conditions::now(),
            rps: args.rps,
            share_percent: args.share_percent,
            seconds: args.seconds,
            connections: args.connections,
            rounds: args.rounds,
            windows: Vec::new(),
            rss_high_bytes: Vec::new(),
            wrk: Vec::new(),
            oha: Vec::new(),
        }
    }

    fn spread(
        &self,
        subject: IngestSubject,
        kind: WindowKind,
        value: impl Fn(&IngestWindow) -> Option<f64>,
    ) -> Option<Spread> {
        let windows = self.windows.iter().filter(|window| window.subject == subject && window.kind == kind);
        Spread::compute(windows.filter(|window| !window.is_disturbed()).filter_map(value))
    }

    /// Milliseconds, of the windows in which the generator was punctual.
    fn latency_ms(
        &self,
        subject: IngestSubject,
        kind: WindowKind,
        value: fn(&IngestWindow) -> u64,
    ) -> Option<Spread> {
        self.spread(subject, kind, |window| window.latencies_valid.then(|| value(window) as f64 / 1e3))
    }

    /// The median CPU per request, microseconds.
    fn cpu_us(&self, subject: IngestSubject, kind: WindowKind) -> Option<f64> {
        Some(self.spread(subject, kind, |window| Some(window.server_cpu_us))?.median)
    }

    fn cpu_ratio(&self, subject: IngestSubject, kind: WindowKind) -> Option<f64> {
        Some(self.cpu_us(subject, kind)? / self.cpu_us(IngestSubject::AxumBaseline, kind)?)
    }

    fn rss_max_mib(&self, subject: IngestSubject) -> Option<f64> {
        let all = self.rss_high_bytes.iter().filter(|(measured, _)| *measured == subject);
        all.map(|(_, bytes)| mib(*bytes)).reduce(f64::max)
    }

    pub(super) fn conditions(&self) -> String {
        let Self { measured, rounds, seconds, connections, .. } = self;
        let count = |left_out: fn(&IngestWindow) -> bool| self.windows.iter().filter(|w| left_out(w)).count();
        let mut left_out = String::new();
        for (count, what) in [
            (count(IngestWindow::is_disturbed), "left out, because other work disturbed them"),
            (
                count(|w| !w.is_disturbed() && !w.latencies_valid),
                "without latencies, because the generator was late",
            ),
        ] {
            if count > 0 {
                left_out.push_str(&format!("; {count} of {} windows {what}", self.windows.len()));
            }
        }
        format!(
            "{measured}, server, broker and generator on the same processors; medians of {rounds} rounds of {seconds} s \
             windows, {connections} connections{left_out}"
        )
    }

    pub(super) fn table(&self) -> Table {
        let measured = |subject: &IngestSubject| self.windows.iter().any(|window| window.subject == *subject);
        let subjects: Vec<_> = IngestSubject::ALL.into_iter().filter(measured).collect();
        let mut table = Table {
            heads: Vec::new(),
            rows: subjects.iter().map(|subject| (subject.to_string(), Vec::new())).collect(),
        };
        let mut column = |head: String, cell: &dyn Fn(IngestSubject) -> String| {
            table.heads.push(head);
            for ((_, cells), subject) in table.rows.iter_mut().zip(&subjects) {
                cells.push(cell(*subject));
            }
        };
        let (equal, share) =
            (format!("at {}/s", self.rps), format!("at {} % of the peak", self.share_percent));
        let spread = |kind, digits, value: fn(&IngestWindow) -> Option<f64>| {
            move |subject| Spread::cell(self.spread(subject, kind, value), digits)
        };
        let ratio = |kind| {
            move |subject| {
                self.cpu_ratio(subject, kind).map_or_else(String::new, |ratio| format!("{ratio:.2}"))
            }
        };
        column(
            format!("Server CPU, µs a request {equal}"),
            &spread(WindowKind::Equal, 1, |window| Some(window.server_cpu_us)),
        );
        column("× (a)".to_owned(), &ratio(WindowKind::Equal));
        column(
            format!("Broker CPU, µs an order {equal}"),
            &spread(WindowKind::Equal, 1, |window| window.broker_cpu_us),
        );
        column(
            "Peak, accepted/s".to_owned(),
            &spread(WindowKind::Saturated, 0, |window| Some(window.accepted_per_s)),
        );
        column(
            "Server CPU, µs at the peak".to_owned(),
            &spread(WindowKind::Saturated, 1, |window| Some(window.server_cpu_us)),
        );
        column("× (a) at the peak".to_owned(), &ratio(WindowKind::Saturated));
        let latency = |kind, value: fn(&IngestWindow) -> u64| {
            move |subject| match self.latency_ms(subject, kind, value) {
                None => "void".to_owned(),
                spread => Spread::cell(spread, 2),
            }
        };
        column(format!("p50 {share}, ms"), &latency(WindowKind::Share, |window| window.p50_us));
        column(format!("p99 {share}, ms"), &latency(WindowKind::Share, |window| window.p99_us));
        column(format!("p50 {equal}, ms"), &latency(WindowKind::Equal, |window| window.p50_us));
        column(format!("p99 {equal}, ms"), &latency(WindowKind::Equal, |window| window.p99_us));
        column("Memory, maximum, MiB".to_owned(), &|subject| {
            self.rss_max_mib(subject).map_or_else(String::new, |mib| format!("{mib:.1}"))
        });
        column(
            "Generator CPU, µs a request".to_owned(),
            &spread(WindowKind::Equal, 1, |window| Some(window.generator_cpu_us)),
        );
        if !self.oha.is_empty() {
            for (name, value) in [("p50", 0), ("p99", 1)] {
                column(format!("{name} {equal} by oha, ms"), &|subject| {
                    let results = self.oha.iter().filter(|(measured, ..)| *measured == subject);
                    let spread = Spread::compute(results.map(|(_, p50, p99)| [*p50, *p99][value]));
                    Spread::cell(spread, 2)
                });
            }
        }
        if !self.wrk.is_empty() {
            column("Peak by wrk, accepted/s".to_owned(), &|subject| {
                let rates = self.wrk.iter().filter(|(measured, _)| *measured == subject);
                let spread = Spread::compute(rates.map(|(_, rps)| *rps));
                spread.map_or_else(String::new, |spread| format!("{:.0}", spread.median))
            });
        }
        if self.windows.iter().any(|window| window.not_accepted() > 0) {
            column("Not accepted (429 and 503 / other / no response)".to_owned(), &|subject| {
                let sum = |count: fn(&IngestWindow) -> u64| -> u64 {
                    self.windows.iter().filter(|window| window.subject == subject).map(count).sum()
                };
                format!("{} / {} / {}", sum(|w| w.shed), sum(|w| w.refused), sum(|w| w.unknown))
            });
        }
        table
    }

    /// The goals whose subjects were measured.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let cpu = |subject: IngestSubject, ratio_max: f64| {
            let ratio = self.cpu_ratio(subject, WindowKind::Equal)?;
            Some(Goal::at_most(format!("CPU of {subject}, × the plain handler's"), ratio, ratio_max, "×", 2))
        };
        let p99 = || {
            let p99 = self.latency_ms(IngestSubject::Real, WindowKind::Share, |window| window.p99_us)?;
            let what = format!("p99 of {} at {} % of its peak", IngestSubject::Real, self.share_percent);
            Some(Goal::at_most(what, p99.median, REAL_P99_MS_MAX, "ms", 2))
        };
        let memory = |subject: IngestSubject| {
            let what = format!("memory of {subject}");
            Some(Goal::at_most(what, self.rss_max_mib(subject)?, RSS_MIB_MAX, "MiB", 2))
        };
        let peak = || {
            let peak = self.spread(IngestSubject::Embedded, WindowKind::Saturated, |window| {
                Some(window.accepted_per_s)
            })?;
            let what = format!("accepted by {}", IngestSubject::Embedded);
            Some(Goal::at_least(what, peak.median, EMBEDDED_RPS_MIN, "/s", 0))
        };
        let goals = [
            cpu(IngestSubject::NoBroker, NO_BROKER_RATIO_MAX),
            cpu(IngestSubject::Real, REAL_RATIO_MAX),
            p99(),
            memory(IngestSubject::NoBroker),
            memory(IngestSubject::Real),
            memory(IngestSubject::Embedded),
            peak(),
        ];
        goals.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
