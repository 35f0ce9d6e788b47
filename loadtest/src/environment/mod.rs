//! The system of a run: broker, database and services, as child processes or already running.
//!
//! [`SystemUnderTest`] is the whole. [`Environment`] is broker and database of one run, [`Services`] ingest-fn (or
//! fc-local) and the drain worker. All processes start through [`fc_model::process::ProcessLaunch`].

mod launch;
mod real;
mod services;
mod sources;
mod stack;
mod system;

pub use launch::own_process;
pub use sources::{LedgerAccess, LedgerSources, OfferedSale};
pub use stack::{Environment, Stack};
pub use system::{ExternalSystem, FaultPlan, LaunchConfig, SystemUnderTest};
