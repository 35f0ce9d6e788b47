//! The whole worker against the embedded broker and SQLite.

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

mod admin;
mod cli;
mod control;
mod cordon;
mod dead_letters;
mod dead_letters_real;
mod drain;
mod faults;
mod faulty_store;
mod harness;
mod health;
mod log_samples;
mod order_log;
mod pause;
mod pool;
mod problems;
mod query;
mod query_access;
mod readme;
mod schedule_preview;
mod serve;
mod stuck;
#[cfg(target_os = "linux")]
mod terminal;
