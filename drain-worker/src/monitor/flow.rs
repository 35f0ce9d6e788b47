//! The flow of orders through the pool, from successive snapshots: orders per message, and arrivals a second.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use crate::pool::{PoolSnapshot, WorkerReport};
use crate::store::LeaseId;

/// Time over which arrivals are averaged, seconds.
const WINDOW_S: f64 = 15.0;

/// The same for a source that changes its count less often than once a second.
const WINDOW_MAX_S: f64 = 60.0;

/// Changes of the count within [`WINDOW_S`] that are enough for a slope.
const CHANGES_MIN: usize = 4;

/// Minimum time between the first and the last point of a slope, seconds.
const SPAN_MIN_S: f64 = 3.0;

/// Counts of the lag, and reports of a worker, that are kept; more than one a second is rare.
const POINTS_MAX: usize = 120;

/// Age from which on the last count of the lag says nothing about arrivals, seconds.
const LAG_AGE_MAX_S: f64 = 15.0;

/// A report, or a count of the lag, that differs by more from the database's clock has the time of a wrong clock: the
/// time of its snapshot counts instead, ms.
const CLOCK_ERROR_MAX_MS: u64 = 5_000;

/// The messages received last whose average size counts. Waiting messages were published right after these: of more of
/// them, too many would be of an earlier time; of fewer, the average would vary by chance.
const SIZED_MESSAGES: u64 = 1_000;

/// Fewer are enough if they are all of this many last snapshots: the messages of a sale that opens are larger.
const SIZED_SNAPSHOTS: usize = 15;

/// Messages that are enough in any case.
const SIZED_MESSAGES_MIN: u64 = 100;

/// Counters of received messages, and of the orders in them.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    messages: u64,
    orders: u64,
}

impl Received {
    const fn of(report: &WorkerReport) -> Self {
        Self { messages: report.messages_received, orders: report.orders_received }
    }

    const fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.orders += other.orders;
    }

    const fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(before.messages),
            orders: self.orders.saturating_sub(before.orders),
        }
    }

    fn orders_per_message(self) -> Option<f64> {
        (self.messages > 0).then(|| self.orders as f64 / self.messages as f64)
    }
}

/// Values by time, seconds since 1970, ascending.
#[derive(Debug, Default)]
struct Series(VecDeque<(f64, f64)>);

impl Series {
    /// Adds a value, unless it is not later than the last one.
    fn push(&mut self, at: f64, value: f64) {
        if self.last_at().is_none_or(|last| at > last) {
            if self.0.len() == POINTS_MAX {
                self.0.pop_front();
            }
            self.0.push_back((at, value));
        }
    }

    fn last_at(&self) -> Option<f64> {
        self.0.back().map(|&(at, _)| at)
    }

    /// The value at a time, between two values by a straight line; before the first and after the last it is constant.
    fn value_at(&self, at: f64) -> f64 {
        let after = self.0.partition_point(|&(time, _)| time < at);
        match (after.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(after)) {
            (Some(&(from, before)), Some(&(to, value))) => {
                before + (value - before) * (at - from) / (to - from)
            }
            (Some(&(_, value)), None) | (None, Some(&(_, value))) => value,
            (None, None) => 0.0,
        }
    }
}

/// A worker, as it last reported.
#[derive(Debug, Default)]
struct LeaseFlow {
    received: Received,
    /// Orders that it holds or has settled.
    orders: Series,
    settled: f64,
    is_gone: bool,
}

/// The counters of about the last two minutes.
#[derive(Debug, Default)]
pub(super) struct Flow {
    leases: BTreeMap<LeaseId, LeaseFlow>,
    /// Since the first snapshot, after each of the last snapshots.
    received: VecDeque<Received>,
    seen_at: Option<Instant>,
    orders_per_message: Option<f64>,
    /// Messages that the broker could deliver.
    ready: Series,
    /// The same in the last snapshot; `None`: not known.
    ready_now: Option<u64>,
}

impl Flow {
    /// Records a snapshot; the same one again has no effect.
    pub(super) fn observe(&mut self, snapshot: &PoolSnapshot) {
        if self.seen_at.replace(snapshot.at) == Some(snapshot.at) {
            return;
        }
        let mut sum = self.received.back().copied().unwrap_or_default();
        let (mut all, now_us) = (Received::default(), snapshot.group.now_us);
        self.ready_now = None;
        self.leases.values_mut().for_each(|lease| lease.is_gone = true);
        for lease in &snapshot.group.leases {
            let Some(report) = snapshot.reports.get(&lease.id) else { continue };
            let received = Received::of(report);
            all.add(received);
            let known =
                self.leases.entry(lease.id).or_insert_with(|| LeaseFlow { received, ..LeaseFlow::default() });
            // A worker counts from its first snapshot on: one that joins again has counted before.
            sum.add(received.since(known.received));
            let settled = report.totals.values().sum::<u64>() as f64;
            (known.received, known.settled, known.is_gone) = (received, settled, false);
            known.orders.push(seconds(report.at_ms, now_us), known.settled + report.held_orders as f64);
            let lag = report.lag.as_ref().filter(|_| lease.is_live(now_us));
            if let Some((lag, ready)) = lag.and_then(|lag| Some((lag, lag.messages_ready?))) {
                self.ready_now = Some(ready);
                self.ready.push(seconds(lag.as_of_ms, now_us), ready as f64);
            }
        }
        let now = self.newest_report();
        self.leases.retain(|_, lease| {
            // The broker redelivers what the worker held.
            if lease.is_gone {
                let settled = lease.settled;
                lease.orders.0.back_mut().into_iter().for_each(|(_, orders)| *orders = settled);
            }
            !lease.is_gone || lease.orders.last_at().is_some_and(|last| now - last <= WINDOW_MAX_S)
        });
        if self.received.len() == POINTS_MAX {
            self.received.pop_front();
        }
        self.received.push_back(sum);
        self.orders_per_message =
            self.size().or(self.orders_per_message).or_else(|| all.orders_per_message());
    }

    /// Average orders of the messages received last. `None`: none was received since the first snapshot.
    fn size(&self) -> Option<f64> {
        let now = *self.received.back()?;
        let mut received = self.received.iter().rev().map(|before| now.since(*before)).enumerate();
        let is_enough = |(snapshots, received): &(usize, Received)| {
            received.messages >= SIZED_MESSAGES
                || *snapshots >= SIZED_SNAPSHOTS && received.messages >= SIZED_MESSAGES_MIN
        };
        let enough = received.clone().find(is_enough);
        enough.or_else(|| received.next_back())?.1.orders_per_message()
    }

    /// Orders per message, of the whole pool: of the messages received last, else since the workers started. An average
    /// over workers would count one that received ten messages as much as one that received a thousand. `None`: no
    /// worker has received a message.
    pub(super) const fn orders_per_message(&self) -> Option<f64> {
        self.orders_per_message
    }

    fn newest_report(&self) -> f64 {
        self.leases.values().filter_map(|lease| lease.orders.last_at()).fold(0.0, f64::max)
    }

    /// Orders that are published a second: the slope of the orders that wait, are held or are settled, at the times of
    /// the lag's counts. `None`: the lag is not known, or not for long enough.
    pub(super) fn arriving_per_second(&self) -> Option<f64> {
        let size = match self.ready_now? {
            0 => self.orders_per_message.unwrap_or(0.0),
            _ => self.orders_per_message?,
        };
        let newest = self.newest_report();
        let last = self.ready.last_at().filter(|last| newest - last <= LAG_AGE_MAX_S)?;
        // A count counts once each worker has reported what it held then, unless a worker reports no more.
        let reported = self.leases.values().filter_map(|lease| lease.orders.last_at());
        let until = reported.filter(|at| newest - at <= SPAN_MIN_S).fold(newest, f64::min);
        let within = |window_s: f64| {
            let counts = self.ready.0.iter().filter(move |(at, _)| last - at <= window_s && *at <= until);
            counts.copied().collect::<Vec<_>>()
        };
        let mut counts = within(WINDOW_S);
        let changes = counts.windows(2).filter(|pair| (pair[0].1 - pair[1].1).abs() > 0.5).count();
        if (1..CHANGES_MIN).contains(&changes) {
            counts = within(WINDOW_MAX_S);
        }
        let orders_at = |at: f64| self.leases.values().map(|lease| lease.orders.value_at(at)).sum::<f64>();
        // Relative to the last count, because a slope of large numbers loses digits.
        let points: Vec<_> =
            counts.iter().map(|&(at, ready)| (at - last, ready * size + orders_at(at))).collect();
        let span = points.last()?.0 - points.first()?.0;
        (span >= SPAN_MIN_S).then(|| slope(&points).max(0.0))
    }
}

fn seconds(at_ms: i64, now_us: i64) -> f64 {
    let now_ms = now_us / 1_000;
    let is_wrong = at_ms.abs_diff(now_ms) > CLOCK_ERROR_MAX_MS;
    (if is_wrong { now_ms } else { at_ms }) as f64 / 1_000.0
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
