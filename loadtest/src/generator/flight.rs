//! A request under way, and how it can end.

use crate::workload::{Draft, Kind};

/// A request from its planned time to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// Tells a request from a later one on the same connection.
    pub(super) id: u64,
    pub(super) draft: Draft,
    /// 0 for the planned one, then a retry each.
    pub(super) attempt: u8,
    /// When it was to be sent, nanoseconds.
    pub(super) due_ns: u64,
    /// Whether it has been put on a connection.
    pub(super) sent: bool,
}

impl Flight {
    /// Whether it is an order of its own, and no repetition.
    pub(super) const fn is_own(&self) -> bool {
        matches!(self.draft.kind, Kind::New | Kind::HangUp | Kind::SlowBody)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// 202 and nothing else.
    Accepted,
    /// 429 or 503.
    Shed,
    /// Any other answer.
    Refused,
    /// No answer.
    Unknown(Cause),
    /// It never got a connection.
    Unsent,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// The connection could not be made: nothing was sent.
    Connect,
    /// It took too long.
    Timeout,
    /// The connection ended.
    Reset,
    /// The client hung up, as the scenario wanted.
    HangUp,
    /// What came was no HTTP response.
    Protocol,
}

impl Cause {
    pub(super) const ALL: [Self; 5] =
        [Self::Connect, Self::Timeout, Self::Reset, Self::HangUp, Self::Protocol];

    /// Its name in the report.
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
