//! What all rounds came to, and the goals.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::args::DrainArgs;
use super::contender::Contender;
use super::window::Measured;
use crate::bench::figures::{Spread, quantile};
use crate::report::Machine;

/// Least throughput of the drain by that of the plain INSERT, and what is aimed at.
const RAW_RATIO_MIN: f64 = 0.5;
const RAW_RATIO_AIM: f64 = 0.8;

/// Least throughput of one SKU by that of many.
const HOT_RATIO_MIN: f64 = 0.8;

/// Longest that a lone order may take, milliseconds.
const LONE_P99_MS_MAX: f64 = 50.0;

/// One order at a time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Lone {
    pub(super) orders: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Lone {
    pub(super) fn of(latencies: &[Duration]) -> Option<Self> {
        let ms = || latencies.iter().map(|latency| latency.as_secs_f64() * 1e3);
        Some(Self { orders: latencies.len(), p50_ms: quantile(ms(), 0.5)?, p99_ms: quantile(ms(), 0.99)? })
    }
}

/// Everything that was measured, and under what conditions.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) date: String,
    pub(super) version: &'static str,
    /// Whether the program was built with optimisation: figures of a debug build are none.
    pub(super) optimised: bool,
    pub(super) machine: Machine,
    pub(super) server: String,
    pub(super) rounds: u32,
    pub(super) connections: u32,
    pub(super) batch_orders: u32,
    pub(super) skus: u32,
    pub(super) windows: Vec<Measured>,
    pub(super) sweep: Vec<Measured>,
    pub(super) lone: Option<Lone>,
}

impl Figures {
    pub(super) fn new(machine: Machine, server: String, args: &DrainArgs) -> Self {
        Self {
            date: time::OffsetDateTime::now_utc().date().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            machine,
            server,
            rounds: args.rounds,
            connections: args.connections,
            batch_orders: args.batch_orders,
            skus: args.skus,
            windows: Vec::new(),
            sweep: Vec::new(),
            lone: None,
        }
    }

    /// A figure of a contender's rounds.
    pub(super) fn of(&self, contender: Contender, figure: impl Fn(&Measured) -> f64) -> Option<Spread> {
        Spread::of(self.windows.iter().filter(|window| window.contender == contender).map(figure))
    }

    /// The median throughput, orders a second.
    pub(super) fn orders_per_s(&self, contender: Contender) -> Option<f64> {
        Some(self.of(contender, |window| window.orders_per_s)?.median)
    }

    /// The better of the two plain INSERTs, orders a second.
    pub(super) fn yardstick(&self) -> Option<f64> {
        [Contender::RawText, Contender::RawBinary]
            .into_iter()
            .filter_map(|raw| self.orders_per_s(raw))
            .max_by(f64::total_cmp)
    }

    /// Throughput by the yardstick's.
    pub(super) fn of_raw(&self, contender: Contender) -> Option<f64> {
        Some(self.orders_per_s(contender)? / self.yardstick()?)
    }
}

/// A goal and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Goal {
    what: String,
    bound: String,
    reached: String,
    pub(super) holds: bool,
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = if self.holds { "reached    " } else { "NOT reached" };
        write!(formatter, "{holds}  {}: {} (goal {})", self.what, self.reached, self.bound)
    }
}

/// Every goal that was measured.
pub(super) fn judge(figures: &Figures) -> Vec<Goal> {
    let ratio = |contender: Contender, than: Option<f64>, what: &str, bound: String, min: f64| {
        let reached = figures.orders_per_s(contender)? / than?;
        Some(Goal {
            what: format!("{contender}, by {what}"),
            bound,
            reached: format!("{reached:.2}"),
            holds: reached >= min,
        })
    };
    let raw = format!("at least {RAW_RATIO_MIN}, aim {RAW_RATIO_AIM}");
    let hot = format!("at least {HOT_RATIO_MIN}");
    let insert = "the faster INSERT";
    let goals = [
        ratio(Contender::Many, figures.yardstick(), insert, raw.clone(), RAW_RATIO_MIN),
        ratio(Contender::ManyLimited, figures.yardstick(), insert, raw, RAW_RATIO_MIN),
        ratio(Contender::Hot, figures.orders_per_s(Contender::Many), "many SKUs", hot.clone(), HOT_RATIO_MIN),
        ratio(
            Contender::HotLimited,
            figures.orders_per_s(Contender::ManyLimited),
            "many SKUs with a limit",
            hot,
            HOT_RATIO_MIN,
        ),
        figures.lone.map(|lone| Goal {
            what: "commit of a lone order, p99".to_owned(),
            bound: format!("at most {LONE_P99_MS_MAX} ms"),
            reached: format!("{:.1} ms", lone.p99_ms),
            holds: lone.p99_ms <= LONE_P99_MS_MAX,
        }),
    ];
    goals.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rates: &[(Contender, &[f64])]) -> Figures {
        let machine =
            Machine { cpus: 2, cpu_model: "CPU".to_owned(), memory_bytes: 0, kernel: "Linux".to_owned() };
        let window = |contender: Contender, orders_per_s: f64| Measured {
            contender,
            round: 1,
            connections: 4,
            batch_orders: 200,
            orders: 1,
            orders_per_s,
            p50_us: 1,
            p99_us: 1,
        };
        let windows = rates
            .iter()
            .flat_map(|(contender, rates)| rates.iter().map(|rate| window(*contender, *rate)))
            .collect();
        Figures {
            date: String::new(),
            version: "1",
            optimised: true,
            machine,
            server: String::new(),
            rounds: 1,
            connections: 4,
            batch_orders: 200,
            skus: 64,
            windows,
            sweep: Vec::new(),
            lone: None,
        }
    }

    #[test]
    fn medians_are_judged_by_the_better_insert() {
        let rates: [(Contender, &[f64]); 4] = [
            (Contender::RawText, &[90.0, 100.0, 400.0]),
            (Contender::RawBinary, &[80.0]),
            (Contender::Many, &[50.0]),
            (Contender::Hot, &[39.0]),
        ];
        let figures = figures(&rates);
        assert_eq!(figures.yardstick(), Some(100.0));
        let holds: Vec<_> = judge(&figures).iter().map(|goal| goal.holds).collect();
        assert_eq!(holds, [true, false]);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(judge(&figures(&[(Contender::Many, &[1.0])])), []);
        let mut figures = figures(&[]);
        figures.lone = Lone::of(&[Duration::from_millis(3), Duration::from_millis(51)]);
        assert_eq!(judge(&figures).iter().map(|goal| goal.holds).collect::<Vec<_>>(), [false]);
    }
}
