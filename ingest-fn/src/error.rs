//! Every error answer of the public API: status, code, text, `Retry-After`.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use shared::order::{Currency, IdempotencyKey, OrderId, PayloadDigest, UserId};
use shared::problem::{FieldProblem, Problem};
use shared::time::rfc3339_millis;
use time::OffsetDateTime;

use crate::event::EventError;
use crate::publish::PublishError;
use crate::request::MEDIA_TYPE;
use crate::request_context::{REQUEST_ID, RequestId};

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
    #[error("the body is not application/json in UTF-8")]
    MediaType,
    #[error("the body is encoded")]
    ContentEncoding,
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error("the sale opens at {opens_at}")]
    SaleNotOpen { order_id: OrderId, digest: PayloadDigest, opens_at: OffsetDateTime, wait_s: u32 },
    #[error("the sale closed at {closed_at}")]
    SaleClosed { order_id: OrderId, digest: PayloadDigest, closed_at: OffsetDateTime },
    #[error("the order costs {total_minor}, not what the client expects")]
    PriceChanged { order_id: OrderId, digest: PayloadDigest, total_minor: i64, currency: Currency },
    #[error("the key was accepted with another body")]
    KeyReused { order_id: OrderId, digest: PayloadDigest },
    #[error("too many requests")]
    Overloaded { retry_after_s: u32 },
    /// The broker may have stored the order.
    #[error("not published: {error}")]
    Publish { order_id: OrderId, digest: PayloadDigest, error: PublishError, retry_after_s: u32 },
    #[error("stopping")]
    Stopping,
    #[error("internal error")]
    Internal,
    #[error("too many connections")]
    TooManyConnections,
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
    #[error("the gateway's name of the buyer is not a user id")]
    IdentityUnusable,
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
            Self::ContentEncoding => ErrorCode::UnsupportedContentEncoding,
            Self::Invalid(problems) => ErrorCode::from_problems(problems),
            Self::SaleNotOpen { .. } => ErrorCode::SaleNotOpen,
            Self::SaleClosed { .. } => ErrorCode::SaleClosed,
            Self::PriceChanged { .. } => ErrorCode::PriceChanged,
            Self::KeyReused { .. } => ErrorCode::KeyReused,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Publish { error, .. } => match error {
                PublishError::QueueFull => ErrorCode::QueueFull,
                PublishError::Throttled => ErrorCode::BrokerThrottled,
                PublishError::TimedOut => ErrorCode::PublishTimeout,
                PublishError::Failed => ErrorCode::PublishFailed,
                PublishError::Rejected => ErrorCode::PublishRejected,
                PublishError::Stopping => ErrorCode::Stopping,
            },
            Self::Stopping => ErrorCode::Stopping,
            Self::Internal => ErrorCode::InternalError,
            Self::TooManyConnections => ErrorCode::TooManyConnections,
            Self::MalformedEvent(_) => ErrorCode::MalformedEvent,
            Self::RepeatedParameter => ErrorCode::RepeatedParameter,
            Self::SignatureMissing => ErrorCode::SignatureMissing,
            Self::SignatureInvalid => ErrorCode::SignatureInvalid,
            Self::IdentityMissing => ErrorCode::IdentityMissing,
            Self::IdentityUnusable => ErrorCode::IdentityUnusable,
            Self::UserMismatch => ErrorCode::UserMismatch,
            Self::NotFound => ErrorCode::NotFound,
            Self::MethodNotAllowed { .. } => ErrorCode::MethodNotAllowed,
        }
    }

    /// The header that RFC 9110 wants with the status: the challenge of a 401, the methods of a 405, and what a 415
    /// would have read.
    const fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::SignatureMissing => Some((WWW_AUTHENTICATE, "X-Ca-Proxy-Signature")),
            Self::IdentityMissing => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::MediaType => Some((ACCEPT, MEDIA_TYPE)),
            Self::ContentEncoding => Some((ACCEPT_ENCODING, "identity")),
            Self::MethodNotAllowed { allow: Some(methods) } => Some((ALLOW, methods)),
            _ => None,
        }
    }

    #[must_use]
    pub fn into_problem(self) -> Problem {
        let code = self.code();
        let problem = |detail: String| Problem::new(code.status(), code.as_str(), detail);
        match self {
            Self::MalformedJson(field) => {
                problem("The body is not JSON.".to_owned()).with_errors(vec![field])
            }
            Self::UnreadableBody => problem("The body ended early; send it again.".to_owned()).retry_after(1),
            Self::BodyTimeout => {
                problem("The body did not arrive in time; send it again.".to_owned()).retry_after(1)
            }
            Self::IdempotencyKey => problem(format!(
                "Send exactly one Idempotency-Key header of 1 to {} visible ASCII characters, bare or in quotes.",
                IdempotencyKey::LENGTH_MAX
            )),
            Self::BodyTooLarge { max } => problem(format!("The body may have at most {max} bytes.")),
            Self::MediaType => {
                problem("Send the order as Content-Type: application/json, in UTF-8.".to_owned())
            }
            Self::ContentEncoding => {
                problem("Send the order without Content-Encoding: a compressed body is not read.".to_owned())
            }
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
            Self::PriceChanged { order_id, digest, total_minor, currency } => problem(format!(
                "The order costs {total_minor} minor units of {currency}. Show the buyer the new total, and send it as \
                 expected_total_minor. {EARLIER_ATTEMPT}"
            ))
            .about(order_id, Some(digest))
            .with_total(total_minor, currency),
            Self::KeyReused { order_id, digest } => problem(
                "This Idempotency-Key was accepted with another body: look that order up by its order_id, and send a \
                 new order with a new key."
                    .to_owned(),
            )
            .about(order_id, Some(digest)),
            Self::Overloaded { retry_after_s } => {
                problem(format!("Too many orders in flight. {RETRY_SAME_KEY}")).retry_after(retry_after_s)
            }
            Self::Publish { order_id, digest, error: error @ PublishError::Rejected, .. } => {
                problem(format!("{error}. {EARLIER_ATTEMPT}")).about(order_id, Some(digest))
            }
            Self::Publish { order_id, digest, error, retry_after_s } => {
                problem(format!("{error}. {RETRY_SAME_KEY}"))
                    .retry_after(retry_after_s)
                    .about(order_id, Some(digest))
            }
            Self::Stopping => problem(format!("This instance is stopping. {RETRY_SAME_KEY}")).retry_after(1),
            Self::Internal => {
                problem(format!("An internal error. {RETRY_SAME_KEY}")).retry_after(random_retry_after_s())
            }
            Self::TooManyConnections => {
                problem(format!("Too many connections are open. {RETRY_SAME_KEY}")).retry_after(1)
            }
            Self::MalformedEvent(error) => {
                problem(format!("The body is not an event of API Gateway: {error}."))
            }
            Self::RepeatedParameter => problem("Send each query parameter once.".to_owned()),
            Self::SignatureMissing => {
                problem("Send orders through the gateway, which signs them.".to_owned())
            }
            Self::SignatureInvalid => problem("The gateway's signature is not valid.".to_owned()),
            Self::IdentityMissing => problem("The gateway names no buyer: sign in.".to_owned()),
            Self::IdentityUnusable => problem(format!(
                "The gateway names you by something other than 1 to {} visible ASCII characters: signing in again \
                 does not help, the shop has to.",
                UserId::LENGTH_MAX
            )),
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

/// The problem of an answer that [`write_problem`] has not completed yet.
#[derive(Clone, Debug)]
struct UnwrittenProblem(Problem);

/// The document is written by [`write_problem`], where the request's id is known.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.code().status();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let rejection = Rejection { code: self.code(), error: Arc::new(self.clone()) };
        response.extensions_mut().insert(rejection);
        response.extensions_mut().insert(UnwrittenProblem(self.into_problem()));
        response
    }
}

/// Completes the answer to request `id` if it is a rejection.
pub(crate) fn write_problem(response: &mut Response, id: &RequestId) {
    if let Some(UnwrittenProblem(problem)) = response.extensions_mut().remove() {
        let (head, body) = problem.with_request_id(id.as_str()).into_response().into_parts();
        response.headers_mut().extend(head.headers);
        response.headers_mut().insert(REQUEST_ID, id.as_header().clone());
        *response.body_mut() = body;
    }
}

/// Seconds that a rejected client is asked to wait: random, so that clients rejected together do not retry together.
pub(crate) fn random_retry_after_s() -> u32 {
    rand::random_range(1..=3)
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $status:ident, retryable $retryable:literal;)*) => {
        /// A problem's `code`: clients branch on it, metrics have it as a label, and it never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the answer.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Each code has one status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// A sentence for the OpenAPI document.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim(),)* }
            }

            /// True if the same request may succeed later.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson, "malformed_json", BAD_REQUEST, retryable false;
    /// The body ended early or broke off.
    UnreadableBody, "unreadable_body", BAD_REQUEST, retryable true;
    /// `Idempotency-Key` is missing, repeated or invalid.
    InvalidIdempotencyKey, "invalid_idempotency_key", BAD_REQUEST, retryable false;
    /// The body of `POST /invoke` is not an event of API Gateway.
    MalformedEvent, "malformed_event", BAD_REQUEST, retryable false;
    /// A query parameter occurs more than once.
    RepeatedParameter, "repeated_parameter", BAD_REQUEST, retryable false;
    /// The request has no signature of the gateway.
    SignatureMissing, "signature_missing", UNAUTHORIZED, retryable false;
    /// The gateway names no buyer.
    IdentityMissing, "identity_missing", UNAUTHORIZED, retryable false;
    /// The signature is not the gateway's, or does not cover a required part.
    SignatureInvalid, "signature_invalid", FORBIDDEN, retryable false;
    /// The gateway's name of the buyer is too long, or not visible ASCII.
    IdentityUnusable, "identity_unusable", FORBIDDEN, retryable false;
    /// The body names another buyer than the gateway does.
    UserMismatch, "user_mismatch", FORBIDDEN, retryable false;
    /// No such route.
    NotFound, "not_found", NOT_FOUND, retryable false;
    /// The route does not support the method.
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, retryable false;
    /// The body did not arrive in time.
    BodyTimeout, "body_timeout", REQUEST_TIMEOUT, retryable true;
    /// The sale has not opened.
    SaleNotOpen, "sale_not_open", CONFLICT, retryable true;
    /// The order has another total than the client expects.
    PriceChanged, "price_changed", CONFLICT, retryable false;
    /// This instance has accepted another body under the same Idempotency-Key.
    KeyReused, "key_reused", CONFLICT, retryable false;
    /// The sale has closed.
    SaleClosed, "sale_closed", GONE, retryable false;
    /// The body exceeds the maximum size.
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, retryable false;
    /// The body is not `application/json`, or not in UTF-8.
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, retryable false;
    /// The body is compressed or encoded otherwise.
    UnsupportedContentEncoding, "unsupported_content_encoding", UNSUPPORTED_MEDIA_TYPE, retryable false;
    /// Fields break rules of several kinds, or of a kind without its own code.
    InvalidOrder, "invalid_order", UNPROCESSABLE_ENTITY, retryable false;
    /// There is no such sale.
    UnknownSale, "unknown_sale", UNPROCESSABLE_ENTITY, retryable false;
    /// The sale does not sell the SKU.
    UnknownSku, "unknown_sku", UNPROCESSABLE_ENTITY, retryable false;
    /// The order exceeds the purchase limit of one buyer.
    QuantityOverLimit, "quantity_over_limit", UNPROCESSABLE_ENTITY, retryable false;
    /// The sale has another currency.
    WrongCurrency, "wrong_currency", UNPROCESSABLE_ENTITY, retryable false;
    /// This instance has its maximum of requests in flight.
    Overloaded, "overloaded", TOO_MANY_REQUESTS, retryable true;
    /// This instance has its maximum of messages in flight.
    QueueFull, "queue_full", SERVICE_UNAVAILABLE, retryable true;
    /// The broker throttles.
    BrokerThrottled, "broker_throttled", SERVICE_UNAVAILABLE, retryable true;
    /// The broker did not acknowledge in time.
    PublishTimeout, "publish_timeout", SERVICE_UNAVAILABLE, retryable true;
    /// The broker rejects orders, which only its operators can change.
    PublishRejected, "publish_rejected", INTERNAL_SERVER_ERROR, retryable false;
    /// An internal error; the order may have been stored.
    InternalError, "internal_error", INTERNAL_SERVER_ERROR, retryable true;
    /// The broker failed, or cannot be reached.
    PublishFailed, "publish_failed", SERVICE_UNAVAILABLE, retryable true;
    /// This instance has its maximum of connections.
    TooManyConnections, "too_many_connections", SERVICE_UNAVAILABLE, retryable true;
    /// The instance is stopping.
    Stopping, "stopping", SERVICE_UNAVAILABLE, retryable true;
}

impl ErrorCode {
    /// The common code of all `problems` if the catalogue found them and they are of one kind, else
    /// [`Self::InvalidOrder`].
    fn from_problems(problems: &[FieldProblem]) -> Self {
        const CATALOGUE: [ErrorCode; 4] = [
            ErrorCode::UnknownSale,
            ErrorCode::UnknownSku,
            ErrorCode::QuantityOverLimit,
            ErrorCode::WrongCurrency,
        ];
        let is_common = |code: &Self| problems.iter().all(|problem| problem.code == code.as_str());
        CATALOGUE
            .into_iter()
            .find(|code| !problems.is_empty() && is_common(code))
            .unwrap_or(Self::InvalidOrder)
    }
}
