#![doc = include_str!("../README.md")]

pub mod bench;
pub mod cli;
pub mod demo;
pub mod fc_local;
pub mod generator;
pub mod ledger;
pub mod parts;
pub mod plan;
pub mod platform;
pub mod report;
pub mod run;
pub mod scenario;
pub mod simulate;
pub mod stage;
pub mod workload;
