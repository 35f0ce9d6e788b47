//! The types of topics.

use std::fmt;

use crate::protocol::MessageType;

/// The type of a topic: the kind of messages that it takes, and no others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicType {
    /// Messages without an order.
    #[default]
    Normal,
    /// Messages with a group, within which they keep their order.
    Fifo,
    /// Messages with a delivery time.
    Delay,
}

impl TopicType {
    pub(crate) const fn to_protocol(self) -> MessageType {
        match self {
            Self::Normal => MessageType::Normal,
            Self::Fifo => MessageType::Fifo,
            Self::Delay => MessageType::Delay,
        }
    }
}

impl fmt::Display for TopicType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(type_name(self.to_protocol()))
    }
}

/// The name of a message type, as RocketMQ's tools write it.
pub(crate) const fn type_name(message_type: MessageType) -> &'static str {
    match message_type {
        MessageType::Unspecified => "UNSPECIFIED",
        MessageType::Normal => "NORMAL",
        MessageType::Fifo => "FIFO",
        MessageType::Delay => "DELAY",
        MessageType::Transaction => "TRANSACTION",
    }
}
