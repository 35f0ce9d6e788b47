//! A request in flight, and the ways it can end.

use crate::workload::{RequestKind, RequestSpec};

#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    /// Distinguishes the request from a later one on the same connection.
    pub(super) id: u64,
    pub(super) spec: RequestSpec,
    /// 0 for the planned request; each retry adds 1.
    pub(super) attempt: u8,
    pub(super) due_ns: u64,
    /// Due time of the planned request, of which this may be a retry.
    pub(super) first_due_ns: u64,
    pub(super) sent: bool,
}

impl InFlight {
    /// True if its body is sent slowly.
    pub(super) fn is_slow(&self) -> bool {
        self.spec.kind == RequestKind::SlowBody && self.attempt == 0
    }

    /// True for a new order, false for a repetition.
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

/// The histograms that a request's latency belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LatencyKind {
    Accepted,
    /// Shed or refused.
    Rejected,
    /// A lower bound: the request had no response.
    Censored,
}

impl RequestEnd {
    /// `None`: the client was slow, or hung up on purpose, which is not the service's time.
    pub(super) fn latency_kind(self, flight: &InFlight) -> Option<LatencyKind> {
        match self {
            _ if flight.is_slow() => None,
            Self::Accepted => Some(LatencyKind::Accepted),
            Self::Shed | Self::Refused => Some(LatencyKind::Rejected),
            Self::Unknown(NoResponseCause::HangUp) => None,
            Self::Unknown(_) | Self::Unsent => Some(LatencyKind::Censored),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NoResponseCause {
    /// The connection failed to open: the server got nothing.
    Connect,
    Timeout,
    Reset,
    /// The client disconnected, as the scenario demands.
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
