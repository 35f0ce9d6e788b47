#![doc = include_str!("../README.md")]

pub mod cli;
pub mod demo;
pub mod ledger;
pub mod parts;
pub mod play;
