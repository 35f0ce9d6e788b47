//! The public API as an OpenAPI 3.1 document, generated from the types that the handlers read and write and from the
//! list of codes. Made at the first request for it, not at the start: a cold start has no use for it.

mod responses;
mod schemas;

use std::sync::LazyLock;

use axum::body::Bytes;
use serde_json::{Value, json};
use shared::order::IdempotencyKey;

/// The document, ready to be sent.
pub fn bytes() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&document()).unwrap_or_default().into());
    DOCUMENT.clone()
}

/// The document.
#[must_use]
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Spillway ingest-fn",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Takes a flash sale's orders.",
            "description": "A 202 means that the message broker has the order and will keep it. What becomes of it \
                            is decided later; the look-up at `Location` tells. A retry with the same \
                            Idempotency-Key stays one order.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": {
            "/v1/orders": {
                "post": {
                    "operationId": "createOrder",
                    "summary": "Take an order",
                    "description": "Judges the order by the sale's catalogue, publishes it, and answers once the \
                                    broker has acknowledged the message that carries it. There is no price in a \
                                    request: prices are the catalogue's.",
                    "parameters": parameters(),
                    "requestBody": {
                        "required": true,
                        "description": "At most 16 KiB. Members that are not listed are refused, not ignored.",
                        "content": { "application/json": {
                            "schema": { "$ref": "#/components/schemas/OrderRequest" },
                            "example": example()
                        } }
                    },
                    "responses": responses::of_orders()
                }
            }
        },
        "components": {
            "schemas": schemas::components(),
            "headers": headers(),
            "responses": responses::of_other_routes()
        }
    })
}

fn parameters() -> Value {
    json!([
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "The client's promise that two requests are the same order. Exactly one.",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": IdempotencyKey::LENGTH_MAX,
                "pattern": IdempotencyKey::PATTERN
            }
        },
        {
            "name": "traceparent",
            "in": "header",
            "required": false,
            "description": "W3C Trace Context, version 00. Travels with the order; one that is not well-formed is \
                            passed over.",
            "schema": { "type": "string" },
            "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        }
    ])
}

fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "Names this request in the logs: the platform's id, or one made here.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64 }
        },
        "RetryAfter": {
            "description": "Seconds to wait before a retry.",
            "schema": { "type": "integer", "minimum": 0 }
        },
        "Location": {
            "description": "Where the look-up tells what became of the order.",
            "schema": { "type": "string", "pattern": "^/v1/orders/[0-9a-f-]{36}$" }
        }
    })
}

fn example() -> Value {
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
        "client_reference": "cart-9"
    })
}
