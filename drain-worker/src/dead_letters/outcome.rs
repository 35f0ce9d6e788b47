//! The outcome of a redriven dead letter.

use std::collections::BTreeMap;

use shared::order::{OrderId, Outcome, RejectReason};

use crate::store::CommitOutcome;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveResult {
    pub id: i64,
    /// `None`: the dead letter is a message that is not one order.
    pub order_id: Option<OrderId>,
    pub outcome: RedriveOutcome,
    /// Without personal data.
    pub detail: Option<String>,
}

/// The outcome of a redriven dead letter, ascending by severity: a message of several orders has its worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RedriveOutcome {
    /// The order was decided before, with the same payload. The dead letter is deleted.
    Duplicate,
    Confirmed,
    SoldOut,
    LimitExceeded,
    /// The order was decided before with another payload, which stays. The dead letter is deleted.
    Conflict,
    /// No such dead letter, or no longer.
    Gone,
    /// An operator discarded it; nothing was tried.
    Discarded,
    /// The cause persists. The dead letter stays.
    DeadLettered,
    /// This version cannot read the payload as a batch of orders. The dead letter stays.
    Unreadable,
}

impl RedriveOutcome {
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

/// The outcome of a dead letter whose orders have these outcomes: the worst, with counts if there are several.
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
    fn a_message_has_the_worst_outcome_of_its_orders() {
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
    fn reason_names_are_distinct() {
        let names: std::collections::BTreeSet<_> = RedriveOutcome::ALL.map(RedriveOutcome::as_str).into();
        assert_eq!(names.len(), RedriveOutcome::ALL.len());
    }
}
