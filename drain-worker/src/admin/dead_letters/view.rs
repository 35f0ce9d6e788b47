//! What callers are told. No personal data: neither a payload nor an address.

use serde::{Deserialize, Serialize};
use shared::envelope::decode_batch;
use shared::order::AcceptedOrder;
use shared::time::rfc3339_millis;

use crate::dead_letters;
use crate::store::{DeadLetterSelection, DeadLetterSummary, DiscardOutcome, PageRequest, StoredDeadLetter};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterPage {
    /// Ascending by number.
    pub letters: Vec<DeadLetterView>,
    /// There may be more: they come after this number.
    pub next: Option<i64>,
    /// Letters on all pages.
    pub total: u64,
}

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterView {
    /// Its number.
    pub id: i64,
    /// The order; `None`: the message could not be read as orders.
    pub order_id: Option<String>,
    /// The message it came in, if known.
    pub message_id: Option<String>,
    /// Why it is a dead letter.
    pub reason: String,
    /// More about it, for people.
    pub detail: String,
    /// How often it came here.
    pub attempts: i64,
    /// By the database's clock, RFC 3339.
    pub first_failed_at: String,
    /// By the database's clock, RFC 3339.
    pub last_failed_at: String,
    /// Size of its payload; 0 once it was given up.
    pub payload_bytes: u64,
    /// When it was given up, by the database's clock, RFC 3339.
    pub discarded_at: Option<String>,
    /// Who gave it up, as they said.
    pub discarded_by: Option<String>,
    /// Why, as they said.
    pub discarded_reason: Option<String>,
}

impl From<DeadLetterSummary> for DeadLetterView {
    fn from(head: DeadLetterSummary) -> Self {
        let (at, by, reason) = match head.discard {
            Some(discard) => (Some(rfc3339_millis(discard.at)), Some(discard.by), Some(discard.reason)),
            None => (None, None, None),
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
        }
    }
}

/// A letter with what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterDetailView {
    /// The letter.
    #[serde(flatten)]
    pub letter: DeadLetterView,
    /// Its orders; `None`: the payload cannot be read, or is gone.
    pub orders: Option<Vec<DeadLetterOrderView>>,
    /// Why it cannot be read.
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

/// An order, as far as it is nobody's personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterOrderView {
    /// Its id.
    pub order_id: String,
    /// The sale.
    pub sale_id: String,
    /// Its lines.
    pub items: Vec<DeadLetterItemView>,
    /// Minor units of the currency; `None`: beyond bounds.
    pub total_minor: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// When ingest-fn took it, RFC 3339.
    pub accepted_at: String,
    /// Digest of its payload.
    pub digest: String,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterItemView {
    /// The SKU.
    pub sku: String,
    /// Units.
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

/// What became of a page that was redriven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveView {
    /// One for each letter dealt with.
    pub outcomes: Vec<RedriveOutcomeView>,
    /// There may be more: go on after this number.
    pub next: Option<i64>,
    /// Why it stopped early, for people.
    pub stopped: Option<String>,
}

/// What became of a letter that was redriven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveOutcomeView {
    /// Its number.
    pub id: i64,
    /// The order, if it is about one.
    pub order_id: Option<String>,
    /// [`dead_letters::RedriveOutcome`]'s name.
    pub outcome: String,
    /// For people.
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

/// What became of a page that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardView {
    /// One for each letter.
    pub outcomes: Vec<DiscardOutcomeView>,
    /// There may be more: go on after this number.
    pub next: Option<i64>,
}

/// What became of a letter that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardOutcomeView {
    /// Its number.
    pub id: i64,
    /// `discarded` or `gone`.
    pub outcome: String,
}

impl DiscardView {
    pub(super) fn new(
        outcomes: &[(i64, DiscardOutcome)],
        selection: &DeadLetterSelection,
        page: PageRequest,
    ) -> Self {
        let next = match selection {
            DeadLetterSelection::Ids(_) => selection.on_page(page).1,
            DeadLetterSelection::Reason(_) | DeadLetterSelection::All => {
                outcomes.last().filter(|_| outcomes.len() >= page.letters_max()).map(|(id, _)| *id)
            }
        };
        let name = |outcome: DiscardOutcome| match outcome {
            DiscardOutcome::Discarded => "discarded",
            DiscardOutcome::Gone => "gone",
        };
        let outcomes = outcomes
            .iter()
            .map(|&(id, outcome)| DiscardOutcomeView { id, outcome: name(outcome).to_owned() })
            .collect();
        Self { outcomes, next }
    }

    /// Letters given up.
    pub(super) fn count(&self) -> usize {
        self.outcomes.iter().filter(|letter| letter.outcome == "discarded").count()
    }
}
