//! The orders of a received message.

use std::time::Duration;

use shared::envelope::{EnvelopeError, decode_batch};
use shared::order::AcceptedOrder;
use shared::rocketmq::{BodyFault, Message};

use crate::store::DeadLetterReason;

/// Time for which a worker extends the invisible duration of a message that it holds: longer than any broker stores one.
/// So an outage or a pause of any length spends no delivery attempt.
pub(crate) const EXTEND_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The reason why a message has no orders.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageFault {
    #[error(transparent)]
    Body(#[from] BodyFault),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

impl MessageFault {
    /// True if the broker may hold the message whole: then a redelivery helps.
    pub(crate) const fn may_be_transient(&self) -> bool {
        matches!(self, Self::Body(BodyFault::DigestMismatch))
    }

    pub(crate) const fn reason(&self) -> DeadLetterReason {
        match self {
            Self::Envelope(EnvelopeError::UnknownVersion { .. }) => DeadLetterReason::UnknownVersion,
            Self::Envelope(
                EnvelopeError::TooLarge { .. }
                | EnvelopeError::Malformed { .. }
                | EnvelopeError::InvalidField { .. },
            )
            | Self::Body(_) => DeadLetterReason::MalformedMessage,
        }
    }
}

pub(crate) fn decode(message: &Message) -> Result<Vec<AcceptedOrder>, MessageFault> {
    match message.body_fault() {
        Some(fault) => Err(fault.into()),
        None => Ok(decode_batch(message.payload())?),
    }
}
