//! Every error answer of the public API, in one place.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use shared::catalogue::RuleFault;
use shared::order::{IdempotencyKey, OrderId, PayloadDigest};
use shared::problem::{FieldProblem, Problem};
use shared::time::rfc3339_millis;
use time::OffsetDateTime;

use crate::publish::PublishError;

/// Why a request got no 202.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The body is not the JSON it should be.
    #[error("malformed JSON at {pointer:?}: {detail}")]
    MalformedJson {
        /// JSON pointer to the place; empty: the body as a whole.
        pointer: String,
        /// What is wrong.
        detail: String,
    },
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
    /// The stable name in `code`, and in metrics.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::MalformedJson { .. } => "malformed_json",
            Self::UnreadableBody => "unreadable_body",
            Self::BodyTimeout => "body_timeout",
            Self::IdempotencyKey => "invalid_idempotency_key",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::MediaType => "unsupported_media_type",
            Self::Invalid(faults) => match faults.first() {
                Some(first) if is_catalogue_code(&first.code) && faults.iter().all(|fault| fault.code == first.code) => {
                    &first.code
                }
                _ => "invalid_order",
            },
            Self::SaleNotOpen { .. } => "sale_not_open",
            Self::SaleClosed { .. } => "sale_closed",
            Self::Overloaded { .. } => "overloaded",
            Self::Publish { error, .. } => match error {
                PublishError::QueueFull => "overloaded",
                PublishError::Throttled => "broker_throttled",
                PublishError::Failed | PublishError::Stopping => "publish_failed",
                PublishError::TimedOut => "publish_timeout",
            },
            Self::Stopping => "stopping",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::MalformedJson { .. } | Self::UnreadableBody | Self::IdempotencyKey => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::SaleNotOpen { .. } => StatusCode::CONFLICT,
            Self::SaleClosed { .. } => StatusCode::GONE,
            Self::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Publish { .. } | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// The answer's body.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let problem = |detail: String| Problem::new(self.status(), self.code(), detail);
        match self {
            Self::MalformedJson { pointer, detail } => {
                problem("The body is not a well-formed order.".to_owned()).with_errors(vec![FieldProblem {
                    code: "malformed_json".to_owned(),
                    pointer: pointer.clone(),
                    detail: detail.clone(),
                }])
            }
            Self::UnreadableBody => problem("The body ended early; send it again.".to_owned()).retry_after(1),
            Self::BodyTimeout => problem("The body did not arrive in time; send it again.".to_owned()).retry_after(1),
            Self::IdempotencyKey => problem(format!(
                "Send exactly one Idempotency-Key header of 1 to {} visible ASCII characters.",
                IdempotencyKey::LENGTH_MAX
            )),
            Self::BodyTooLarge { max } => problem(format!("The body may have at most {max} bytes.")),
            Self::MediaType => problem("Send the order as Content-Type: application/json.".to_owned()),
            Self::Invalid(faults) => {
                problem("The order breaks the rules named in `errors`.".to_owned()).with_errors(faults.clone())
            }
            Self::SaleNotOpen { order_id, digest, opens_at, wait_s } => {
                problem(format!("The sale opens at {}. {EARLIER_ATTEMPT}", rfc3339_millis(*opens_at)))
                    .retry_after(*wait_s)
                    .about(*order_id, Some(*digest))
            }
            Self::SaleClosed { order_id, digest, closed_at } => {
                problem(format!("The sale closed at {}. {EARLIER_ATTEMPT}", rfc3339_millis(*closed_at)))
                    .about(*order_id, Some(*digest))
            }
            Self::Overloaded { retry_after_s } => {
                problem(format!("Too many orders at once. {RETRY_SAME_KEY}")).retry_after(*retry_after_s)
            }
            Self::Publish { order_id, digest, error, retry_after_s } => problem(format!("{error}. {RETRY_SAME_KEY}"))
                .retry_after(*retry_after_s)
                .about(*order_id, Some(*digest)),
            Self::Stopping => problem(format!("This instance is stopping. {RETRY_SAME_KEY}")).retry_after(1),
            Self::NotFound => problem("There is nothing here. Orders go to POST /v1/orders.".to_owned()),
            Self::MethodNotAllowed => problem("This path has other methods; see Allow.".to_owned()),
        }
    }
}

/// Whether a fault's code is one of the catalogue's, which clients branch on.
fn is_catalogue_code(code: &str) -> bool {
    matches!(code, "unknown_sale" | "unknown_sku" | "quantity_over_limit" | "wrong_currency")
}

/// The catalogue's faults that lie in fields; `index_of` finds a SKU's place in the request.
pub fn rule_problems(faults: &[RuleFault], index_of: impl Fn(&str) -> usize) -> Vec<FieldProblem> {
    let problem = |code: &str, pointer: String, detail: String| FieldProblem { code: code.to_owned(), pointer, detail };
    let mut problems: Vec<_> = faults
        .iter()
        .filter_map(|fault| match fault {
            RuleFault::UnknownSale => {
                Some(problem("unknown_sale", "/sale_id".to_owned(), "there is no such sale".to_owned()))
            }
            RuleFault::UnknownSku { sku } => Some(problem(
                "unknown_sku",
                format!("/items/{}/sku", index_of(sku.as_str())),
                "the sale does not sell this SKU".to_owned(),
            )),
            RuleFault::QuantityOverLimit { sku, limit } => Some(problem(
                "quantity_over_limit",
                format!("/items/{}/quantity", index_of(sku.as_str())),
                format!("one buyer may have at most {limit}"),
            )),
            RuleFault::WrongCurrency { expected } => Some(problem(
                "wrong_currency",
                "/currency".to_owned(),
                format!("the sale is in {expected}"),
            )),
            RuleFault::NotOpen { .. } | RuleFault::Closed { .. } => None,
        })
        .collect();
    problems.sort_by(|left, right| left.pointer.cmp(&right.pointer));
    problems
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}
