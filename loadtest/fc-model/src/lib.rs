//! Function Compute's rules as a state machine, and two drivers for it.
//!
//! Start with [`Platform`]: it decides which instance gets a request, when an instance starts, freezes, thaws and
//! stops, and which requests are throttled. It has no clock, no process and no randomness. Every event costs the same
//! however many instances exist, and a request costs no allocation. Two drivers supply the time:
//!
//! - [`virtual_time`] runs the rules on a virtual clock, for `loadtest simulate`.
//! - [`real_time`] runs them on this machine's clock with real ingest-fn processes behind an HTTP front, for
//!   `loadtest fc-local`.
//!
//! [`PlatformFacts`] holds the documented figures of `data/platform.toml`, each with source and certainty. Where the
//! documents are silent, the rules assume:
//!
//! - A request goes to the instance that was freed last, provisioned instances first, so that few instances stay busy.
//! - A request without a free slot waits for a starting instance that still has one, and stays with it.
//! - A stopping instance counts against the quotas until its process has ended.
//! - Provisioned instances use the same delivery quota. Released ones linger like on-demand instances.

#![allow(missing_docs, reason = "a doc comment is written only where the name is not enough")]

mod event_queue;
mod facts;
mod platform;
pub mod process;
pub mod real_time;
mod rules;
pub mod virtual_time;

pub use facts::{
    Basis, Certainty, ColdStartFacts, Fact, IdleFacts, LimitFacts, PlatformFacts, QuotaFacts, StartRange,
};
pub use platform::{
    EventCounts, InstanceCounts, InstanceId, InstancePhase, InstanceUsage, PerPhase, PlacementDecision,
    Platform, PlatformAction, ThrottleReason,
};
pub use rules::{
    CONCURRENCY_MAX, ComputeQuota, DeliveryRate, INSTANCES_MAX, PlatformRules, ProvisionedWindow, RulesError,
};

/// Nanoseconds since the driver started.
pub type Nanos = u64;
