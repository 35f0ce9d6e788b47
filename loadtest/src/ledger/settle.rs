//! Waits, by id, until every accepted payload is settled or lost.

use std::collections::VecDeque;
use std::time::Duration;

use shared::order::OrderId;
use tokio::time::{Instant, sleep};

use super::attempt::{Attempt, Attempts, Payload};
use super::read::{IDS_MAX, LedgerReader};
use super::scope::RunScope;
use crate::workload::Workload;

const PAUSE: Duration = Duration::from_secs(1);

/// While other runs keep the drain busy, this many times the hidden time without an order of this run ends the wait.
const BUSY_FACTOR: u32 = 10;

#[derive(Clone, Copy, Debug)]
pub struct SettleProgress {
    /// Accepted payloads that are not settled.
    pub missing: usize,
    /// Time since the drain last settled anything.
    pub quiet: Duration,
}

impl LedgerReader {
    /// Waits until each accepted payload is an order, a conflict or a dead letter. Ends early when nothing was settled
    /// for as long as a published order can be hidden: what is missing then is lost. Returns the number of missing
    /// payloads.
    ///
    /// A broken connection is opened again.
    ///
    /// # Errors
    /// If the database stays away.
    pub async fn settle(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        attempts: &Attempts,
        progress: impl Fn(SettleProgress),
    ) -> anyhow::Result<usize> {
        let mut tries = 0;
        let mut missing = loop {
            match self.missing(workload, scope, attempts).await {
                Ok(missing) => break missing,
                Err(error) => self.recover(error, &mut tries).await?,
            }
        };
        let hidden = Duration::from_micros(scope.hidden_us.unsigned_abs());
        let (mut own_at, mut any_at, mut reported) = (Instant::now(), Instant::now(), None);
        tries = 0;
        while !missing.is_empty() {
            let quiet = any_at.elapsed();
            progress(SettleProgress { missing: missing.len(), quiet });
            if own_at.elapsed() >= hidden && (quiet >= hidden || own_at.elapsed() >= hidden * BUSY_FACTOR) {
                break;
            }
            sleep(PAUSE).await;
            match self.look_for(attempts.as_slice(), &mut missing).await {
                Ok((found, settled)) => {
                    tries = 0;
                    own_at = if found { Instant::now() } else { own_at };
                    any_at = if found || reported != Some(settled) { Instant::now() } else { any_at };
                    reported = Some(settled);
                }
                Err(error) => self.recover(error, &mut tries).await?,
            }
        }
        Ok(missing.len())
    }

    /// The place in `attempts` of one attempt of each accepted payload that is not settled. Right after a run that may be
    /// nearly all of them, so they are not copied.
    async fn missing(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        attempts: &Attempts,
    ) -> anyhow::Result<Vec<u32>> {
        let mut rows = VecDeque::new();
        let (mut last, mut ended) = (None, false);
        let all = attempts.as_slice();
        let (mut missing, mut first): (Vec<u32>, u32) = (Vec::new(), 0);
        for order in attempts.by_order() {
            let places = first..;
            first += order.len() as u32;
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
            let of_order = missing.len();
            for (place, attempt) in places.zip(order).filter(|(_, attempt)| attempt.is_accepted()) {
                let is_same = |before: &u32| all[*before as usize].payload == attempt.payload;
                if decided != Some(attempt.payload) && !missing[of_order..].iter().any(is_same) {
                    missing.push(place);
                }
            }
        }
        let mut elsewhere: Vec<_> = self
            .conflicts(scope)
            .await?
            .into_iter()
            .map(|conflict| (conflict.order_id, conflict.digest.into()))
            .collect();
        let letters = self.letters(workload, scope).await?;
        elsewhere.extend(letters.iter().filter_map(|letter| Some((letter.order_id?, letter.digest?.into()))));
        elsewhere.sort_unstable();
        missing.retain(|place| elsewhere.binary_search(&payload_of(all, *place)).is_err());
        Ok(missing)
    }

    /// Removes what is settled by now; returns true if it found something, and the sum of the workers' totals, which
    /// changes while the drain works. Looks at part of a long list, and goes on only while it finds something.
    async fn look_for(
        &mut self,
        attempts: &[Attempt],
        missing: &mut Vec<u32>,
    ) -> anyhow::Result<(bool, u64)> {
        let before = missing.len();
        let mut looked_at = 0;
        while looked_at < missing.len() {
            let end = missing.len() - looked_at;
            let part = end.saturating_sub(IDS_MAX)..end;
            let ids: Vec<OrderId> =
                missing[part.clone()].iter().map(|place| payload_of(attempts, *place).0).collect();
            let settled = self.settled_payloads(&ids).await?;
            let is_missing = |place: &u32| !settled.contains(&payload_of(attempts, *place));
            let left: Vec<u32> = missing[part.clone()].iter().copied().filter(is_missing).collect();
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

fn payload_of(attempts: &[Attempt], place: u32) -> (OrderId, Payload) {
    let attempt = attempts[place as usize];
    (attempt.order_id, attempt.payload)
}
