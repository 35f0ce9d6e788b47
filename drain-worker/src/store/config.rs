//! Bounds of the store.

use std::num::NonZeroU32;
use std::time::Duration;

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
    /// Most prepared statements each connection keeps. A batch of a steady size uses about ten; the server keeps about
    /// 1.5 MB for a batch of 200.
    pub statements_max: NonZeroU32,
}

impl StoreConfig {
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
            statements_max: NonZeroU32::MIN.saturating_add(63),
        }
    }
}
