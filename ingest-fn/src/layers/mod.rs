//! What surrounds the handlers, a file each.

pub mod admission;
pub mod identity;
pub mod signature;
