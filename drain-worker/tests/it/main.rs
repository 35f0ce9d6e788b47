//! The whole worker, against the embedded broker and SQLite.

mod drain;
mod faults;
mod harness;
mod query;
