//! Settings, by flag and environment alike.

mod gateway;
mod limits;
mod listen;
mod observe;

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

use crate::publish::BatchLimits;
use crate::server::ServerConfig;

pub use gateway::{GatewayArgs, GatewayAuth};
pub use limits::{BatchArgs, LimitArgs};
pub use listen::ListenArgs;
pub use observe::ObserveArgs;

/// Takes a flash sale's orders: validates, publishes to RocketMQ, answers 202 once the broker has acknowledged.
///
/// Stateless: it holds no database connection, and nothing that a freeze or a kill could lose.
#[derive(Clone, Debug, clap::Parser, Serialize)]
#[command(name = "ingest-fn", version, after_help = EXAMPLES)]
pub struct Config {
    /// Where to listen.
    #[command(flatten)]
    #[serde(flatten)]
    pub listen: ListenArgs,

    /// Catalogue of sales, a TOML or JSON file
    #[arg(long, env = "SPILLWAY_CATALOGUE", value_name = "FILE")]
    pub catalogue: PathBuf,

    /// Keys that order ids are derived with: name=hex[,name=hex…], 64 hex digits or more each; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ORDER_ID_KEYS", value_name = "KEYS", hide_env_values = true)]
    pub order_id_keys: Secret<String>,

    /// What stands in front.
    #[command(flatten)]
    pub gateway: GatewayArgs,

    /// RocketMQ's connection.
    #[command(flatten)]
    pub rocketmq: RocketmqArgs,

    /// When a message is full.
    #[command(flatten)]
    pub batch: BatchArgs,

    /// How much is taken on at once.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,

    /// What is told of requests.
    #[command(flatten)]
    pub observe: ObserveArgs,

    /// Print the effective configuration as JSON, secrets masked, and exit
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
}

const EXAMPLES: &str = "Example:
  SPILLWAY_ORDER_ID_KEYS=default=$(openssl rand -hex 32) SPILLWAY_GATEWAY_SECRETS=2026a=$(openssl rand -hex 15) \\
    ingest-fn --catalogue sales.toml --rocketmq-endpoint 127.0.0.1:8081

Exit codes: 0 stopped in order, 1 failed, 2 wrong flags, 64 wrong configuration.";

/// What the flags come to, checked as a whole.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The server's bounds, and what is on sale.
    pub server: ServerConfig,
    /// The broker's connection.
    pub client: ClientConfig,
    /// The producer's bounds.
    pub producer: ProducerConfig,
    /// The orders' topic.
    pub topic: String,
    /// When a message is full.
    pub batch: BatchLimits,
}

impl Config {
    /// With what depends on the machine or the environment filled in, for printing.
    #[must_use]
    pub fn effective(&self) -> Self {
        let mut effective = self.clone();
        effective.listen.settle();
        effective.limits.workers = Some(self.limits.workers());
        effective
    }

    /// Checks everything.
    ///
    /// # Errors
    /// All faults at once.
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
            for sale in catalogue.sales().filter(|sale| keys.get(&sale.order_id_key).is_none()) {
                let (id, key) = (&sale.id, &sale.order_id_key);
                errors.push(format_args!(
                    "--order-id-keys: sale {id} needs the key `{key}`, which is not given"
                ));
            }
        }
        let gateway = self.gateway.gateway(&mut errors);
        let client = self.rocketmq.client_config(&mut errors);
        errors.require(
            (256..=envelope::BYTES_MAX).contains(&self.batch.batch_bytes_max),
            format_args!("--batch-bytes-max: must be 256 to {}", envelope::BYTES_MAX),
        );
        // A message has room for 16 KiB of properties, and a key takes 37 bytes.
        errors.require(self.batch.batch_orders_max.get() <= 400, "--batch-orders-max: must be 1 to 400");
        let (Some(catalogue), Some(order_id_keys), Some(gateway), Some(mut client), true) =
            (catalogue, order_id_keys, gateway, client, errors.is_empty())
        else {
            return Err(errors);
        };
        let publish_timeout = self.limits.publish_timeout();
        // Nothing but a time-out finds a connection that died unseen, as it does while an instance is frozen. A send
        // must have the time to meet one and to try again on a new one.
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
                catalogue,
                order_id_keys,
                gateway: Arc::new(gateway),
                limits: self.limits.request_limits(self.batch.linger()),
                workers: self.limits.workers(),
                connections_max: self.limits.connections_max,
                start_timeout: Duration::from_millis(self.limits.start_timeout_ms),
                grace: self.limits.grace(),
                observer: self.observe.settings(),
            },
            client,
            producer,
            topic: self.rocketmq.orders_topic.clone(),
            batch: BatchLimits {
                orders_max: self.batch.batch_orders_max,
                bytes_max: self.batch.batch_bytes_max,
                linger: self.batch.linger(),
            },
        })
    }
}
