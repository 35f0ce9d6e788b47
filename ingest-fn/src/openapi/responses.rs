//! Every answer, by status.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::problem::MEDIA_TYPE;

use crate::error::ErrorCode;

/// Codes that `POST /v1/orders` never answers with: they are for other paths and methods, and for events, of which
/// shoppers know nothing.
const OF_OTHER_ROUTES: [ErrorCode; 3] =
    [ErrorCode::NotFound, ErrorCode::MethodNotAllowed, ErrorCode::MalformedEvent];

/// The answers of `POST /v1/orders`.
pub(super) fn of_orders() -> Value {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|code| !OF_OTHER_ROUTES.contains(code)) {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    let mut responses: Map<_, _> =
        by_status.into_iter().map(|(status, codes)| (status.to_string(), refusal(status, &codes))).collect();
    responses.insert("202".to_owned(), accepted());
    responses.into()
}

/// The answers of everything else, by the name of their code.
pub(super) fn of_other_routes() -> Value {
    let response = |code: &ErrorCode| {
        (code.as_str().to_owned(), refusal(code.status().as_u16(), std::slice::from_ref(code)))
    };
    OF_OTHER_ROUTES.iter().map(response).collect::<Map<_, _>>().into()
}

fn accepted() -> Value {
    json!({
        "description": "The broker has the order and keeps it through a restart. It is not yet confirmed.",
        "headers": {
            "Location": { "$ref": "#/components/headers/Location" },
            "X-Request-Id": { "$ref": "#/components/headers/RequestId" }
        },
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Accepted" } } }
    })
}

/// What one status can mean.
fn refusal(status: u16, codes: &[ErrorCode]) -> Value {
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
