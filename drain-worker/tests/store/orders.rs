//! Orders and catalogues for tests.

use std::fmt::Write;

use drain_worker::store::{CommitOutcome, CommitResult, DeadLetterReason, StoreError};
use shared::catalogue::Catalogue;
use shared::order::{
    AcceptedOrder, AddressLine, ClientReference, Country, Currency, Item, Items, Order, OrderId, Outcome,
    PayloadDigest, PricedItem, Quantity, RejectReason, SaleId, ShippingAddress, Sku, TraceParent, UserId,
};
use time::macros::datetime;

pub(crate) const SALE: &str = "double-eleven";

pub(crate) const CONFIRMED: CommitOutcome = CommitOutcome::New(Outcome::Confirmed);
pub(crate) const SOLD_OUT: CommitOutcome = CommitOutcome::New(Outcome::Rejected(RejectReason::SoldOut));
pub(crate) const OVER_LIMIT: CommitOutcome =
    CommitOutcome::New(Outcome::Rejected(RejectReason::LimitExceeded));
pub(crate) const AGAIN: CommitOutcome = CommitOutcome::Duplicate(Outcome::Confirmed);
pub(crate) const UNKNOWN_SKU: CommitOutcome =
    CommitOutcome::DeadLettered { reason: DeadLetterReason::UnknownSku };
pub(crate) const REFUSED: CommitOutcome =
    CommitOutcome::DeadLettered { reason: DeadLetterReason::RefusedByDatabase };

pub(crate) fn outcomes_of(results: &[CommitResult]) -> Vec<CommitOutcome> {
    results.iter().map(|result| result.outcome).collect()
}

pub(crate) fn id(number: u64) -> OrderId {
    let mut bytes = [0x80; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    OrderId::from_bytes(bytes)
}

/// An order in [`SALE`], with its lines in the given order.
pub(crate) fn order(number: u64, user: &str, lines: &[(&str, u32)]) -> AcceptedOrder {
    order_in(SALE, number, user, lines)
}

pub(crate) fn order_in(sale: &str, number: u64, user: &str, lines: &[(&str, u32)]) -> AcceptedOrder {
    let line = |text: &str| AddressLine::parse(text).expect("valid");
    let sku = |text: &str| Sku::parse(text).expect("valid");
    let quantity = |number: u32| Quantity::new(number).expect("valid");
    let asked = Order {
        sale_id: SaleId::parse(sale).expect("valid"),
        user_id: UserId::parse(user).expect("valid"),
        items: Items::new(
            lines.iter().map(|line| Item { sku: sku(line.0), quantity: quantity(line.1) }).collect(),
        )
        .expect("valid"),
        currency: Currency::parse("CNY").expect("valid"),
        shipping_address: ShippingAddress {
            recipient: line("Zhāng Wěi 张伟"),
            line1: line("1 Long Street"),
            line2: None,
            city: line("杭州"),
            region: Some(line("浙江")),
            postal_code: Some(line("310000")),
            country: Country::parse("CN").expect("valid"),
            phone: Some(line("+86 571 0000")),
        },
        client_reference: Some(ClientReference::parse("basket \"7\"").expect("valid")),
    };
    AcceptedOrder {
        order_id: id(number),
        digest: PayloadDigest::of(&asked),
        sale_id: asked.sale_id,
        user_id: asked.user_id,
        items: lines
            .iter()
            .map(|line| PricedItem { sku: sku(line.0), quantity: quantity(line.1), unit_price_minor: 1_999 })
            .collect(),
        currency: asked.currency,
        shipping_address: asked.shipping_address,
        client_reference: asked.client_reference,
        accepted_at: datetime!(2026-11-11 08:00:00.123 +8),
        catalogue_revision: "r1".to_owned(),
        traceparent: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    }
}

/// A catalogue of one sale: SKUs with stock and limit.
pub(crate) fn catalogue(skus: &[(&str, u32, Option<u32>)]) -> Catalogue {
    catalogue_of(&[(SALE, skus)])
}

/// A SKU with stock and limit.
pub(crate) type SkuTerms<'a> = (&'a str, u32, Option<u32>);

pub(crate) fn catalogue_of(sales: &[(&str, &[SkuTerms<'_>])]) -> Catalogue {
    let mut text = "revision = \"r1\"\n".to_owned();
    for (sale, skus) in sales {
        write!(
            text,
            "[[sales]]\nid = \"{sale}\"\nopens_at = \"2026-11-11T00:00:00+08:00\"\n\
             closes_at = \"2026-11-12T00:00:00+08:00\"\ncurrency = \"CNY\"\n"
        )
        .expect("to memory");
        for (sku, stock, limit) in *skus {
            write!(text, "[[sales.skus]]\nsku = \"{sku}\"\nunit_price_minor = 1999\nstock = {stock}\n")
                .expect("to memory");
            if let Some(limit) = limit {
                writeln!(text, "per_user_limit = {limit}").expect("to memory");
            }
        }
    }
    Catalogue::from_toml(&text).expect("valid")
}

/// Three orders, of one and two lines, over the SKUs `a` and `b`.
pub(crate) fn batch(first: u64) -> Vec<AcceptedOrder> {
    (first..first + 3)
        .map(|number| order(number, "ann", &[("a", 1), ("b", 2)][..1 + number as usize % 2]))
        .collect()
}

pub(crate) fn is_transient<T>(result: Result<T, StoreError>) -> bool {
    result.is_err_and(|error| error.is_transient())
}
