//! The windows of all rounds, their tables and the goals.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::DrainArgs;
use super::window::{DrainSubject, DrainWindow};
use crate::harness::{Conditions, Goal, Spread, Table, quantile};

/// Minimum throughput of the drain, as a share of the plain INSERT's.
const INSERT_RATIO_MIN: f64 = 0.8;

/// Minimum throughput with tables of four times the buffer pool, as a share of that with small tables.
const FULL_RATIO_MIN: f64 = 0.7;

/// Maximum bytes on disk of a confirmed order, over all tables and indexes.
const BYTES_PER_ORDER_MAX: f64 = 400.0;

/// Minimum throughput of one hot SKU, as a share of many SKUs'.
const HOT_RATIO_MIN: f64 = 0.8;

/// Maximum p99 of an order that is committed alone.
const SINGLE_P99_MS_MAX: f64 = 50.0;

/// Orders committed one at a time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct SingleOrders {
    orders: usize,
    p50_ms: f64,
    p99_ms: f64,
}

impl SingleOrders {
    pub(super) fn compute(latencies: &[Duration]) -> Option<Self> {
        let ms = || latencies.iter().map(|latency| latency.as_secs_f64() * 1e3);
        Some(Self { orders: latencies.len(), p50_ms: quantile(ms(), 0.5)?, p99_ms: quantile(ms(), 0.99)? })
    }
}

impl fmt::Display for SingleOrders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, p50_ms, p99_ms } = self;
        write!(formatter, "{orders} orders, one at a time: p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms")
    }
}

#[derive(Debug, Serialize)]
pub(super) struct DrainResults {
    #[serde(flatten)]
    measured: Conditions,
    server: String,
    rounds: u32,
    connections: u32,
    batch_orders: u32,
    skus: u32,
    pub(super) windows: Vec<DrainWindow>,
    pub(super) sweep: Vec<DrainWindow>,
    pub(super) single: Option<SingleOrders>,
}

impl DrainResults {
    pub(super) fn new(server: String, args: &DrainArgs) -> Self {
        Self {
            measured: Conditions::now(),
            server,
            rounds: args.rounds,
            connections: args.connections,
            batch_orders: args.batch_orders,
            skus: args.skus,
            windows: Vec::new(),
            sweep: Vec::new(),
            single: None,
        }
    }

    fn spread(&self, subject: DrainSubject, value: impl Fn(&DrainWindow) -> f64) -> Option<Spread> {
        Spread::compute(self.windows.iter().filter(|window| window.subject == subject).map(value))
    }

    /// The median throughput, orders a second.
    fn orders_per_s(&self, subject: DrainSubject) -> Option<f64> {
        Some(self.spread(subject, |window| window.orders_per_s)?.median)
    }

    /// The throughput of the faster plain INSERT.
    fn baseline(&self) -> Option<f64> {
        [DrainSubject::InsertText, DrainSubject::InsertBinary]
            .into_iter()
            .filter_map(|insert| self.orders_per_s(insert))
            .max_by(f64::total_cmp)
    }

    pub(super) fn conditions(&self) -> String {
        let Self { measured, server, rounds, connections, batch_orders, skus, .. } = self;
        format!(
            "{measured}, {server}, client and server on the same processors; medians of {rounds} rounds, {connections} \
             connections, batches of {batch_orders}, {skus} SKUs"
        )
    }

    pub(super) fn table(&self) -> Table {
        let heads = ["orders/s", "× (a)", "p50 ms", "p99 ms", "bytes an order"].map(str::to_owned).to_vec();
        let row = |subject: DrainSubject| {
            let rate = self.spread(subject, |window| window.orders_per_s)?;
            let ms = |us: fn(&DrainWindow) -> u64| {
                let spread = self.spread(subject, |window| us(window) as f64 / 1e3);
                format!("{:.1}", spread.map_or(0.0, |spread| spread.median))
            };
            let ratio = rate.median / self.baseline().unwrap_or(f64::INFINITY);
            let cells = vec![
                Spread::cell(Some(rate), 0),
                format!("{ratio:.2}"),
                ms(|window| window.p50_us),
                ms(|window| window.p99_us),
                Spread::cell(self.spread(subject, |window| window.bytes_per_order), 0),
            ];
            Some((subject.to_string(), cells))
        };
        Table {
            heads,
            rows: DrainSubject::ALL.into_iter().chain([DrainSubject::ManyFull]).filter_map(row).collect(),
        }
    }

    /// Batch sizes by connections; each cell holds orders/s and the p50 and p99 of a batch.
    pub(super) fn sweep_table(&self) -> Table {
        let connections: BTreeSet<_> = self.sweep.iter().map(|window| window.connections).collect();
        let batches: BTreeSet<_> = self.sweep.iter().map(|window| window.batch_orders).collect();
        let cell = |batch: u32, count: u32| {
            let median = |value: fn(&DrainWindow) -> f64| {
                let windows = self
                    .sweep
                    .iter()
                    .filter(|window| window.connections == count && window.batch_orders == batch);
                Some(Spread::compute(windows.map(value))?.median)
            };
            let (rate, p50, p99) = (
                median(|window| window.orders_per_s)?,
                median(|window| window.p50_us as f64 / 1e3)?,
                median(|window| window.p99_us as f64 / 1e3)?,
            );
            Some(format!("{rate:.0}, {p50:.1} / {p99:.1}"))
        };
        let plural = |count: &u32| format!("{count} connection{}", if *count == 1 { "" } else { "s" });
        let row = |batch: &u32| {
            let cells = connections.iter().map(|count| cell(*batch, *count).unwrap_or_default());
            (format!("batch of {batch}"), cells.collect())
        };
        Table { heads: connections.iter().map(plural).collect(), rows: batches.iter().map(row).collect() }
    }

    /// The goals that were measured.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let ratio = |subject: DrainSubject, than: Option<f64>, what: &str, bound: f64| {
            let ratio = self.orders_per_s(subject)? / than?;
            Some(Goal::at_least(format!("{subject}, × {what}"), ratio, bound, "", 2))
        };
        let insert = "the faster INSERT";
        let goals = [
            ratio(DrainSubject::Many, self.baseline(), insert, INSERT_RATIO_MIN),
            ratio(DrainSubject::ManyLimited, self.baseline(), insert, INSERT_RATIO_MIN),
            ratio(
                DrainSubject::ManyFull,
                self.orders_per_s(DrainSubject::Many),
                "small tables",
                FULL_RATIO_MIN,
            ),
            self.spread(DrainSubject::Many, |window| window.bytes_per_order).map(|bytes| {
                let what = "bytes on disk of a confirmed order".to_owned();
                Goal::at_most(what, bytes.median, BYTES_PER_ORDER_MAX, "", 0)
            }),
            ratio(DrainSubject::Hot, self.orders_per_s(DrainSubject::Many), "many SKUs", HOT_RATIO_MIN),
            ratio(
                DrainSubject::HotLimited,
                self.orders_per_s(DrainSubject::ManyLimited),
                "many SKUs with a limit",
                HOT_RATIO_MIN,
            ),
            self.single.map(|single| {
                let what = "commit of a single order, p99".to_owned();
                Goal::at_most(what, single.p99_ms, SINGLE_P99_MS_MAX, "ms", 1)
            }),
        ];
        goals.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rates: &[(DrainSubject, &[f64])]) -> DrainResults {
        let window = |subject: DrainSubject, orders_per_s: f64| DrainWindow {
            subject,
            round: 1,
            connections: 4,
            batch_orders: 200,
            orders: 1,
            orders_per_s,
            p50_us: 1,
            p99_us: 1,
            bytes_per_order: 1.0,
        };
        let windows = rates
            .iter()
            .flat_map(|(subject, rates)| rates.iter().map(|rate| window(*subject, *rate)))
            .collect();
        DrainResults {
            measured: Conditions::now(),
            server: String::new(),
            rounds: 1,
            connections: 4,
            batch_orders: 200,
            skus: 64,
            windows,
            sweep: Vec::new(),
            single: None,
        }
    }

    #[test]
    fn medians_are_compared_with_the_faster_insert() {
        let rates: [(DrainSubject, &[f64]); 4] = [
            (DrainSubject::InsertText, &[90.0, 100.0, 400.0]),
            (DrainSubject::InsertBinary, &[80.0]),
            (DrainSubject::Many, &[50.0]),
            (DrainSubject::Hot, &[39.0]),
        ];
        let results = results(&rates);
        assert_eq!(results.baseline(), Some(100.0));
        let reached: Vec<_> = results.goals().iter().map(|goal| goal.reached).collect();
        assert_eq!(reached, [false, true, false], "throughput, bytes, one hot SKU");
    }

    #[test]
    fn an_unmeasured_subject_has_no_goal() {
        assert_eq!(results(&[(DrainSubject::Hot, &[1.0])]).goals(), []);
        let mut results = results(&[]);
        results.single = SingleOrders::compute(&[Duration::from_millis(3), Duration::from_millis(51)]);
        assert_eq!(results.goals().iter().map(|goal| goal.reached).collect::<Vec<_>>(), [false]);
    }
}
