//! The results of a run, for the report and for the ledger.

use std::time::Duration;

use hdrhistogram::Histogram;
use shared::order::OrderId;

use super::SendPlan;
use super::end_counts::EndCounts;
use super::in_flight::{NoResponseCause, RequestEnd};
use super::latency::CensoredLatency;
use super::outcomes::{OutcomeChunk, RequestOutcome};
use super::record::SendRecord;
use super::shard::Shard;
use crate::ledger::{
    AnswerMatch, Attempt, AttemptEnding, AttemptSorter, Attempts, Payload, nothing_was_published,
};
use crate::report::{CurvePoint, GeneratorHealth, Interval, LatencyReport, Quantiles, RequestTotals};
use crate::scenario::SendSchedule;
use crate::workload::{RequestSpec, Workload};

/// The plan of a run, or of a shard, that was played.
#[derive(Clone, Debug)]
pub(crate) struct PlayedPlan {
    pub schedule: SendSchedule,
    pub workload: Workload,
    pub shard: Shard,
    /// The sum over all processes.
    pub threads: usize,
    pub interval_ms: u32,
    pub send_delay_p999_us_max: u32,
}

impl PlayedPlan {
    pub(super) fn of(plan: &SendPlan) -> Self {
        Self {
            schedule: plan.schedule.clone(),
            workload: plan.workload.clone(),
            shard: plan.shard,
            threads: plan.threads,
            interval_ms: plan.interval_ms,
            send_delay_p999_us_max: plan.send_delay_p999_us_max,
        }
    }
}

#[derive(Debug)]
pub(crate) struct RunResult {
    plan: PlayedPlan,
    pub(super) record: SendRecord,
    /// From the start of the plan to the last response.
    pub took: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct LedgerInput {
    pub attempts: Attempts,
    pub surprises: Vec<String>,
}

impl RunResult {
    pub(super) const fn new(plan: PlayedPlan, record: SendRecord, took: Duration) -> Self {
        Self { plan, record, took }
    }

    pub(crate) fn totals(&self) -> RequestTotals {
        let mut totals = RequestTotals {
            planned: self.plan.shard.requests(self.plan.schedule.requests()),
            retries: self.record.retries,
            ..RequestTotals::default()
        };
        let mut ends = EndCounts::default();
        for slot in &self.record.slots {
            totals.sent += slot.sent;
            ends.add(&slot.ends);
        }
        ends.count_into(&mut totals);
        let by_code = self.record.codes.iter().zip(&self.record.by_code).filter(|(_, count)| **count > 0);
        totals.refused_by_code = by_code.map(|(code, count)| (code.to_string(), *count)).collect();
        let by_cause = NoResponseCause::ALL.iter().zip(self.record.unknown_by_cause);
        let by_cause = by_cause.filter(|(_, count)| *count > 0);
        totals.unknown_by_cause = by_cause.map(|(cause, count)| (cause.name().to_owned(), count)).collect();
        totals
    }

    /// Sent requests by their end, and the latencies of accepted and censored ones, of each phase; `None` unless it is
    /// judged.
    pub(crate) fn phases(&self) -> impl Iterator<Item = Option<(RequestTotals, Quantiles)>> {
        self.record.phases.0.iter().map(|record| {
            let record = record.as_ref()?;
            let mut totals = RequestTotals { sent: record.sent, ..RequestTotals::default() };
            record.ends.count_into(&mut totals);
            Some((totals, censored_quantiles(&record.latency)))
        })
    }

    pub(crate) fn latencies(&self) -> LatencyReport {
        LatencyReport {
            accepted: quantiles(&self.record.accepted),
            shed: quantiles(&self.record.shed),
            all: quantiles(&self.record.answered),
            accepted_or_censored: censored_quantiles(&self.record.accepted_or_censored),
            to_acceptance: censored_quantiles(&self.record.to_acceptance),
        }
    }

    /// The timeline without queue and drain, which `run::timeline` adds.
    pub(crate) fn timeline(&self) -> Vec<Interval> {
        let length_ms = u64::from(self.plan.interval_ms);
        let schedule = &self.plan.schedule;
        (0_u64..)
            .zip(self.record.played_slots())
            .map(|(index, slot)| {
                let (from_ns, until_ns) =
                    (index * length_ms * 1_000_000, (index + 1) * length_ms * 1_000_000);
                let latency = |share| value_at(&slot.latency.latency, share);
                Interval {
                    at_ms: index * length_ms,
                    length_ms,
                    planned: schedule.requests_before(until_ns) - schedule.requests_before(from_ns),
                    sent: slot.sent,
                    accepted: slot.ends.accepted,
                    shed: slot.ends.shed,
                    refused: slot.ends.refused,
                    unknown: slot.ends.unknown,
                    unsent: slot.ends.unsent,
                    censored: slot.latency.censored,
                    p50_us: latency(0.5),
                    p90_us: latency(0.9),
                    p99_us: latency(0.99),
                    max_us: latency(1.0),
                    rejected_p50_us: value_at(&slot.rejected, 0.5),
                    rejected_p99_us: value_at(&slot.rejected, 0.99),
                    queued: 0,
                    committed: 0,
                }
            })
            .collect()
    }

    /// Accepted new orders by interval of the timeline: the rows to expect.
    pub(crate) fn rows_to_come(&self) -> impl Iterator<Item = u64> {
        self.record.played_slots().iter().map(|slot| slot.ends.accepted_own)
    }

    pub(crate) fn health(&self) -> GeneratorHealth {
        let send_delay = quantiles(&self.record.send_delay);
        let bound_us = u64::from(self.plan.send_delay_p999_us_max);
        let late = send_delay.p999_us > bound_us;
        let sent: u64 = self.record.slots.iter().map(|slot| slot.sent).sum();
        GeneratorHealth {
            threads: self.plan.threads,
            pinned_to: self.record.pinned_to.clone(),
            connections_opened: self.record.connections_opened,
            connections_max: self.record.connections_most,
            cpu_us_per_request: self.record.cpu_ns as f64 / 1_000.0 / sent.max(1) as f64,
            resolution_us: self.record.resolution_ns / 1_000,
            send_delay_p999_us_max: bound_us,
            latencies_valid: !late,
            void_because: late.then(|| {
                format!(
                    "The generator sent one request in 1,000 more than {:.1} ms late; {} ms are allowed. It had too little \
                     CPU: reserve processors for it, or plan a lower rate",
                    send_delay.p999_us as f64 / 1_000.0,
                    bound_us as f64 / 1_000.0
                )
            }),
            send_delay,
        }
    }

    pub(crate) fn schedule(&self) -> &SendSchedule {
        &self.plan.schedule
    }

    pub(crate) fn workload(&self) -> &Workload {
        &self.plan.workload
    }

    /// The ledger's input; without `attempts` only the surprises. Unless `knows_order_ids`, the order ids of the responses
    /// replace the derived ones. Derives ids and digests on every processor: it takes some microseconds per request.
    pub(crate) fn account(&self, attempts: bool, knows_order_ids: bool) -> anyhow::Result<LedgerInput> {
        let outcomes = &self.record.outcomes;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let surprises = self.record.surprises.lines(&self.record.codes);
        if !attempts {
            return Ok(LedgerInput { attempts: Attempts::default(), surprises });
        }
        let mut sorter = AttemptSorter::new();
        for first in (0..outcomes.chunk_count()).step_by(threads) {
            let together = first..(first + threads).min(outcomes.chunk_count());
            std::thread::scope(|scope| -> anyhow::Result<()> {
                let account = |chunk| {
                    let chunk = outcomes.chunk(chunk)?;
                    Ok::<_, std::io::Error>(self.account_of(&chunk, knows_order_ids))
                };
                let parts: Vec<_> = together.map(|chunk| scope.spawn(move || account(chunk))).collect();
                for part in parts {
                    // A panic in a thread must not pass as an empty result.
                    sorter.extend(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
                }
                Ok(())
            })?;
        }
        Ok(LedgerInput { attempts: sorter.finish(self.record.codes.clone()), surprises })
    }

    fn account_of(&self, chunk: &OutcomeChunk, knows_order_ids: bool) -> Vec<Attempt> {
        let sent =
            chunk.outcomes().iter().enumerate().filter(|(_, outcome)| outcome.end != RequestEnd::Unsent);
        let attempts = sent.filter_map(|(index, outcome)| {
            let spec = self.plan.workload.request_spec(u64::from(outcome.number));
            let code = self.record.code(outcome).map(AsRef::as_ref);
            let is_answered = !knows_order_ids && outcome.end == RequestEnd::Accepted;
            let answered = chunk.order_id(index).filter(|_| is_answered);
            self.attempt(outcome, &spec, code, answered)
        });
        attempts.collect()
    }

    /// `answered`: the order id in the response, if it replaces the derived one. `None`: the request names no order.
    fn attempt(
        &self,
        outcome: &RequestOutcome,
        spec: &RequestSpec,
        code: Option<&str>,
        answered: Option<OrderId>,
    ) -> Option<Attempt> {
        let workload = &self.plan.workload;
        let expected = workload.expected(spec);
        let ending = match outcome.end {
            _ if expected.is_none() => AttemptEnding::Invalid,
            RequestEnd::Accepted => AttemptEnding::Accepted,
            RequestEnd::Shed | RequestEnd::Refused if code.is_some_and(nothing_was_published) => {
                AttemptEnding::Refused
            }
            RequestEnd::Shed | RequestEnd::Refused => AttemptEnding::Failed,
            RequestEnd::Unknown(_) => AttemptEnding::Unknown,
            RequestEnd::Unsent => return None,
        };
        let (order_id, payload, answer) = match expected {
            Some((order_id, digest)) => {
                let matches = outcome.answer_matches(&answered.unwrap_or(order_id), &digest);
                (order_id, Payload::from(digest), matches)
            }
            None => (workload.order_id(spec)?, Payload::default(), None),
        };
        let answer = match answer {
            None => AnswerMatch::None,
            Some(true) => AnswerMatch::Matches,
            Some(false) => AnswerMatch::Differs,
        };
        Some(Attempt {
            order_id,
            answered_id: answered.unwrap_or(order_id),
            payload,
            number: outcome.number,
            code: outcome.code,
            ending,
            answer,
        })
    }
}

fn value_at(histogram: &Histogram<u32>, share: f64) -> u64 {
    if histogram.is_empty() { 0 } else { histogram.value_at_quantile(share) }
}

fn censored_quantiles(latency: &CensoredLatency<u64>) -> Quantiles {
    Quantiles { censored: latency.censored, ..quantiles(&latency.latency) }
}

/// Quantiles and curve of a histogram of microseconds.
pub(crate) fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    if histogram.is_empty() {
        return Quantiles::default();
    }
    let value = |quantile| histogram.value_at_quantile(quantile);
    let curve = histogram
        .iter_quantiles(2)
        .map(|step| CurvePoint { quantile: step.quantile(), value_us: step.value_iterated_to() })
        .collect();
    Quantiles {
        count: histogram.len(),
        censored: 0,
        mean_us: histogram.mean(),
        p50_us: value(0.5),
        p90_us: value(0.9),
        p99_us: value(0.99),
        p999_us: value(0.999),
        max_us: histogram.max(),
        curve,
    }
}
