//! The whole worker, against the embedded broker and SQLite.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod admin;
mod dead_letters;
mod dead_letters_real;
mod drain;
mod failing;
mod faults;
mod follow;
mod harness;
mod pooled;
mod query;
mod query_access;
mod readme;
mod serve;
