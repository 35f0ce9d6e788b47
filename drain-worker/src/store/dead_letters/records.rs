//! Selections of dead letters, and what the store returns about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use shared::order::OrderId;
use time::OffsetDateTime;

use crate::store::pool::BY_NUMBER;

pub const PAGE_LETTERS_MAX: u32 = 500;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterSelection {
    Ids(BTreeSet<i64>),
    /// A [`crate::store::DeadLetterReason`]'s name, or another version's.
    Reason(String),
    All,
}

impl DeadLetterSelection {
    /// For the audit trail.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Ids(_) => BY_NUMBER,
            Self::Reason(reason) => reason,
            Self::All => "all",
        }
    }

    /// The part of the selection that a page covers, and the number after which the next page continues, if known.
    #[must_use]
    pub fn on_page(&self, page: PageRequest) -> (Self, Option<i64>) {
        let Self::Ids(ids) = self else { return (self.clone(), None) };
        let mut rest = ids.iter().copied().filter(|id| *id > page.after);
        let covered: BTreeSet<_> = rest.by_ref().take(page.letters_max()).collect();
        let next = rest.next().and(covered.last().copied());
        (Self::Ids(covered), next)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterStatus {
    Open,
    Discarded,
    Any,
}

/// A page of a list, in the order of the dead letters' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Only dead letters with a higher number; start with 0, continue with the last one returned.
    pub after: i64,
    /// Maximum of dead letters; at most [`PAGE_LETTERS_MAX`] are returned.
    pub letters_max: NonZeroU32,
}

impl PageRequest {
    #[must_use]
    pub fn letters_max(self) -> usize {
        self.letters_max.get().min(PAGE_LETTERS_MAX) as usize
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSummary {
    /// Ascending with the time of the first failure.
    pub id: i64,
    /// `None`: the message could not be read as orders.
    pub order_id: Option<OrderId>,
    pub message_id: Option<String>,
    /// A [`crate::store::DeadLetterReason`]'s name, or another version's.
    pub reason: String,
    pub detail: String,
    pub attempts: i64,
    /// UTC, by the database's clock.
    pub first_failed_at: OffsetDateTime,
    /// UTC, by the database's clock.
    pub last_failed_at: OffsetDateTime,
    pub payload_bytes: u64,
    /// Set once discarded.
    pub discard: Option<DiscardRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardRecord {
    /// UTC, by the database's clock.
    pub at: OffsetDateTime,
    pub by: String,
    pub reason: String,
    /// The discard can be undone until then; `None`: the payload is deleted. UTC, by the database's clock.
    pub restorable_until: Option<OffsetDateTime>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    pub head: DeadLetterSummary,
    /// A message body that can be redriven; empty some time after the discard. Personal data.
    pub payload: Bytes,
}

impl fmt::Debug for StoredDeadLetter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "StoredDeadLetter({}, {}, {} bytes)",
            self.head.id,
            self.head.reason,
            self.payload.len()
        )
    }
}

/// Open dead letters, and their age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterTotals {
    /// By the name of the reason; a reason without dead letters is absent.
    pub by_reason: BTreeMap<String, ReasonTotal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonTotal {
    pub letters: u64,
    /// Time since the oldest first failed, milliseconds, by the database's clock.
    pub oldest_age_ms: u64,
}

impl DeadLetterTotals {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_reason.values().map(|total| total.letters).sum()
    }

    /// Milliseconds; `None`: there are none.
    #[must_use]
    pub fn oldest_age_ms(&self) -> Option<u64> {
        self.by_reason.values().map(|total| total.oldest_age_ms).max()
    }
}

/// The open dead letters of a selection, as an operator saw them. Later ones have higher numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenDeadLetters {
    /// The highest number.
    pub newest_id: i64,
    /// The number of dead letters up to it.
    pub count: u64,
}

/// A page of a discard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscardedPage {
    pub outcomes: Vec<(i64, DiscardOutcome)>,
    /// Dead letters that were open until this discard.
    pub newly: usize,
}

/// A page of a discard of [`SeenDeadLetters`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenDiscard {
    Discarded(DiscardedPage),
    /// Nothing was done: so many are open now.
    Changed {
        count: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardOutcome {
    /// Discarded now or before.
    Discarded,
    /// No such dead letter, or no longer.
    Gone,
}

impl DiscardOutcome {
    /// The name used in the API and the audit trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discarded => "discarded",
            Self::Gone => "gone",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreOutcome {
    /// Open again.
    Restored,
    /// Not discarded.
    Open,
    /// Not restored: the payload is deleted.
    Deleted,
    /// No such dead letter.
    Gone,
}

impl RestoreOutcome {
    pub const ALL: [Self; 4] = [Self::Restored, Self::Open, Self::Deleted, Self::Gone];

    /// The name used in the API and the audit trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Open => "open",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
        }
    }
}

/// Counts of dead letters from the broker's dead-letter topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerDlqCounts {
    pub stored: usize,
    /// Skipped: the order is decided, with this payload.
    pub decided: usize,
    /// Skipped: the order is decided with another payload; the conflict is recorded.
    pub conflicts: usize,
    /// Skipped: a dead letter exists, open or discarded, and does not change.
    pub present: usize,
}
