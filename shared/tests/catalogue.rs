//! The catalogue's rules.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::io::Write as _;

use shared::catalogue::{Catalogue, CatalogueError, RuleViolation};
use shared::order::{
    AddressLine, Country, Currency, Item, Items, Order, PayloadDigest, Quantity, SaleId, ShippingAddress,
    Sku, UserId,
};
use time::OffsetDateTime;
use time::macros::datetime;

const CATALOGUE: &str = r#"
    revision = "7"
    [[sales]]
    id = "sale"
    opens_at = "2026-11-11T08:00:00+08:00"
    closes_at = "2026-11-11T09:00:00+08:00"
    currency = "CNY"
    skus = [
        { sku = "A", unit_price_minor = 100, stock = 10, per_user_limit = 2 },
        { sku = "B", unit_price_minor = 250, stock = 5 },
    ]
"#;

const INSIDE: OffsetDateTime = datetime!(2026-11-11 00:30 UTC);

fn line(text: &str) -> AddressLine {
    AddressLine::parse(text).expect("valid")
}

fn sku(name: &str) -> Sku {
    Sku::parse(name).expect("valid")
}

fn order(sale: &str, currency: &str, items: &[(&str, u32)]) -> Order {
    let items = items
        .iter()
        .map(|(name, quantity)| Item { sku: sku(name), quantity: Quantity::new(*quantity).expect("valid") });
    Order {
        sale_id: SaleId::parse(sale).expect("valid"),
        user_id: UserId::parse("u").expect("valid"),
        items: Items::new(items.collect()).expect("valid"),
        currency: Currency::parse(currency).expect("valid"),
        shipping_address: ShippingAddress {
            recipient: line("R"),
            line1: line("L"),
            line2: None,
            city: line("C"),
            region: None,
            postal_code: None,
            country: Country::parse("CN").expect("valid"),
            phone: None,
        },
        client_reference: None,
    }
}

#[test]
fn a_valid_order_is_priced_from_the_catalogue() {
    let catalogue = Catalogue::from_toml(CATALOGUE).expect("valid");
    let priced = catalogue.price(&order("sale", "CNY", &[("B", 3), ("A", 2)]), INSIDE).expect("sound");
    let prices: Vec<_> =
        priced.iter().map(|item| (item.sku.as_str(), item.quantity.get(), item.unit_price_minor)).collect();
    assert_eq!(prices, [("A", 2, 100), ("B", 3, 250)]);
}

#[test]
fn every_broken_rule_is_returned() {
    let catalogue = Catalogue::from_toml(CATALOGUE).expect("valid");
    let opens_at = datetime!(2026-11-11 00:00 UTC);
    let closed_at = datetime!(2026-11-11 01:00 UTC);
    let expected = Currency::parse("CNY").expect("valid");
    let before = opens_at - time::Duration::nanoseconds(1);
    let cases = [
        (order("other", "CNY", &[("A", 1)]), INSIDE, vec![RuleViolation::UnknownSale]),
        (order("sale", "CNY", &[("Z", 1)]), INSIDE, vec![RuleViolation::UnknownSku { sku: sku("Z") }]),
        (
            order("sale", "CNY", &[("A", 3)]),
            INSIDE,
            vec![RuleViolation::QuantityOverLimit { sku: sku("A"), limit: 2 }],
        ),
        (order("sale", "USD", &[("A", 1)]), INSIDE, vec![RuleViolation::WrongCurrency { expected }]),
        (order("sale", "CNY", &[("A", 1)]), before, vec![RuleViolation::NotOpen { opens_at }]),
        (order("sale", "CNY", &[("A", 1)]), closed_at, vec![RuleViolation::Closed { closed_at }]),
        (
            order("sale", "USD", &[("A", 3), ("Z", 1)]),
            closed_at,
            vec![
                RuleViolation::Closed { closed_at },
                RuleViolation::WrongCurrency { expected },
                RuleViolation::QuantityOverLimit { sku: sku("A"), limit: 2 },
                RuleViolation::UnknownSku { sku: sku("Z") },
            ],
        ),
    ];
    for (order, now, faults) in cases {
        assert_eq!(catalogue.price(&order, now), Err(faults));
    }
    assert!(
        catalogue.price(&order("sale", "CNY", &[("A", 1)]), opens_at).is_ok(),
        "the first instant is inside"
    );
}

#[test]
fn the_valid_parts_of_an_invalid_order_are_checked_too() {
    let catalogue = Catalogue::from_toml(CATALOGUE).expect("valid");
    let sale = SaleId::parse("sale").expect("valid");
    let (known, unknown) = (sku("A"), sku("Z"));
    let dollars = Currency::parse("USD").ok();
    let faults = catalogue.validate_partial(&sale, dollars, [(&known, 0), (&known, 3), (&unknown, 1)]);
    assert_eq!(
        faults,
        [
            RuleViolation::WrongCurrency { expected: Currency::parse("CNY").expect("valid") },
            RuleViolation::QuantityOverLimit { sku: known, limit: 2 },
            RuleViolation::UnknownSku { sku: unknown },
        ]
    );
    let other = SaleId::parse("other").expect("valid");
    assert_eq!(catalogue.validate_partial(&other, None, []), [RuleViolation::UnknownSale]);
    assert_eq!(catalogue.validate_partial(&sale, None, []), []);
}

#[test]
fn toml_and_json_are_equivalent() {
    let json = r#"{ "revision": "7", "sales": [{ "id": "sale", "opens_at": "2026-11-11T00:00:00Z",
        "closes_at": "2026-11-11T01:00:00Z", "currency": "CNY", "order_id_key": "k2",
        "skus": [{ "sku": "A", "unit_price_minor": 100, "stock": 10 }] }] }"#;
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
    file.write_all(json.as_bytes()).expect("written");
    let catalogue = Catalogue::load(file.path()).expect("valid");
    let sale = catalogue.sale(&SaleId::parse("sale").expect("valid")).expect("there");
    assert_eq!((catalogue.revision(), sale.order_id_key.as_str(), sale.skus.len()), ("7", "k2", 1));
    let missing = Catalogue::load(&file.path().with_extension("missing"));
    assert!(matches!(missing, Err(CatalogueError::Read { .. })));
}

#[test]
fn the_digest_covers_the_content_and_not_its_form() {
    let first = PayloadDigest::of(&order("sale", "CNY", &[("A", 1), ("B", 2)]));
    assert_eq!(first, PayloadDigest::of(&order("sale", "CNY", &[("B", 2), ("A", 1)])), "the order of items");
    let mut others = vec![
        order("sale2", "CNY", &[("A", 1), ("B", 2)]),
        order("sale", "USD", &[("A", 1), ("B", 2)]),
        order("sale", "CNY", &[("A", 2), ("B", 2)]),
        order("sale", "CNY", &[("A", 1)]),
    ];
    for change in [
        (|address: &mut ShippingAddress| address.line2 = Some(line("x"))) as fn(&mut ShippingAddress),
        |address| address.region = Some(line("x")),
        |address| address.postal_code = Some(line("x")),
        |address| address.phone = Some(line("x")),
        |address| address.recipient = line("x"),
    ] {
        let mut other = order("sale", "CNY", &[("A", 1), ("B", 2)]);
        change(&mut other.shipping_address);
        others.push(other);
    }
    let digests: std::collections::HashSet<_> = others.iter().map(PayloadDigest::of).chain([first]).collect();
    assert_eq!(digests.len(), others.len() + 1, "each part counts, in its own place");
}
