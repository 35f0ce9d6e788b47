//! Requests that must be refused, and how.

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// A SKU that the sale does not sell.
    UnknownSku,
    /// A sale that there is not.
    UnknownSale,
    /// No units at all.
    QuantityZero,
    /// Another currency than the sale's.
    WrongCurrency,
    /// JSON that breaks off.
    BrokenJson,
    /// A member that no order has.
    UnknownMember,
    /// No `Idempotency-Key`.
    NoKey,
    /// Two of them.
    TwoKeys,
    /// A form instead of JSON.
    WrongMediaType,
    /// A body of 20 KiB.
    TooLarge,
    /// `GET` instead of `POST`.
    WrongMethod,
    /// A path that leads nowhere.
    WrongPath,
}

impl Invalid {
    /// All of them, each as likely as another.
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

    /// The problem's code that it must be refused with (ingest-fn's README).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownSku => "unknown_sku",
            Self::UnknownSale => "unknown_sale",
            Self::QuantityZero => "invalid_order",
            Self::WrongCurrency => "wrong_currency",
            Self::BrokenJson | Self::UnknownMember => "malformed_json",
            Self::NoKey | Self::TwoKeys => "invalid_idempotency_key",
            Self::WrongMediaType => "unsupported_media_type",
            Self::TooLarge => "body_too_large",
            Self::WrongMethod => "method_not_allowed",
            Self::WrongPath => "not_found",
        }
    }
}
