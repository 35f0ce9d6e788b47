//! The shape of the data files on services and measurements.

use serde::Deserialize;

use fc_model::{Basis, Fact};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpecs {
    pub as_of: String,
    pub instance: InstanceLimits,
    pub rocketmq: RocketMq,
    pub gateway: Vec<GatewayClass>,
    pub polardb: Vec<DatabaseClass>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceLimits {
    pub vcpu_min: Fact,
    pub vcpu_max: Fact,
    pub vcpu_step: Fact,
    pub memory_min_mb: Fact,
    pub memory_max_mb: Fact,
    pub memory_step_mb: Fact,
    pub memory_gb_per_vcpu_min: Fact,
    pub memory_gb_per_vcpu_max: Fact,
    /// Speed of a platform vCPU relative to the measured one.
    pub vcpu_speed: Fact,
    pub by_concurrency: Fact,
    pub provisioned_max: Fact,
    pub lead_s: Fact,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RocketMq {
    /// A message is billed once per started unit of this size, bytes.
    pub unit_bytes: Fact,
    /// Maximum share of a specification for sends, 0 to 1.
    pub send_share_max: Fact,
    pub special_type_factor: Fact,
    pub specs: Vec<BrokerSpec>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct BrokerSpec {
    pub name: String,
    pub tps: f64,
    pub burst_tps: f64,
    pub connections: Option<f64>,
    #[serde(flatten)]
    pub basis: Basis,
}

#[derive(Clone, Debug, Deserialize)]
pub struct GatewayClass {
    pub name: String,
    pub rps: f64,
    pub outbound_connections: f64,
    pub new_connections_per_s: f64,
    #[serde(flatten)]
    pub basis: Basis,
}

#[derive(Clone, Debug, Deserialize)]
pub struct DatabaseClass {
    pub name: String,
    pub connections: f64,
    #[serde(flatten)]
    pub basis: Basis,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredFacts {
    pub date: String,
    pub machine: String,
    pub command: String,
    pub ingest: IngestFacts,
    pub coalescing: Coalescing,
    pub assumed: Assumed,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestFacts {
    pub us_per_order: Fact,
    /// An order's share of a message, bytes.
    pub order_bytes: Fact,
    pub rss_mb: Fact,
    /// Median of a publish on loopback, milliseconds.
    pub publish_p50_ms: Fact,
    pub publish_p99_ms: Fact,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coalescing {
    pub batch_bytes_max: Fact,
    pub batch_orders_max: Fact,
    pub linger_ms: Fact,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    pub publish_ms: Fact,
    pub concurrency: Fact,
    pub headroom: Fact,
    pub p99_ms: Fact,
    /// Orders a second that the database commits.
    pub drain_rate: Fact,
    pub writers: Fact,
    pub readers: Fact,
    pub workers: Fact,
}
