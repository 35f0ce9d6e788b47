//! The public API as an OpenAPI 3.1 document, generated from the types that the handlers read and write and from
//! [`ErrorCode::ALL`]. Generated at the first request for it, so that a cold start does not pay for it.

mod examples;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use http::StatusCode;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use shared::lookup::{LookupError, OrderView};
use shared::order::IdempotencyKey;
use shared::problem::{MEDIA_TYPE, Problem};

use crate::error::ErrorCode;
use crate::orders::Accepted;
use crate::request::{FieldFault, OrderRequest};

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
            "title": "Spillway",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Accepts orders of a flash sale, and returns their outcome.",
            "description": "A 202 means that the message broker has stored the order. The order is confirmed or \
                            rejected later; the look-up at `Location` returns the outcome. A retry with the same \
                            Idempotency-Key stays one order.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/", "description": "The shop's domain at the gateway, which publishes this document." }],
        "security": [{ "buyer": [] }, {}],
        "tags": [{ "name": "orders", "description": "Orders of a flash sale." }],
        "paths": {
            "/v1/orders": { "post": create_order() },
            "/v1/orders/{order_id}": { "get": find_order() }
        },
        "components": {
            "schemas": schemas(),
            "headers": headers(),
            "responses": other_responses(),
            "securitySchemes": { "buyer": {
                "type": "http",
                "scheme": "bearer",
                "description": "The gateway checks it and names the buyer in a signed header. A gateway that names no \
                                buyer checks nothing here: `user_id` is then required and trusted."
            } }
        }
    })
}

fn create_order() -> Value {
    json!({
        "operationId": "createOrder",
        "tags": ["orders"],
        "summary": "Place an order",
        "description": "Validates the order against the sale's catalogue, publishes it, and answers once the broker \
                        has acknowledged its message. A request contains no price: prices are the catalogue's.",
        "parameters": parameters(),
        "requestBody": {
            "required": true,
            "description": "At most 16 KiB, UTF-8, without Content-Encoding. Unlisted members are rejected, not \
                            ignored. A text that people read is trimmed and normalized to NFC.",
            "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/OrderRequest" },
                "example": examples::order()
            } }
        },
        "responses": order_responses()
    })
}

fn find_order() -> Value {
    let mut by_status: BTreeMap<u16, Vec<LookupError>> = BTreeMap::new();
    for error in LookupError::ALL {
        by_status.entry(error.status().as_u16()).or_default().push(error);
    }
    let mut responses: Map<_, _> = by_status
        .into_iter()
        .map(|(status, errors)| {
            let answers: Vec<_> = errors
                .into_iter()
                .map(|error| {
                    let problem = error.into_problem(2);
                    let meaning = problem.detail.clone();
                    ErrorAnswer { code: error.code(), meaning, is_retryable: error.is_retryable(), problem }
                })
                .collect();
            (status.to_string(), error_response(status, &answers))
        })
        .collect();
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "The order is decided, or waits for an operator.",
            "headers": { "Cache-Control": { "schema": { "const": "no-store" } } },
            "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/OrderView" },
                "example": examples::order_view()
            } }
        }),
    );
    json!({
        "operationId": "findOrder",
        "tags": ["orders"],
        "summary": "Look an order up",
        "description": "Served by the drain worker. A buyer whom the gateway names sees only orders of that buyer.",
        "parameters": [{
            "name": "order_id",
            "in": "path",
            "required": true,
            "description": "`order_id` of an answer; the answer's `Location` has the whole URL.",
            "schema": { "type": "string", "format": "uuid" }
        }],
        "responses": responses
    })
}

fn parameters() -> Value {
    json!([
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "Two requests with the same key are the same order. Exactly one header. A key in quotes \
                            (RFC 9651, String) is the same key as without them.",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": IdempotencyKey::LENGTH_MAX,
                // A value that begins with a quote must be a whole String, which this pattern leaves out.
                "pattern": "^[!#-~][!-~]*$"
            },
            "example": "3f6c0c5e-7d0e-4d2b-9c3e-5b8f0f6a2f11"
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
            "schema": { "type": "string", "format": "uri-reference", "pattern": "^/v1/orders/[0-9a-f-]{36}$" }
        }
    })
}

/// Codes that `POST /v1/orders` never returns: they belong to other paths and methods, and to events.
const OTHER_ROUTES: [ErrorCode; 3] =
    [ErrorCode::NotFound, ErrorCode::MethodNotAllowed, ErrorCode::MalformedEvent];

/// One code of a response.
struct ErrorAnswer {
    code: &'static str,
    meaning: String,
    is_retryable: bool,
    problem: Problem,
}

impl From<ErrorCode> for ErrorAnswer {
    fn from(code: ErrorCode) -> Self {
        let mut problem = examples::error(code).into_problem().with_request_id(examples::REQUEST_ID);
        // Random in an answer; the document is always the same.
        problem.retry_after_s = problem.retry_after_s.map(|_random| 2);
        Self {
            code: code.as_str(),
            meaning: code.meaning().to_owned(),
            is_retryable: code.is_retryable(),
            problem,
        }
    }
}

fn order_responses() -> Value {
    let mut by_status: BTreeMap<u16, Vec<ErrorAnswer>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|code| !OTHER_ROUTES.contains(code)) {
        by_status.entry(code.status().as_u16()).or_default().push((*code).into());
    }
    let mut responses: Map<_, _> = by_status
        .into_iter()
        .map(|(status, answers)| (status.to_string(), error_response(status, &answers)))
        .collect();
    responses.insert("202".to_owned(), accepted_response());
    responses.into()
}

/// Responses of other routes, by the name of their code.
fn other_responses() -> Value {
    let response = |code: &ErrorCode| {
        (code.as_str().to_owned(), error_response(code.status().as_u16(), &[(*code).into()]))
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
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Accepted" },
            "example": examples::accepted()
        } },
        "links": { "outcome": {
            "operationId": "findOrder",
            "parameters": { "order_id": "$response.body#/order_id" },
            "description": "The outcome, once the order is decided."
        } }
    })
}

/// The response of one status, which several codes may share.
fn error_response(status: u16, answers: &[ErrorAnswer]) -> Value {
    let description: Vec<_> =
        answers.iter().map(|answer| format!("`{}`: {}", answer.code, answer.meaning)).collect();
    let types: Vec<_> = answers.iter().map(|answer| answer.problem.type_uri.as_str()).collect();
    let names: Vec<_> = answers.iter().map(|answer| answer.code).collect();
    let titles: Vec<_> = answers.iter().map(|answer| answer.problem.title.as_str()).collect();
    let examples: Map<_, _> =
        answers.iter().map(|answer| (answer.code.to_owned(), json!({ "value": answer.problem }))).collect();
    let retryable = |wanted: bool| answers.iter().all(|answer| answer.is_retryable == wanted);
    let mut members = json!({
        "status": { "const": status },
        "code": { "enum": names },
        "type": { "enum": types },
        "title": { "enum": titles }
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
    let further = match StatusCode::from_u16(status) {
        Ok(StatusCode::METHOD_NOT_ALLOWED) => &["Allow"][..],
        Ok(StatusCode::UNAUTHORIZED) => &["WWW-Authenticate"],
        Ok(StatusCode::UNSUPPORTED_MEDIA_TYPE) => &["Accept", "Accept-Encoding"],
        _ => &[],
    };
    for name in further {
        headers[*name] = json!({ "schema": { "type": "string" } });
    }
    json!({
        "description": description.join("\n\n"),
        "headers": headers,
        "content": { MEDIA_TYPE: {
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/Problem" }],
                "properties": members,
                "required": required
            },
            "examples": examples
        } }
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
    let _reference = request.subschema_for::<OrderRequest<'_>>();
    let mut responses = settings().for_serialize().into_generator();
    let _reference = responses.subschema_for::<Accepted>();
    let _reference = responses.subschema_for::<OrderView>();
    let _reference = responses.subschema_for::<Problem>();
    let mut schemas: Map<_, _> =
        request.take_definitions(true).into_iter().chain(responses.take_definitions(true)).collect();
    // What a field problem may be is ingest-fn's knowledge, not that of the shared type.
    if let Some(code) =
        schemas.get_mut("FieldProblem").and_then(|schema| schema.pointer_mut("/properties/code"))
    {
        let meanings: Vec<_> = FieldFault::ALL
            .iter()
            .map(|fault| format!("`{}`: {}", fault.as_str(), fault.meaning()))
            .collect();
        code["enum"] = FieldFault::ALL.iter().map(|fault| fault.as_str()).collect();
        code["description"] = meanings.join("\n\n").into();
    }
    schemas.into()
}
