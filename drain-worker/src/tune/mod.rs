//! Finding out what the database takes, with orders of its own on a database of its own.

pub mod orders;
mod scratch;

pub use orders::{Orders, OrdersError};
pub use scratch::{NAME_PREFIX, Scratch, ScratchError};
