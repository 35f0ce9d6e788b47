//! Plays Function Compute on this machine: an HTTP front that starts real ingest-fn processes as instances.
//!
//! [`crate::platform`] decides; here are the processes, the clock and the connections. A request is carried by one
//! task from the client's connection to the instance's and back, so that the front costs little beside what it plays.

mod args;
mod config;
mod connection;
mod driver;
mod front;
mod headers;
mod instance;
mod proxy;
mod refusal;
mod start;
mod status;

pub use args::{FcLocalArgs, on_one_thread};
pub use config::{Bounds, FrontConfig, Launch, Padding};
pub use front::Front;
pub use status::{ColdStartRecord, InstanceStatus, PreStops, Status, Summary, Times};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a panic left behind is as good as what anything else did: every change is complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
