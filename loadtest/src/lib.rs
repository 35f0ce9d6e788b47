#![doc = include_str!("../README.md")]
//! # Where to start
//!
//! A run reads top to bottom in `run`: [`scenario`] and `workload` say what is sent, `environment` starts what it is
//! sent to, `generator` sends it, [`ledger`] compares requests and rows, [`report`] writes the result. [`plan`],
//! [`simulate`] and `fc_local` answer questions about Function Compute; its rules are the crate `fc-model`. The
//! benchmarks are the crate `loadtest-bench`, which uses the modules that are public for it.

#![allow(missing_docs, reason = "a doc comment is written only where the name is not enough")]

pub mod cli;
mod demo;
pub mod environment;
mod fc_local;
mod generator;
pub mod ledger;
pub mod plan;
pub mod process;
pub mod quota_args;
pub mod report;
pub mod run;
pub mod scenario;
pub mod simulate;
pub mod target;
pub mod workload;
