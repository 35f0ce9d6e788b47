//! Generated orders for measurements, similar to a sale's.

use shared::catalogue::Catalogue;
use shared::order::{
    AcceptedOrder, AddressLine, ClientReference, Country, Currency, FieldError, Item, Items, ItemsError,
    Order, OrderId, PayloadDigest, PricedItem, Quantity, SaleId, ShippingAddress, Sku, TraceParent, UserId,
};
use time::OffsetDateTime;

pub const SALE: &str = "scratch";

/// Units of each SKU: no measurement sells out by accident.
const STOCK: u32 = 900_000_000;

const ONE: Quantity = match Quantity::new(1) {
    Some(one) => one,
    None => panic!("one is a quantity"),
};

/// A generated order is invalid, which is a bug.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OrdersError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    Items(#[from] ItemsError),
}

/// Generates orders: each is a function of its number, with one line of one unit.
#[derive(Clone, Debug)]
pub struct Orders {
    pattern: AcceptedOrder,
    skus: Vec<Sku>,
    salt: u64,
}

impl Orders {
    /// Orders over `skus` SKUs, at least one.
    ///
    /// # Errors
    /// Only for a bug: the parts are constants.
    pub fn over(skus: u32) -> Result<Self, OrdersError> {
        let line = |text: &str| AddressLine::parse(text);
        let skus =
            (0..skus.max(1)).map(|number| Sku::parse(&sku_name(number))).collect::<Result<Vec<_>, _>>()?;
        let asked = Order {
            sale_id: SaleId::parse(SALE)?,
            user_id: UserId::parse("user-4711")?,
            items: Items::new(vec![Item { sku: skus[0].clone(), quantity: ONE }])?,
            currency: Currency::parse("CNY")?,
            shipping_address: ShippingAddress {
                recipient: line("Buyer 4711")?,
                line1: line("1021 Nanjing Road, Building 7, Room 1204")?,
                line2: None,
                city: line("Shanghai")?,
                region: None,
                postal_code: Some(line("200001")?),
                country: Country::parse("CN")?,
                phone: Some(line("+86 130 12345678")?),
            },
            client_reference: Some(ClientReference::parse("basket-4711")?),
        };
        let pattern = AcceptedOrder {
            order_id: OrderId::from_bytes([0; 16]),
            digest: PayloadDigest::of(&asked),
            sale_id: asked.sale_id,
            user_id: asked.user_id,
            items: vec![PricedItem { sku: skus[0].clone(), quantity: ONE, unit_price_minor: 1_999 }],
            currency: asked.currency,
            shipping_address: asked.shipping_address,
            client_reference: asked.client_reference,
            accepted_at: OffsetDateTime::now_utc(),
            catalogue_revision: "r1".to_owned(),
            traceparent: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        };
        Ok(Self { pattern, skus, salt: rand::random() })
    }

    /// The order of this number, each by a different buyer.
    ///
    /// # Errors
    /// As [`Orders::over`].
    pub fn make(&self, number: u64) -> Result<AcceptedOrder, OrdersError> {
        let mut order = self.pattern.clone();
        // Spread like real ids, which are hashes: rows land all over the table.
        let mut bytes = [0x80; 16];
        bytes[..8].copy_from_slice(&(number ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        order.order_id = OrderId::from_bytes(bytes);
        order.user_id = UserId::parse(&format!("user-{number}"))?;
        let sku = usize::try_from(number).unwrap_or_default() % self.skus.len();
        order.items[0].sku = self.skus[sku].clone();
        Ok(order)
    }

    /// The orders of these numbers.
    ///
    /// # Errors
    /// As [`Orders::over`].
    pub fn batch(&self, numbers: std::ops::Range<u64>) -> Result<Vec<AcceptedOrder>, OrdersError> {
        numbers.map(|number| self.make(number)).collect()
    }
}

fn sku_name(number: u32) -> String {
    format!("sku-{number:05}")
}

/// A catalogue with `skus` SKUs, each with stock that never runs out, and with this limit per buyer.
///
/// # Errors
/// Only for a bug: the parts are constants.
pub fn catalogue(
    skus: u32,
    per_user_limit: Option<u32>,
) -> Result<Catalogue, shared::catalogue::CatalogueError> {
    use std::fmt::Write as _;
    let mut text = format!(
        "revision = \"r1\"\n[[sales]]\nid = \"{SALE}\"\nopens_at = \"2020-01-01T00:00:00Z\"\n\
         closes_at = \"2099-01-01T00:00:00Z\"\ncurrency = \"CNY\"\n"
    );
    for number in 0..skus.max(1) {
        let name = sku_name(number);
        let _to_memory =
            write!(text, "[[sales.skus]]\nsku = \"{name}\"\nunit_price_minor = 1999\nstock = {STOCK}\n");
        if let Some(limit) = per_user_limit {
            let _to_memory = writeln!(text, "per_user_limit = {limit}");
        }
    }
    Catalogue::from_toml(&text)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn orders_differ_in_id_and_buyer_and_cover_the_skus() {
        let orders = Orders::over(8).expect("valid").batch(0..64).expect("valid");
        let count = |of: fn(&AcceptedOrder) -> String| orders.iter().map(of).collect::<HashSet<_>>().len();
        assert_eq!(count(|order| order.order_id.to_string()), 64);
        assert_eq!(count(|order| order.user_id.as_str().to_owned()), 64);
        assert_eq!(count(|order| order.items[0].sku.to_string()), 8);
        let catalogue = catalogue(8, Some(2)).expect("valid");
        let sale = catalogue.sale(&SaleId::parse(SALE).expect("valid")).expect("there");
        assert!(orders.iter().all(|order| sale.skus.contains_key(&order.items[0].sku)));
    }
}
