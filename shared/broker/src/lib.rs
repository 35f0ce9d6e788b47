#![doc = include_str!("../README.md")]

mod auth;
mod broker;
mod clients;
mod cluster;
mod config;
mod error;
mod faults;
mod intake;
mod net;
mod node;
mod prometheus;
mod router;
mod server;
mod service;
mod stats;
mod storage;
mod store;
mod topology;
mod wire;

pub use self::broker::Broker;
pub use self::cluster::{Cluster, ClusterAccess, ClusterConfig};
pub use self::config::{BrokerConfig, Flush, TopicConfig};
pub use self::error::BrokerError;
pub use self::faults::{Call, FailAt, Faults};
pub use self::stats::{BrokerStats, GroupStats, TopicStats};
