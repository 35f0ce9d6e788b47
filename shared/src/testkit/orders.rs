//! Orders and a catalogue.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::catalogue::Catalogue;
use crate::order::{
    AcceptedOrder, AddressLine, ClientReference, Country, Currency, OrderId, PayloadDigest, PricedItem,
    Quantity, SaleId, ShippingAddress, Sku, TraceParent, UserId,
};

/// The sale of orders and catalogues unless a test names another.
pub const SALE: &str = "sale";

/// Builds an [`AcceptedOrder`]; every part has a valid default.
#[derive(Clone, Debug)]
pub struct AcceptedOrderBuilder(AcceptedOrder);

/// Starts order `number`: its id and its digest are functions of the number, so that equal numbers are retries. It has
/// no line yet.
#[must_use]
pub fn accepted_order(number: u64) -> AcceptedOrderBuilder {
    let line = |text: &str| AddressLine::parse(text).expect("valid");
    let mut id = [0x80; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let mut digest = [7; 32];
    digest[24..].copy_from_slice(&number.to_be_bytes());
    AcceptedOrderBuilder(AcceptedOrder {
        order_id: OrderId::from_bytes(id),
        digest: PayloadDigest::from_bytes(digest),
        sale_id: SaleId::parse(SALE).expect("valid"),
        user_id: UserId::parse("user").expect("valid"),
        items: Vec::new(),
        currency: Currency::parse("CNY").expect("valid"),
        shipping_address: ShippingAddress {
            recipient: line("Zhāng Wěi 张伟"),
            line1: line("1 Nanjing Road"),
            line2: None,
            city: line("上海"),
            region: Some(line("上海")),
            postal_code: Some(line("200000")),
            country: Country::parse("CN").expect("valid"),
            phone: Some(line("+86 21 0000")),
        },
        client_reference: Some(ClientReference::parse("basket \"7\"").expect("valid")),
        accepted_at: datetime!(2026-11-11 00:00:00.123 UTC),
        catalogue_revision: "r1".to_owned(),
        traceparent: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    })
}

/// Orders of one unit of `sku` each, by one user.
#[must_use]
pub fn accepted_orders(numbers: Range<u64>, sku: &str) -> Vec<AcceptedOrder> {
    numbers.map(|number| accepted_order(number).line(sku, 1).build()).collect()
}

impl AcceptedOrderBuilder {
    /// Sets the sale.
    #[must_use]
    pub fn sale(mut self, sale: &str) -> Self {
        self.0.sale_id = SaleId::parse(sale).expect("valid");
        self
    }

    /// Sets the buyer.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.0.user_id = UserId::parse(user).expect("valid");
        self
    }

    /// Adds a line at 19.99 a unit. Lines stay in the order of the calls, which need not be sorted.
    #[must_use]
    pub fn line(mut self, sku: &str, quantity: u32) -> Self {
        self.0.items.push(PricedItem {
            sku: Sku::parse(sku).expect("valid"),
            quantity: Quantity::new(quantity).expect("valid"),
            unit_price_minor: 1_999,
        });
        self
    }

    /// Sets the digest, so that two orders of one id are different payloads.
    #[must_use]
    pub fn digest(mut self, bytes: [u8; 32]) -> Self {
        self.0.digest = PayloadDigest::from_bytes(bytes);
        self
    }

    /// Sets the instant of acceptance.
    #[must_use]
    pub fn accepted_at(mut self, instant: OffsetDateTime) -> Self {
        self.0.accepted_at = instant;
        self
    }

    /// Returns the order.
    #[must_use]
    pub fn build(self) -> AcceptedOrder {
        self.0
    }
}

/// A catalogue of [`SALE`], open from 2020 to 2120: SKU, stock, limit per buyer. Each unit costs 19.99 CNY.
#[must_use]
pub fn catalogue(skus: &[(&str, u32, Option<u32>)]) -> Catalogue {
    let mut text = format!(
        "revision = \"r1\"\n[[sales]]\nid = \"{SALE}\"\nopens_at = \"2020-01-01T00:00:00Z\"\n\
         closes_at = \"2120-01-01T00:00:00Z\"\ncurrency = \"CNY\"\nskus = [\n"
    );
    for (sku, stock, limit) in skus {
        let limit = limit.map(|limit| format!(", per_user_limit = {limit}")).unwrap_or_default();
        writeln!(text, "{{ sku = \"{sku}\", unit_price_minor = 1999, stock = {stock}{limit} }},")
            .expect("writing to a string");
    }
    text.push(']');
    Catalogue::from_toml(&text).expect("a valid catalogue")
}

/// The body of a valid request: one unit of `sku` in [`SALE`].
#[must_use]
pub fn order_json(user: &str, sku: &str) -> Value {
    json!({
        "sale_id": SALE,
        "user_id": user,
        "items": [{ "sku": sku, "quantity": 1 }],
        "currency": "CNY",
        "shipping_address": {
            "recipient": "Li Lei", "line1": "1 Long Street", "city": "Hangzhou", "country": "CN"
        }
    })
}
