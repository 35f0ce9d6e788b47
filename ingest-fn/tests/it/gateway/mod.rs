//! What the gateway vouches for, and what it does not.

mod event;
mod identity;
mod modes;
mod properties;
mod sign;
mod signature;
mod speed;
