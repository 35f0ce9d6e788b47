//! What surrounds the handlers, a file each.

pub mod admission;
