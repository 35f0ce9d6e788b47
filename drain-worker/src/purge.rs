//! Purges old data of the whole pool, a page at a time. Each row that is purged spends a credit of the cap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::control::AuditContext;
use crate::dead_letters::WriteGuard;
use crate::dead_letters::write::{BoundedWriter, WriteStopped};
use crate::pipeline::{GatedWriter, rows};
use crate::store::{PurgeBounds, PurgeRows, PurgeStep, Store, StoreError};

/// Minimum age of rows that are deleted: how long an idempotency key is remembered at least.
pub const ROWS_AGE_MIN: time::Duration = time::Duration::days(30);

/// Time after which a page ends; the next call continues.
const PAGE_MAX: Duration = Duration::from_secs(20);

/// Maximum wait for a grant, and for the database's answer.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Maximum rows of a transaction.
const TRANSACTION_ROWS_MAX: usize = 200;

/// The place at which a purge continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeCursor {
    pub step: PurgeStep,
    pub after: i64,
}

impl PurgeCursor {
    const START: Self = Self { step: PurgeStep::ALL[0], after: 0 };
}

/// The result of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgeProgress {
    /// Rows by step.
    pub rows: BTreeMap<PurgeStep, u64>,
    /// Where the next call continues; `None`: the purge is complete.
    pub next: Option<PurgeCursor>,
    /// The reason if the call ended early.
    pub stopped: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    #[error(
        "before: must be at least {hours} hours ago, the time for which the broker may redeliver an order"
    )]
    DataTooRecent { hours: i64 },
    #[error("rows_before: must be at least {days} days ago, so that a buyer's retry finds its order", days = ROWS_AGE_MIN.whole_days())]
    RowsTooRecent,
    #[error("rows_before: must not be later than before")]
    RowsBeforeData,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone)]
pub struct Purger {
    store: Arc<Store>,
    writer: BoundedWriter,
    group: Arc<str>,
    /// Time for which the broker stores messages.
    retention: time::Duration,
}

impl Purger {
    /// Purges in `store` through `writer`, as a worker of the consumer group `group`. `guard` returns why nothing may be
    /// written now, such as a pause of the pool. `retention_h` is the broker's.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        writer: GatedWriter,
        guard: WriteGuard,
        group: &str,
        retention_h: u32,
    ) -> Self {
        let writer = BoundedWriter { writer, guard, wait_max: WAIT_MAX };
        Self { store, writer, group: group.into(), retention: time::Duration::hours(retention_h.into()) }
    }

    /// Purges for at most 20 s, and returns where to continue. The first call, without a cursor, is on the audit trail.
    ///
    /// # Errors
    /// [`PurgeError`]; nothing was purged by this call then.
    pub async fn purge(
        &self,
        bounds: PurgeBounds,
        cursor: Option<PurgeCursor>,
        context: &AuditContext,
    ) -> Result<PurgeProgress, PurgeError> {
        self.check(bounds, OffsetDateTime::now_utc())?;
        if cursor.is_none() {
            let rows =
                bounds.rows_before.map_or_else(|| "no rows".to_owned(), |at| format!("rows before {at}"));
            let detail = format!("personal data before {}, {rows}", bounds.data_before);
            self.store.append_audit(&self.group, "purged", &detail, context).await?;
        }
        let deadline = Instant::now() + PAGE_MAX;
        let mut progress =
            PurgeProgress { next: cursor.or(Some(PurgeCursor::START)), ..PurgeProgress::default() };
        while let Some(place) = progress.next {
            if Instant::now() >= deadline {
                break;
            }
            let page = self.store.find_purgeable(place.step, &bounds, &self.group, place.after).await?;
            if let Err(WriteStopped(reason)) = self.purge_rows(place.step, page.rows, &mut progress).await {
                progress.stopped = Some(reason);
                break;
            }
            progress.next = match page.next {
                Some(after) => Some(PurgeCursor { after, ..place }),
                None => following(place.step).map(|step| PurgeCursor { step, after: 0 }),
            };
        }
        tracing::info!(
            event = "purged",
            rows = progress.rows.values().sum::<u64>(),
            complete = progress.next.is_none(),
            stopped = progress.stopped,
            actor = context.actor,
            who = context.who,
            "old data purged"
        );
        Ok(progress)
    }

    fn check(&self, bounds: PurgeBounds, now: OffsetDateTime) -> Result<(), PurgeError> {
        if bounds.data_before > now - self.retention {
            return Err(PurgeError::DataTooRecent { hours: self.retention.whole_hours() });
        }
        match bounds.rows_before {
            Some(rows) if rows > now - ROWS_AGE_MIN => Err(PurgeError::RowsTooRecent),
            Some(rows) if rows > bounds.data_before => Err(PurgeError::RowsBeforeData),
            _ => Ok(()),
        }
    }

    /// Purges `due` in as many transactions as the grants allow.
    async fn purge_rows(
        &self,
        step: PurgeStep,
        mut due: PurgeRows,
        progress: &mut PurgeProgress,
    ) -> Result<(), WriteStopped> {
        while !due.is_empty() {
            let grant = self.writer.acquire(due.len().min(TRANSACTION_ROWS_MAX)).await?;
            let part = Arc::new(due.clone().take(rows(&grant).min(TRANSACTION_ROWS_MAX)));
            let count = part.len();
            let store = self.store.clone();
            let attempt = move |fence| {
                let (store, part) = (store.clone(), part.clone());
                async move { store.purge(fence, &part).await }
            };
            // Without a lease nothing was written: the same rows get another grant.
            if self.writer.write(grant, (), attempt).await?.is_some() {
                let _purged = due.take(count);
                *progress.rows.entry(step).or_default() += count as u64;
            }
        }
        Ok(())
    }
}

fn following(step: PurgeStep) -> Option<PurgeStep> {
    PurgeStep::ALL.into_iter().find(|other| *other > step)
}
