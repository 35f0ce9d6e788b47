//! Configuration: every setting is a flag and an environment variable, and [`Config::settings`] checks all of them.

mod args;
mod gateway;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shared::catalogue::Catalogue;
use shared::config::{ConfigErrors, LogArgs, RocketmqArgs, Secret};
use shared::envelope;
use shared::order::OrderIdKeys;
use shared::rocketmq::{ClientConfig, ProducerConfig};

use crate::current_sales::{CurrentSales, missing_keys};
use crate::publish::BatchLimits;
use crate::server::ServerConfig;

pub use args::{BatchArgs, LimitArgs, ListenArgs, ObserveArgs};
pub use gateway::{GatewayArgs, GatewayAuth};

/// Accepts orders of a flash sale: validates, publishes to RocketMQ, answers 202 after the broker's acknowledgement.
///
/// Stateless: no database connection, and no data that a freeze or a kill could lose.
#[derive(Clone, Debug, clap::Parser, Serialize)]
#[command(name = "ingest-fn", version, after_help = EXAMPLES)]
pub struct Config {
    #[command(flatten)]
    #[serde(flatten)]
    pub listen: ListenArgs,

    /// Catalogue of sales: a TOML or JSON file
    #[arg(long, env = "SPILLWAY_CATALOGUE", value_name = "FILE")]
    pub catalogue: PathBuf,

    /// Keys that order ids are derived from: name=hex[,name=hex…], at least 64 hex digits each; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ORDER_ID_KEYS", value_name = "KEYS", hide_env_values = true)]
    pub order_id_keys: Secret<String>,

    #[command(flatten)]
    pub gateway: GatewayArgs,

    #[command(flatten)]
    pub rocketmq: RocketmqArgs,

    #[command(flatten)]
    pub batch: BatchArgs,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub logs: LogArgs,

    #[command(flatten)]
    pub observe: ObserveArgs,

    /// Print the effective configuration as JSON, secrets masked, and exit
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
}

/// Far more than a client needs, and less than what a client may hold a connection for.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "Example:
  SPILLWAY_ORDER_ID_KEYS=default=$(openssl rand -hex 32) SPILLWAY_GATEWAY_SECRETS=2026a=$(openssl rand -hex 15) \\
    ingest-fn --catalogue sales.toml --rocketmq-endpoint 127.0.0.1:8081

Exit codes: 0 success; 1 runtime failure; 64 invalid configuration or command line.";

/// The checked configuration.
#[derive(Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    pub server: ServerConfig,
    pub client: ClientConfig,
    /// Bounds of the whole instance; each worker gets an equal part.
    pub producer: ProducerConfig,
    pub topic: String,
    pub batch: BatchLimits,
}

impl Config {
    /// Fills in defaults that depend on the machine or the environment, for `--print-config`.
    #[must_use]
    pub fn effective(&self) -> Self {
        let mut effective = self.clone();
        effective.listen.fill_in_defaults();
        effective.limits.workers = Some(self.limits.workers());
        effective.limits.connections_max = Some(self.limits.connections_max());
        effective
    }

    /// Checks all settings and loads the catalogue.
    ///
    /// # Errors
    /// All errors together, each with its flag.
    pub fn settings(&self) -> Result<Settings, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let catalogue = Catalogue::load(&self.catalogue)
            .map_err(|error| errors.push(format_args!("--catalogue: {error}")))
            .ok();
        let order_id_keys: Option<OrderIdKeys> = self
            .order_id_keys
            .expose()
            .parse()
            .map_err(|error| errors.push(format_args!("--order-id-keys: {error}")))
            .ok();
        if let (Some(catalogue), Some(keys)) = (&catalogue, &order_id_keys) {
            for missing in missing_keys(catalogue, keys) {
                errors.push(format_args!("--order-id-keys: {missing}"));
            }
        }
        self.limits.check(&mut errors);
        let gateway = self.gateway.gateway(&mut errors);
        let client = self.rocketmq.client_config(&mut errors);
        errors.require(
            (256..=envelope::BYTES_MAX).contains(&self.batch.batch_bytes_max),
            format_args!("--batch-bytes-max: must be 256 to {}", envelope::BYTES_MAX),
        );
        // A message has at most 16 KiB of properties, and a key uses 37 bytes of them.
        errors.require(self.batch.batch_orders_max.get() <= 400, "--batch-orders-max: must be 1 to 400");
        let (Some(catalogue), Some(order_id_keys), Some(gateway), Some(mut client), true) =
            (catalogue, order_id_keys, gateway, client, errors.is_empty())
        else {
            return Err(errors);
        };
        let batch = self.batch.limits();
        let publish_timeout = self.limits.publish_timeout();
        // A connection that died during a freeze is detected only by a timeout. A send must have the time for one
        // attempt on such a connection and one on a new connection.
        client.request_timeout = client.request_timeout.min(publish_timeout / 2);
        client.connect_timeout = client.connect_timeout.min(client.request_timeout);
        let producer = ProducerConfig {
            topics: vec![self.rocketmq.orders_topic.clone()],
            queue_messages_max: self.limits.queue_messages_max,
            in_flight_max: self.limits.publishes_in_flight_max,
            delivery_timeout: publish_timeout,
            ..ProducerConfig::default()
        };
        Ok(Settings {
            listen: self.listen.address(),
            server: ServerConfig {
                sales: Arc::new(CurrentSales::from_file(catalogue, order_id_keys, self.catalogue.clone())),
                gateway: Arc::new(gateway),
                limits: self.limits.request_limits(batch.linger),
                workers: self.limits.workers(),
                connections_max: self.limits.connections_max(),
                head_timeout: HEAD_TIMEOUT,
                start_timeout: Duration::from_millis(self.limits.start_timeout_ms),
                grace: self.limits.grace(),
                request_log: self.observe.settings(),
            },
            client,
            producer,
            topic: self.rocketmq.orders_topic.clone(),
            batch,
        })
    }
}
