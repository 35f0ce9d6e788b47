//! What the gateway vouches for, and what it does not.

mod event;
mod identity;
mod modes;
pub(crate) mod orders;
mod properties;
pub(crate) mod sign;
mod signature;
mod speed;
