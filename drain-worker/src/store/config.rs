//! Bounds of the store.

use std::num::NonZeroU32;
use std::time::Duration;

/// Idle connections are closed after this fraction of the stall timeout. The driver checks at that interval too, so a
/// connection may be idle for two thirds of the timeout; the rest is for a late clock or scheduler.
const IDLE_PARTS: u32 = 3;

/// The store opens at most [`StoreConfig::connections_max`] connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Maximum connections that write, and so of batches in a transaction. SQLite always has one.
    pub writers_max: NonZeroU32,
    /// Maximum connections for lookups, besides the writers. Operators' queries leave one to buyers, if there are several.
    pub readers_max: NonZeroU32,
    /// Maximum wait for a connection, including the time to open one. SQLite waits as long for its write lock.
    pub acquire_timeout: Duration,
    /// Maximum duration of one attempt at a transaction, from acquiring a connection to the answer to COMMIT.
    pub transaction_timeout: Duration,
    /// Maximum wait for a lock of another transaction, in whole seconds; the batch is then committed without the SKUs
    /// whose stock is locked. Longer than the queue at a hot SKU, shorter than an operator's patience.
    pub lock_timeout: Duration,
    /// Maximum duration of one statement of the pool's coordination, or of one of its transactions: well below a lease.
    pub coordination_timeout: Duration,
    /// Maximum duration of one lookup.
    pub lookup_timeout: Duration,
    /// Maximum duration of each scan of the totals. The server itself ends a longer one.
    pub totals_timeout: Duration,
    /// Maximum time that the server waits for a session's next statement, in whole seconds. A worker that stalls
    /// between two statements (a stopped process, a frozen machine, a cable) holds the stock's locks that long; then
    /// the server ends its session and rolls back. The pool closes idle connections at a third of it, so that the
    /// server never ends a healthy one. It does not bound a transaction's duration, because its statements follow at
    /// once.
    pub stall_timeout: Duration,
    /// Maximum prepared statements that each connection caches: more than there are texts, so that none is ever closed.
    /// The driver closes a statement by a separate packet without an answer, and leaves Nagle's algorithm on (sqlx 0.9.0,
    /// its issue 4335), so the next statement waits 40 ms for an acknowledgement while it holds its locks.
    pub statements_max: NonZeroU32,
    /// Time for which a discard can be undone; then the payload is deleted. Zero: at once.
    pub discard_undo: Duration,
}

impl StoreConfig {
    /// Maximum idle time of a connection before the pool closes it.
    pub(super) const fn idle_timeout(&self) -> Duration {
        let Some(timeout) = self.stall_timeout.checked_div(IDLE_PARTS) else { return self.stall_timeout };
        timeout
    }

    /// Maximum readers' connections that operators' queries use at once: all but one, which is left to buyers.
    pub(super) fn operator_readers_max(&self) -> usize {
        usize::try_from(self.readers_max.get() - 1)
            .unwrap_or(usize::MAX)
            .clamp(1, tokio::sync::Semaphore::MAX_PERMITS)
    }

    /// The writers, the readers, and the connection of the pool's coordination.
    #[must_use]
    pub const fn connections_max(&self) -> u32 {
        self.writers_max.get() + self.readers_max.get() + 1
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            writers_max: NonZeroU32::MIN.saturating_add(3),
            readers_max: NonZeroU32::MIN.saturating_add(1),
            acquire_timeout: Duration::from_secs(5),
            transaction_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(2),
            coordination_timeout: Duration::from_millis(2_000),
            lookup_timeout: Duration::from_secs(5),
            totals_timeout: Duration::from_secs(600),
            stall_timeout: Duration::from_secs(30),
            statements_max: NonZeroU32::MIN.saturating_add(63),
            discard_undo: Duration::from_hours(24),
        }
    }
}
