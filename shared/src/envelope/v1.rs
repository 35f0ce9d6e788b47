//! Envelope version 1.

use minicbor::{Decode, Decoder, Encode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{EnvelopeError, ORDERS_MAX};
use crate::order::{
    AcceptedOrder, AddressLine, ClientReference, Country, Currency, ITEMS_MAX, OrderId, PayloadDigest,
    PricedItem, Quantity, SaleId, ShippingAddress, Sku, TraceParent, UserId,
};

#[derive(Encode, Decode)]
#[cbor(map)]
struct WireOrder<'b> {
    #[b(0)]
    #[cbor(with = "minicbor::bytes")]
    order_id: &'b [u8],
    #[b(1)]
    #[cbor(with = "minicbor::bytes")]
    digest: &'b [u8],
    #[b(2)]
    sale_id: &'b str,
    #[b(3)]
    user_id: &'b str,
    #[b(4)]
    items: Vec<WireItem<'b>>,
    #[b(5)]
    currency: &'b str,
    #[b(6)]
    shipping_address: WireAddress<'b>,
    #[b(7)]
    client_reference: Option<&'b str>,
    #[b(8)]
    accepted_at: std::borrow::Cow<'b, str>,
    #[b(9)]
    catalogue_revision: &'b str,
    #[b(10)]
    traceparent: Option<&'b str>,
}

#[derive(Encode, Decode)]
struct WireItem<'b> {
    #[b(0)]
    sku: &'b str,
    #[n(1)]
    quantity: u32,
    #[n(2)]
    unit_price_minor: i64,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct WireAddress<'b> {
    #[b(0)]
    recipient: &'b str,
    #[b(1)]
    line1: &'b str,
    #[b(2)]
    line2: Option<&'b str>,
    #[b(3)]
    city: &'b str,
    #[b(4)]
    region: Option<&'b str>,
    #[b(5)]
    postal_code: Option<&'b str>,
    #[b(6)]
    country: &'b str,
    #[b(7)]
    phone: Option<&'b str>,
}

pub(super) fn encode(order: &AcceptedOrder) -> Vec<u8> {
    let address = &order.shipping_address;
    let wire = WireOrder {
        order_id: order.order_id.as_bytes(),
        digest: order.digest.as_bytes(),
        sale_id: order.sale_id.as_str(),
        user_id: order.user_id.as_str(),
        items: order
            .items
            .iter()
            .map(|item| WireItem {
                sku: item.sku.as_str(),
                quantity: item.quantity.get(),
                unit_price_minor: item.unit_price_minor,
            })
            .collect(),
        currency: order.currency.as_str(),
        shipping_address: WireAddress {
            recipient: address.recipient.as_str(),
            line1: address.line1.as_str(),
            line2: address.line2.as_ref().map(AddressLine::as_str),
            city: address.city.as_str(),
            region: address.region.as_ref().map(AddressLine::as_str),
            postal_code: address.postal_code.as_ref().map(AddressLine::as_str),
            country: address.country.as_str(),
            phone: address.phone.as_ref().map(AddressLine::as_str),
        },
        client_reference: order.client_reference.as_ref().map(ClientReference::as_str),
        accepted_at: crate::time::rfc3339_millis(order.accepted_at).into(),
        catalogue_revision: &order.catalogue_revision,
        traceparent: order.traceparent.as_ref().map(TraceParent::as_str),
    };
    let mut buffer = Vec::with_capacity(384);
    #[expect(
        clippy::expect_used,
        reason = "writing to a Vec cannot fail, and the derived encoders add no errors"
    )]
    minicbor::encode(&wire, &mut buffer).expect("encoding to memory");
    buffer
}

pub(super) fn decode_orders(decoder: &mut Decoder<'_>) -> Result<Vec<AcceptedOrder>, EnvelopeError> {
    let malformed = |error: minicbor::decode::Error| EnvelopeError::malformed(&error);
    let count = decoder.array().map_err(malformed)?;
    let count = count
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| (1..=ORDERS_MAX).contains(count))
        .ok_or_else(|| EnvelopeError::Malformed { what: format!("not 1 to {ORDERS_MAX} orders") })?;
    let mut orders = Vec::with_capacity(count);
    for index in 0..count {
        let wire: WireOrder<'_> = decoder.decode().map_err(malformed)?;
        let order = parse(&wire).map_err(|field| EnvelopeError::InvalidField { index, field })?;
        orders.push(order);
    }
    if decoder.position() != decoder.input().len() {
        return Err(EnvelopeError::Malformed { what: "bytes follow the last order".to_owned() });
    }
    Ok(orders)
}

/// Every bound is checked again: the topic is not the only writer's private place.
fn parse(wire: &WireOrder<'_>) -> Result<AcceptedOrder, &'static str> {
    if wire.items.is_empty() || wire.items.len() > ITEMS_MAX {
        return Err("items");
    }
    let line = |text: &str, field| AddressLine::parse(text).map_err(|_| field);
    let optional = |text: Option<&str>, field| text.map(|text| line(text, field)).transpose();
    let address = &wire.shipping_address;
    Ok(AcceptedOrder {
        order_id: OrderId::from_bytes(wire.order_id.try_into().map_err(|_| "order_id")?),
        digest: PayloadDigest::from_bytes(wire.digest.try_into().map_err(|_| "digest")?),
        sale_id: SaleId::parse(wire.sale_id).map_err(|_| "sale_id")?,
        user_id: UserId::parse(wire.user_id).map_err(|_| "user_id")?,
        items: wire.items.iter().map(parse_item).collect::<Result<_, _>>()?,
        currency: Currency::parse(wire.currency).map_err(|_| "currency")?,
        shipping_address: ShippingAddress {
            recipient: line(address.recipient, "shipping_address.recipient")?,
            line1: line(address.line1, "shipping_address.line1")?,
            line2: optional(address.line2, "shipping_address.line2")?,
            city: line(address.city, "shipping_address.city")?,
            region: optional(address.region, "shipping_address.region")?,
            postal_code: optional(address.postal_code, "shipping_address.postal_code")?,
            country: Country::parse(address.country).map_err(|_| "shipping_address.country")?,
            phone: optional(address.phone, "shipping_address.phone")?,
        },
        client_reference: wire
            .client_reference
            .map(ClientReference::parse)
            .transpose()
            .map_err(|_| "client_reference")?,
        accepted_at: OffsetDateTime::parse(&wire.accepted_at, &Rfc3339).map_err(|_| "accepted_at")?,
        catalogue_revision: Some(wire.catalogue_revision)
            .filter(|revision| revision.len() <= crate::catalogue::REVISION_BYTES_MAX)
            .ok_or("catalogue_revision")?
            .to_owned(),
        traceparent: wire
            .traceparent
            .map(|text| TraceParent::parse(text).ok_or("traceparent"))
            .transpose()?,
    })
}

fn parse_item(item: &WireItem<'_>) -> Result<PricedItem, &'static str> {
    Ok(PricedItem {
        sku: Sku::parse(item.sku).map_err(|_| "items.sku")?,
        quantity: Quantity::new(item.quantity).ok_or("items.quantity")?,
        unit_price_minor: Some(item.unit_price_minor)
            .filter(|price| (0..=crate::catalogue::PRICE_MINOR_MAX).contains(price))
            .ok_or("items.unit_price_minor")?,
    })
}
