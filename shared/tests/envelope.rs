//! The envelope: golden files that every later version must keep reading, and properties of the codec.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use shared::envelope::{
    BYTES_MAX, EncodedOrder, EnvelopeError, ORDERS_MAX, VERSION, decode_batch, encode_batch,
};
use shared::order::{
    AcceptedOrder, AddressLine, ClientReference, Country, Currency, OrderId, PayloadDigest, PricedItem,
    Quantity, SaleId, ShippingAddress, Sku, TraceParent, UserId,
};
use time::OffsetDateTime;
use time::macros::datetime;

fn line(text: &str) -> AddressLine {
    AddressLine::parse(text).expect("valid")
}

fn item(sku: &str, quantity: u32, unit_price_minor: i64) -> PricedItem {
    PricedItem {
        sku: Sku::parse(sku).expect("valid"),
        quantity: Quantity::new(quantity).expect("valid"),
        unit_price_minor,
    }
}

fn minimal(number: u8) -> AcceptedOrder {
    AcceptedOrder {
        order_id: OrderId::from_bytes([number; 16]),
        digest: PayloadDigest::from_bytes([number; 32]),
        sale_id: SaleId::parse("s").expect("valid"),
        user_id: UserId::parse("u").expect("valid"),
        items: vec![item("A", 1, 0)],
        currency: Currency::parse("CNY").expect("valid"),
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
        accepted_at: datetime!(2026-11-11 00:00 UTC),
        catalogue_revision: "1".to_owned(),
        traceparent: None,
    }
}

fn full() -> AcceptedOrder {
    AcceptedOrder {
        order_id: OrderId::from_bytes(*b"0123456789abcdef"),
        digest: PayloadDigest::from_bytes(*b"0123456789abcdef0123456789abcdef"),
        sale_id: SaleId::parse("double-eleven_2026.1").expect("valid"),
        user_id: UserId::parse("buyer@example.com").expect("valid"),
        items: (0..20).map(|number| item(&format!("SKU-{number:02}"), 10_000, 1_000_000_000_000)).collect(),
        currency: Currency::parse("USD").expect("valid"),
        shipping_address: ShippingAddress {
            recipient: line("李雷"),
            line1: line("南京东路 1 号"),
            line2: Some(line("Floor 3 \u{1F3E2}")),
            city: line("上海"),
            region: Some(line("Shanghai")),
            postal_code: Some(line("200001")),
            country: Country::parse("CN").expect("valid"),
            phone: Some(line("+86 130 0000 0000")),
        },
        client_reference: Some(ClientReference::parse("ref: 42").expect("valid")),
        accepted_at: datetime!(2026-11-11 00:00:00.123 UTC),
        catalogue_revision: "2026-11-11.1".to_owned(),
        traceparent: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    }
}

fn encode(orders: &[AcceptedOrder]) -> Vec<u8> {
    let encoded: Vec<_> = orders.iter().map(EncodedOrder::new).collect();
    encode_batch(encoded.iter()).to_vec()
}

/// Messages as the first version 1 wrote them. Never change a file: every later version must still read it.
#[test]
fn golden_files_are_read_by_this_version() {
    let cases = [
        ("v1-minimal", vec![minimal(1)]),
        ("v1-full", vec![full()]),
        ("v1-batch-of-30", (0..30).map(minimal).collect()),
    ];
    for (name, orders) in cases {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.cbor"));
        let Ok(golden) = fs::read(&path) else {
            fs::write(&path, encode(&orders)).expect("written");
            panic!("{} was missing and has been written: look at it, commit it, run again", path.display());
        };
        assert_eq!(decode_batch(&golden), Ok(orders.clone()), "{name}");
        assert_eq!(VERSION, 1, "a new version writes new golden files and keeps reading these");
        assert_eq!(encode(&orders), golden, "{name}: version 1 is written as it always was");
    }
}

#[test]
fn a_typical_order_is_small_enough_to_share_a_billing_unit() {
    let mut order = full();
    order.items.truncate(1);
    let bytes = EncodedOrder::new(&order).len();
    // 4 KiB are billed as one; this keeps ten such orders and their keys in it.
    assert!(bytes < 350, "{bytes} bytes");
}

#[test]
fn batches_of_every_header_size_are_read_back() {
    for count in [1, 2, 23, 24, 25, 255, 256, 257, ORDERS_MAX] {
        let orders: Vec<_> = (0..count).map(|number| minimal((number % 251) as u8)).collect();
        assert_eq!(decode_batch(&encode(&orders)).map(|orders| orders.len()), Ok(count));
    }
}

#[test]
fn errors_of_a_malformed_batch_are_distinct_and_quote_nothing() {
    let good = encode(&[full()]);
    let mut unknown = good.clone();
    unknown[4] = 2;
    assert_eq!(decode_batch(&unknown), Err(EnvelopeError::UnknownVersion { found: 2 }));
    let mut trailing = good.clone();
    trailing.push(0);
    for (name, message) in [
        ("empty", Vec::new()),
        ("text", b"{\"orders\":[]}".to_vec()),
        ("no tag", good[3..].to_vec()),
        ("no orders", vec![0xd9, 0xd9, 0xf7, 0x82, 1, 0x80]),
        ("indefinite length", vec![0xd9, 0xd9, 0xf7, 0x82, 1, 0x9f, 0xff]),
        ("a million orders", vec![0xd9, 0xd9, 0xf7, 0x82, 1, 0x9a, 0, 15, 66, 64]),
        ("trailing byte", trailing),
    ] {
        assert!(matches!(decode_batch(&message), Err(EnvelopeError::Malformed { .. })), "{name}");
    }
    let large = vec![0; BYTES_MAX + 1];
    assert_eq!(decode_batch(&large), Err(EnvelopeError::TooLarge { bytes: BYTES_MAX + 1 }));

    let mut invalid = full();
    invalid.items[0].unit_price_minor = -1;
    let error = decode_batch(&encode(&[minimal(1), invalid])).expect_err("a negative price");
    assert_eq!(error, EnvelopeError::InvalidField { index: 1, field: "items.unit_price_minor" });
    assert!(!error.to_string().contains("李雷"));
}

#[test]
fn unknown_members_are_skipped() {
    // The minimal order's map of 9 members becomes one of 10, with an unknown key.
    let mut message = encode(&[minimal(1)]);
    let start = 6;
    assert_eq!(message[start] & 0xe0, 0xa0, "a map");
    message[start] += 1;
    message.extend([0x18, 99, 0x63, b'n', b'e', b'w']);
    assert_eq!(decode_batch(&message), Ok(vec![minimal(1)]));
}

/// Most texts are valid; a few are blank, or longer in the normal form.
fn any_line() -> impl Strategy<Value = AddressLine> {
    "[^\\p{C}]{1,200}".prop_filter_map("valid", |text| AddressLine::parse(&text).ok())
}

fn any_reference() -> impl Strategy<Value = ClientReference> {
    "[^\\p{C}]{1,128}".prop_filter_map("valid", |text| ClientReference::parse(&text).ok())
}

prop_compose! {
    fn any_order()(
        order_id: [u8; 16], digest: [u8; 32],
        sale in "[A-Za-z0-9._-]{1,64}", user in "[!-~]{1,64}",
        lines in prop::collection::vec(("[A-Za-z0-9._-]{1,64}", 1_u32..=10_000, 0_i64..=1_000_000_000_000), 1..=20),
        currency in "[A-Z]{3}", country in "[A-Z]{2}",
        recipient in any_line(), line1 in any_line(), city in any_line(),
        line2 in prop::option::of(any_line()), region in prop::option::of(any_line()),
        postal_code in prop::option::of(any_line()), phone in prop::option::of(any_line()),
        client_reference in prop::option::of(any_reference()),
        accepted_at_ms in 0_i64..4_102_444_800_000, revision in "[ -~]{1,64}", traced: bool,
    ) -> AcceptedOrder {
        AcceptedOrder {
            order_id: OrderId::from_bytes(order_id),
            digest: PayloadDigest::from_bytes(digest),
            sale_id: SaleId::parse(&sale).expect("valid"),
            user_id: UserId::parse(&user).expect("valid"),
            items: lines.iter().map(|(sku, quantity, price)| item(sku, *quantity, *price)).collect(),
            currency: Currency::parse(&currency).expect("valid"),
            shipping_address: ShippingAddress {
                recipient, line1, line2, city, region, postal_code, phone,
                country: Country::parse(&country).expect("valid"),
            },
            client_reference,
            accepted_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(accepted_at_ms) * 1_000_000).expect("in range"),
            catalogue_revision: revision,
            traceparent: traced.then(|| {
                TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("valid")
            }),
        }
    }
}

proptest! {
    #[test]
    fn every_order_is_read_back_as_it_was(orders in prop::collection::vec(any_order(), 1..12)) {
        prop_assert_eq!(decode_batch(&encode(&orders)), Ok(orders));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(message in prop::collection::vec(any::<u8>(), 0..400)) {
        let _any_answer = decode_batch(&message);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(order in any_order(), place: prop::sample::Index, byte: u8, cut: bool) {
        let mut message = encode(&[order]);
        let place = place.index(message.len());
        if cut {
            message.truncate(place);
            prop_assert!(decode_batch(&message).is_err());
        } else {
            message[place] = byte;
            let _any_answer = decode_batch(&message);
        }
    }
}
