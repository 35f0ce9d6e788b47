//! Results of the store: outcomes of a batch, stored orders, totals.

use std::collections::BTreeMap;

use shared::order::{OrderId, Outcome, PayloadDigest, RejectReason, TraceParent, UserId};
use time::OffsetDateTime;

use super::dead_letter::DeadLetterReason;

/// The result of one order of a batch. Every order gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitResult {
    pub order_id: OrderId,
    pub outcome: CommitOutcome,
}

/// The outcome of an order. In every case its message may be acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    New(Outcome),
    /// Decided before, with the same payload: a redelivery. Nothing changed.
    Duplicate(Outcome),
    /// Decided before with another payload: the client used an idempotency key for two payloads. The first stays;
    /// this payload's digest is recorded, once.
    Conflict {
        /// Digest of the decided payload.
        stored: PayloadDigest,
        outcome: Outcome,
    },
    /// Neither confirmed nor rejected: stored as a dead letter, open or discarded.
    DeadLettered {
        reason: DeadLetterReason,
    },
}

impl CommitOutcome {
    /// The name used in metrics and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New(Outcome::Confirmed) => "confirmed",
            Self::New(Outcome::Rejected(reason)) => reason.as_str(),
            Self::Duplicate(_) => "duplicate",
            Self::Conflict { .. } => "conflict",
            Self::DeadLettered { .. } => "dead_lettered",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    pub order_id: OrderId,
    /// `None`: not recorded.
    pub user_id: Option<UserId>,
    /// `None`: a dead letter without one.
    pub digest: Option<PayloadDigest>,
    pub status: StoredStatus,
    /// UTC, by the ingest function's clock; `None` for a dead letter.
    pub accepted_at: Option<OffsetDateTime>,
    /// When it was decided, last failed or was discarded, UTC, by the database's clock.
    pub updated_at: OffsetDateTime,
    /// W3C trace context of the decided request. `None`: it had none, or this is a dead letter.
    pub traceparent: Option<TraceParent>,
    /// Number of other payloads under the same id.
    pub conflicts: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredStatus {
    Decided(Outcome),
    DeadLettered {
        /// A [`DeadLetterReason`]'s name, or another version's.
        reason: String,
        /// UTC, by the database's clock; `None`: open.
        discarded_at: Option<OffsetDateTime>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreTotals {
    pub confirmed: u64,
    /// By reason; a reason without orders is absent.
    pub rejected: BTreeMap<RejectReason, u64>,
    /// Recorded payloads that arrived under the id of another one.
    pub conflicts: u64,
    /// By the name of the reason, including discarded ones; a reason without dead letters is absent.
    pub dead_letters: BTreeMap<String, u64>,
}

impl StoreTotals {
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.confirmed + self.rejected.values().sum::<u64>()
    }

    #[must_use]
    pub fn dead_letters_total(&self) -> u64 {
        self.dead_letters.values().sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuStock {
    pub sale_id: String,
    pub sku: String,
    pub total: i64,
    pub reserved: i64,
    /// Maximum units of one buyer; `None`: no limit.
    pub per_user_limit: Option<i64>,
}
