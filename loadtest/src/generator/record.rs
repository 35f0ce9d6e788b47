//! The measurements of one thread, or of all: nothing is shared, nothing is sampled.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use shared::order::{OrderId, PayloadDigest};

use super::SendPlan;
use super::codes::{CODES_MAX, CodeCache, CodeTable};
use super::end_counts::EndCounts;
use super::histogram_text;
use super::in_flight::{InFlight, LatencyKind, NoResponseCause, RequestEnd};
use super::latency::{CensoredLatency, growing_histogram, histogram};
use super::outcomes::{CHUNKS_IN_MEMORY, OutcomeLog, Outcomes, RequestOutcome};
use super::phases::{PhasePlan, PhaseRecords};
use super::surprise::SurpriseCounts;
use crate::workload::RequestKind;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IntervalRecord {
    pub(super) sent: u64,
    pub(super) ends: EndCounts,
    pub(super) latency: CensoredLatency<u32>,
    /// Latency of the shed and refused requests.
    #[serde(with = "histogram_text")]
    pub(super) rejected: Histogram<u32>,
}

/// The measurements of any number of threads.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SendRecord {
    interval_ns: u64,
    pub(super) slots: Vec<IntervalRecord>,
    pub(super) phases: PhaseRecords,
    #[serde(skip)]
    pub(super) outcomes: Outcomes,
    /// Names of the problem codes, by number.
    #[serde(skip)]
    pub(super) codes: Vec<Arc<str>>,
    pub(super) surprises: SurpriseCounts,
    /// Requests by problem code.
    pub(super) by_code: Vec<u64>,
    #[serde(with = "histogram_text")]
    pub(super) accepted: Histogram<u64>,
    #[serde(with = "histogram_text")]
    pub(super) shed: Histogram<u64>,
    #[serde(with = "histogram_text")]
    pub(super) answered: Histogram<u64>,
    pub(super) accepted_or_censored: CensoredLatency<u64>,
    pub(super) to_acceptance: CensoredLatency<u64>,
    #[serde(with = "histogram_text")]
    pub(super) send_delay: Histogram<u64>,
    pub(super) retries: u64,
    pub(super) unknown_by_cause: [u64; NoResponseCause::ALL.len()],
    pub(super) connections_opened: u64,
    pub(super) connections_most: u64,
    pub(super) cpu_ns: u64,
    /// Processors that the threads are pinned to.
    pub(super) pinned_to: Vec<usize>,
    /// Maximum delay of reading a response.
    pub(super) resolution_ns: u64,
}

/// The record of one thread.
#[derive(Debug)]
pub(super) struct ThreadRecord {
    pub(super) sums: SendRecord,
    phases: PhasePlan,
    log: OutcomeLog,
    codes: CodeCache,
}

impl IntervalRecord {
    fn new() -> Self {
        Self {
            sent: 0,
            ends: EndCounts::default(),
            latency: CensoredLatency::new(growing_histogram()),
            rejected: growing_histogram(),
        }
    }

    fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        self.sent += other.sent;
        self.ends.add(&other.ends);
        self.latency.merge(&other.latency)?;
        self.rejected.add(&other.rejected)?;
        Ok(())
    }
}

impl SendRecord {
    /// With an interval for each of `length`.
    pub(super) fn new(interval_ns: u64, length: Duration) -> Self {
        let intervals = length.as_nanos() as u64 / interval_ns + 1;
        Self {
            interval_ns,
            slots: std::iter::repeat_with(IntervalRecord::new).take(intervals as usize).collect(),
            phases: PhaseRecords::default(),
            outcomes: Outcomes::default(),
            codes: Vec::new(),
            surprises: SurpriseCounts::default(),
            by_code: vec![0; CODES_MAX + 1],
            accepted: histogram(3),
            shed: histogram(3),
            answered: histogram(3),
            accepted_or_censored: CensoredLatency::new(histogram(3)),
            to_acceptance: CensoredLatency::new(histogram(3)),
            send_delay: histogram(3),
            retries: 0,
            unknown_by_cause: [0; NoResponseCause::ALL.len()],
            connections_opened: 0,
            connections_most: 0,
            cpu_ns: 0,
            pinned_to: Vec::new(),
            resolution_ns: 0,
        }
    }

    pub(super) const fn has_intervals(&self, interval_ns: u64) -> bool {
        self.interval_ns == interval_ns
    }

    fn slot(&mut self, due_ns: u64) -> &mut IntervalRecord {
        let index = (due_ns / self.interval_ns) as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, IntervalRecord::new);
        }
        &mut self.slots[index]
    }

    /// Intervals up to the last one with a request.
    pub(super) fn played_slots(&self) -> &[IntervalRecord] {
        let is_played = |slot: &IntervalRecord| slot.sent + slot.ends.unsent + slot.ends.unknown > 0;
        let played = self.slots.iter().rposition(is_played).map_or(0, |last| last + 1);
        &self.slots[..played]
    }

    pub(super) fn code(&self, outcome: &RequestOutcome) -> Option<&Arc<str>> {
        self.codes.get(usize::from(outcome.code))
    }

    /// Takes this record as one of another process, whose problem codes are `codes` and have other numbers in `table`.
    pub(super) fn renumber(&mut self, codes: &[String], table: &CodeTable) {
        let numbers: Vec<_> = codes.iter().map(|code| table.number(code)).collect();
        let counts = std::mem::replace(&mut self.by_code, vec![0; CODES_MAX + 1]);
        for (number, count) in numbers.iter().zip(counts) {
            self.by_code[usize::from(*number)] += count;
        }
        self.surprises.renumber(&numbers);
        self.outcomes.renumber(&numbers);
    }

    pub(super) fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        for (index, slot) in other.slots.iter().enumerate() {
            self.slot(index as u64 * self.interval_ns).merge(slot)?;
        }
        self.phases.merge(other.phases)?;
        self.outcomes.append(other.outcomes);
        if other.codes.len() > self.codes.len() {
            // Each thread has the names that the run had at the thread's end.
            self.codes = other.codes;
        }
        self.surprises.merge(other.surprises);
        for (count, more) in self.by_code.iter_mut().zip(other.by_code) {
            *count += more;
        }
        self.accepted.add(&other.accepted)?;
        self.shed.add(&other.shed)?;
        self.answered.add(&other.answered)?;
        self.accepted_or_censored.merge(&other.accepted_or_censored)?;
        self.to_acceptance.merge(&other.to_acceptance)?;
        self.send_delay.add(&other.send_delay)?;
        self.retries += other.retries;
        for (count, more) in self.unknown_by_cause.iter_mut().zip(other.unknown_by_cause) {
            *count += more;
        }
        self.connections_opened += other.connections_opened;
        self.connections_most += other.connections_most;
        self.cpu_ns += other.cpu_ns;
        self.pinned_to.extend(other.pinned_to);
        self.resolution_ns = self.resolution_ns.max(other.resolution_ns);
        Ok(())
    }
}

impl ThreadRecord {
    /// The record of one of the plan's threads; allocates what the plan needs.
    pub(super) fn new(plan: &SendPlan, codes: Arc<CodeTable>) -> Self {
        let share = plan.shard.requests(plan.schedule.requests()).div_ceil(plan.threads as u64);
        let chunks_in_memory = (CHUNKS_IN_MEMORY / plan.threads).max(1);
        let sums = SendRecord::new(u64::from(plan.interval_ms) * 1_000_000, plan.schedule.length());
        Self {
            sums: SendRecord { phases: plan.phases.records(), ..sums },
            phases: plan.phases.clone(),
            log: OutcomeLog::new(share, chunks_in_memory, plan.keep_order_ids),
            codes: CodeCache::new(codes),
        }
    }

    /// Records that a request was written to a connection.
    pub(super) fn sent(&mut self, flight: &InFlight) {
        self.sums.retries += u64::from(flight.attempt > 0);
        self.sums.slot(flight.due_ns).sent += 1;
        if let Some(phase) = self.phases.record(&mut self.sums.phases, flight) {
            phase.sent += 1;
        }
    }

    /// Takes [`ThreadRecord::sent`] back: the server had closed the connection before.
    pub(super) fn unsent(&mut self, flight: &InFlight) {
        self.sums.retries -= u64::from(flight.attempt > 0);
        self.sums.slot(flight.due_ns).sent -= 1;
        if let Some(phase) = self.phases.record(&mut self.sums.phases, flight) {
            phase.sent -= 1;
        }
    }

    /// Records the generator's own lateness for a request.
    pub(super) fn delayed(&mut self, send_delay_ns: u64) {
        self.sums.send_delay.saturating_record(send_delay_ns / 1_000);
    }

    pub(super) fn ended(
        &mut self,
        flight: &InFlight,
        end: RequestEnd,
        now_ns: u64,
        code: Option<&str>,
        answer: Option<(OrderId, PayloadDigest)>,
    ) {
        let sums = &mut self.sums;
        let latency_us = now_ns.saturating_sub(flight.due_ns) / 1_000;
        if let Some(phase) = self.phases.record(&mut sums.phases, flight) {
            phase.ended(flight, end, latency_us);
        }
        let slot = sums.slot(flight.due_ns);
        slot.ends.count(flight, end);
        match end.latency_kind(flight) {
            Some(LatencyKind::Accepted) => {
                slot.latency.record(latency_us, false);
                sums.accepted.saturating_record(latency_us);
                sums.accepted_or_censored.record(latency_us, false);
                sums.answered.saturating_record(latency_us);
            }
            Some(LatencyKind::Rejected) => {
                // The histogram grows; only a count beyond 32 bits could fail.
                let _recorded = slot.rejected.record(latency_us);
                sums.answered.saturating_record(latency_us);
                if end == RequestEnd::Shed {
                    sums.shed.saturating_record(latency_us);
                }
            }
            Some(LatencyKind::Censored) => {
                slot.latency.record(latency_us, true);
                sums.accepted_or_censored.record(latency_us, true);
            }
            None => {}
        }
        if let RequestEnd::Unknown(cause) = end {
            sums.unknown_by_cause[cause as usize] += 1;
        }
        // The plan has at most 50 million requests.
        let mut outcome = RequestOutcome::new(flight.spec.number as u32, end);
        outcome.code = self.codes.number(code);
        self.sums.surprises.count(flight.spec.kind, end, code, outcome.code);
        if let Some(count) = self.sums.by_code.get_mut(usize::from(outcome.code)) {
            *count += 1;
        }
        if let Some((order_id, digest)) = &answer {
            outcome.set_answer(order_id, digest);
        }
        self.log.push(outcome, answer.as_ref().map(|(order_id, _)| order_id));
    }

    /// Records the time from the planned send of an order to its acceptance or, without an acceptance, until now.
    pub(super) fn settled(&mut self, flight: &InFlight, accepted: bool, now_ns: u64) {
        if matches!(flight.spec.kind, RequestKind::New | RequestKind::Replay | RequestKind::Changed) {
            let latency_us = now_ns.saturating_sub(flight.first_due_ns) / 1_000;
            self.sums.to_acceptance.record(latency_us, !accepted);
        }
    }

    /// Waits until every outcome is stored.
    pub(super) fn finish(self) -> SendRecord {
        SendRecord { outcomes: self.log.finish(), codes: self.codes.names(), ..self.sums }
    }
}
