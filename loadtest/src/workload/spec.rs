//! A request as numbers: the minimum from which it can be rendered.

use super::InvalidRequest;

pub const LINES_MAX: usize = shared::order::ITEMS_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    New,
    /// A new order whose client disconnects before the response.
    HangUp,
    /// A new order whose body arrives slowly.
    SlowBody,
    /// An earlier order, sent again unchanged.
    Replay,
    /// An earlier order's key with another body.
    Changed,
    Invalid(InvalidRequest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSpec {
    pub number: u64,
    /// The request that owns the idempotency key: this one, or the one that it repeats.
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
