#![doc = include_str!("../README.md")]
#![allow(missing_docs, reason = "a binary's library: names say what a comment would repeat")]

pub mod adaptive_limit;
pub mod admin;
pub mod cli;
pub mod config;
pub mod control;
pub mod dead_letters;
mod exchange;
pub mod init;
pub mod lag;
mod message;
pub mod metrics;
pub mod monitor;
pub mod pipeline;
pub mod pool;
pub mod purge;
pub mod query;
pub mod rate;
mod run;
pub mod store;
pub mod tune;

pub use run::{Listeners, RunError, run};
