//! One cap for the whole pool, split by leases in the database.
//!
//! # Why it holds
//! *Credits.* A worker's gate ([`crate::rate`]) lets an order take a credit before its commit begins and gives it back
//! one second after the commit was answered. So the orders that a worker committed in the last second are among those
//! that hold a credit now.
//!
//! *Shares.* A lease's `share` in the database is never less than what its worker's gate has out: it is raised before
//! the gate's credits are, and lowered only to what the gate holds after they were. Shares change only under the lock
//! of the group's row, and are raised only as far as the sum of all shares stays within the cap. So the orders that
//! all workers committed in the last second are never more than the cap. No clock takes part in this.
//!
//! *Leases.* A worker that sends no heartbeat for the time of its lease, by the database's clock, is fenced: whoever
//! notices removes its row from `drain_fences`, which waits for its transactions under way and lets none begin. Its
//! share counts for one second more, in which what it committed last runs out.
//!
//! # What it costs
//! A heartbeat is one short transaction four times a second, thirty times while shares move. Nothing is asked per order,
//! message or batch but the shared lock on the worker's own fence.

mod allocate;
mod demand;
mod member;
mod report;
mod split;

pub use allocate::{ShareDecision, ShareRequest, allocate};
pub use member::{Member, PoolConfig, PoolSnapshot};
pub use report::{LagReport, LagSlot, WorkerReport, WorkerSignals, WorkerState};
pub use split::split;
