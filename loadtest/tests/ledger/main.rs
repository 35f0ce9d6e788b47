//! The ledger must be able to fail: each fault, planted in a database that the drain has written, is named, and no other
//! one.

#![allow(clippy::expect_used, clippy::panic, reason = "a fixture that fails fails the test")]

mod attached;
mod fixture;
mod kills;
mod lookup;
mod outage;
mod planted;
mod scope;
#[path = "../common/stub_server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod stub_server;
