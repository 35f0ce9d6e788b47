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

impl From<TopicType> for MessageType {
    fn from(topic_type: TopicType) -> Self {
        match topic_type {
            TopicType::Normal => Self::Normal,
            TopicType::Fifo => Self::Fifo,
            TopicType::Delay => Self::Delay,
        }
    }
}

impl fmt::Display for TopicType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MessageType::from(*self).name())
    }
}
