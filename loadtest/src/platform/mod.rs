//! The rules of Function Compute, without a clock or a process of their own.
//!
//! [`Platform`] decides which instance a request goes to, when an instance is started, frozen, thawed and stopped,
//! and what is throttled. Whoever drives it brings the time: `fc-local` the machine's, with real processes;
//! `simulate` a made-up one. Every event costs the same however many instances there are, and a request costs no
//! allocation.
//!
//! What the platform's documents say is in `data/platform.toml`, each figure with its source and certainty. Where
//! they are silent the rules here are assumptions:
//!
//! - A request goes to the instance that was most recently made free, provisioned ones first, so that few stay busy.
//! - A request that finds no room waits on a starting instance that still has a slot, and stays with it.
//! - A stopping instance counts against the quotas until it is gone.
//! - Provisioned instances come out of the same delivery quota. Released ones linger like any other.

mod bucket;
mod census;
mod facts;
mod machine;
mod rules;
mod slots;
#[cfg(test)]
mod tests;
mod timers;

pub use census::{Census, Counts, Phase, Phases, Usage};
pub use facts::{Certainty, ColdStart, ColdStartFacts, Fact, Facts, IdleFacts, LimitFacts, QuotaFacts};
pub use machine::{Action, Decision, Platform, Throttle};
pub use rules::{CONCURRENCY_MAX, Compute, Delivery, INSTANCES_MAX, Provisioned, Rules, RulesError};
pub use slots::InstanceId;

/// A point in time: nanoseconds since whenever the driver began.
pub type Nanos = u64;
