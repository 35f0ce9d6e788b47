#![doc = include_str!("../README.md")]

pub mod catalogue;
pub mod config;
pub mod envelope;
pub mod gateway;
pub mod http;
pub mod lookup;
pub mod loopback;
pub mod order;
pub mod problem;
pub mod retry;
pub mod shutdown;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod time;
pub mod web;

pub use spillway_rocketmq as rocketmq;
