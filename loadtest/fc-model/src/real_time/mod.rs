//! The driver on this machine's clock: ingest-fn processes as instances behind an HTTP front.
//!
//! [`FcFront`] accepts the connections. One task carries a request from the client's connection to the instance's and
//! back (`proxy`), so that the front costs little CPU. `state` holds the rules and the instances under one lock;
//! `lifecycle` starts, freezes and stops the processes.

mod config;
mod connection;
mod error;
mod front;
mod headers;
mod instance;
mod lifecycle;
mod proxy;
mod state;
mod status;

pub use config::{FrontBounds, FrontConfig, StartPadding};
pub use front::FcFront;
pub use status::{ColdStartRecord, FrontStatus, FrontSummary, InstanceStatus, PreStops, ThawTimes};
