//! Every error answer of the public API.

mod code;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{ALLOW, WWW_AUTHENTICATE};
use shared::order::{IdempotencyKey, OrderId, PayloadDigest};
use shared::problem::{FieldProblem, Problem};
use shared::time::rfc3339_millis;
use time::OffsetDateTime;

use crate::event::EventError;
use crate::publish::PublishError;

pub use code::ErrorCode;

/// Reason why a request is not answered 202. Contains nothing that a client sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("malformed JSON at {:?}: {}", .0.pointer, .0.detail)]
    MalformedJson(FieldProblem),
    #[error("the body could not be read")]
    UnreadableBody,
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the Idempotency-Key header is missing or invalid")]
    IdempotencyKey,
    #[error("the body exceeds {max} bytes")]
    BodyTooLarge { max: usize },
    #[error("the body is not application/json")]
    MediaType,
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error("the sale opens at {opens_at}")]
    SaleNotOpen { order_id: OrderId, digest: PayloadDigest, opens_at: OffsetDateTime, wait_s: u32 },
    #[error("the sale closed at {closed_at}")]
    SaleClosed { order_id: OrderId, digest: PayloadDigest, closed_at: OffsetDateTime },
    #[error("too many requests")]
    Overloaded { retry_after_s: u32 },
    /// The broker may have stored the order.
    #[error("not published: {error}")]
    Publish { order_id: OrderId, digest: PayloadDigest, error: PublishError, retry_after_s: u32 },
    #[error("stopping")]
    Stopping,
    #[error("malformed event: {0}")]
    MalformedEvent(EventError),
    #[error("repeated query parameter")]
    RepeatedParameter,
    #[error("no signature of the gateway")]
    SignatureMissing,
    #[error("invalid signature of the gateway")]
    SignatureInvalid,
    #[error("the gateway names no buyer")]
    IdentityMissing,
    #[error("the body names another buyer than the gateway")]
    UserMismatch,
    #[error("no such route")]
    NotFound,
    #[error("method not allowed")]
    MethodNotAllowed {
        /// Value of `Allow`; `None` if axum adds the header.
        allow: Option<&'static str>,
    },
}

const EARLIER_ATTEMPT: &str =
    "An earlier attempt with this Idempotency-Key may have been accepted: look the order up by its order_id.";

const RETRY_SAME_KEY: &str = "Retry with the same Idempotency-Key: it stays one order.";

impl ApiError {
    /// The code determines the status.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MalformedJson(_) => ErrorCode::MalformedJson,
            Self::UnreadableBody => ErrorCode::UnreadableBody,
            Self::BodyTimeout => ErrorCode::BodyTimeout,
            Self::IdempotencyKey => ErrorCode::InvalidIdempotencyKey,
            Self::BodyTooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::MediaType => ErrorCode::UnsupportedMediaType,
            Self::Invalid(problems) => ErrorCode::from_problems(problems),
            Self::SaleNotOpen { .. } => ErrorCode::SaleNotOpen,
            Self::SaleClosed { .. } => ErrorCode::SaleClosed,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Publish { error, .. } => match error {
                PublishError::QueueFull => ErrorCode::QueueFull,
                PublishError::Throttled => ErrorCode::BrokerThrottled,
                PublishError::TimedOut => ErrorCode::PublishTimeout,
                PublishError::Failed => ErrorCode::PublishFailed,
                PublishError::Stopping => ErrorCode::Stopping,
            },
            Self::Stopping => ErrorCode::Stopping,
            Self::MalformedEvent(_) => ErrorCode::MalformedEvent,
            Self::RepeatedParameter => ErrorCode::RepeatedParameter,
            Self::SignatureMissing => ErrorCode::SignatureMissing,
            Self::SignatureInvalid => ErrorCode::SignatureInvalid,
            Self::IdentityMissing => ErrorCode::IdentityMissing,
            Self::UserMismatch => ErrorCode::UserMismatch,
            Self::NotFound => ErrorCode::NotFound,
            Self::MethodNotAllowed { .. } => ErrorCode::MethodNotAllowed,
        }
    }

    /// Value of `WWW-Authenticate`, which RFC 9110 requires with a 401.
    const fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::SignatureMissing => Some("X-Ca-Proxy-Signature"),
            Self::IdentityMissing => Some("Bearer"),
            _ => None,
        }
    }

    #[must_use]
    pub fn into_problem(self) -> Problem {
        let code = self.code();
        let problem = |detail: String| Problem::new(code.status(), code.as_str(), detail);
        match self {
            Self::MalformedJson(field) => {
                problem("The body is not a well-formed order.".to_owned()).with_errors(vec![field])
            }
            Self::UnreadableBody => problem("The body ended early; send it again.".to_owned()).retry_after(1),
            Self::BodyTimeout => {
                problem("The body did not arrive in time; send it again.".to_owned()).retry_after(1)
            }
            Self::IdempotencyKey => problem(format!(
                "Send exactly one Idempotency-Key header of 1 to {} visible ASCII characters.",
                IdempotencyKey::LENGTH_MAX
            )),
            Self::BodyTooLarge { max } => problem(format!("The body may have at most {max} bytes.")),
            Self::MediaType => problem("Send the order as Content-Type: application/json.".to_owned()),
            Self::Invalid(fields) => {
                problem("The order breaks the rules named in `errors`.".to_owned()).with_errors(fields)
            }
            Self::SaleNotOpen { order_id, digest, opens_at, wait_s } => {
                problem(format!("The sale opens at {}. {EARLIER_ATTEMPT}", rfc3339_millis(opens_at)))
                    .retry_after(wait_s)
                    .about(order_id, Some(digest))
            }
            Self::SaleClosed { order_id, digest, closed_at } => {
                problem(format!("The sale closed at {}. {EARLIER_ATTEMPT}", rfc3339_millis(closed_at)))
                    .about(order_id, Some(digest))
            }
            Self::Overloaded { retry_after_s } => {
                problem(format!("Too many orders in flight. {RETRY_SAME_KEY}")).retry_after(retry_after_s)
            }
            Self::Publish { order_id, digest, error, retry_after_s } => {
                problem(format!("{error}. {RETRY_SAME_KEY}"))
                    .retry_after(retry_after_s)
                    .about(order_id, Some(digest))
            }
            Self::Stopping => problem(format!("This instance is stopping. {RETRY_SAME_KEY}")).retry_after(1),
            Self::MalformedEvent(error) => {
                problem(format!("The body is not an event of API Gateway: {error}."))
            }
            Self::RepeatedParameter => problem("Send each query parameter once.".to_owned()),
            Self::SignatureMissing => {
                problem("Send orders through the gateway, which signs them.".to_owned())
            }
            Self::SignatureInvalid => problem("The gateway's signature is not valid.".to_owned()),
            Self::IdentityMissing => problem("The gateway names no buyer: sign in.".to_owned()),
            Self::UserMismatch => problem("Omit user_id, or send the one you are signed in with.".to_owned()),
            Self::NotFound => problem("No such route. Send orders to POST /v1/orders.".to_owned()),
            Self::MethodNotAllowed { .. } => problem("Method not allowed; see the Allow header.".to_owned()),
        }
    }
}

/// Extension of every error answer, for metrics and logs.
#[derive(Clone, Debug)]
pub struct Rejection {
    pub code: ErrorCode,
    pub error: Arc<ApiError>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let challenge = self.challenge();
        let allow = if let Self::MethodNotAllowed { allow } = self { allow } else { None };
        let rejection = Rejection { code: self.code(), error: Arc::new(self.clone()) };
        let mut response = self.into_problem().into_response();
        response.extensions_mut().insert(rejection);
        for (header, value) in [(WWW_AUTHENTICATE, challenge), (ALLOW, allow)] {
            if let Some(value) = value {
                response.headers_mut().insert(header, HeaderValue::from_static(value));
            }
        }
        response
    }
}
