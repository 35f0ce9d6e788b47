//! Merges attempts, rows, conflicts and dead letters by order id, and names what does not agree.

use std::io;

use shared::order::OrderId;

use super::attempt::{AnswerMatch, Attempt, AttemptEnding, Payload};
use super::attempts::{Attempts, OrderAttempts};
use super::contents;
use super::decision_times::DecisionTimes;
use super::fault::FaultCollector;
use super::rows::{ConflictRow, LetterRow, OrderRow, PurchaseRow, SampledRow, SkuRow};
use super::sample::Reservoir;
use super::scope::RunScope;
use super::stock::StockTally;
use super::verdict::{LOSSES_NOT_JUDGED, LedgerVerdict};
use crate::scenario::SendSchedule;
use crate::workload::Workload;

/// Tolerance of comparisons between two clocks, and of a clock that is set back.
const CLOCK_US: i64 = 1_000_000;

/// Dead letters of the broker's own queue: one may be superfluous because its order was decided meanwhile.
const BROKER_REASON: &str = "attempts_exhausted";

/// The run: its requests and how they ended.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    pub workload: &'a Workload,
    pub schedule: &'a SendSchedule,
    pub attempts: &'a Attempts,
    /// Start of the schedule, microseconds since 1970 by this machine's clock.
    pub started_us: i64,
    /// Maximum time from a request's due time to its acceptance, microseconds.
    pub accepted_within_us: i64,
    /// True if accepted orders were not waited for to the end: what is missing is not lost then.
    pub wait_was_cut: bool,
}

/// The small tables, read before the orders.
#[derive(Clone, Debug, Default)]
pub(super) struct SideTables {
    /// The sale's stock after the run.
    pub skus: Vec<SkuRow>,
    pub conflicts: Vec<ConflictRow>,
    pub letters: Vec<LetterRow>,
}

/// A payload that was decided although another one was accepted before it was sent.
#[derive(Clone, Copy, Debug)]
struct Overtaken {
    order_id: OrderId,
    /// From the latest possible acceptance of the first to the earliest send of the second.
    gap_us: i64,
}

pub(super) struct Judge<'a> {
    run: RunFacts<'a>,
    scope: &'a RunScope,
    attempts: OrderAttempts<'a>,
    conflicts: &'a [ConflictRow],
    letters: &'a [LetterRow],
    last_row: Option<OrderId>,
    stock: StockTally<'a>,
    sold_out: Vec<u32>,
    over_limit: Vec<u32>,
    overtaken: Vec<Overtaken>,
    /// The longest time from a request's due time to the decision.
    slowest_us: i64,
    decisions: DecisionTimes,
    /// All orders of the sale, other buyers included.
    sale_decisions: DecisionTimes,
    sample: Reservoir<SampledRow>,
    faults: FaultCollector,
    verdict: LedgerVerdict,
}

/// The result of [`Judge::finish`].
#[derive(Debug)]
pub struct Judgement {
    pub verdict: LedgerVerdict,
    /// Decision times of the run's orders.
    pub decisions: DecisionTimes,
    /// Up to as many decided orders as asked for, for look-ups.
    pub sample: Vec<SampledRow>,
}

/// Removes and returns the items at the front of `rest` whose key is `key`.
fn take<'a, T, K: PartialEq>(rest: &mut &'a [T], key: &K, key_of: impl Fn(&T) -> K) -> &'a [T] {
    let count = rest.iter().take_while(|item| key_of(item) == *key).count();
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

impl<'a> Judge<'a> {
    /// `side`'s conflicts and letters ascend by order id, letters without one first.
    ///
    /// # Errors
    /// As of every step of the judge: if the attempts cannot be read.
    pub(super) fn new(
        run: RunFacts<'a>,
        scope: &'a RunScope,
        side: &'a SideTables,
        sample_max: usize,
    ) -> io::Result<Self> {
        let mut judge = Self {
            attempts: run.attempts.by_order()?,
            conflicts: &side.conflicts,
            letters: &side.letters,
            last_row: None,
            stock: StockTally::new(run.workload, &scope.skus_before, &side.skus),
            sold_out: Vec::new(),
            over_limit: Vec::new(),
            overtaken: Vec::new(),
            slowest_us: 0,
            decisions: DecisionTimes::default(),
            sale_decisions: DecisionTimes::default(),
            sample: Reservoir::new(sample_max),
            faults: FaultCollector::default(),
            verdict: LedgerVerdict::default(),
            run,
            scope,
        };
        for letter in take(&mut judge.letters, &None, |letter| letter.order_id) {
            if scope.is_own {
                judge.verdict.dead_letters += 1;
                judge.faults.add("unreadable_message", &letter.reason);
            }
        }
        Ok(judge)
    }

    /// Takes the next row; rows ascend by order id.
    pub(super) fn order(&mut self, row: &OrderRow) -> io::Result<()> {
        if self.last_row == Some(row.order_id) {
            self.faults.add("order_doubled", row.order_id);
            return Ok(());
        }
        self.last_row = Some(row.order_id);
        self.judge_before(Some(row.order_id))?;
        self.judge_order(row.order_id, Some(row))
    }

    pub(super) fn purchase(&mut self, row: &PurchaseRow) {
        self.stock.check_purchase(row, &mut self.faults);
    }

    /// Ends the checks, after every order and purchase. `cap`: maximum orders of a second, or why it is not known.
    pub(super) fn finish(mut self, cap: Result<u32, String>) -> io::Result<Judgement> {
        self.judge_before(None)?;
        self.stock.check(&mut self.faults);
        for number in std::mem::take(&mut self.sold_out) {
            if self.stock.is_in_stock(u64::from(number)) {
                self.faults.add("rejected_in_stock", format!("request {number}"));
            }
        }
        for number in std::mem::take(&mut self.over_limit) {
            if self.stock.is_within_limits(u64::from(number)) {
                self.faults.add("rejected_within_limit", format!("request {number}"));
            }
        }
        for overtaken in &self.overtaken {
            if overtaken.gap_us > self.scope.hidden_us + self.slowest_us {
                self.faults.add("later_payload_won", overtaken.order_id);
            }
        }
        self.judge_seconds(cap);
        if self.run.wait_was_cut {
            self.verdict.not_judged.push(LOSSES_NOT_JUDGED.to_owned());
        }
        Ok(Judgement {
            verdict: LedgerVerdict { faults: self.faults.into_faults(), ..self.verdict },
            decisions: self.decisions,
            sample: self.sample.into_sample(),
        })
    }

    fn judge_seconds(&mut self, cap: Result<u32, String>) {
        self.verdict.busiest_second = self.sale_decisions.busiest_second();
        match cap {
            Ok(cap) if self.verdict.busiest_second > cap as usize => {
                self.faults.add("second_over_the_cap", format!("{} orders", self.verdict.busiest_second));
                self.verdict.cap = Some(cap);
            }
            Ok(cap) => self.verdict.cap = Some(cap),
            Err(reason) => self.verdict.not_judged.push(reason),
        }
    }

    /// Judges every order id before `end` that has no row.
    fn judge_before(&mut self, end: Option<OrderId>) -> io::Result<()> {
        loop {
            let next = [
                self.attempts.next_id(),
                self.conflicts.first().map(|conflict| conflict.order_id),
                self.letters.first().and_then(|letter| letter.order_id),
            ];
            match next.into_iter().flatten().min() {
                Some(order_id) if end.is_none_or(|end| order_id < end) => self.judge_order(order_id, None)?,
                _ => return Ok(()),
            }
        }
    }

    fn judge_order(&mut self, order_id: OrderId, row: Option<&OrderRow>) -> io::Result<()> {
        let attempts = &*self.attempts.take_order(order_id)?;
        let conflicts = take(&mut self.conflicts, &order_id, |conflict| conflict.order_id);
        let letters = take(&mut self.letters, &Some(order_id), |letter| letter.order_id);
        count_attempts(attempts, self.run.attempts, &mut self.verdict, &mut self.faults);
        match row {
            Some(row) if attempts.is_empty() => self.judge_foreign(row),
            Some(row) => self.judge_row(row, attempts, conflicts),
            None => {}
        }
        self.judge_letters(attempts, letters, row);
        self.judge_conflicts(order_id, row, attempts, conflicts, letters);
        if row.is_none() && attempts.iter().any(Attempt::is_accepted) {
            if letters.iter().any(|letter| letter.order_id == Some(order_id)) {
                self.faults.add("accepted_order_dead_lettered", order_id);
            } else if !self.run.wait_was_cut {
                self.faults.add("accepted_order_lost", order_id);
            }
        }
        Ok(())
    }

    /// A row that no attempt explains.
    fn judge_foreign(&mut self, row: &OrderRow) {
        if self.scope.is_own || row.user_id.starts_with(self.run.workload.user_prefix()) {
            self.faults.add("row_without_request", row.order_id);
            self.verdict.rows += 1;
        } else {
            self.verdict.other_orders += 1;
        }
        if row.sale_id == self.run.workload.sale_id() {
            self.sale_decisions.add(row.decided_us - self.scope.clock_offset_us);
            if row.state == "confirmed" {
                self.stock.add_foreign(row, !self.scope.is_own && self.scope.may_precede(row.decided_us));
            }
        }
    }

    fn judge_row(&mut self, row: &OrderRow, attempts: &[Attempt], conflicts: &[ConflictRow]) {
        let verdict = &mut self.verdict;
        verdict.rows += 1;
        match (row.state.as_str(), &row.reason) {
            ("confirmed", None) => {
                verdict.confirmed += 1;
                self.stock.add(row);
            }
            ("rejected", Some(reason)) => match verdict.rejected.get_mut(reason) {
                Some(orders) => *orders += 1,
                None => drop(verdict.rejected.insert(reason.clone(), 1)),
            },
            _ => self.faults.add("inconsistent_state", row.order_id),
        }
        if !attempts.iter().any(Attempt::is_accepted) {
            verdict.rows_of_unknown += 1;
        }
        let decided_us = row.decided_us - self.scope.clock_offset_us;
        self.decisions.add(decided_us);
        self.sale_decisions.add(decided_us);
        if let Some(attempt) = attempts.first() {
            self.sample.offer(|| SampledRow::of(row, attempt.number, conflicts.len() as u64));
        }
        if attempts.iter().all(|attempt| attempt.ending == AttemptEnding::Invalid) {
            return self.faults.add("row_of_invalid_request", row.order_id);
        }
        let payload = Payload::from(row.digest);
        let of_payload = || attempts.iter().filter(|attempt| attempt.payload == payload);
        // Attempts ascend by number, and due times with it.
        let Some(first) = of_payload().next() else {
            return self.faults.add("row_with_unknown_payload", row.order_id);
        };
        if !of_payload().any(Attempt::may_exist) {
            self.faults.add("row_of_refused_request", row.order_id);
        }
        let spec = self.run.workload.request_spec(u64::from(first.number));
        contents::compare(self.run.workload, &spec, row, &mut self.faults);
        match row.reason.as_deref() {
            Some("sold_out") => self.sold_out.push(first.number),
            Some("limit_exceeded") => self.over_limit.push(first.number),
            _ => {}
        }
        let sent_us = self.due_us(first);
        if decided_us + CLOCK_US < sent_us {
            self.faults.add("decided_before_sent", row.order_id);
        }
        self.slowest_us = self.slowest_us.max(decided_us - sent_us);
        let others = attempts.iter().filter(|other| other.is_accepted() && other.payload != payload);
        let accepted = others.map(|other| self.due_us(other) + self.run.accepted_within_us);
        if let Some(gap_us) = accepted.map(|accepted_us| sent_us - accepted_us).max() {
            self.overtaken.push(Overtaken { order_id: row.order_id, gap_us });
        }
    }

    /// No attempt of the request was sent earlier, by this machine's clock.
    fn due_us(&self, attempt: &Attempt) -> i64 {
        self.run.started_us + (self.run.schedule.due_ns(u64::from(attempt.number)) / 1_000) as i64
    }

    fn judge_letters(&mut self, attempts: &[Attempt], letters: &[LetterRow], row: Option<&OrderRow>) {
        for letter in letters {
            let order_id = letter.order_id.map(|order_id| order_id.to_string()).unwrap_or_default();
            let prefix = self.run.workload.user_prefix();
            let is_ours = self.scope.is_own
                || !attempts.is_empty()
                || letter.user_id.as_ref().is_some_and(|user| user.starts_with(prefix));
            if !is_ours {
                continue;
            }
            self.verdict.dead_letters += 1;
            let was_sent = letter.digest.is_none_or(|digest| {
                attempts.iter().any(|attempt| attempt.may_exist() && attempt.payload == digest.into())
            });
            if !was_sent || attempts.is_empty() {
                self.faults.add("dead_letter_without_request", &order_id);
            }
            let is_decided = row.is_some_and(|row| letter.digest == Some(row.digest));
            if is_decided && letter.is_open && letter.reason != BROKER_REASON {
                self.faults.add("dead_letter_beside_row", &order_id);
            }
        }
    }

    /// Each accepted payload is either the decided one, on record as a conflict, or a dead letter.
    fn judge_conflicts(
        &mut self,
        order_id: OrderId,
        row: Option<&OrderRow>,
        attempts: &[Attempt],
        conflicts: &[ConflictRow],
        letters: &[LetterRow],
    ) {
        if attempts.is_empty() && !self.scope.is_own {
            return;
        }
        self.verdict.conflicts += conflicts.len();
        for (index, conflict) in conflicts.iter().enumerate() {
            let payload = Payload::from(conflict.digest);
            let was_sent = attempts.iter().any(|attempt| attempt.may_exist() && attempt.payload == payload);
            if !was_sent || row.is_none_or(|row| row.digest == conflict.digest) {
                self.faults.add("conflict_without_cause", order_id);
            } else if row.is_some_and(|row| conflict.first_seen_us + CLOCK_US < row.decided_us) {
                self.faults.add("conflict_before_decision", order_id);
            }
            if conflicts[..index].iter().any(|before| before.digest == conflict.digest) {
                self.faults.add("conflict_doubled", order_id);
            }
        }
        let Some(row) = row else { return };
        let decided = Payload::from(row.digest);
        let on_record = |payload: Payload| {
            payload == decided || conflicts.iter().any(|conflict| Payload::from(conflict.digest) == payload)
        };
        let mut missing: Vec<_> =
            attempts.iter().filter(|attempt| attempt.is_accepted()).map(|attempt| attempt.payload).collect();
        missing.sort_unstable();
        missing.dedup();
        for payload in missing.into_iter().filter(|payload| !on_record(*payload)) {
            if letters.iter().any(|letter| letter.digest.map(Payload::from) == Some(payload)) {
                self.faults.add("accepted_order_dead_lettered", order_id);
            } else if !self.run.wait_was_cut {
                self.faults.add("conflict_not_recorded", order_id);
            }
        }
    }
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Judge").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

/// Counts the attempts of one order.
pub(super) fn count_attempts(
    order: &[Attempt],
    attempts: &Attempts,
    verdict: &mut LedgerVerdict,
    faults: &mut FaultCollector,
) {
    for attempt in order {
        match attempt.ending {
            AttemptEnding::Invalid => continue,
            AttemptEnding::Accepted => {
                verdict.accepted += 1;
                if attempt.answer != AnswerMatch::Matches {
                    faults.add("response_names_another_order", attempt.order_id);
                }
            }
            AttemptEnding::Refused | AttemptEnding::Failed => {
                verdict.refused += 1;
                let code = attempts.code(attempt);
                match verdict.refused_by_code.get_mut(code) {
                    Some(requests) => *requests += 1,
                    None => drop(verdict.refused_by_code.insert(code.to_owned(), 1)),
                }
            }
            AttemptEnding::Unknown => verdict.unknown += 1,
        }
        verdict.requests += 1;
    }
    verdict.accepted_orders += usize::from(order.iter().any(Attempt::is_accepted));
}
