//! Dead letters: redriven by operators, and read from the broker's dead-letter topic.
//!
//! * [`Redriver`] commits the orders of a page of dead letters again, at the worker's share of the cap.
//! * [`broker_dlq`] stores messages that the broker has delivered too often.
//! * [`deletion`] deletes payloads of discarded dead letters.
//! * [`retention`] warns before the broker drops messages because of their age.

pub mod broker_dlq;
pub(crate) mod deletion;
mod outcome;
mod redrive;
pub mod retention;
pub(crate) mod write;

pub use outcome::{RedriveOutcome, RedriveResult};
pub use redrive::{RedriveConfig, RedrivePage, Redriver};
pub use write::WriteGuard;
