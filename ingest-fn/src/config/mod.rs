//! Settings, by flag and environment alike.

mod gateway;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use shared::catalogue::Catalogue;
use shared::config::{ConfigErrors, LogArgs, RocketmqArgs, Secret};
use shared::envelope;
use shared::order::OrderIdKeys;
use shared::rocketmq::{ClientConfig, ProducerConfig};

use crate::gateway::Gateway;
use crate::publish::BatchLimits;

pub use gateway::{GatewayArgs, GatewayAuth};

/// Takes a flash sale's orders: validates, publishes to RocketMQ, answers 202 once the broker has acknowledged.
///
/// Stateless: it holds no database connection, and nothing that a freeze or a kill could lose.
#[derive(Clone, Debug, clap::Parser, Serialize)]
#[command(name = "ingest-fn", version, after_help = EXAMPLES)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "SPILLWAY_INGEST_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:9000")]
    pub listen: SocketAddr,

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

    /// Print the effective configuration as JSON, secrets masked, and exit
    #[arg(long)]
    #[serde(skip)]
    pub print_config: bool,
}

const EXAMPLES: &str = "Example:
  SPILLWAY_ORDER_ID_KEYS=default=$(openssl rand -hex 32) SPILLWAY_GATEWAY_SECRETS=2026a=$(openssl rand -hex 15) \\
    ingest-fn --catalogue sales.toml --rocketmq-endpoint 127.0.0.1:8081

Exit codes: 0 stopped in order, 1 failed, 2 wrong flags, 64 wrong configuration.";

/// Flags for coalescing.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Coalescing")]
pub struct BatchArgs {
    /// Most bytes of body and keys in one message; the managed service bills by 4 KiB
    #[arg(long, env = "SPILLWAY_BATCH_BYTES_MAX", value_name = "BYTES", default_value_t = 4_032)]
    pub batch_bytes_max: usize,

    /// Most orders in one message
    #[arg(long, env = "SPILLWAY_BATCH_ORDERS_MAX", value_name = "COUNT", default_value = "64")]
    pub batch_orders_max: NonZeroUsize,

    /// Longest that an order waits for others while sends are under way, milliseconds
    #[arg(long, env = "SPILLWAY_LINGER_MS", value_name = "MS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(0..=20))]
    pub linger_ms: u64,
}

/// Flags for bounds.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Most requests under way at once; beyond it the answer is 429 at once
    #[arg(long, env = "SPILLWAY_REQUESTS_MAX", value_name = "COUNT", default_value = "2048")]
    pub requests_max: NonZeroUsize,

    /// Longest wait for a request's body, milliseconds
    #[arg(long, env = "SPILLWAY_BODY_TIMEOUT_MS", value_name = "MS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub body_timeout_ms: u64,

    /// From enqueueing a message to the broker's acknowledgement, retries included, milliseconds; one try may take half of it
    #[arg(long, env = "SPILLWAY_PUBLISH_TIMEOUT_MS", value_name = "MS", default_value_t = 3_000,
          value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub publish_timeout_ms: u64,

    /// Most sends to the broker under way at once
    #[arg(long, env = "SPILLWAY_SENDS_MAX", value_name = "COUNT", default_value = "64")]
    pub sends_max: NonZeroUsize,

    /// Most messages waiting for a send or its answer
    #[arg(long, env = "SPILLWAY_QUEUE_MESSAGES_MAX", value_name = "COUNT", default_value = "2048")]
    pub queue_messages_max: NonZeroUsize,

    /// How long a stop may take, milliseconds
    #[arg(long, env = "SPILLWAY_INGEST_GRACE_MS", value_name = "MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(100..=90_000))]
    pub grace_ms: u64,
}

/// What the flags come to, checked as a whole.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What is on sale.
    pub catalogue: Catalogue,
    /// Keys of order ids.
    pub order_id_keys: OrderIdKeys,
    /// How callers are told from strangers.
    pub gateway: Gateway,
    /// The broker's connection.
    pub client: ClientConfig,
    /// The producer's bounds.
    pub producer: ProducerConfig,
    /// The orders' topic.
    pub topic: String,
    /// When a message is full.
    pub batch: BatchLimits,
    /// Most requests under way.
    pub requests_max: NonZeroUsize,
    /// Longest wait for a body.
    pub body_timeout: Duration,
    /// How long a stop may take.
    pub grace: Duration,
}

impl Config {
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
        let publish_timeout = Duration::from_millis(self.limits.publish_timeout_ms);
        // Nothing but a time-out finds a connection that died unseen, as it does while an instance is frozen. A send
        // must have the time to meet one and to try again on a new one.
        client.request_timeout = client.request_timeout.min(publish_timeout / 2);
        client.connect_timeout = client.connect_timeout.min(client.request_timeout);
        let producer = ProducerConfig {
            topics: vec![self.rocketmq.orders_topic.clone()],
            queue_messages_max: self.limits.queue_messages_max,
            in_flight_max: self.limits.sends_max,
            delivery_timeout: publish_timeout,
            ..ProducerConfig::default()
        };
        Ok(Settings {
            listen: self.listen,
            catalogue,
            order_id_keys,
            gateway,
            client,
            producer,
            topic: self.rocketmq.orders_topic.clone(),
            batch: BatchLimits {
                orders_max: self.batch.batch_orders_max,
                bytes_max: self.batch.batch_bytes_max,
                linger: Duration::from_millis(self.batch.linger_ms),
            },
            requests_max: self.limits.requests_max,
            body_timeout: Duration::from_millis(self.limits.body_timeout_ms),
            grace: Duration::from_millis(self.limits.grace_ms),
        })
    }
}
