//! Plays a sale: who asks for what, when, and what came of it.

mod client;
mod schedule;
mod workload;

pub use client::{Counters, Played, Player, Target};
pub use schedule::{Phase, Schedule};
pub use workload::{Kind, Planned, Workload, WorkloadConfig};
