//! The stable names of everything that can go wrong.

use http::StatusCode;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $status:ident, retryable $retryable:literal;)*) => {
        /// What a problem's `code` can be: clients branch on it, metrics are labelled with it, it never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl ErrorCode {
            /// Every code, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the answer.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The one HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim(),)* }
            }

            /// Whether the same request may succeed later.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON of the expected shape.
    MalformedJson, "malformed_json", BAD_REQUEST, retryable false;
    /// The body ended early or broke off.
    UnreadableBody, "unreadable_body", BAD_REQUEST, retryable true;
    /// `Idempotency-Key` is missing, repeated or not valid.
    InvalidIdempotencyKey, "invalid_idempotency_key", BAD_REQUEST, retryable false;
    /// The body of `POST /invoke` is not an event of API Gateway.
    MalformedEvent, "malformed_event", BAD_REQUEST, retryable false;
    /// A query parameter occurs more than once.
    RepeatedParameter, "repeated_parameter", BAD_REQUEST, retryable false;
    /// The request carries no signature of the gateway.
    SignatureMissing, "signature_missing", UNAUTHORIZED, retryable false;
    /// The gateway names no buyer.
    IdentityMissing, "identity_missing", UNAUTHORIZED, retryable false;
    /// The signature is not the gateway's, or does not cover what it must.
    SignatureInvalid, "signature_invalid", FORBIDDEN, retryable false;
    /// The body names another buyer than the gateway does.
    UserMismatch, "user_mismatch", FORBIDDEN, retryable false;
    /// No such route.
    NotFound, "not_found", NOT_FOUND, retryable false;
    /// The route has other methods.
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, retryable false;
    /// The body did not arrive in time.
    BodyTimeout, "body_timeout", REQUEST_TIMEOUT, retryable true;
    /// The sale has not begun.
    SaleNotOpen, "sale_not_open", CONFLICT, retryable true;
    /// The sale is over.
    SaleClosed, "sale_closed", GONE, retryable false;
    /// The body exceeds the bound.
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, retryable false;
    /// The body is not `application/json`.
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, retryable false;
    /// Fields break rules, of more than one kind or of a kind without a code of its own.
    InvalidOrder, "invalid_order", UNPROCESSABLE_ENTITY, retryable false;
    /// There is no such sale.
    UnknownSale, "unknown_sale", UNPROCESSABLE_ENTITY, retryable false;
    /// The sale does not sell the SKU.
    UnknownSku, "unknown_sku", UNPROCESSABLE_ENTITY, retryable false;
    /// One order alone exceeds what one buyer may have.
    QuantityOverLimit, "quantity_over_limit", UNPROCESSABLE_ENTITY, retryable false;
    /// The sale is in another currency.
    WrongCurrency, "wrong_currency", UNPROCESSABLE_ENTITY, retryable false;
    /// This instance has as many requests as it takes.
    Overloaded, "overloaded", TOO_MANY_REQUESTS, retryable true;
    /// This instance has as many messages under way as it takes.
    QueueFull, "queue_full", SERVICE_UNAVAILABLE, retryable true;
    /// The broker throttles.
    BrokerThrottled, "broker_throttled", SERVICE_UNAVAILABLE, retryable true;
    /// The broker did not acknowledge in time.
    PublishTimeout, "publish_timeout", SERVICE_UNAVAILABLE, retryable true;
    /// The broker refused, or cannot be reached.
    PublishFailed, "publish_failed", SERVICE_UNAVAILABLE, retryable true;
    /// The instance is stopping.
    Stopping, "stopping", SERVICE_UNAVAILABLE, retryable true;
}
