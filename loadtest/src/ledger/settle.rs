//! Waits, by id, until every accepted payload is settled or lost.
//!
//! Right after a run nearly all of them may be missing: a part of bounded size is watched, for the rest.

use std::collections::VecDeque;
use std::time::Duration;

use shared::order::OrderId;
use tokio::time::{Instant, sleep};

use super::attempt::Payload;
use super::attempts::Attempts;
use super::read::{IDS_MAX, LedgerReader};
use super::scope::RunScope;
use crate::workload::Workload;

const PAUSE: Duration = Duration::from_secs(1);

/// While other runs keep the drain busy, this many times the hidden time without an order of this run ends the wait.
const BUSY_FACTOR: u32 = 10;

/// Maximum missing payloads that are watched. Order ids are hashes, so that the drain settles those of any range as fast
/// as all.
const WATCHED_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug)]
pub struct SettleProgress {
    /// Accepted payloads that are not settled.
    pub missing: usize,
    /// Time since the drain last settled anything.
    pub quiet: Duration,
}

/// The accepted payloads that are not settled.
#[derive(Debug)]
struct MissingPayloads {
    watched: Vec<(OrderId, Payload)>,
    /// Missing ones beside those that are watched, when the database was last read.
    beside: usize,
}

impl MissingPayloads {
    const fn count(&self) -> usize {
        self.watched.len() + self.beside
    }
}

impl LedgerReader {
    /// Waits until each accepted payload is an order, a conflict or a dead letter. Ends early when nothing was settled
    /// for as long as a published order can be hidden: what is missing then is lost. Returns the number of missing
    /// payloads.
    ///
    /// A broken connection is opened again.
    ///
    /// # Errors
    /// If the database stays away, or the attempts cannot be read.
    pub async fn settle(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        attempts: &Attempts,
        progress: impl Fn(SettleProgress),
    ) -> anyhow::Result<usize> {
        let hidden = Duration::from_micros(scope.hidden_us.unsigned_abs());
        let mut missing = self.persist_missing(workload, scope, attempts).await?;
        let mut read_at = Instant::now();
        let (mut own_at, mut any_at, mut reported, mut tries) = (read_at, read_at, None, 0);
        while missing.count() > 0 {
            let quiet = any_at.elapsed();
            progress(SettleProgress { missing: missing.count(), quiet });
            let is_quiet = own_at.elapsed() >= hidden;
            let may_have_changed = is_quiet && read_at.elapsed() >= hidden;
            if missing.beside > 0 && (may_have_changed || missing.watched.is_empty()) {
                // Those beside the watched ones may have been settled meanwhile.
                let before = missing.count();
                missing = self.persist_missing(workload, scope, attempts).await?;
                read_at = Instant::now();
                if missing.count() < before {
                    (own_at, any_at) = (read_at, read_at);
                    continue;
                }
            }
            if is_quiet && (quiet >= hidden || own_at.elapsed() >= hidden * BUSY_FACTOR) {
                break;
            }
            sleep(PAUSE).await;
            match self.look_for(&mut missing.watched).await {
                Ok((found, settled)) => {
                    tries = 0;
                    own_at = if found { Instant::now() } else { own_at };
                    any_at = if found || reported != Some(settled) { Instant::now() } else { any_at };
                    reported = Some(settled);
                }
                Err(error) => self.recover(error, &mut tries).await?,
            }
        }
        Ok(missing.count())
    }

    async fn persist_missing(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        attempts: &Attempts,
    ) -> anyhow::Result<MissingPayloads> {
        let mut tries = 0;
        loop {
            match self.missing(workload, scope, attempts).await {
                Ok(missing) => return Ok(missing),
                Err(error) => self.recover(error, &mut tries).await?,
            }
        }
    }

    async fn missing(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        attempts: &Attempts,
    ) -> anyhow::Result<MissingPayloads> {
        let conflicts = self.conflicts(scope).await?.into_iter();
        let letters = self.letters(workload, scope).await?.into_iter();
        let mut elsewhere: Vec<(OrderId, Payload)> = conflicts
            .map(|conflict| (conflict.order_id, conflict.digest.into()))
            .chain(letters.filter_map(|letter| Some((letter.order_id?, letter.digest?.into()))))
            .collect();
        elsewhere.sort_unstable();
        let mut rows = VecDeque::new();
        let (mut last, mut ended) = (None, false);
        let mut missing = MissingPayloads { watched: Vec::new(), beside: 0 };
        for order in attempts.by_order()? {
            let order = order?;
            let Some(order_id) = order.first().map(|attempt| attempt.order_id) else { continue };
            let decided = loop {
                match rows.front() {
                    Some((row, _)) if *row < order_id => drop(rows.pop_front()),
                    Some((row, payload)) => break (*row == order_id).then_some(*payload),
                    None if ended => break None,
                    None => {
                        let page = self.decided_payloads(workload, scope, last).await?;
                        last = page.last().map(|(row, _)| *row).or(last);
                        ended = page.is_empty();
                        rows.extend(page);
                    }
                }
            };
            let accepted =
                order.iter().filter(|attempt| attempt.is_accepted()).map(|attempt| attempt.payload);
            let mut unsettled: Vec<_> = accepted
                .filter(|payload| decided != Some(*payload))
                .map(|payload| (order_id, payload))
                .filter(|payload| elsewhere.binary_search(payload).is_err())
                .collect();
            unsettled.sort_unstable();
            unsettled.dedup();
            let room = WATCHED_MAX - missing.watched.len();
            missing.beside += unsettled.len().saturating_sub(room);
            missing.watched.extend(unsettled.into_iter().take(room));
        }
        Ok(missing)
    }

    /// Removes what is settled by now; returns true if it found something, and the sum of the workers' totals, which
    /// changes while the drain works. Looks at part of a long list, and goes on only while it finds something.
    async fn look_for(&mut self, missing: &mut Vec<(OrderId, Payload)>) -> anyhow::Result<(bool, u64)> {
        let before = missing.len();
        let mut looked_at = 0;
        while looked_at < missing.len() {
            let end = missing.len() - looked_at;
            let part = end.saturating_sub(IDS_MAX)..end;
            let ids: Vec<OrderId> = missing[part.clone()].iter().map(|(order_id, _)| *order_id).collect();
            let settled = self.settled_payloads(&ids).await?;
            let is_missing = |payload: &(OrderId, Payload)| !settled.contains(payload);
            let left: Vec<_> = missing[part.clone()].iter().copied().filter(is_missing).collect();
            let found = ids.len() - left.len();
            looked_at += left.len();
            missing.splice(part, left);
            if found == 0 {
                break;
            }
        }
        // The next look starts elsewhere.
        let rest = missing.len();
        if rest > IDS_MAX {
            missing.rotate_right(IDS_MAX);
        }
        let settled = self.worker_totals().await?.iter().map(|(_, total)| total).sum();
        Ok((rest < before, settled))
    }
}
