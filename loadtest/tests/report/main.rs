//! The report: its JSON and schema, its page in a real browser, and `loadtest compare`.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

mod browser;
mod command;
mod compare;
mod exports;
mod fixture;
mod json;
mod page;
mod repeated;
mod runs;
