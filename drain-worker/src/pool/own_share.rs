//! The part of the stored share that a worker may rely on.

use crate::store::{DbErrorDetail, StoreError};

/// Tracks the attempts at changing the own share. The answer to one may be lost, and it may take effect later or never,
/// so until a later number of changes is read, each may be the one that counts.
#[derive(Debug, Default)]
pub(super) struct OwnShare {
    /// The highest number of changes that was read.
    seen: i64,
    /// The number of changes before an attempt, and the least share that such an attempt would store.
    attempted: Option<(i64, u32)>,
}

impl OwnShare {
    /// Notes that the change number `changes` + 1 to `share` is about to be sent.
    pub(super) fn attempt(&mut self, changes: i64, share: u32) {
        let least = match self.attempted {
            Some((before, least)) if before == changes => least.min(share),
            _ => share,
        };
        self.attempted = Some((changes, least));
    }

    /// The share to rely on, after `share` was read with `changes`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if changes are missing that were there: a failover has lost them, and with them perhaps a
    /// share that credits are outstanding for.
    pub(super) fn read(&mut self, changes: i64, share: u32) -> Result<u32, StoreError> {
        if changes < self.seen {
            let what = "the database has lost the lease's last changes".to_owned();
            return Err(StoreError::Fenced(DbErrorDetail {
                operation: "read the group",
                code: None,
                what,
                subject: None,
            }));
        }
        self.seen = changes;
        Ok(match self.attempted {
            Some((before, least)) if changes <= before => share.min(least),
            _ => share,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_without_an_answer_counts_for_the_least() {
        let mut own = OwnShare::default();
        assert_eq!(own.read(4, 100).ok(), Some(100));
        own.attempt(4, 50);
        assert_eq!(own.read(4, 100).ok(), Some(50), "it may still take effect");
        own.attempt(4, 200);
        assert_eq!(own.read(4, 100).ok(), Some(50), "so may the first attempt");
        assert_eq!(own.read(5, 200).ok(), Some(200), "the second did");
        own.attempt(5, 300);
        assert_eq!(own.read(5, 200).ok(), Some(200), "a raise counts once it is stored");
    }

    #[test]
    fn lost_changes_end_the_lease() {
        let mut own = OwnShare::default();
        assert!(own.read(4, 100).is_ok());
        assert!(matches!(own.read(3, 60), Err(StoreError::Fenced(_))));
    }
}
