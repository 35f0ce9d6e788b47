//! The public API as an OpenAPI 3.1 document, generated from the types that the handlers read and write and from
//! [`ErrorCode::ALL`]. Generated at the first request for it, so that a cold start does not pay for it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use shared::order::IdempotencyKey;
use shared::problem::{MEDIA_TYPE, Problem};

use crate::error::ErrorCode;
use crate::orders::Accepted;
use crate::request::OrderRequest;

/// The document, serialised.
pub fn bytes() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&document()).unwrap_or_default().into());
    DOCUMENT.clone()
}

#[must_use]
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Spillway ingest-fn",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Accepts orders of a flash sale.",
            "description": "A 202 means that the message broker has stored the order. The order is confirmed or \
                            rejected later; the look-up at `Location` returns the outcome. A retry with the same \
                            Idempotency-Key stays one order.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": {
            "/v1/orders": {
                "post": {
                    "operationId": "createOrder",
                    "summary": "Place an order",
                    "description": "Validates the order against the sale's catalogue, publishes it, and answers \
                                    once the broker has acknowledged its message. A request contains no price: \
                                    prices are the catalogue's.",
                    "parameters": parameters(),
                    "requestBody": {
                        "required": true,
                        "description": "At most 16 KiB. Unlisted members are rejected, not ignored.",
                        "content": { "application/json": {
                            "schema": { "$ref": "#/components/schemas/OrderRequest" },
                            "example": example()
                        } }
                    },
                    "responses": order_responses()
                }
            }
        },
        "components": {
            "schemas": schemas(),
            "headers": headers(),
            "responses": other_responses()
        }
    })
}

fn parameters() -> Value {
    json!([
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "Two requests with the same key are the same order. Exactly one header.",
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
            "description": "W3C Trace Context, version 00. Stored with the order; a malformed value is ignored.",
            "schema": { "type": "string" },
            "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        }
    ])
}

fn headers() -> Value {
    json!({
        "RequestId": {
            "description": "Identifies this request in the logs: the platform's id, or a generated one.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64 }
        },
        "RetryAfter": {
            "description": "Seconds to wait before a retry.",
            "schema": { "type": "integer", "minimum": 0 }
        },
        "Location": {
            "description": "URL of the look-up, which returns the outcome of the order.",
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

/// Codes that `POST /v1/orders` never returns: they belong to other paths and methods, and to events.
const OTHER_ROUTES: [ErrorCode; 3] =
    [ErrorCode::NotFound, ErrorCode::MethodNotAllowed, ErrorCode::MalformedEvent];

fn order_responses() -> Value {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|code| !OTHER_ROUTES.contains(code)) {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    let mut responses: Map<_, _> = by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), error_response(status, &codes)))
        .collect();
    responses.insert("202".to_owned(), accepted_response());
    responses.into()
}

/// Responses of other routes, by the name of their code.
fn other_responses() -> Value {
    let response = |code: &ErrorCode| {
        (code.as_str().to_owned(), error_response(code.status().as_u16(), std::slice::from_ref(code)))
    };
    OTHER_ROUTES.iter().map(response).collect::<Map<_, _>>().into()
}

fn accepted_response() -> Value {
    json!({
        "description": "The broker has stored the order durably. The order is not yet confirmed.",
        "headers": {
            "Location": { "$ref": "#/components/headers/Location" },
            "X-Request-Id": { "$ref": "#/components/headers/RequestId" }
        },
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Accepted" } } }
    })
}

/// The response of one status, which several codes may share.
fn error_response(status: u16, codes: &[ErrorCode]) -> Value {
    let description: Vec<_> =
        codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.meaning())).collect();
    let types: Vec<_> = codes.iter().map(|code| format!("urn:spillway:problem:{}", code.as_str())).collect();
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let retryable = |wanted: bool| codes.iter().all(|code| code.is_retryable() == wanted);
    let mut members = json!({
        "status": { "const": status },
        "code": { "enum": names },
        "type": { "enum": types }
    });
    let mut required = Vec::new();
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
    if retryable(true) || retryable(false) {
        members["retryable"] = json!({ "const": retryable(true) });
    }
    if retryable(true) {
        required.push("retry_after_s");
    }
    if !retryable(false) {
        headers["Retry-After"] = json!({ "$ref": "#/components/headers/RetryAfter" });
    }
    if codes == [ErrorCode::MethodNotAllowed] {
        headers["Allow"] = json!({ "schema": { "type": "string" } });
    }
    if status == 401 {
        headers["WWW-Authenticate"] = json!({ "schema": { "type": "string" } });
    }
    json!({
        "description": description.join("\n\n"),
        "headers": headers,
        "content": { MEDIA_TYPE: { "schema": {
            "allOf": [{ "$ref": "#/components/schemas/Problem" }],
            "properties": members,
            "required": required
        } } }
    })
}

/// JSON Schema 2020-12 of request and responses, which OpenAPI 3.1 uses as it is.
fn schemas() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut request = settings().for_deserialize().into_generator();
    let _reference = request.subschema_for::<OrderRequest>();
    let mut responses = settings().for_serialize().into_generator();
    let _reference = responses.subschema_for::<Accepted>();
    let _reference = responses.subschema_for::<Problem>();
    let schemas: Map<_, _> =
        request.take_definitions(true).into_iter().chain(responses.take_definitions(true)).collect();
    schemas.into()
}
