//! One cap for the whole pool, split by leases in the database.
//!
//! # Why it holds
//! *Credits.* A worker's gate ([`crate::rate`]) acquires a credit for an order before its commit begins and returns
//! it one second after the commit was answered. So the orders that a worker committed in the last second are among
//! those that hold a credit now.
//!
//! *Shares.* A lease's `share` in the database is never less than its worker's outstanding credits: it is raised
//! before the gate's credits are, and lowered after them, to what the gate holds. Shares change only under the lock
//! of the group's row, and grow only while the sum of all shares stays within the cap. So all workers together never
//! committed more than the cap in the last second. No clock is involved.
//!
//! *Leases.* A worker without a heartbeat for the duration of its lease, by the database's clock, is fenced: another
//! worker removes its row from `drain_fences`, which is possible only between its transactions, and none begins
//! after. Its share counts for one more second, in which its last commits expire.
//!
//! # What it costs
//! A heartbeat is one short transaction, four times a second, or thirty times while shares change. An order, message
//! or batch costs nothing more than the shared lock on the worker's own fence.

mod allocate;
mod demand;
mod member;
mod report;

pub use allocate::{ShareDecision, ShareRequest, allocate};
pub use member::{Member, PoolConfig, PoolSnapshot};
pub use report::{LagReport, LagSlot, WorkerReport, WorkerSignals, WorkerState};
