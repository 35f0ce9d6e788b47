//! What a run is played on: broker, database and services, as child processes or already running.
//!
//! [`SystemUnderTest`] is the whole of it. [`Environment`] is broker and database of one run, [`Services`] ingest-fn (or
//! fc-local) and the drain worker. All processes are started through [`fc_model::process::ProcessLaunch`].

mod launch;
mod real;
mod services;
mod stack;
mod system;

pub use launch::own_process;
pub use stack::{Environment, Stack};
pub use system::{ExternalSystem, FaultPlan, LaunchConfig, OfferedSale, SystemUnderTest};
