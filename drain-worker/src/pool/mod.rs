//! One cap for the whole pool, split by leases in the database.
//!
//! # Why it holds
//! *Credits.* A worker's gate ([`crate::rate`]) acquires a credit for an order before its commit begins and returns
//! it one second after the commit was answered. So the orders that a worker committed in the last second are among
//! those that hold a credit now.
//!
//! *Shares.* A lease's `share` in the database is never less than its worker's outstanding credits: it is raised
//! before the gate's credits are, and lowered after them, to what the gate holds. A worker changes its own share only. It
//! raises it into what the others have left of the cap, in one statement that has no effect if any share was raised
//! since it read them. So the sum of all shares never grows beyond the cap, and all workers together never committed
//! more than the cap in the last second. No clock is involved.
//!
//! *Leases.* A worker that has not renewed its lease for the lease's duration, by the database's clock or by an
//! observer's own (`observed.rs`), is fenced: another worker removes its row from `drain_fences`, which is possible only
//! between its transactions, and none begins after. Its share counts for one more second, in which its last commits
//! expire.
//!
//! # What it costs
//! A worker reads the group twice a second and renews its lease with its report once: three statements. It writes a share
//! only where that helps a worker (`allocate.rs`), and reads more often only while its own share is on the way. An order,
//! message or batch costs nothing more than the shared lock on the worker's own fence.

mod allocate;
mod demand;
mod limit;
mod member;
mod observed;
mod own_share;
mod report;

pub use allocate::{ShareDecision, ShareRequest, allocate};
pub use limit::LimitedBy;
pub use member::{FAST_WORKERS, Member, PoolConfig, PoolSnapshot, WorkerReports};
pub use report::{LagReport, LagSlot, WorkerReport, WorkerSignals, WorkerState};
