//! The record of one thread: nothing is shared, nothing is sampled.

use std::collections::HashMap;
use std::sync::Arc;

use hdrhistogram::Histogram;
use shared::order::{OrderId, PayloadDigest};

use super::in_flight::{InFlight, NoResponseCause, RequestEnd};
use crate::workload::RequestKind;

/// Maximum latency of a histogram, microseconds; larger than any time-out with retries.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// Marks an outcome without a problem code in [`ThreadRecord::codes`].
const NO_CODE: u16 = u16::MAX;

/// Maximum distinct codes; the service has about twenty.
const CODES_MAX: usize = 200;

/// The end of one request. Small, because a run may have fifty million.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestOutcome {
    pub(super) number: u32,
    pub(super) end: RequestEnd,
    code: u16,
    answer: u32,
}

#[derive(Debug)]
pub(super) struct IntervalRecord {
    pub(super) sent: u64,
    pub(super) accepted: u64,
    pub(super) accepted_own: u64,
    pub(super) shed: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
    pub(super) latency: Histogram<u32>,
}

#[derive(Debug)]
pub(super) struct ThreadRecord {
    interval_ns: u64,
    pub(super) slots: Vec<IntervalRecord>,
    pub(super) outcomes: Vec<RequestOutcome>,
    answers: Vec<(OrderId, PayloadDigest)>,
    codes: Vec<Arc<str>>,
    code_numbers: HashMap<String, u16>,
    pub(super) accepted: Histogram<u64>,
    pub(super) shed: Histogram<u64>,
    pub(super) answered: Histogram<u64>,
    pub(super) slip: Histogram<u64>,
    pub(super) retries: u64,
    pub(super) unknown_by_cause: HashMap<NoResponseCause, u64>,
    pub(super) connections_opened: u64,
    pub(super) connections_most: u64,
    pub(super) cpu_ns: u64,
    /// Processors that the threads are pinned to.
    pub(super) pinned_to: Vec<usize>,
    /// Maximum delay of reading a response.
    pub(super) resolution_ns: u64,
}

fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_US_MAX, digits).unwrap_or_else(|_| unreachable!("a valid range"))
}

impl IntervalRecord {
    fn new() -> Self {
        // The histogram grows as needed: most intervals see a narrow range.
        let latency = Histogram::new(2).unwrap_or_else(|_| unreachable!("two digits are allowed"));
        Self { sent: 0, accepted: 0, accepted_own: 0, shed: 0, refused: 0, unknown: 0, latency }
    }
}

impl ThreadRecord {
    pub(super) fn new(interval_ns: u64) -> Self {
        Self {
            interval_ns,
            slots: Vec::new(),
            outcomes: Vec::new(),
            answers: Vec::new(),
            codes: Vec::new(),
            code_numbers: HashMap::new(),
            accepted: histogram(3),
            shed: histogram(3),
            answered: histogram(3),
            slip: histogram(3),
            retries: 0,
            unknown_by_cause: HashMap::new(),
            connections_opened: 0,
            connections_most: 0,
            cpu_ns: 0,
            pinned_to: Vec::new(),
            resolution_ns: 0,
        }
    }

    fn slot(&mut self, due_ns: u64) -> &mut IntervalRecord {
        let index = (due_ns / self.interval_ns) as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, IntervalRecord::new);
        }
        &mut self.slots[index]
    }

    /// Records that a request was written to a connection, `slip_ns` after its time.
    pub(super) fn sent(&mut self, flight: &InFlight) {
        self.retries += u64::from(flight.attempt > 0);
        self.slot(flight.due_ns).sent += 1;
    }

    /// Records the generator's own lateness for a request.
    pub(super) fn slipped(&mut self, slip_ns: u64) {
        self.slip.saturating_record(slip_ns / 1_000);
    }

    pub(super) fn ended(
        &mut self,
        flight: &InFlight,
        end: RequestEnd,
        now_ns: u64,
        code: Option<&str>,
        answer: Option<(OrderId, PayloadDigest)>,
    ) {
        let latency_us = now_ns.saturating_sub(flight.due_ns) / 1_000;
        let slot = self.slot(flight.due_ns);
        match end {
            RequestEnd::Accepted => {
                slot.accepted += 1;
                slot.accepted_own += u64::from(flight.is_own());
            }
            RequestEnd::Shed => slot.shed += 1,
            RequestEnd::Refused => slot.refused += 1,
            RequestEnd::Unknown(_) => slot.unknown += 1,
            RequestEnd::Unsent => {}
        }
        // The time that a slow client takes to send its body is not the service's.
        let timed = flight.spec.kind != RequestKind::SlowBody || flight.attempt > 0;
        if timed && matches!(end, RequestEnd::Accepted | RequestEnd::Shed | RequestEnd::Refused) {
            // The histogram grows; only a count beyond 32 bits could fail.
            let _recorded = slot.latency.record(latency_us);
            self.answered.saturating_record(latency_us);
            match end {
                RequestEnd::Accepted => self.accepted.saturating_record(latency_us),
                RequestEnd::Shed => self.shed.saturating_record(latency_us),
                _ => {}
            }
        }
        if let RequestEnd::Unknown(cause) = end {
            *self.unknown_by_cause.entry(cause).or_default() += 1;
        }
        let code = code.map_or(NO_CODE, |code| self.code_number(code));
        let answer = answer.map_or(u32::MAX, |answer| {
            self.answers.push(answer);
            self.answers.len() as u32 - 1
        });
        // The plan has at most 50 million requests.
        let number = flight.spec.number as u32;
        self.outcomes.push(RequestOutcome { number, end, code, answer });
    }

    fn code_number(&mut self, code: &str) -> u16 {
        if let Some(number) = self.code_numbers.get(code) {
            return *number;
        }
        let known = self.codes.len() < CODES_MAX;
        let name = if known { code } else { "other" };
        let number = self.codes.len() as u16;
        self.codes.push(name.into());
        if known {
            self.code_numbers.insert(name.to_owned(), number);
        }
        number
    }

    pub(super) fn code(&self, outcome: &RequestOutcome) -> Option<&Arc<str>> {
        self.codes.get(usize::from(outcome.code))
    }

    pub(super) fn answer(&self, outcome: &RequestOutcome) -> Option<(OrderId, PayloadDigest)> {
        self.answers.get(outcome.answer as usize).copied()
    }

    pub(super) fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        for (index, slot) in other.slots.into_iter().enumerate() {
            let mine = self.slot(index as u64 * self.interval_ns);
            mine.sent += slot.sent;
            mine.accepted += slot.accepted;
            mine.accepted_own += slot.accepted_own;
            mine.shed += slot.shed;
            mine.refused += slot.refused;
            mine.unknown += slot.unknown;
            mine.latency.add(&slot.latency)?;
        }
        let answers_before = self.answers.len() as u32;
        self.answers.extend(other.answers);
        let codes: Vec<_> = other.codes.iter().map(|code| self.code_number(code)).collect();
        self.outcomes.reserve(other.outcomes.len());
        for mut outcome in other.outcomes {
            if let Some(code) = codes.get(usize::from(outcome.code)) {
                outcome.code = *code;
            }
            if outcome.answer != u32::MAX {
                outcome.answer += answers_before;
            }
            self.outcomes.push(outcome);
        }
        self.accepted.add(&other.accepted)?;
        self.shed.add(&other.shed)?;
        self.answered.add(&other.answered)?;
        self.slip.add(&other.slip)?;
        self.retries += other.retries;
        for (cause, count) in other.unknown_by_cause {
            *self.unknown_by_cause.entry(cause).or_default() += count;
        }
        self.connections_opened += other.connections_opened;
        self.connections_most += other.connections_most;
        self.cpu_ns += other.cpu_ns;
        self.pinned_to.extend(other.pinned_to);
        self.resolution_ns = self.resolution_ns.max(other.resolution_ns);
        Ok(())
    }
}
