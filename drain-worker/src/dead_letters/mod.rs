//! What operators do with dead letters, and where they come from beside the drain.
//!
//! * [`Redriver`] sends a page of letters through the store again, at the worker's share of the cap.
//! * [`exhausted`] takes over what the broker itself gave up: messages that were delivered too often.
//! * [`retention`] warns before the broker drops anything because of its age.

pub mod broker_dlq;
mod outcome;
mod redrive;
pub mod retention;
mod write;

pub use outcome::{RedriveOutcome, RedriveResult};
pub use redrive::{RedriveConfig, RedrivePage, Redriver};
pub use write::WriteGuard;
