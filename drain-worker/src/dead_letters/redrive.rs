//! Redrives dead letters: commits their orders again, a page at a time.
//!
//! A dead letter's orders are committed like any others, so one that was decided meanwhile results in a duplicate.
//! Redriving twice, from two workers at once, or again after a crash therefore changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use shared::envelope::decode_batch;
use shared::order::AcceptedOrder;
use tokio::time::Instant;

use super::outcome::{RedriveOutcome, RedriveResult, summary};
use super::write::{BoundedWriter, WriteGuard, WriteStopped};
use crate::control::AuditContext;
use crate::metrics;
use crate::pipeline::{GatedWriter, rows};
use crate::store::{
    ActPage, CommitOutcome, DeadLetterSelection, DeadLetterStatus, DeadLetterSummary, OrderStore,
    PageRequest, Store, StoreError, StoredDeadLetter,
};

/// The name of a redrive in the audit trail.
const ACTION: &str = "letters_redriven";

#[derive(Clone, Copy, Debug)]
pub struct RedriveConfig {
    /// Maximum wait for a grant, and for the database's answer.
    pub wait_max: Duration,
    /// Time after which a page ends early; the next call continues.
    pub page_max: Duration,
    /// Maximum payload read at a time; a single larger dead letter is read alone.
    pub payload_bytes_max: u64,
    pub batch_orders_max: usize,
}

impl Default for RedriveConfig {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_secs(10),
            page_max: Duration::from_secs(20),
            payload_bytes_max: 8 * 1024 * 1024,
            batch_orders_max: 200,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedrivePage {
    /// One per processed dead letter, ascending by number.
    pub outcomes: Vec<RedriveResult>,
    /// There may be more: the next page starts after this number.
    pub next: Option<i64>,
    /// The reason if the page ended early. Dead letters without an outcome may have been tried.
    pub stopped: Option<String>,
}

#[derive(Clone)]
pub struct Redriver {
    store: Arc<Store>,
    writer: BoundedWriter,
    config: RedriveConfig,
    group: Arc<str>,
}

impl Redriver {
    /// Redrives dead letters of `store` through `writer`, as a worker of the consumer group `group`. `guard` returns
    /// why nothing may be written now, such as a pause of the pool.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        writer: GatedWriter,
        guard: WriteGuard,
        group: &str,
        config: RedriveConfig,
    ) -> Self {
        let writer = BoundedWriter { writer, guard, wait_max: config.wait_max };
        Self { store, writer, config, group: group.into() }
    }

    #[must_use]
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Redrives the open dead letters of a selection on a page; each number in [`DeadLetterSelection::Ids`] gets an
    /// outcome.
    ///
    /// `permit` is dropped when no write of this call is in flight any more, which may be after the return.
    ///
    /// # Errors
    /// [`StoreError`] if the page cannot be read or the audit trail cannot be written; nothing was tried then.
    pub async fn redrive(
        &self,
        selection: &DeadLetterSelection,
        page: PageRequest,
        context: &AuditContext,
        kept: impl Clone + Send + Sync + 'static,
    ) -> Result<RedrivePage, StoreError> {
        let deadline = Instant::now() + self.config.page_max;
        let (selection, mut next) = selection.on_page(page);
        let named = matches!(selection, DeadLetterSelection::Ids(_));
        let standing = if named { DeadLetterStatus::Any } else { DeadLetterStatus::Open };
        let heads = self.store.list_dead_letters(&selection, standing, page).await?;
        if !named && heads.len() >= page.letters_max() {
            next = heads.last().map(|head| head.id);
        }
        let open: Vec<_> = heads.iter().filter(|head| head.discard.is_none()).collect();
        // Before the first write, so that no redrive is missing in the audit trail.
        let act = open.first().zip(open.last()).map(|(first, last)| ActPage {
            selection: selection.name().to_owned(),
            first: first.id,
            last: last.id,
            ids: if named { open.iter().map(|head| head.id).collect() } else { Vec::new() },
            outcomes: BTreeMap::new(),
        });
        if let Some(act) = &act {
            self.store.record_act_page(&self.group, ACTION, act, page.after, context).await?;
        }
        let mut done = RedriveResults::of(&selection, &heads);
        let mut stopped = None;
        let mut rest = open.as_slice();
        while !rest.is_empty() {
            if Instant::now() >= deadline {
                next = Some(rest[0].id - 1);
                break;
            }
            let (some, later) = rest.split_at(self.fitting(rest));
            let ids: Vec<_> = some.iter().map(|head| head.id).collect();
            if let Err((reason, id)) = self.redrive_some(&ids, deadline, &mut done, &kept).await {
                (stopped, next) = (Some(reason.0), Some(id - 1));
                break;
            }
            rest = later;
        }
        let outcomes = done.until(next.filter(|_| !rest.is_empty()));
        if let Some(act) = act {
            self.record_outcomes(act, &outcomes, context).await;
        }
        metrics::redriven(outcomes.iter().map(|letter| letter.outcome));
        tracing::info!(
            event = "dead_letters_redriven",
            letters = outcomes.len(),
            stopped,
            actor = context.actor,
            who = context.who,
            counts = %counts(&outcomes),
            "dead letters redriven"
        );
        Ok(RedrivePage { outcomes, next, stopped })
    }

    /// Adds the outcomes of a page to its act in the audit trail.
    async fn record_outcomes(&self, act: ActPage, outcomes: &[RedriveResult], context: &AuditContext) {
        let act = ActPage { ids: Vec::new(), outcomes: counted(outcomes), ..act };
        let recorded = self.store.record_act_page(&self.group, ACTION, &act, act.last, context).await;
        if let Err(error) = recorded {
            // The page is done, and the caller gets its outcomes.
            tracing::warn!(event = "audit_incomplete", %error, "the outcomes of a redrive are not in the audit trail");
        }
    }

    /// The number of `heads`, from the first, whose payloads fit into one read.
    fn fitting(&self, heads: &[&DeadLetterSummary]) -> usize {
        let mut bytes = 0_u64;
        let fits = heads.iter().take(self.config.batch_orders_max).take_while(|head| {
            bytes = bytes.saturating_add(head.payload_bytes);
            bytes <= self.config.payload_bytes_max
        });
        fits.count().max(1)
    }

    /// Redrives dead letters that are read together. On a stop, returns the number of the first unprocessed one.
    async fn redrive_some(
        &self,
        ids: &[i64],
        deadline: Instant,
        done: &mut RedriveResults,
        kept: &(impl Clone + Send + Sync + 'static),
    ) -> Result<(), (WriteStopped, i64)> {
        let first = ids.first().copied().unwrap_or_default();
        let letters = self
            .store
            .get_dead_letters(ids)
            .await
            .map_err(|error| (WriteStopped(error.to_string()), first))?;
        let found: BTreeSet<_> = letters.iter().map(|letter| letter.head.id).collect();
        for id in ids.iter().filter(|id| !found.contains(id)) {
            done.set(*id, None, RedriveOutcome::Gone, None);
        }
        let mut orders = Vec::new();
        let mut open = Vec::new();
        for StoredDeadLetter { head, payload } in letters {
            if head.discard.is_some() {
                done.set(head.id, head.order_id, RedriveOutcome::Discarded, None);
                continue;
            }
            match decode_batch(&payload) {
                Ok(content) => {
                    open.push((head, content.len()));
                    orders.extend(content);
                }
                Err(error) => {
                    done.set(head.id, head.order_id, RedriveOutcome::Unreadable, Some(error.to_string()));
                }
            }
        }
        let (outcomes, stopped) = self.commit(&orders, deadline, kept).await;
        let mut outcomes = outcomes.as_slice();
        let mut settled = Vec::new();
        let mut unfinished = None;
        for (head, count) in open {
            let Some((own, later)) = outcomes.split_at_checked(count) else {
                unfinished.get_or_insert(head.id);
                break;
            };
            outcomes = later;
            let (outcome, detail) = summary(own);
            // Deciding an order deletes its dead letter; the dead letter of a message is deleted here.
            if head.order_id.is_none() {
                settled.push(head.id);
            }
            done.set(head.id, head.order_id, outcome, detail);
        }
        if !settled.is_empty()
            && let Err(error) = self.store.delete_dead_letters(&settled).await
        {
            // They are redriven again then, and their orders result in duplicates.
            return Err((WriteStopped(error.to_string()), settled[0]));
        }
        match (stopped, unfinished) {
            (Some(stopped), Some(id)) => Err((stopped, id)),
            _ => Ok(()),
        }
    }

    /// Commits `orders` in as many parts as the grants allow. Returns the results of the committed ones, and what
    /// stopped the others.
    async fn commit(
        &self,
        orders: &[AcceptedOrder],
        deadline: Instant,
        kept: &(impl Clone + Send + Sync + 'static),
    ) -> (Vec<CommitOutcome>, Option<WriteStopped>) {
        let mut outcomes = Vec::with_capacity(orders.len());
        while outcomes.len() < orders.len() {
            // A part may be done: with a small share the caller must not wait for the whole.
            if !outcomes.is_empty() && Instant::now() >= deadline {
                return (
                    outcomes,
                    Some(WriteStopped("the page took too long; continue with the next one".to_owned())),
                );
            }
            let rest = &orders[outcomes.len()..];
            let rest = &rest[..rest.len().min(self.config.batch_orders_max)];
            let grant = match self.writer.acquire(rest.len()).await {
                Ok(grant) => grant,
                Err(stopped) => return (outcomes, Some(stopped)),
            };
            let part: Arc<[AcceptedOrder]> = rest[..rest.len().min(rows(&grant))].into();
            let store = self.store.clone();
            let attempt = move |fence| {
                let (store, part) = (store.clone(), part.clone());
                async move { store.commit(fence, &part).await }
            };
            match self.writer.write(grant, kept.clone(), attempt).await {
                Ok(Some(results)) => {
                    for result in results {
                        self.writer.writer.stats.record_outcome(result.outcome);
                        outcomes.push(result.outcome);
                    }
                }
                Ok(None) => {}
                Err(stopped) => return (outcomes, Some(stopped)),
            }
        }
        (outcomes, None)
    }
}

struct RedriveResults(BTreeMap<i64, RedriveResult>);

impl RedriveResults {
    /// The outcomes known from the page alone: missing and discarded dead letters.
    fn of(selection: &DeadLetterSelection, heads: &[DeadLetterSummary]) -> Self {
        let mut done = Self(BTreeMap::new());
        if let DeadLetterSelection::Ids(ids) = selection {
            for id in ids {
                done.set(*id, None, RedriveOutcome::Gone, None);
            }
        }
        for head in heads {
            if head.discard.is_some() {
                done.set(head.id, head.order_id, RedriveOutcome::Discarded, None);
            } else {
                done.0.remove(&head.id);
            }
        }
        done
    }

    fn set(
        &mut self,
        id: i64,
        order_id: Option<shared::order::OrderId>,
        outcome: RedriveOutcome,
        detail: Option<String>,
    ) {
        self.0.insert(id, RedriveResult { id, order_id, outcome, detail });
    }

    /// All outcomes, or those up to `last`: the next page returns the others.
    fn until(self, last: Option<i64>) -> Vec<RedriveResult> {
        let outcomes = self.0.into_values();
        outcomes.filter(|letter| last.is_none_or(|last| letter.id <= last)).collect()
    }
}

/// The number of dead letters by outcome.
fn counted(outcomes: &[RedriveResult]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for letter in outcomes {
        *counts.entry(letter.outcome.as_str().to_owned()).or_default() += 1;
    }
    counts
}

/// `2 confirmed, 1 unreadable`.
fn counts(outcomes: &[RedriveResult]) -> String {
    let parts: Vec<_> =
        counted(outcomes).iter().map(|(outcome, letters)| format!("{letters} {outcome}")).collect();
    parts.join(", ")
}
