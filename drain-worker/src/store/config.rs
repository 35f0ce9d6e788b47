//! Bounds of the store.

use std::num::NonZeroU32;
use std::time::Duration;

/// Idle connections are closed after this part of the stall timeout. The driver looks that often too, so one may be idle
/// for two thirds of the timeout; the rest is for a clock or a scheduler that is late.
const IDLE_PARTS: u32 = 3;

/// How the store uses its database. It opens at most [`StoreConfig::connections_max`] connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Most connections that write, and so most batches in a transaction at a time. SQLite has one whatever this is.
    pub writers_max: NonZeroU32,
    /// Most connections for look-ups, beside the writers.
    pub readers_max: NonZeroU32,
    /// Longest wait for a connection, the time to open one included. SQLite waits as long for its write lock.
    pub acquire_timeout: Duration,
    /// Longest that one attempt at a transaction may take, from acquiring a connection to the answer to COMMIT.
    pub transaction_timeout: Duration,
    /// Longest that one transaction of the pool's coordination may take: well under a lease.
    pub coordination_timeout: Duration,
    /// Longest that one look-up may take.
    pub lookup_timeout: Duration,
    /// Longest that the server waits for the next statement of a session, seconds at the finest. A worker that stalls
    /// between two statements (a stopped process, a frozen machine, a cable) would hold the stock's locks for as long as
    /// that; then the server ends its session and rolls back. Idle connections are given up at a third of it, so that the
    /// server never ends one that is well. It has no say on how long a transaction takes: its statements follow at once.
    pub stall_timeout: Duration,
    /// Most prepared statements each connection keeps: more than there are texts, so that none is ever given up. The
    /// driver tells the server so in a packet of its own that has no answer, and as it leaves Nagle's algorithm on
    /// (sqlx 0.9.0, its issue 4335), the statement after it waits 40 ms for an acknowledgement, holding its locks.
    /// They cost the server some 2 MB a connection (MariaDB, batches of all sizes up to 64).
    pub statements_max: NonZeroU32,
}

impl StoreConfig {
    /// How long a connection may be idle before it is closed.
    pub(super) const fn idle_timeout(&self) -> Duration {
        let Some(timeout) = self.stall_timeout.checked_div(IDLE_PARTS) else { return self.stall_timeout };
        timeout
    }

    /// Most connections to MySQL: writers, readers, and one for the pool's coordination.
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
            coordination_timeout: Duration::from_millis(1_500),
            lookup_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(30),
            statements_max: NonZeroU32::MIN.saturating_add(511),
        }
    }
}
