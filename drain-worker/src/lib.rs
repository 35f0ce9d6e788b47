#![doc = include_str!("../README.md")]

pub mod admin;
pub mod backoff;
pub mod cli;
pub mod config;
pub mod control;
pub mod dead_letters;
pub mod init;
pub mod lag;
pub mod metrics;
pub mod monitor;
pub mod pipeline;
pub mod pool;
pub mod query;
pub mod rate;
mod run;
pub mod serve;
pub mod store;
pub mod tune;

pub use run::{Listeners, RunError, run};
