//! Who is measured.

use serde::Serialize;

/// One way to bring a batch into the database, and what is in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contender {
    /// Multi-row INSERTs by the text protocol, nothing decided.
    RawText,
    /// The same by the binary protocol.
    RawBinary,
    /// The drain, orders over many SKUs without a limit.
    Many,
    /// The drain, orders over many SKUs with a limit for each buyer.
    ManyLimited,
    /// The drain, all orders for one SKU without a limit.
    Hot,
    /// The drain, all orders for one SKU with a limit for each buyer.
    HotLimited,
    /// The drain, a SKU of which nothing is left.
    SoldOut,
    /// The drain, orders that are there already.
    Again,
}

/// What a contender's orders ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sold {
    /// Whether for one SKU alone.
    pub(super) hot: bool,
    /// Whether buyers have a limit.
    pub(super) limited: bool,
    /// Whether there is stock.
    pub(super) in_stock: bool,
}

impl Contender {
    pub(super) const ALL: [Self; 8] = [
        Self::RawText,
        Self::RawBinary,
        Self::Many,
        Self::Hot,
        Self::ManyLimited,
        Self::HotLimited,
        Self::SoldOut,
        Self::Again,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RawText => "(a) INSERT, text protocol",
            Self::RawBinary => "(a) INSERT, binary protocol",
            Self::Many => "(b) drain, many SKUs",
            Self::Hot => "(c) drain, one SKU",
            Self::ManyLimited => "(b1) drain, many SKUs, limited",
            Self::HotLimited => "(c1) drain, one SKU, limited",
            Self::SoldOut => "(c2) drain, one SKU, sold out",
            Self::Again => "(d) drain, delivered again",
        }
    }

    pub(super) const fn is_raw(self) -> bool {
        matches!(self, Self::RawText | Self::RawBinary)
    }

    pub(super) const fn sold(self) -> Sold {
        Sold {
            hot: matches!(self, Self::Hot | Self::HotLimited | Self::SoldOut),
            limited: matches!(self, Self::ManyLimited | Self::HotLimited),
            in_stock: !matches!(self, Self::SoldOut),
        }
    }
}

impl std::fmt::Display for Contender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}
