//! What operators do with dead letters: look, count, give up; and what redriving needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;

use bytes::Bytes;
use shared::order::OrderId;
use time::OffsetDateTime;

use super::dead_letter::DeadLetter;
use super::{Fence, OrderStore, Store, StoreError, dispatch};
use crate::control::Origin;

/// Most letters of one page.
pub const PAGE_LETTERS_MAX: u32 = 500;

/// Which letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those with these numbers.
    Ids(BTreeSet<i64>),
    /// Those with this reason: a [`super::DeadLetterReason`]'s name, or one that another version wrote.
    Reason(String),
    /// All.
    All,
}

impl Selection {
    /// What of it a page covers, and the number that the next page goes on after, if that is known already.
    #[must_use]
    pub fn on_page(&self, page: Page) -> (Self, Option<i64>) {
        let Self::Ids(ids) = self else { return (self.clone(), None) };
        let mut rest = ids.iter().copied().filter(|id| *id > page.after);
        let covered: BTreeSet<_> = rest.by_ref().take(page.letters_max()).collect();
        let next = rest.next().and(covered.last().copied());
        (Self::Ids(covered), next)
    }
}

/// Which of them, by what operators did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Those that still need somebody.
    Open,
    /// Those that were given up.
    Discarded,
    /// Both.
    Any,
}

/// A piece of a list, in the order of the letters' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only letters with a higher number; start with 0, go on with the last one seen.
    pub after: i64,
    /// Most letters; at most [`PAGE_LETTERS_MAX`] are told.
    pub letters_max: NonZeroU32,
}

impl Page {
    /// How many letters it may have.
    #[must_use]
    pub fn letters_max(self) -> usize {
        self.letters_max.get().min(PAGE_LETTERS_MAX) as usize
    }
}

/// A dead letter without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterHead {
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
    pub discard: Option<Discard>,
}

/// That a letter was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discard {
    /// When, UTC, by the database's clock.
    pub at: OffsetDateTime,
    /// Who, as the caller said.
    pub by: String,
    /// Why, as the caller said.
    pub why: String,
}

/// A dead letter with its payload.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredLetter {
    /// All but the payload.
    pub head: LetterHead,
    /// A message body that can be sent again; empty once it was given up. Personal data.
    pub payload: Bytes,
}

impl fmt::Debug for StoredLetter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "StoredLetter({}, {}, {} bytes)",
            self.head.id,
            self.head.reason,
            self.payload.len()
        )
    }
}

/// How many letters need somebody, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterTotals {
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

impl LetterTotals {
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
pub struct Kept {
    /// Kept as dead letters.
    pub kept: usize,
    /// Not needed: the order is decided, with this payload.
    pub decided: usize,
    /// Not needed: the order is decided with another payload, which is on record now.
    pub conflicts: usize,
    /// There is a letter of it already, open or given up; it stays as it is.
    pub present: usize,
}

/// The dead letters of an [`OrderStore`].
///
/// Every method may return [`StoreError::Transient`]: wait, then call it again. Calling again is always safe.
pub trait LetterStore: OrderStore {
    /// Lists a page of letters without their payloads, ascending by number. Of [`Selection::Ids`], those beyond the
    /// first [`PAGE_LETTERS_MAX`] after the page's start are left out.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn letters(
        &self,
        selection: &Selection,
        standing: Standing,
        page: Page,
    ) -> impl Future<Output = Result<Vec<LetterHead>, StoreError>> + Send;

    /// Letters of a selection, over all pages; of [`Selection::Ids`] those among the first [`PAGE_LETTERS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn count_letters(
        &self,
        selection: &Selection,
        standing: Standing,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Letters with their payloads, by number, ascending; at most [`PAGE_LETTERS_MAX`]. Each may hold a message of up to
    /// 4 MiB, so ask for few at a time.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn whole_letters(
        &self,
        ids: &[i64],
    ) -> impl Future<Output = Result<Vec<StoredLetter>, StoreError>> + Send;

    /// How many letters need somebody, by reason. Reads an index only.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn letter_totals(&self) -> impl Future<Output = Result<LetterTotals, StoreError>> + Send;

    /// Gives a page of letters up, all or none, with an entry in `group`'s audit trail: the payload is wiped, the row stays and
    /// says who and why. Letters given up before are left as they are.
    ///
    /// The outcomes are those of the page's letters, and of each number in [`Selection::Ids`] that the page covers.
    ///
    /// # Errors
    /// As [`OrderStore::dead_letter`].
    fn discard(
        &self,
        selection: &Selection,
        page: Page,
        group: &str,
        origin: &Origin,
    ) -> impl Future<Output = Result<Vec<(i64, DiscardOutcome)>, StoreError>> + Send;

    /// Removes letters that are settled, all or none; numbers that are not there, or were given up, are passed over.
    /// The letter of an order goes by itself once the order is decided.
    ///
    /// # Errors
    /// [`StoreError::Transient`] or [`StoreError::Fatal`].
    fn remove_letters(&self, ids: &[i64]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps those of `letters` whose orders nobody knows the end of: not decided, and without a letter so far. All or
    /// none.
    ///
    /// # Errors
    /// As [`OrderStore::dead_letter`].
    fn keep_undecided(
        &self,
        fence: Fence,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<Kept, StoreError>> + Send;
}

impl LetterStore for Store {
    async fn letters(
        &self,
        selection: &Selection,
        standing: Standing,
        page: Page,
    ) -> Result<Vec<LetterHead>, StoreError> {
        dispatch!(self.list_letters(selection, standing, page))
    }

    async fn count_letters(&self, selection: &Selection, standing: Standing) -> Result<u64, StoreError> {
        dispatch!(self.count_selected(selection, standing))
    }

    async fn whole_letters(&self, ids: &[i64]) -> Result<Vec<StoredLetter>, StoreError> {
        dispatch!(self.read_letters(ids))
    }

    async fn letter_totals(&self) -> Result<LetterTotals, StoreError> {
        dispatch!(self.total_letters())
    }

    async fn discard(
        &self,
        selection: &Selection,
        page: Page,
        group: &str,
        origin: &Origin,
    ) -> Result<Vec<(i64, DiscardOutcome)>, StoreError> {
        dispatch!(self.discard_letters(selection, page, group, origin))
    }

    async fn remove_letters(&self, ids: &[i64]) -> Result<(), StoreError> {
        dispatch!(self.delete_letters(ids))
    }

    async fn keep_undecided(&self, fence: Fence, letters: &[DeadLetter]) -> Result<Kept, StoreError> {
        dispatch!(self.insert_undecided(fence, letters))
    }
}
