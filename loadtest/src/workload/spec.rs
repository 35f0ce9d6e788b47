//! A request as numbers: what is needed to write it, and no more.

use super::InvalidRequest;

pub const LINES_MAX: usize = shared::order::ITEMS_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    New,
    /// An order of its own whose client hangs up before the answer.
    HangUp,
    /// An order of its own whose body trickles in.
    SlowBody,
    /// An earlier order, sent again as it was.
    Replay,
    /// An earlier order's key with another body.
    Changed,
    Invalid(InvalidRequest),
}

/// A request before it is written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSpec {
    pub number: u64,
    /// The request whose idempotency key it bears: itself, or the one that it repeats.
    pub origin: u64,
    pub kind: RequestKind,
    pub user: u32,
    pub first_sku: u32,
    /// Lines, 1 to [`LINES_MAX`].
    pub lines: u8,
    /// Units of each line; those beyond `lines` are 0.
    pub quantities: [u16; LINES_MAX],
    pub house: u16,
    pub phone: u32,
    pub note: Option<u32>,
}
