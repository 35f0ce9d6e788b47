//! Errors, distinguished by what the caller should do.

use std::time::Duration;

use crate::protocol::{Code, Status};
use crate::topic_type::TopicType;

/// A call to the broker failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The connection failed: not established, or broken. Retryable; the server may have acted on the call.
    #[error("connection to {endpoint} failed: {reason}")]
    Transport {
        /// Host and port of the server.
        endpoint: String,
        /// The transport's error with its causes.
        reason: String,
    },
    /// No response in time. Retryable; the server may have acted on the call.
    #[error("no response to {call} within {after:?}")]
    Timeout {
        /// Name of the call.
        call: &'static str,
        /// The time-out.
        after: Duration,
    },
    /// The server throttles (42900): the instance's or the topic's rate is exceeded. Retryable after a delay.
    #[error("the broker throttles: {message}")]
    Throttled {
        /// The server's message.
        message: String,
    },
    /// The server rejected the call or failed; see `code`.
    #[error("the broker returned {code}: {message}")]
    Status {
        /// Code of the protocol.
        code: Code,
        /// The server's message.
        message: String,
    },
    /// The topic takes messages of another type. Not retryable: send to another topic, or change the topic's type.
    #[error("topic {topic} takes messages of type {accepted}, not {needed}")]
    TopicType {
        /// Name of the topic.
        topic: String,
        /// The types that the topic takes, joined by commas.
        accepted: String,
        /// The type of the message.
        needed: TopicType,
    },
    /// The response violates the protocol.
    #[error("the broker's response to {call} violates the protocol: {what}")]
    Protocol {
        /// Name of the call.
        call: &'static str,
        /// The violation.
        what: &'static str,
    },
    /// The [`crate::CredentialsProvider`] has no credentials; the call was not made. Retryable.
    #[error("the provider has no credentials")]
    NoCredentials,
    /// The configuration is invalid.
    #[error("{0}")]
    Config(String),
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
}

impl ClientError {
    /// True if the same call may succeed a moment later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } | Self::Throttled { .. } | Self::NoCredentials => {
                true
            }
            Self::Status { code, .. } => code.is_transient(),
            Self::TopicType { .. } | Self::Protocol { .. } | Self::Config(_) | Self::Closed => false,
        }
    }

    /// The protocol's code, if the server returned one.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Throttled { .. } => Some(Code::TOO_MANY_REQUESTS),
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Returns `Ok` for the protocol's OK.
pub(crate) fn check(call: &'static str, status: Option<Status>) -> Result<(), ClientError> {
    let Some(status) = status else { return Err(ClientError::Protocol { call, what: "no status" }) };
    match Code(status.code) {
        Code::OK => Ok(()),
        Code::TOO_MANY_REQUESTS => Err(ClientError::Throttled { message: status.message }),
        code => Err(ClientError::Status { code, message: status.message }),
    }
}

/// The broker did not acknowledge a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The producer's queue is full; nothing was sent. Retry when earlier messages are settled.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The message breaks a bound; nothing was sent. A retry does not help.
    #[error("invalid message: {0}")]
    Invalid(&'static str),
    /// The payload exceeds the producer's maximum, the server's, or the whole queue; nothing was sent. A retry does not help.
    #[error("the payload has {bytes} bytes, and at most {bytes_max} are accepted")]
    TooLarge {
        /// Bytes of the payload, before compression.
        bytes: usize,
        /// Maximum bytes.
        bytes_max: usize,
    },
    /// The last attempt failed. After [`ClientError::Timeout`] or [`ClientError::Transport`] the broker may have stored
    /// the message.
    #[error("not delivered after {attempts} attempts: {error}")]
    Delivery {
        /// Attempts made; 0: nothing was sent, because the message could not make its deadline.
        attempts: u32,
        /// Error of the last attempt.
        #[source]
        error: ClientError,
    },
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
}

impl SendError {
    /// True if the broker throttled the last attempt.
    #[must_use]
    pub const fn is_throttled(&self) -> bool {
        matches!(self, Self::Delivery { error: ClientError::Throttled { .. }, .. })
    }
}
