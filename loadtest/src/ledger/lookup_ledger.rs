//! A ledger without the database: each accepted order against the public look-up.

use std::time::Duration;

use shared::order::OrderId;
use tokio::time::{Instant, sleep};

use super::attempt::{Attempt, Payload};
use super::attempts::Attempts;
use super::decision_times::DecisionTimes;
use super::fault::FaultCollector;
use super::judge::{Judgement, count_attempts};
use super::lookup::{LookUp, LookUpClient, LookUpOrder, OrderAnswer};
use super::sample::Reservoir;
use super::settle::SettleProgress;
use super::verdict::{LOSSES_NOT_JUDGED, LedgerSource, LedgerVerdict};
use crate::workload::Workload;

const PAUSE: Duration = Duration::from_secs(1);

/// Maximum look-ups between two pauses, so that the look-up serves buyers too.
const ROUND: usize = 1_000;

/// Maximum orders that are looked up as another buyer too.
const OTHER_BUYERS_MAX: usize = 200;

/// An accepted order to look up.
#[derive(Clone, Debug)]
struct AcceptedId {
    order_id: OrderId,
    attempts: Vec<Attempt>,
}

impl AcceptedId {
    fn look_up_order(&self, workload: &Workload) -> LookUpOrder {
        let number = self.attempts.first().map_or(0, |attempt| u64::from(attempt.number));
        (self.order_id, workload.request_spec(number))
    }

    /// Distinct payloads, beside the decided one, of the attempts that `counts`.
    fn other_payloads(&self, decided: Payload, counts: fn(&Attempt) -> bool) -> u64 {
        let mut others: Vec<_> = self
            .attempts
            .iter()
            .filter(|attempt| counts(attempt) && attempt.payload != decided)
            .map(|attempt| attempt.payload)
            .collect();
        others.sort_unstable();
        others.dedup();
        others.len() as u64
    }

    /// True if every accepted payload is decided or counted as a conflict.
    fn is_settled(&self, answer: &OrderAnswer) -> bool {
        answer.digest().is_some_and(|digest| {
            answer.conflicts >= self.other_payloads(digest.into(), Attempt::is_accepted)
        })
    }
}

impl LookUpClient {
    /// Looks up each accepted order, or `sample_max` of them, until all are settled or nothing was settled for as long as
    /// a published order can be hidden. `wait_is_cut` ends the wait.
    pub async fn judge(
        &self,
        workload: &Workload,
        attempts: &Attempts,
        sample_max: usize,
        hidden: Duration,
        wait_is_cut: impl Fn() -> bool,
        progress: impl Fn(SettleProgress),
    ) -> anyhow::Result<Judgement> {
        let (mut verdict, mut faults) = (LedgerVerdict::default(), FaultCollector::default());
        verdict.source = LedgerSource::LookUp;
        let mut accepted = Reservoir::new(sample_max);
        for order in attempts.by_order()? {
            let order = order?;
            count_attempts(&order, attempts, &mut verdict, &mut faults);
            check_replays(&order, &mut faults);
            if let Some(first) = order.iter().find(|attempt| attempt.is_accepted()) {
                let order_id = first.answered_id;
                accepted.offer(|| AcceptedId { order_id, attempts: order });
            }
        }
        let mut missing = accepted.into_sample();
        verdict.looked_up = missing.len();
        let (mut settled_at, mut was_cut, mut decided) = (Instant::now(), false, Vec::new());
        loop {
            let rest = missing.split_off(missing.len().saturating_sub(ROUND));
            let orders: Vec<_> = rest.iter().map(|order| order.look_up_order(workload)).collect();
            let answers = self.look_up(workload, &orders).await?;
            let is_last = was_cut || settled_at.elapsed() >= hidden;
            let mut found = 0;
            for (order, answer) in rest.into_iter().zip(answers) {
                let settled = matches!(&answer, LookUp::Found(found) if order.is_settled(found));
                if settled && decided.len() < OTHER_BUYERS_MAX {
                    decided.push(order.look_up_order(workload));
                }
                if settled || is_last || matches!(answer, LookUp::Failed(_)) {
                    judge(&order, answer, was_cut, &mut verdict, &mut faults);
                    found += usize::from(settled);
                } else {
                    missing.insert(0, order);
                }
            }
            if found > 0 {
                settled_at = Instant::now();
            }
            if missing.is_empty() {
                break;
            }
            was_cut |= wait_is_cut();
            // A full round that found everything goes on immediately.
            if found < ROUND && !is_last {
                progress(SettleProgress { missing: missing.len(), quiet: settled_at.elapsed() });
                sleep(PAUSE).await;
            }
        }
        self.check_other_buyers(workload, &decided, &mut faults).await?;
        verdict.not_judged.push(
            "rows that no request explains, lines, totals, stock, limits and the cap: they need the database"
                .to_owned(),
        );
        if was_cut {
            verdict.not_judged.push(LOSSES_NOT_JUDGED.to_owned());
        }
        verdict.faults = faults.into_faults();
        Ok(Judgement { verdict, decisions: DecisionTimes::default(), sample: Vec::new() })
    }
}

/// Every 202 of one key names one order.
fn check_replays(order: &[Attempt], faults: &mut FaultCollector) {
    let mut accepted = order.iter().filter(|attempt| attempt.is_accepted());
    let Some(first) = accepted.next() else { return };
    for _other in accepted.filter(|other| other.answered_id != first.answered_id) {
        faults.add("replay_names_another_order", first.answered_id);
    }
}

fn judge(
    order: &AcceptedId,
    answer: LookUp,
    was_cut: bool,
    verdict: &mut LedgerVerdict,
    faults: &mut FaultCollector,
) {
    let order_id = order.order_id;
    let answer = match answer {
        LookUp::Failed(reason) => return faults.add("lookup_failed", format!("{order_id}: {reason}")),
        LookUp::Unknown if was_cut => return,
        LookUp::Unknown => return faults.add("accepted_order_lost", order_id),
        LookUp::Found(answer) if !answer.names(order_id) => {
            return faults.add("lookup_names_another_order", order_id);
        }
        LookUp::Found(answer) => answer,
    };
    match (answer.state.as_str(), &answer.reason) {
        ("confirmed", None) => verdict.confirmed += 1,
        ("rejected", Some(reason)) => *verdict.rejected.entry(reason.clone()).or_default() += 1,
        ("dead_lettered", _) => {
            verdict.dead_letters += 1;
            return faults.add("accepted_order_dead_lettered", order_id);
        }
        _ => faults.add("inconsistent_state", order_id),
    }
    verdict.conflicts += answer.conflicts as usize;
    let decided = answer.digest().map(Payload::from);
    let mut of_payload = order.attempts.iter().filter(|attempt| Some(attempt.payload) == decided).peekable();
    let (Some(decided), Some(_)) = (decided, of_payload.peek()) else {
        return faults.add("row_with_unknown_payload", order_id);
    };
    if !of_payload.any(Attempt::may_exist) {
        faults.add("row_of_refused_request", order_id);
    }
    if answer.conflicts < order.other_payloads(decided, Attempt::is_accepted) && !was_cut {
        faults.add("conflict_not_recorded", order_id);
    }
    if answer.conflicts > order.other_payloads(decided, Attempt::may_exist) {
        faults.add("conflict_without_cause", order_id);
    }
}
