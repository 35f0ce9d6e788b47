//! Filters of receives by tag.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as ProstMessage;

/// The tags that a receive takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum TagFilter {
    #[default]
    All,
    AnyOf(BTreeSet<String>),
}

/// The part of a stored message that a filter reads.
#[derive(Clone, PartialEq, ProstMessage)]
struct Tagged {
    #[prost(message, optional, tag = "3")]
    system_properties: Option<Tag>,
}

#[derive(Clone, PartialEq, ProstMessage)]
struct Tag {
    #[prost(string, tag = "1")]
    tag: String,
}

impl TagFilter {
    /// Parses `*`, or tags between `||`, as Apache's `FilterAPI` does. Returns `None` for an expression without a tag.
    pub(crate) fn parse(expression: &str) -> Option<Self> {
        if matches!(expression, "" | "*") {
            return Some(Self::All);
        }
        let tags = expression.split("||").map(str::trim).filter(|tag| !tag.is_empty());
        let tags: BTreeSet<_> = tags.map(str::to_owned).collect();
        (!tags.is_empty()).then_some(Self::AnyOf(tags))
    }

    /// Returns true for a message, protobuf as sent, whose tag passes. A message without a tag passes [`Self::All`] only.
    pub(crate) fn passes(&self, raw: &Bytes) -> bool {
        match self {
            Self::All => true,
            Self::AnyOf(tags) => Tagged::decode(raw.clone())
                .ok()
                .and_then(|message| message.system_properties)
                .is_some_and(|system| tags.contains(&system.tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tag: &str) -> Bytes {
        Tagged { system_properties: Some(Tag { tag: tag.to_owned() }) }.encode_to_vec().into()
    }

    #[test]
    fn expressions_read_as_apaches_filter_api_says() {
        for (expression, passing, failing) in [
            ("*", ["red", ""].as_slice(), [].as_slice()),
            ("", &["red", ""], &[]),
            ("red", &["red"], &["blue", "", "re"]),
            (" red||blue ", &["red", "blue"], &["green", ""]),
            ("red || ", &["red"], &["", "blue"]),
            ("red || *", &["red", "*"], &["blue"]),
            ("red | blue", &["red | blue"], &["red", "blue"]),
        ] {
            let filter = TagFilter::parse(expression).expect("legal");
            for tag in passing {
                assert!(filter.passes(&tagged(tag)), "{expression:?} passes {tag:?}");
            }
            for tag in failing {
                assert!(!filter.passes(&tagged(tag)), "{expression:?} rejects {tag:?}");
            }
        }
        assert_eq!(TagFilter::parse("||"), None);
        assert!(!TagFilter::parse("red").expect("legal").passes(&Bytes::new()));
    }
}
