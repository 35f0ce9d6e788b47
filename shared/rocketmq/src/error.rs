//! What can go wrong, told apart by what the caller should do.

use std::time::Duration;

use crate::protocol::{Code, Status};

/// A call to the broker failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made or broke.
    #[error("connection to {endpoint} failed: {reason}")]
    Transport {
        /// The server.
        endpoint: String,
        /// What the transport said.
        reason: String,
    },
    /// No answer in time. Whether the server acted is unknown.
    #[error("no answer to {call} within {after:?}")]
    Timeout {
        /// The call.
        call: &'static str,
        /// The bound.
        after: Duration,
    },
    /// The server throttles (42900): the instance's or the topic's rate is used up.
    #[error("the broker throttles: {message}")]
    Throttled {
        /// What the server said.
        message: String,
    },
    /// The server refused the call or failed; `code` says which.
    #[error("the broker answered {code}: {message}")]
    Status {
        /// The protocol's code.
        code: Code,
        /// What the server said.
        message: String,
    },
    /// The answer breaks the protocol.
    #[error("the broker's answer to {call} is not as agreed: {what}")]
    Protocol {
        /// The call.
        call: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// The configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
}

impl ClientError {
    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } | Self::Throttled { .. } => true,
            Self::Status { code, .. } => code.is_transient(),
            Self::Protocol { .. } | Self::Config(_) | Self::Closed => false,
        }
    }

    /// The protocol's code, where the server gave one.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Throttled { .. } => Some(Code::TOO_MANY_REQUESTS),
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// `Ok` for the protocol's OK.
pub(crate) fn check(call: &'static str, status: Option<Status>) -> Result<(), ClientError> {
    let Some(status) = status else { return Err(ClientError::Protocol { call, what: "it has no status" }) };
    match Code(status.code) {
        Code::OK => Ok(()),
        Code::TOO_MANY_REQUESTS => Err(ClientError::Throttled { message: status.message }),
        code => Err(ClientError::Status { code, message: status.message }),
    }
}

/// A message was not published, as far as the client knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The producer's queue is full; nothing was sent.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The message breaks a bound; nothing was sent.
    #[error("the message cannot be sent: {0}")]
    Invalid(&'static str),
    /// The last try failed. After [`ClientError::Timeout`] or [`ClientError::Transport`] the broker may have stored
    /// the message all the same.
    #[error("not delivered after {attempts} tries: {error}")]
    Delivery {
        /// Tries made.
        attempts: u32,
        /// What the last one ended with.
        #[source]
        error: ClientError,
    },
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
}

impl SendError {
    /// Whether the broker throttled.
    #[must_use]
    pub const fn is_throttled(&self) -> bool {
        matches!(self, Self::Delivery { error: ClientError::Throttled { .. }, .. })
    }
}
