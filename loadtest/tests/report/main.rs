//! The report: its JSON and schema, its page in a real browser, and what `loadtest compare` makes of two of them.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod browser;
mod command;
mod compare;
mod fixture;
mod json;
mod page;
mod runs;
