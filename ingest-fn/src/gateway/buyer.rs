//! Who the gateway says the buyer is.

use http::HeaderValue;
use shared::order::UserId;

/// The buyer, told by the gateway. Its `Debug` does not show who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyer(UserId);

impl Buyer {
    /// Reads the identity header's value; `None` if it is no user id.
    #[must_use]
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        UserId::parse(value.to_str().ok()?).ok().map(Self)
    }

    /// The user id.
    #[must_use]
    pub const fn user_id(&self) -> &UserId {
        &self.0
    }
}
