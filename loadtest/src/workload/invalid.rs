//! Requests that must be rejected, and how.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InvalidRequest {
    /// A SKU that is not part of the sale.
    UnknownSku,
    UnknownSale,
    QuantityZero,
    WrongCurrency,
    BrokenJson,
    UnknownMember,
    NoKey,
    TwoKeys,
    WrongMediaType,
    TooLarge,
    WrongMethod,
    WrongPath,
}

impl InvalidRequest {
    /// The sale of [`Self::UnknownSale`].
    pub(super) const UNKNOWN_SALE: &str = "no-such-sale";

    /// Each kind is equally likely.
    pub const ALL: [Self; 12] = [
        Self::UnknownSku,
        Self::UnknownSale,
        Self::QuantityZero,
        Self::WrongCurrency,
        Self::BrokenJson,
        Self::UnknownMember,
        Self::NoKey,
        Self::TwoKeys,
        Self::WrongMediaType,
        Self::TooLarge,
        Self::WrongMethod,
        Self::WrongPath,
    ];

    /// The expected problem code (see ingest-fn's README).
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownSku => "unknown_sku",
            Self::UnknownSale => "unknown_sale",
            Self::QuantityZero | Self::UnknownMember => "invalid_order",
            Self::WrongCurrency => "wrong_currency",
            Self::BrokenJson => "malformed_json",
            Self::NoKey | Self::TwoKeys => "invalid_idempotency_key",
            Self::WrongMediaType => "unsupported_media_type",
            Self::TooLarge => "body_too_large",
            Self::WrongMethod => "method_not_allowed",
            Self::WrongPath => "not_found",
        }
    }
}
