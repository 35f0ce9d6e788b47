//! Every error answer of the public API, in one place.

mod code;
mod rules;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use shared::order::{IdempotencyKey, OrderId, PayloadDigest};
use shared::problem::{FieldProblem, Problem};
use shared::time::rfc3339_millis;
use time::OffsetDateTime;

use crate::event::EventError;
use crate::publish::PublishError;

pub use code::ErrorCode;
pub use rules::rule_problems;

/// Why a request got no 202.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The body is not the JSON it should be.
    #[error("malformed JSON at {:?}: {}", .0.pointer, .0.detail)]
    MalformedJson(FieldProblem),
    /// The body ended early or broke off.
    #[error("the body could not be read")]
    UnreadableBody,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// `Idempotency-Key` is missing, repeated or not 1 to 64 visible ASCII characters.
    #[error("the Idempotency-Key header is missing or invalid")]
    IdempotencyKey,
    /// The body exceeds the bound.
    #[error("the body exceeds {max} bytes")]
    BodyTooLarge {
        /// The bound, bytes.
        max: usize,
    },
    /// The body is not `application/json`.
    #[error("the body is not application/json")]
    MediaType,
    /// Fields break rules.
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The sale has not begun.
    #[error("the sale opens at {opens_at}")]
    SaleNotOpen {
        /// The order it would have been.
        order_id: OrderId,
        /// Digest of this attempt.
        digest: PayloadDigest,
        /// When it begins.
        opens_at: OffsetDateTime,
        /// Seconds until then.
        wait_s: u32,
    },
    /// The sale is over.
    #[error("the sale closed at {closed_at}")]
    SaleClosed {
        /// The order it would have been.
        order_id: OrderId,
        /// Digest of this attempt.
        digest: PayloadDigest,
        /// When it ended.
        closed_at: OffsetDateTime,
    },
    /// This instance has as many requests as it takes.
    #[error("too many requests")]
    Overloaded {
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// The order could not be published.
    #[error("not published: {error}")]
    Publish {
        /// The order: it may have been published all the same.
        order_id: OrderId,
        /// Digest of this attempt.
        digest: PayloadDigest,
        /// Why.
        error: PublishError,
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// The instance is stopping.
    #[error("stopping")]
    Stopping,
    /// The body of `POST /invoke` is not an event of API Gateway.
    #[error("malformed event: {0}")]
    MalformedEvent(EventError),
    /// A query parameter occurs more than once.
    #[error("repeated query parameter")]
    RepeatedParameter,
    /// The request carries no signature of the gateway.
    #[error("no signature of the gateway")]
    SignatureMissing,
    /// The signature is not the gateway's, or does not cover what it must.
    #[error("invalid signature of the gateway")]
    SignatureInvalid,
    /// The gateway names no buyer.
    #[error("the gateway names no buyer")]
    IdentityMissing,
    /// The body names another buyer than the gateway does.
    #[error("the body names another buyer than the gateway")]
    UserMismatch,
    /// No such route.
    #[error("no such route")]
    NotFound,
    /// The route has other methods.
    #[error("method not allowed")]
    MethodNotAllowed,
}

const EARLIER_ATTEMPT: &str =
    "An earlier attempt with this Idempotency-Key may have been accepted: look the order up by its order_id.";

const RETRY_SAME_KEY: &str = "Retry with the same Idempotency-Key: it stays one order.";

impl ApiError {
    /// The stable name, which also decides the status.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MalformedJson(_) => ErrorCode::MalformedJson,
            Self::UnreadableBody => ErrorCode::UnreadableBody,
            Self::BodyTimeout => ErrorCode::BodyTimeout,
            Self::IdempotencyKey => ErrorCode::InvalidIdempotencyKey,
            Self::BodyTooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::MediaType => ErrorCode::UnsupportedMediaType,
            Self::Invalid(faults) => rules::common_code(faults).unwrap_or(ErrorCode::InvalidOrder),
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
            Self::MethodNotAllowed => ErrorCode::MethodNotAllowed,
        }
    }

    /// What a 401 must say it wants (RFC 9110).
    const fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::SignatureMissing => Some("X-Ca-Proxy-Signature"),
            Self::IdentityMissing => Some("Bearer"),
            _ => None,
        }
    }

    /// The answer's body.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        let code = self.code();
        let problem = |detail: String| Problem::new(code.status(), code.as_str(), detail);
        match self {
            Self::MalformedJson(fault) => {
                problem("The body is not a well-formed order.".to_owned()).with_errors(vec![fault])
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
            Self::Invalid(faults) => {
                problem("The order breaks the rules named in `errors`.".to_owned()).with_errors(faults)
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
                problem(format!("Too many orders at once. {RETRY_SAME_KEY}")).retry_after(retry_after_s)
            }
            Self::Publish { order_id, digest, error, retry_after_s } => {
                problem(format!("{error}. {RETRY_SAME_KEY}"))
                    .retry_after(retry_after_s)
                    .about(order_id, Some(digest))
            }
            Self::Stopping => problem(format!("This instance is stopping. {RETRY_SAME_KEY}")).retry_after(1),
            Self::MalformedEvent(fault) => problem(format!("This is no event of API Gateway: {fault}.")),
            Self::RepeatedParameter => problem("Give each query parameter once.".to_owned()),
            Self::SignatureMissing => {
                problem("Orders come through the gateway, which signs them.".to_owned())
            }
            Self::SignatureInvalid => problem("The gateway's signature is not valid.".to_owned()),
            Self::IdentityMissing => problem("The gateway did not say who the buyer is: sign in.".to_owned()),
            Self::UserMismatch => {
                problem("Leave user_id out, or give the one you are signed in with.".to_owned())
            }
            Self::NotFound => problem("There is nothing here. Orders go to POST /v1/orders.".to_owned()),
            Self::MethodNotAllowed => problem("This path has other methods; see Allow.".to_owned()),
        }
    }
}

/// Goes with a refusal in its answer's extensions, for whoever counts and tells of refusals.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The problem's code.
    pub code: ErrorCode,
    /// The error, for operators. Holds nothing that a client sent.
    pub error: Arc<ApiError>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let challenge = self.challenge();
        let refusal = Rejection { code: self.code(), error: Arc::new(self.clone()) };
        let mut response = self.into_problem().into_response();
        response.extensions_mut().insert(refusal);
        if let Some(challenge) = challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
