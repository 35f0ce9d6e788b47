//! A request as numbers: what is needed to write it, and no more.

use super::Invalid;

/// Most lines of an order.
pub const LINES_MAX: usize = shared::order::ITEMS_MAX;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An order of its own.
    New,
    /// An order of its own whose client hangs up before the answer.
    HangUp,
    /// An order of its own whose body trickles in.
    SlowBody,
    /// An earlier order, sent again as it was.
    Replay,
    /// An earlier order's key with another body.
    Changed,
    /// A request that must be refused.
    Invalid(Invalid),
}

/// A request before it is written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its place in the plan, from 0.
    pub number: u64,
    /// The request whose idempotency key it bears: itself, or the one that it repeats.
    pub origin: u64,
    /// What it is.
    pub kind: Kind,
    /// The buyer.
    pub user: u32,
    /// Rank of the first line's SKU.
    pub first_sku: u32,
    /// Lines, 1 to [`LINES_MAX`].
    pub lines: u8,
    /// Units of each line; those beyond `lines` are 0.
    pub quantities: [u16; LINES_MAX],
    /// House number.
    pub house: u16,
    /// Last eight digits of the telephone.
    pub phone: u32,
    /// What a changed body adds.
    pub note: Option<u32>,
}
