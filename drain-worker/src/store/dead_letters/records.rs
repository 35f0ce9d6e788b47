//! What operators do with dead letters: look, count, give up; and what redriving needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use shared::order::OrderId;
use time::OffsetDateTime;

/// Most letters of one page.
pub const PAGE_LETTERS_MAX: u32 = 500;

/// Which letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterSelection {
    /// Those with these numbers.
    Ids(BTreeSet<i64>),
    /// Those with this reason: a [`super::DeadLetterReason`]'s name, or one that another version wrote.
    Reason(String),
    /// All.
    All,
}

impl DeadLetterSelection {
    /// What of it a page covers, and the number that the next page goes on after, if that is known already.
    #[must_use]
    pub fn on_page(&self, page: PageRequest) -> (Self, Option<i64>) {
        let Self::Ids(ids) = self else { return (self.clone(), None) };
        let mut rest = ids.iter().copied().filter(|id| *id > page.after);
        let covered: BTreeSet<_> = rest.by_ref().take(page.letters_max()).collect();
        let next = rest.next().and(covered.last().copied());
        (Self::Ids(covered), next)
    }
}

/// Which of them, by what operators did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterStatus {
    /// Those that still need somebody.
    Open,
    /// Those that were given up.
    Discarded,
    /// Both.
    Any,
}

/// A piece of a list, in the order of the letters' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Only letters with a higher number; start with 0, go on with the last one seen.
    pub after: i64,
    /// Most letters; at most [`PAGE_LETTERS_MAX`] are told.
    pub letters_max: NonZeroU32,
}

impl PageRequest {
    /// How many letters it may have.
    #[must_use]
    pub fn letters_max(self) -> usize {
        self.letters_max.get().min(PAGE_LETTERS_MAX) as usize
    }
}

/// A dead letter without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSummary {
    /// Its number, ascending with age of first failure.
    pub id: i64,
    /// The order; `None`: the message could not be read as orders.
    pub order_id: Option<OrderId>,
    /// The message it came in, if known.
    pub message_id: Option<String>,
    /// A [`super::DeadLetterReason`]'s name, or one that another version of this program wrote.
    pub reason: String,
    /// For people.
    pub detail: String,
    /// How often it came here.
    pub attempts: i64,
    /// When it first failed, UTC, by the database's clock.
    pub first_failed_at: OffsetDateTime,
    /// When it last failed, UTC, by the database's clock.
    pub last_failed_at: OffsetDateTime,
    /// Size of its payload.
    pub payload_bytes: u64,
    /// Set once it was given up; the payload is gone then.
    pub discard: Option<DiscardRecord>,
}

/// That a letter was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardRecord {
    /// When, UTC, by the database's clock.
    pub at: OffsetDateTime,
    /// Who, as the caller said.
    pub by: String,
    /// Why, as the caller said.
    pub reason: String,
}

/// A dead letter with its payload.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// All but the payload.
    pub head: DeadLetterSummary,
    /// A message body that can be sent again; empty once it was given up. Personal data.
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

/// How many letters need somebody, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterTotals {
    /// By the name of their reason; a reason without letters is absent.
    pub by_reason: BTreeMap<String, ReasonTotal>,
}

/// Letters of one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonTotal {
    /// How many.
    pub letters: u64,
    /// Since the oldest of them first failed, milliseconds, by the database's clock.
    pub oldest_age_ms: u64,
}

impl DeadLetterTotals {
    /// Letters of all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_reason.values().map(|total| total.letters).sum()
    }

    /// Age of the oldest of all, milliseconds; `None`: there are none.
    #[must_use]
    pub fn oldest_age_ms(&self) -> Option<u64> {
        self.by_reason.values().map(|total| total.oldest_age_ms).max()
    }
}

/// What became of a letter that was to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardOutcome {
    /// It is given up: now, or it was before.
    Discarded,
    /// There is no such letter, or no longer.
    Gone,
}

/// What became of letters from the broker's own dead-letter topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerDlqCounts {
    /// BrokerDlqCounts as dead letters.
    pub stored: usize,
    /// Not needed: the order is decided, with this payload.
    pub decided: usize,
    /// Not needed: the order is decided with another payload, which is on record now.
    pub conflicts: usize,
    /// There is a letter of it already, open or given up; it stays as it is.
    pub present: usize,
}
