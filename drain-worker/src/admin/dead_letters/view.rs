//! Dead letters as the API returns them. No personal data: neither payloads nor addresses.

use serde::{Deserialize, Serialize};
use shared::envelope::decode_batch;
use shared::order::AcceptedOrder;
use shared::time::rfc3339_millis;

use crate::dead_letters;
use crate::store::{DeadLetterSelection, DeadLetterSummary, PageRequest, StoredDeadLetter};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterPage {
    pub letters: Vec<DeadLetterView>,
    /// There may be more after this number.
    pub next: Option<i64>,
    pub total: u64,
    /// The highest number of the `total`; 0 without any. With `total`, what a discard confirms.
    pub newest_id: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterView {
    pub id: i64,
    /// `None`: the message could not be read as orders.
    pub order_id: Option<String>,
    pub message_id: Option<String>,
    pub reason: String,
    pub detail: String,
    pub attempts: i64,
    /// RFC 3339, by the database's clock.
    pub first_failed_at: String,
    /// RFC 3339, by the database's clock.
    pub last_failed_at: String,
    /// 0 some time after the discard.
    pub payload_bytes: u64,
    /// RFC 3339, by the database's clock.
    pub discarded_at: Option<String>,
    /// As the caller stated.
    pub discarded_by: Option<String>,
    pub discarded_reason: Option<String>,
    /// The discard can be undone until then, RFC 3339; `None`: open, or the payload is deleted.
    pub restorable_until: Option<String>,
}

impl From<DeadLetterSummary> for DeadLetterView {
    fn from(head: DeadLetterSummary) -> Self {
        let (at, by, reason, until) = match head.discard {
            Some(discard) => (
                Some(rfc3339_millis(discard.at)),
                Some(discard.by),
                Some(discard.reason),
                discard.restorable_until.map(rfc3339_millis),
            ),
            None => (None, None, None, None),
        };
        Self {
            id: head.id,
            order_id: head.order_id.map(|id| id.to_string()),
            message_id: head.message_id,
            reason: head.reason,
            detail: head.detail,
            attempts: head.attempts,
            first_failed_at: rfc3339_millis(head.first_failed_at),
            last_failed_at: rfc3339_millis(head.last_failed_at),
            payload_bytes: head.payload_bytes,
            discarded_at: at,
            discarded_by: by,
            discarded_reason: reason,
            restorable_until: until,
        }
    }
}

/// A dead letter with its orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterDetailView {
    #[serde(flatten)]
    pub letter: DeadLetterView,
    /// `None`: discarded, or the payload cannot be read.
    pub orders: Option<Vec<DeadLetterOrderView>>,
    pub payload_error: Option<String>,
}

impl From<StoredDeadLetter> for DeadLetterDetailView {
    fn from(StoredDeadLetter { head, payload }: StoredDeadLetter) -> Self {
        let (orders, payload_error) = if head.discard.is_some() {
            (None, None)
        } else {
            match decode_batch(&payload) {
                Ok(orders) => (Some(orders.iter().map(DeadLetterOrderView::from).collect()), None),
                Err(error) => (None, Some(error.to_string())),
            }
        };
        Self { letter: head.into(), orders, payload_error }
    }
}

/// An order without personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterOrderView {
    pub order_id: String,
    pub sale_id: String,
    pub items: Vec<DeadLetterItemView>,
    /// Minor units of the currency; `None`: out of bounds.
    pub total_minor: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// RFC 3339, by the ingest function's clock.
    pub accepted_at: String,
    pub digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterItemView {
    pub sku: String,
    pub quantity: u32,
    /// Minor units of the currency.
    pub unit_price_minor: i64,
}

impl From<&AcceptedOrder> for DeadLetterOrderView {
    fn from(order: &AcceptedOrder) -> Self {
        let items = order.items.iter().map(|item| DeadLetterItemView {
            sku: item.sku.as_str().to_owned(),
            quantity: item.quantity.get(),
            unit_price_minor: item.unit_price_minor,
        });
        Self {
            order_id: order.order_id.to_string(),
            sale_id: order.sale_id.as_str().to_owned(),
            items: items.collect(),
            total_minor: order.total_minor(),
            currency: order.currency.as_str().to_owned(),
            accepted_at: rfc3339_millis(order.accepted_at),
            digest: order.digest.to_string(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveView {
    pub outcomes: Vec<RedriveOutcomeView>,
    /// There may be more: continue after this number.
    pub next: Option<i64>,
    pub stopped: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveOutcomeView {
    pub id: i64,
    /// `None`: the dead letter is not one order.
    pub order_id: Option<String>,
    /// The name of a [`dead_letters::RedriveOutcome`].
    pub outcome: String,
    pub detail: Option<String>,
}

impl From<dead_letters::RedrivePage> for RedriveView {
    fn from(redriven: dead_letters::RedrivePage) -> Self {
        let outcomes = redriven.outcomes.into_iter().map(|letter| RedriveOutcomeView {
            id: letter.id,
            order_id: letter.order_id.map(|id| id.to_string()),
            outcome: letter.outcome.as_str().to_owned(),
            detail: letter.detail,
        });
        Self { outcomes: outcomes.collect(), next: redriven.next, stopped: redriven.stopped }
    }
}

/// Response of a discard, and of its undoing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardView {
    pub outcomes: Vec<DiscardOutcomeView>,
    /// There may be more: continue after this number.
    pub next: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardOutcomeView {
    pub id: i64,
    /// `discarded` or `gone`; the name of a [`crate::store::RestoreOutcome`].
    pub outcome: String,
}

impl DiscardView {
    pub(super) fn new(
        outcomes: &[(i64, &'static str)],
        selection: &DeadLetterSelection,
        page: PageRequest,
    ) -> Self {
        let next = match selection {
            DeadLetterSelection::Ids(_) => selection.on_page(page).1,
            DeadLetterSelection::Reason(_) | DeadLetterSelection::All => {
                outcomes.last().filter(|_| outcomes.len() >= page.letters_max()).map(|(id, _)| *id)
            }
        };
        let outcomes = outcomes
            .iter()
            .map(|&(id, outcome)| DiscardOutcomeView { id, outcome: outcome.to_owned() })
            .collect();
        Self { outcomes, next }
    }

    pub(super) fn count(&self, outcome: &str) -> usize {
        self.outcomes.iter().filter(|letter| letter.outcome == outcome).count()
    }
}
