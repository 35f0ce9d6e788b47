//! Filters of a subscription.

use crate::protocol::{FilterExpression, FilterType};

/// The messages of a topic that a consumer receives. The broker settles the others for the group, and
/// another filter does not bring them back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFilter {
    kind: FilterKind,
    expression: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterKind {
    Tag,
    Sql,
}

impl MessageFilter {
    /// Every message.
    #[must_use]
    pub fn all() -> Self {
        Self { kind: FilterKind::Tag, expression: "*".to_owned() }
    }

    /// Messages with one of `tags`, as an expression: `red`, or `red || blue`.
    #[must_use]
    pub fn tags(tags: impl Into<String>) -> Self {
        Self { kind: FilterKind::Tag, expression: tags.into() }
    }

    /// Messages whose properties satisfy an SQL92 condition, such as `colour = 'red' AND size > 3`; `TAGS` is the tag. The
    /// embedded broker does not support it.
    #[must_use]
    pub fn sql(condition: impl Into<String>) -> Self {
        Self { kind: FilterKind::Sql, expression: condition.into() }
    }

    pub(crate) fn to_protocol(&self) -> FilterExpression {
        let filter_type = match self.kind {
            FilterKind::Tag => FilterType::Tag,
            FilterKind::Sql => FilterType::Sql,
        };
        FilterExpression { r#type: filter_type.into(), expression: self.expression.clone() }
    }
}

impl Default for MessageFilter {
    fn default() -> Self {
        Self::all()
    }
}
