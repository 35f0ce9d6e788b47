//! Permission to commit.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Inner;
use super::state::Granted;
use crate::store::Fence;

/// Permission to commit a number of orders under a lease.
///
/// Its credits come back a second after [`Grant::answered`]. A grant that is just dropped keeps them for as long as the
/// lease lasts: whoever gave up on a commit, was cancelled or panicked cannot know that it does not happen yet.
#[must_use = "a grant that is dropped never gives its credits back"]
pub struct Grant {
    inner: Arc<Inner>,
    granted: Granted,
}

impl Grant {
    pub(super) const fn new(inner: Arc<Inner>, granted: Granted) -> Self {
        Self { inner, granted }
    }

    /// How many orders may be committed under it.
    #[must_use]
    pub const fn orders(&self) -> NonZeroU32 {
        self.granted.orders
    }

    /// The lease that the commit must stand under.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.granted.fence
    }

    /// The commit was answered, or never asked for: the credits run out their second.
    pub fn answered(self) {
        self.inner.answered(self.granted.orders.get(), self.granted.epoch);
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Grant").field(&self.granted).finish()
    }
}
