//! The shape of the data files on services and measurements.

use serde::Deserialize;

use super::facts::{Basis, Certainty, Fact};

/// What the managed services allow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specs {
    /// When it was read, year and month.
    pub as_of: String,
    /// Sizes of an instance.
    pub instance: InstanceLimits,
    /// RocketMQ.
    pub rocketmq: RocketMq,
    /// Dedicated gateway instances, smallest first.
    pub gateway: Vec<GatewayClass>,
    /// Database classes and their connections.
    pub polardb: Vec<DatabaseClass>,
}

/// Sizes of a Function Compute instance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceLimits {
    /// Least vCPUs.
    pub vcpu_min: Fact,
    /// Most vCPUs.
    pub vcpu_max: Fact,
    /// Steps of vCPUs.
    pub vcpu_step: Fact,
    /// Least memory, MB.
    pub memory_min_mb: Fact,
    /// Most memory, MB.
    pub memory_max_mb: Fact,
    /// Steps of memory, MB.
    pub memory_step_mb: Fact,
    /// Least GB for a vCPU.
    pub memory_gb_per_vcpu_min: Fact,
    /// Most GB for a vCPU.
    pub memory_gb_per_vcpu_max: Fact,
    /// Speed of a vCPU against the measured one.
    pub vcpu_speed: Fact,
    /// That instances are requests under way over concurrency.
    pub by_concurrency: Fact,
    /// Most provisioned instances.
    pub provisioned_max: Fact,
    /// How early to warm, seconds.
    pub lead_s: Fact,
}

/// RocketMQ's counting and sizes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RocketMq {
    /// A message counts once for each of these, bytes.
    pub unit_bytes: Fact,
    /// Most of a specification that sends may take, 0 to 1.
    pub send_share_max: Fact,
    /// How often an ordered, delayed or transactional message counts.
    pub special_type_factor: Fact,
    /// Specifications, smallest first.
    pub specs: Vec<BrokerSpec>,
}

/// A RocketMQ specification.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSpec {
    /// Its name.
    pub name: String,
    /// Sends and receives a second.
    pub tps: f64,
    /// More of them for a while.
    pub burst_tps: f64,
    /// Most connections, where known.
    pub connections: Option<f64>,
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it comes from.
    pub source: String,
}

/// A dedicated gateway instance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayClass {
    /// Its name.
    pub name: String,
    /// Most requests a second.
    pub rps: f64,
    /// Connections to the function, together.
    pub outbound_connections: f64,
    /// New connections a second.
    pub new_connections_per_s: f64,
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it comes from.
    pub source: String,
}

/// A database class.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseClass {
    /// Its name.
    pub name: String,
    /// Most connections.
    pub connections: f64,
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it comes from.
    pub source: String,
}

macro_rules! basis {
    ($($type:ty),*) => {$(
        impl $type {
            /// Where it comes from.
            #[must_use]
            pub fn basis(&self) -> Basis {
                Basis { certainty: self.certainty, source: self.source.clone() }
            }
        }
    )*};
}
basis!(BrokerSpec, GatewayClass, DatabaseClass);

/// What was measured or is assumed of Spillway.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// When.
    pub date: String,
    /// Where.
    pub machine: String,
    /// By what.
    pub command: String,
    /// ingest-fn.
    pub ingest: Ingest,
    /// How ingest-fn puts orders into one message.
    pub coalescing: Coalescing,
    /// Choices.
    pub assumed: Assumed,
}

/// What ingest-fn costs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// CPU an order, microseconds.
    pub us_per_order: Fact,
    /// An order's share of a message, bytes.
    pub order_bytes: Fact,
    /// Memory, MB.
    pub rss_mb: Fact,
    /// Median of a publish on loopback, milliseconds.
    pub publish_p50_ms: Fact,
    /// Its 99th percentile.
    pub publish_p99_ms: Fact,
}

/// How ingest-fn puts orders into one message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coalescing {
    /// Most bytes in a message.
    pub batch_bytes_max: Fact,
    /// Most orders in a message.
    pub batch_orders_max: Fact,
    /// Longest wait for others, milliseconds.
    pub linger_ms: Fact,
}

/// Choices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    /// Publish to the managed broker, milliseconds.
    pub publish_ms: Fact,
    /// Requests at once in an instance.
    pub concurrency: Fact,
    /// Share kept free, 0 to 1.
    pub headroom: Fact,
    /// Latency goal, milliseconds.
    pub p99_ms: Fact,
    /// Orders a second that the database takes.
    pub drain_rate: Fact,
    /// Writing connections of a worker.
    pub writers: Fact,
    /// Reading connections of a worker.
    pub readers: Fact,
    /// Drain workers.
    pub workers: Fact,
}
