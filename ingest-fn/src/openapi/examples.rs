//! The examples of the document: an order's way through the API, and one answer for each code.

use serde_json::{Value, json};
use shared::order::{Currency, OrderId, PayloadDigest};
use time::macros::datetime;

use crate::error::{ApiError, ErrorCode};
use crate::event::EventError;
use crate::limits::BODY_BYTES_MAX;
use crate::publish::PublishError;
use crate::request::FieldFault;

/// A request id of Function Compute.
pub(super) const REQUEST_ID: &str = "1-6744f3a5-15d4b2c8-0a1b2c3d4e5f";

const ORDER_ID: OrderId = OrderId::from_bytes([
    0xf3, 0xf6, 0xca, 0x12, 0x00, 0x61, 0x81, 0x92, 0xba, 0x68, 0x8a, 0x46, 0x17, 0xca, 0x3f, 0xf2,
]);

const DIGEST: PayloadDigest = PayloadDigest::from_bytes([0xdd; 32]);

pub(super) fn order() -> Value {
    json!({
        "sale_id": "double-eleven",
        "user_id": "buyer-42",
        "items": [{ "sku": "HOT-PHONE", "quantity": 1 }],
        "currency": "CNY",
        "shipping_address": {
            "recipient": "Li Lei",
            "line1": "1 Long Street",
            "city": "Hangzhou",
            "postal_code": "310000",
            "country": "CN",
            "phone": "+86 571 5550 0100"
        },
        "client_reference": "cart-9",
        "expected_total_minor": 299_900
    })
}

pub(super) fn accepted() -> Value {
    json!({
        "order_id": ORDER_ID.to_string(),
        "status": "accepted",
        "digest": DIGEST.to_string(),
        "accepted_at": "2026-11-11T00:00:00.162Z",
        "total_minor": 299_900,
        "currency": "CNY",
        "catalogue_revision": "2026-11-11.1"
    })
}

pub(super) fn order_view() -> Value {
    json!({
        "order_id": ORDER_ID.to_string(),
        "state": "confirmed",
        "digest": DIGEST.to_string(),
        "conflicts": 0,
        "accepted_at": "2026-11-11T00:00:00.162Z",
        "decided_at": "2026-11-11T00:00:07.481Z"
    })
}

/// An error with `code`.
pub(super) fn error(code: ErrorCode) -> ApiError {
    let (order_id, digest) = (ORDER_ID, DIGEST);
    let invalid = |fault: FieldFault, pointer: &str, detail: &'static str| {
        ApiError::Invalid(vec![fault.at(pointer.to_owned(), detail)])
    };
    let publish = |error| ApiError::Publish { order_id, digest, error, retry_after_s: 2 };
    match code {
        ErrorCode::MalformedJson => ApiError::MalformedJson(
            FieldFault::NotJson.at(String::new(), "the body is not JSON at line 3, byte 14"),
        ),
        ErrorCode::UnreadableBody => ApiError::UnreadableBody,
        ErrorCode::InvalidIdempotencyKey => ApiError::IdempotencyKey,
        ErrorCode::MalformedEvent => ApiError::MalformedEvent(EventError::Shape),
        ErrorCode::RepeatedParameter => ApiError::RepeatedParameter,
        ErrorCode::SignatureMissing => ApiError::SignatureMissing,
        ErrorCode::IdentityMissing => ApiError::IdentityMissing,
        ErrorCode::SignatureInvalid => ApiError::SignatureInvalid,
        ErrorCode::IdentityUnusable => ApiError::IdentityUnusable,
        ErrorCode::UserMismatch => ApiError::UserMismatch,
        ErrorCode::NotFound => ApiError::NotFound,
        ErrorCode::MethodNotAllowed => ApiError::MethodNotAllowed { allow: Some("POST") },
        ErrorCode::BodyTimeout => ApiError::BodyTimeout,
        ErrorCode::SaleNotOpen => ApiError::SaleNotOpen {
            order_id,
            digest,
            opens_at: datetime!(2026-11-11 00:00:00 UTC),
            wait_s: 37,
        },
        ErrorCode::PriceChanged => {
            // Three letters A to Z; without them the document lacks an example's currency.
            let currency = Currency::parse("CNY");
            currency.map_or(ApiError::KeyReused { order_id, digest }, |currency| ApiError::PriceChanged {
                order_id,
                digest,
                total_minor: 319_900,
                currency,
            })
        }
        ErrorCode::KeyReused => ApiError::KeyReused { order_id, digest },
        ErrorCode::SaleClosed => {
            ApiError::SaleClosed { order_id, digest, closed_at: datetime!(2026-11-12 00:00:00 UTC) }
        }
        ErrorCode::BodyTooLarge => ApiError::BodyTooLarge { max: BODY_BYTES_MAX },
        ErrorCode::UnsupportedMediaType => ApiError::MediaType,
        ErrorCode::UnsupportedContentEncoding => ApiError::ContentEncoding,
        ErrorCode::InvalidOrder => ApiError::Invalid(vec![
            FieldFault::WrongCurrency.at("/currency".to_owned(), "the sale is in CNY"),
            FieldFault::OutOfRange.at("/items/0/quantity".to_owned(), "must be 1 to 10000"),
        ]),
        ErrorCode::UnknownSale => invalid(FieldFault::UnknownSale, "/sale_id", "there is no such sale"),
        ErrorCode::UnknownSku => {
            invalid(FieldFault::UnknownSku, "/items/0/sku", "the sale does not sell this SKU")
        }
        ErrorCode::QuantityOverLimit => {
            invalid(FieldFault::QuantityOverLimit, "/items/0/quantity", "one buyer may have at most 1")
        }
        ErrorCode::WrongCurrency => invalid(FieldFault::WrongCurrency, "/currency", "the sale is in CNY"),
        ErrorCode::Overloaded => ApiError::Overloaded { retry_after_s: 2 },
        ErrorCode::QueueFull => publish(PublishError::QueueFull),
        ErrorCode::BrokerThrottled => publish(PublishError::Throttled),
        ErrorCode::PublishTimeout => publish(PublishError::TimedOut),
        ErrorCode::PublishRejected => publish(PublishError::Rejected),
        ErrorCode::PublishFailed => publish(PublishError::Failed),
        ErrorCode::InternalError => ApiError::Internal,
        ErrorCode::TooManyConnections => ApiError::TooManyConnections,
        ErrorCode::Stopping => ApiError::Stopping,
    }
}
