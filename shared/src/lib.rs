#![doc = include_str!("../README.md")]

pub mod catalogue;
pub mod config;
pub mod envelope;
pub mod gateway;
pub mod listen;
pub mod order;
pub mod problem;
pub mod shutdown;
pub mod telemetry;
pub mod time;

pub use spillway_rocketmq as rocketmq;
