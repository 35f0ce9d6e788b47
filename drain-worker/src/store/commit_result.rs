//! What the store answers: results on a batch, stored orders, totals.

use std::collections::BTreeMap;

use shared::order::{OrderId, Outcome, PayloadDigest, RejectReason, TraceParent, UserId};
use time::OffsetDateTime;

use super::dead_letter::DeadLetterReason;

/// What became of one order of a batch. Every order gets one: nothing is dropped without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitResult {
    /// The order.
    pub order_id: OrderId,
    /// What became of it.
    pub outcome: CommitOutcome,
}

/// What became of an order. In every case its message may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Decided and written now.
    New(Outcome),
    /// Decided and written before, with the same payload: a redelivery. Nothing changed.
    Duplicate(Outcome),
    /// The id was decided before with another payload: the client used an idempotency key twice. The first stays;
    /// this payload's digest is on record, once.
    Conflict {
        /// Digest of the payload that was decided.
        stored: PayloadDigest,
        /// What was decided about it.
        outcome: Outcome,
    },
    /// Neither confirmed nor rejected: kept with the dead letters until somebody acts, or given up by an operator.
    DeadLettered {
        /// Why.
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

/// What is on record about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is. `None`: a dead letter from before that was kept.
    pub user_id: Option<UserId>,
    /// Digest of the payload on record. `None`: a dead letter that has none.
    pub digest: Option<PayloadDigest>,
    /// Its state.
    pub status: StoredStatus,
    /// When ingest-fn took the order, UTC. `None` for a dead letter.
    pub accepted_at: Option<OffsetDateTime>,
    /// When it was decided, last failed or was given up, UTC, by the database's clock.
    pub updated_at: OffsetDateTime,
    /// W3C trace context of the request that was decided. `None`: it had none, or this is a dead letter.
    pub traceparent: Option<TraceParent>,
    /// How many other payloads arrived under its id.
    pub conflicts: u64,
}

/// State of an order on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredStatus {
    /// Confirmed or rejected.
    Decided(Outcome),
    /// BrokerDlqCounts with the dead letters.
    DeadLettered {
        /// A [`DeadLetterReason`]'s name, or one that another version of this program wrote.
        reason: String,
        /// When an operator gave it up, UTC, by the database's clock; `None`: it still needs somebody.
        discarded_at: Option<OffsetDateTime>,
    },
}

/// Totals over the whole database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreTotals {
    /// Orders confirmed.
    pub confirmed: u64,
    /// Orders rejected, by reason; a reason without orders is absent.
    pub rejected: BTreeMap<RejectReason, u64>,
    /// Payloads on record that arrived under the id of another one.
    pub conflicts: u64,
    /// Dead letters by the name of their reason, those given up as well; a reason without letters is absent.
    pub dead_letters: BTreeMap<String, u64>,
}

impl StoreTotals {
    /// Orders decided.
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.confirmed + self.rejected.values().sum::<u64>()
    }

    /// Dead letters of all reasons.
    #[must_use]
    pub fn dead_letters_total(&self) -> u64 {
        self.dead_letters.values().sum()
    }
}

/// Stock of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuStock {
    /// The sale.
    pub sale_id: String,
    /// The SKU.
    pub sku: String,
    /// Units to sell.
    pub total: i64,
    /// Units of confirmed orders.
    pub reserved: i64,
    /// Most units one buyer may have; `None`: no limit.
    pub per_user_limit: Option<i64>,
}
