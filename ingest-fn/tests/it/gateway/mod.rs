//! Authentication by the gateway.

mod event;
mod identity;
mod modes;
pub(crate) mod orders;
mod properties;
pub(crate) mod sign;
mod signature;
mod speed;
