//! Pauses of the pool.

use serde::{Deserialize, Serialize};

/// Maximum number of holds at a time.
pub const HOLDS_MAX: usize = 16;

/// A pause with an owner. The pool runs when no hold is in force: the end of one operator's pause leaves those of the
/// others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The revision of the settings that the hold came with, which no other hold of the group has.
    pub id: i64,
    /// Empty: not stated.
    pub owner: String,
    /// Empty: not stated.
    pub reason: String,
    /// Begin, µs.
    pub since_us: i64,
    /// End, µs; `None`: until it is removed.
    pub until_us: Option<i64>,
}

impl Hold {
    #[must_use]
    pub fn is_in_force(&self, now_us: i64) -> bool {
        self.until_us.is_none_or(|until_us| now_us < until_us)
    }
}
