//! What became of one letter.

use std::collections::BTreeMap;

use shared::order::{OrderId, Outcome, RejectReason};

use crate::store::CommitOutcome;

/// What became of a letter that was redriven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveResult {
    /// The letter's number.
    pub id: i64,
    /// The order, if the letter is about one.
    pub order_id: Option<OrderId>,
    /// What became of it.
    pub outcome: RedriveOutcome,
    /// For people, without personal data.
    pub detail: Option<String>,
}

/// What became of a letter. Sorted by how much somebody should care: a message of several orders is told by its worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RedriveOutcome {
    /// The order was decided before, with the same payload. The letter is gone.
    Duplicate,
    /// Confirmed now. The letter is gone.
    Confirmed,
    /// Rejected now. The letter is gone.
    SoldOut,
    /// Rejected now. The letter is gone.
    LimitExceeded,
    /// The order was decided before with another payload, which stays. The letter is gone.
    Conflict,
    /// There is no such letter, or no longer.
    Gone,
    /// An operator gave it up; nothing was tried.
    Discarded,
    /// What was in its way still is. The letter stays.
    DeadLettered,
    /// Its payload is still no batch of orders that this program reads. The letter stays.
    Unreadable,
}

impl RedriveOutcome {
    /// Every outcome.
    pub const ALL: [Self; 9] = [
        Self::Duplicate,
        Self::Confirmed,
        Self::SoldOut,
        Self::LimitExceeded,
        Self::Conflict,
        Self::Gone,
        Self::Discarded,
        Self::DeadLettered,
        Self::Unreadable,
    ];

    /// The name used in the API and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Confirmed => "confirmed",
            Self::SoldOut => "sold_out",
            Self::LimitExceeded => "limit_exceeded",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Discarded => "discarded",
            Self::DeadLettered => "dead_lettered",
            Self::Unreadable => "unreadable",
        }
    }
}

impl From<CommitOutcome> for RedriveOutcome {
    fn from(kind: CommitOutcome) -> Self {
        match kind {
            CommitOutcome::New(Outcome::Confirmed) => Self::Confirmed,
            CommitOutcome::New(Outcome::Rejected(RejectReason::SoldOut)) => Self::SoldOut,
            CommitOutcome::New(Outcome::Rejected(RejectReason::LimitExceeded)) => Self::LimitExceeded,
            CommitOutcome::Duplicate(_) => Self::Duplicate,
            CommitOutcome::Conflict { .. } => Self::Conflict,
            CommitOutcome::DeadLettered { .. } => Self::DeadLettered,
        }
    }
}

/// What a letter comes to whose orders got these results: the worst of them, and how many of each if they differ or
/// are many.
pub(super) fn summary(outcomes: &[CommitOutcome]) -> (RedriveOutcome, Option<String>) {
    let mut counts: BTreeMap<RedriveOutcome, usize> = BTreeMap::new();
    for kind in outcomes {
        *counts.entry(RedriveOutcome::from(*kind)).or_default() += 1;
    }
    let Some((&worst, _)) = counts.last_key_value() else {
        return (RedriveOutcome::Duplicate, Some("a message without orders".to_owned()));
    };
    if let [kind] = outcomes {
        let reason = match kind {
            CommitOutcome::DeadLettered { reason } => Some(reason.as_str().to_owned()),
            _ => None,
        };
        return (worst, reason);
    }
    let parts: Vec<_> =
        counts.iter().rev().map(|(outcome, orders)| format!("{orders} {}", outcome.as_str())).collect();
    (worst, Some(format!("{} orders: {}", outcomes.len(), parts.join(", "))))
}

#[cfg(test)]
mod tests {
    use crate::store::DeadLetterReason;

    use super::*;

    #[test]
    fn a_message_is_told_by_the_worst_of_its_orders() {
        let confirmed = CommitOutcome::New(Outcome::Confirmed);
        let sold_out = CommitOutcome::New(Outcome::Rejected(RejectReason::SoldOut));
        let again = CommitOutcome::Duplicate(Outcome::Confirmed);
        let lettered = CommitOutcome::DeadLettered { reason: DeadLetterReason::UnknownSku };
        for (outcomes, outcome, detail) in [
            (&[confirmed][..], "confirmed", None),
            (&[lettered], "dead_lettered", Some("unknown_sku")),
            (&[again, again], "duplicate", Some("2 orders: 2 duplicate")),
            (
                &[again, confirmed, sold_out],
                "sold_out",
                Some("3 orders: 1 sold_out, 1 confirmed, 1 duplicate"),
            ),
            (&[lettered, confirmed], "dead_lettered", Some("2 orders: 1 dead_lettered, 1 confirmed")),
            (&[], "duplicate", Some("a message without orders")),
        ] {
            let (found, told) = summary(outcomes);
            assert_eq!((found.as_str(), told.as_deref()), (outcome, detail));
        }
    }

    #[test]
    fn names_differ() {
        let names: std::collections::BTreeSet<_> = RedriveOutcome::ALL.map(RedriveOutcome::as_str).into();
        assert_eq!(names.len(), RedriveOutcome::ALL.len());
    }
}
