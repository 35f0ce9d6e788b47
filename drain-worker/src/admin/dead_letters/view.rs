//! What callers are told. No personal data: neither a payload nor an address.

use serde::{Deserialize, Serialize};
use shared::envelope::decode_batch;
use shared::order::AcceptedOrder;
use shared::time::rfc3339_millis;

use crate::dead_letters;
use crate::store::{DiscardOutcome, LetterHead, Page, Selection, StoredLetter};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterPage {
    /// Ascending by number.
    pub letters: Vec<LetterView>,
    /// There may be more: they come after this number.
    pub next: Option<i64>,
    /// Letters on all pages.
    pub total: u64,
}

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterView {
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
    pub discarded_why: Option<String>,
}

impl From<LetterHead> for LetterView {
    fn from(head: LetterHead) -> Self {
        let (at, by, why) = match head.discard {
            Some(discard) => (Some(rfc3339_millis(discard.at)), Some(discard.by), Some(discard.why)),
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
            discarded_why: why,
        }
    }
}

/// A letter with what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeLetter {
    /// The letter.
    #[serde(flatten)]
    pub letter: LetterView,
    /// Its orders; `None`: the payload cannot be read, or is gone.
    pub orders: Option<Vec<OrderInLetter>>,
    /// Why it cannot be read.
    pub payload_error: Option<String>,
}

impl From<StoredLetter> for WholeLetter {
    fn from(StoredLetter { head, payload }: StoredLetter) -> Self {
        let (orders, payload_error) = if head.discard.is_some() {
            (None, None)
        } else {
            match decode_batch(&payload) {
                Ok(orders) => (Some(orders.iter().map(OrderInLetter::from).collect()), None),
                Err(error) => (None, Some(error.to_string())),
            }
        };
        Self { letter: head.into(), orders, payload_error }
    }
}

/// An order, as far as it is nobody's personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderInLetter {
    /// Its id.
    pub order_id: String,
    /// The sale.
    pub sale_id: String,
    /// Its lines.
    pub items: Vec<ItemView>,
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
pub struct ItemView {
    /// The SKU.
    pub sku: String,
    /// Units.
    pub quantity: u32,
    /// Minor units of the currency.
    pub unit_price_minor: i64,
}

impl From<&AcceptedOrder> for OrderInLetter {
    fn from(order: &AcceptedOrder) -> Self {
        let items = order.items.iter().map(|item| ItemView {
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
pub struct Redriven {
    /// One for each letter dealt with.
    pub outcomes: Vec<RedrivenLetter>,
    /// There may be more: go on after this number.
    pub next: Option<i64>,
    /// Why it stopped early, for people.
    pub stopped: Option<String>,
}

/// What became of a letter that was redriven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedrivenLetter {
    /// Its number.
    pub id: i64,
    /// The order, if it is about one.
    pub order_id: Option<String>,
    /// [`dead_letters::Outcome`]'s name.
    pub outcome: String,
    /// For people.
    pub detail: Option<String>,
}

impl From<dead_letters::Redriven> for Redriven {
    fn from(redriven: dead_letters::Redriven) -> Self {
        let outcomes = redriven.outcomes.into_iter().map(|letter| RedrivenLetter {
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
pub struct Discarded {
    /// One for each letter.
    pub outcomes: Vec<DiscardedLetter>,
    /// There may be more: go on after this number.
    pub next: Option<i64>,
}

/// What became of a letter that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardedLetter {
    /// Its number.
    pub id: i64,
    /// `discarded` or `gone`.
    pub outcome: String,
}

impl Discarded {
    pub(super) fn new(outcomes: &[(i64, DiscardOutcome)], selection: &Selection, page: Page) -> Self {
        let next = match selection {
            Selection::Ids(_) => selection.on_page(page).1,
            Selection::Reason(_) | Selection::All => {
                outcomes.last().filter(|_| outcomes.len() >= page.letters_max()).map(|(id, _)| *id)
            }
        };
        let name = |outcome: DiscardOutcome| match outcome {
            DiscardOutcome::Discarded => "discarded",
            DiscardOutcome::Gone => "gone",
        };
        let outcomes = outcomes
            .iter()
            .map(|&(id, outcome)| DiscardedLetter { id, outcome: name(outcome).to_owned() })
            .collect();
        Self { outcomes, next }
    }

    /// Letters given up.
    pub(super) fn count(&self) -> usize {
        self.outcomes.iter().filter(|letter| letter.outcome == "discarded").count()
    }
}
