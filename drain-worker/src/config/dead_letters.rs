//! Flags of the broker's dead-letter topic.

use serde::Serialize;
use shared::config::ConfigErrors;

use crate::dead_letters::broker_dlq::BrokerDlqConfig;

/// Maximum length of a topic or group name in Apache's broker, characters.
const NAME_CHARS_MAX: usize = 127;

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Dead letters")]
pub struct DeadLetterArgs {
    /// Topic to which the broker moves messages that were delivered too often [default: %DLQ%GROUP]
    #[arg(long, env = "SPILLWAY_DEAD_LETTER_TOPIC", value_name = "TOPIC")]
    pub dead_letter_topic: Option<String>,

    /// Consumer group of that topic; it must exist [default: GROUP-dead-letters]
    #[arg(long, env = "SPILLWAY_DEAD_LETTER_GROUP", value_name = "GROUP")]
    pub dead_letter_group: Option<String>,

    /// Hours for which a discard can be undone (`dlq restore`); then the payload is deleted
    #[arg(long, env = "SPILLWAY_DISCARD_UNDO_H", value_name = "HOURS", default_value_t = 24,
          value_parser = clap::value_parser!(u64).range(0..=72))]
    pub discard_undo_h: u64,
}

impl DeadLetterArgs {
    pub fn broker_dlq(&self, group: &str, errors: &mut ConfigErrors) -> BrokerDlqConfig {
        let mut config = BrokerDlqConfig::for_group(group);
        config.topic = self.dead_letter_topic.clone().unwrap_or(config.topic);
        config.group = self.dead_letter_group.clone().unwrap_or(config.group);
        errors.require(
            is_name(&config.topic),
            "--dead-letter-topic: 1 to 127 letters, digits, '-', '_' and '%'",
        );
        errors.require(
            is_name(&config.group) && config.group != group,
            "--dead-letter-group: 1 to 127 letters, digits, '-', '_' and '%', and another group than --consumer-group",
        );
        config
    }
}

/// Unlike operators' names, the broker's contain a '%'.
fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_derive_from_the_group_unless_given() {
        let args = |topic: Option<&str>, group: Option<&str>| DeadLetterArgs {
            dead_letter_topic: topic.map(str::to_owned),
            dead_letter_group: group.map(str::to_owned),
            discard_undo_h: 24,
        };
        for (topic, group, expected) in [
            (None, None, Some(("%DLQ%drain", "drain-dead-letters"))),
            (Some("orders-dead"), Some("undertaker"), Some(("orders-dead", "undertaker"))),
            (Some("orders dead"), None, None),
            (None, Some("drain"), None),
            (None, Some(""), None),
        ] {
            let mut errors = ConfigErrors::default();
            let config = args(topic, group).broker_dlq("drain", &mut errors);
            assert_eq!(errors.is_empty(), expected.is_some(), "{topic:?} {group:?}");
            if let Some(expected) = expected {
                assert_eq!((config.topic.as_str(), config.group.as_str()), expected);
            }
        }
    }
}
