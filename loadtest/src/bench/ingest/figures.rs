//! What all rounds came to.

use serde::Serialize;

use super::args::IngestArgs;
use super::contender::Contender;
use super::window::{Kind, Measured};
use crate::bench::figures::Spread;
use crate::report::Machine;

/// Everything that was measured, and under what conditions.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) date: String,
    pub(super) version: &'static str,
    /// Whether the program was built with optimisation: figures of a debug build are none.
    pub(super) optimised: bool,
    pub(super) machine: Machine,
    pub(super) rps: u32,
    pub(super) share_percent: u32,
    pub(super) seconds: u32,
    pub(super) connections: u32,
    pub(super) rounds: u32,
    pub(super) windows: Vec<Measured>,
    pub(super) rss_high_bytes: Vec<(Contender, u64)>,
    /// Accepted a second as wrk counts them.
    pub(super) wrk: Vec<(Contender, f64)>,
}

impl Figures {
    pub(super) fn new(machine: Machine, args: &IngestArgs) -> Self {
        Self {
            date: time::OffsetDateTime::now_utc().date().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            machine,
            rps: args.rps,
            share_percent: args.share_percent,
            seconds: args.seconds,
            connections: args.connections,
            rounds: args.rounds,
            windows: Vec::new(),
            rss_high_bytes: Vec::new(),
            wrk: Vec::new(),
        }
    }

    /// Who was measured, in the table's order.
    pub(super) fn contenders(&self) -> impl Iterator<Item = Contender> {
        let measured =
            |contender: &Contender| self.windows.iter().any(|window| window.contender == *contender);
        Contender::ALL.into_iter().filter(measured)
    }

    /// A figure of `contender`'s windows of one kind.
    pub(super) fn of(
        &self,
        contender: Contender,
        kind: Kind,
        figure: impl Fn(&Measured) -> Option<f64>,
    ) -> Option<Spread> {
        let windows = self.windows.iter();
        Spread::of(
            windows.filter(|window| window.contender == contender && window.kind == kind).filter_map(figure),
        )
    }

    /// The median CPU a request in windows of one kind, microseconds.
    pub(super) fn cpu_us(&self, contender: Contender, kind: Kind) -> Option<f64> {
        Some(self.of(contender, kind, |window| Some(window.server_cpu_us))?.median)
    }

    /// The most memory that `contender` ever held, bytes.
    pub(super) fn rss_most_bytes(&self, contender: Contender) -> Option<u64> {
        let all = self.rss_high_bytes.iter();
        all.filter(|(measured, _)| *measured == contender).map(|(_, bytes)| *bytes).max()
    }

    /// wrk's median, accepted a second.
    pub(super) fn wrk_rps(&self, contender: Contender) -> Option<f64> {
        let all = self.wrk.iter();
        Some(Spread::of(all.filter(|(measured, _)| *measured == contender).map(|(_, rps)| *rps))?.median)
    }
}

/// Bytes as MiB.
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Figures without any window.
#[cfg(test)]
pub(super) fn sample() -> Figures {
    Figures {
        date: "2026-11-24".to_owned(),
        version: "1",
        optimised: true,
        machine: Machine {
            cpus: 2,
            cpu_model: "CPU".to_owned(),
            memory_bytes: 0,
            kernel: "Linux".to_owned(),
        },
        rps: 20_000,
        share_percent: 70,
        seconds: 8,
        connections: 128,
        rounds: 1,
        windows: Vec::new(),
        rss_high_bytes: Vec::new(),
        wrk: Vec::new(),
    }
}

#[cfg(test)]
impl Figures {
    /// Adds a window of zeros, changed by `set`.
    pub(super) fn add(&mut self, contender: Contender, kind: Kind, set: impl FnOnce(&mut Measured)) {
        let mut window = Measured {
            contender,
            kind,
            round: 1,
            offered_per_s: 0.0,
            accepted_per_s: 0.0,
            accepted: 0,
            shed: 0,
            refused: 0,
            unknown: 0,
            unsent: 0,
            server_cpu_us: 0.0,
            broker_cpu_us: None,
            generator_cpu_us: 0.0,
            p50_us: 0,
            p99_us: 0,
            slip_p999_us: 0,
        };
        set(&mut window);
        self.windows.push(window);
    }
}
