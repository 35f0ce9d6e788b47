//! Bounds of the store.

use std::num::NonZeroU32;
use std::time::Duration;

/// How the store uses its database.
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
    /// Longest that one look-up may take.
    pub lookup_timeout: Duration,
    /// Most prepared statements each connection keeps. A batch of a steady size uses about ten; the server keeps about
    /// 1.5 MB for a batch of 200.
    pub statements_max: NonZeroU32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            writers_max: NonZeroU32::MIN.saturating_add(3),
            readers_max: NonZeroU32::MIN.saturating_add(1),
            acquire_timeout: Duration::from_secs(5),
            transaction_timeout: Duration::from_secs(30),
            lookup_timeout: Duration::from_secs(5),
            statements_max: NonZeroU32::MIN.saturating_add(63),
        }
    }
}
