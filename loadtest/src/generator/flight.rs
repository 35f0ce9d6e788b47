//! A request under way, and how it can end.

use crate::workload::{RequestKind, RequestSpec};

/// A request from its planned time to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    /// Tells a request from a later one on the same connection.
    pub(super) id: u64,
    pub(super) spec: RequestSpec,
    /// 0 for the planned one, then a retry each.
    pub(super) attempt: u8,
    pub(super) due_ns: u64,
    pub(super) sent: bool,
}

impl InFlight {
    /// Whether it is an order of its own, and no repetition.
    pub(super) const fn is_own(&self) -> bool {
        matches!(self.spec.kind, RequestKind::New | RequestKind::HangUp | RequestKind::SlowBody)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestEnd {
    Accepted,
    Shed,
    Refused,
    Unknown(NoResponseCause),
    Unsent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NoResponseCause {
    /// The connection could not be made: nothing was sent.
    Connect,
    Timeout,
    Reset,
    /// The client hung up, as the scenario wanted.
    HangUp,
    Protocol,
}

impl NoResponseCause {
    pub(super) const ALL: [Self; 5] =
        [Self::Connect, Self::Timeout, Self::Reset, Self::HangUp, Self::Protocol];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::HangUp => "hang_up",
            Self::Protocol => "protocol",
        }
    }
}
