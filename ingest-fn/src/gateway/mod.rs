//! The gateway in front: which requests are its own, and who it says the buyer is.
//!
//! The signature itself is [`shared::gateway`]'s. See `docs/gateway.md` for how to set it up and for what is known of it.

mod buyer;
mod policy;

pub use buyer::Buyer;
pub use policy::Gateway;
