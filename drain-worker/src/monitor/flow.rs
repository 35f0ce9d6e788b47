//! The flow of orders through the pool, from successive snapshots: orders per message, and arrivals a second.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::pool::{PoolSnapshot, WorkerReport};
use crate::store::LeaseId;

/// Time over which arrivals are averaged.
const WINDOW: Duration = Duration::from_secs(15);

/// The same for a source that changes its count less often than once a second.
const WINDOW_MAX: Duration = Duration::from_secs(60);

/// Changes of the count within [`WINDOW`] that are enough for a slope.
const CHANGES_MIN: usize = 4;

/// Minimum time between the first and the last point of a slope.
const SPAN_MIN: Duration = Duration::from_secs(3);

const POINTS_MAX: usize = 120;

/// The messages received last whose average size counts. Waiting messages were published right after these: of more of
/// them, too many would be of an earlier time; of fewer, the average would vary by chance.
const SIZED_MESSAGES: u64 = 1_000;

/// Counters, over all leases.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    settled: u64,
    messages: u64,
    orders: u64,
}

impl Totals {
    fn of(report: &WorkerReport) -> Self {
        let settled = report.totals.values().sum();
        Self { settled, messages: report.messages_received, orders: report.orders_received }
    }

    fn add(&mut self, other: Self) {
        self.settled += other.settled;
        self.messages += other.messages;
        self.orders += other.orders;
    }

    const fn since(self, before: Self) -> Self {
        Self {
            settled: self.settled.saturating_sub(before.settled),
            messages: self.messages.saturating_sub(before.messages),
            orders: self.orders.saturating_sub(before.orders),
        }
    }

    fn orders_per_message(self) -> Option<f64> {
        (self.messages > 0).then(|| self.orders as f64 / self.messages as f64)
    }
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at: Instant,
    /// Since the first snapshot.
    totals: Totals,
    held_orders: u64,
    /// Messages that the broker could deliver; `None`: not known.
    messages_ready: Option<u64>,
}

/// The counters of about the last two minutes.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Counters of each lease, as last reported.
    leases: BTreeMap<LeaseId, Totals>,
    totals: Totals,
    points: VecDeque<Point>,
    orders_per_message: Option<f64>,
}

impl Flow {
    /// Records a snapshot; the same one again has no effect.
    pub(super) fn observe(&mut self, snapshot: &PoolSnapshot) {
        if self.points.back().is_some_and(|last| last.at == snapshot.at) {
            return;
        }
        let (mut leases, mut all, mut held_orders, mut messages_ready) =
            (BTreeMap::new(), Totals::default(), 0, None);
        for lease in &snapshot.group.leases {
            let report = WorkerReport::parse(&lease.report);
            let totals = Totals::of(&report);
            // A worker counts from its first snapshot on: one that joins again has counted before.
            self.totals.add(totals.since(self.leases.get(&lease.id).copied().unwrap_or(totals)));
            leases.insert(lease.id, totals);
            all.add(totals);
            held_orders += report.held_orders;
            messages_ready = messages_ready.or_else(|| report.lag?.messages_ready);
        }
        self.leases = leases;
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back(Point { at: snapshot.at, totals: self.totals, held_orders, messages_ready });
        self.orders_per_message =
            self.size().or(self.orders_per_message).or_else(|| all.orders_per_message());
    }

    /// Average orders of the messages received last. `None`: none was received since the first snapshot.
    fn size(&self) -> Option<f64> {
        let mut received = self.points.iter().rev().map(|point| self.totals.since(point.totals));
        let enough = received.clone().find(|received| received.messages >= SIZED_MESSAGES);
        enough.or_else(|| received.next_back())?.orders_per_message()
    }

    /// Orders per message, of the whole pool: of the messages received last, else since the workers started. An average
    /// over workers would count one that received ten messages as much as one that received a thousand. `None`: no
    /// worker has received a message.
    pub(super) const fn orders_per_message(&self) -> Option<f64> {
        self.orders_per_message
    }

    /// Orders that are published a second: the slope of the orders that wait, are held or are settled. `None`: the lag is
    /// not known, or not for long enough.
    pub(super) fn arriving_per_second(&self) -> Option<f64> {
        let last = self.points.back()?;
        let within = |window| self.points.iter().filter(move |point| last.at - point.at <= window);
        let changes = {
            let counts: Vec<_> = within(WINDOW).map(|point| point.messages_ready).collect();
            counts.windows(2).filter(|pair| pair[0] != pair[1]).count()
        };
        let window = if (1..CHANGES_MIN).contains(&changes) { WINDOW_MAX } else { WINDOW };
        let size = match last.messages_ready? {
            0 => self.orders_per_message.unwrap_or(0.0),
            _ => self.orders_per_message?,
        };
        let points: Vec<(f64, f64)> = within(window)
            .filter_map(|point| {
                let waiting = point.messages_ready? as f64 * size;
                let seconds = (last.at - point.at).as_secs_f64();
                Some((-seconds, waiting + point.held_orders as f64 + point.totals.settled as f64))
            })
            .collect();
        let (from, to) = (points.first()?.0, points.last()?.0);
        (to - from >= SPAN_MIN.as_secs_f64()).then(|| slope(&points).max(0.0))
    }
}

/// The slope of the line with the least squares of distances. The points differ in their first coordinate.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let products: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let squares: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    products / squares
}
