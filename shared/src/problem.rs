//! Error responses: `application/problem+json` (RFC 9457) with members that a client can rely on.

use std::borrow::Cow;

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::{Currency, OrderId, PayloadDigest};

/// The media type of every error response.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:spillway:problem:<code>`.
    #[serde(rename = "type")]
    #[schemars(extend("format" = "uri"))]
    pub type_uri: String,
    /// Short name of the error, which is always the same for one `code`.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable name of the error; clients branch on this.
    pub code: String,
    /// Description of the error and what to do, for people. May change.
    pub detail: String,
    /// `urn:spillway:request:<id>`, with the id in `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(extend("format" = "uri-reference"))]
    pub instance: Option<String>,
    /// True if the same request may succeed later.
    pub retryable: bool,
    /// True if repeating the request cannot place a second order. Always true, by the idempotency key.
    #[schemars(extend("const" = true))]
    pub retry_safe: bool,
    /// Seconds to wait before a retry; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_s: Option<u32>,
    /// Id of the request's order, if it could be derived.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(extend("format" = "uuid"))]
    pub order_id: Option<String>,
    /// Digest of the request's payload, if it could be derived.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// Sum of the order at the catalogue's present prices, in the currency's minor unit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub total_minor: Option<i64>,
    /// ISO 4217 code of the total.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
    /// All invalid fields.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<FieldProblem>,
}

/// An invalid field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    /// Stable name of the error.
    pub code: Cow<'static, str>,
    /// JSON pointer (RFC 6901) to the field in the request's body; empty: the body as a whole.
    pub pointer: String,
    /// The allowed values, for people. Never repeats the value: it may be personal data.
    pub detail: Cow<'static, str>,
}

impl Problem {
    /// A problem that a retry cannot solve.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            type_uri: format!("urn:spillway:problem:{code}"),
            title: title(code),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            instance: None,
            retryable: false,
            retry_safe: true,
            retry_after_s: None,
            order_id: None,
            digest: None,
            total_minor: None,
            currency: None,
            errors: Vec::new(),
        }
    }

    /// Names the occurrence (RFC 9457, section 3.1.5) by the id that `X-Request-Id` and the logs have.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.instance = Some(format!("urn:spillway:request:{id}"));
        self
    }

    /// The response to a method that a known path does not have.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let detail = "Method not allowed; see the Allow header.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// Marks the problem as retryable after `seconds`; sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retryable = true;
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds the order's id and the digest of this attempt's payload.
    #[must_use]
    pub fn about(mut self, order_id: OrderId, digest: Option<PayloadDigest>) -> Self {
        self.order_id = Some(order_id.to_string());
        self.digest = digest.map(|digest| digest.to_string());
        self
    }

    /// Adds the total that the order would have.
    #[must_use]
    pub fn with_total(mut self, total_minor: i64, currency: Currency) -> Self {
        self.total_minor = Some(total_minor);
        self.currency = Some(currency.to_string());
        self
    }

    /// Adds the invalid fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }
}

/// `sale_not_open` as "Sale not open".
fn title(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A problem holds strings and numbers only, so serialisation cannot fail.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
