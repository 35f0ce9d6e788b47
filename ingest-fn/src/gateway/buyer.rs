//! Who the gateway says the buyer is.

use http::HeaderValue;
use shared::order::UserId;

use crate::error::ApiError;

/// The buyer, told by the gateway. Its `Debug` does not show who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyer(UserId);

impl Buyer {
    /// Reads the identity header's value; `None` if it is no user id.
    #[must_use]
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        shared::gateway::parse_buyer(value).map(Self)
    }

    /// Puts the buyer into a body's `user_id` before anything is derived from it: the order's id and digest are those
    /// of the buyer.
    ///
    /// # Errors
    /// [`ApiError::UserMismatch`] if the body names somebody else.
    pub fn apply_to(&self, user_id: &mut String) -> Result<(), ApiError> {
        // A missing member reads as an empty one.
        if user_id.is_empty() {
            self.0.as_str().clone_into(user_id);
        }
        if *user_id == self.0.as_str() { Ok(()) } else { Err(ApiError::UserMismatch) }
    }

    /// The user id.
    #[must_use]
    pub const fn user_id(&self) -> &UserId {
        &self.0
    }
}
