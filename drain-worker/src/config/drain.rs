//! The flags of `run`, and the settings they result in.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shared::config::{ConfigErrors, Secret, is_topic_name};
use shared::rocketmq::{ClientConfig, ConsumerConfig};

use super::RunArgs;
use crate::admin::{AdminAccess, AdminRole, AdminToken};
use crate::control::{GroupSettings, Rate};
use crate::dead_letters::broker_dlq::BrokerDlqConfig;
use crate::dead_letters::retention::RETENTION_H_DEFAULT;
use crate::lag::{LagArgs, OpenApiKey};
use crate::message::EXTEND_MAX;
use crate::pipeline::PipelineConfig;
use crate::pool::PoolConfig;
use crate::query::LookupAccess;
use crate::store::StoreConfig;

/// Time between heartbeats: the maximum delay until operators' changes apply.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Time between heartbeats while this worker's share changes, in a pool of up to eight workers.
const HEARTBEAT_INTERVAL_FAST: Duration = Duration::from_millis(30);

/// Time from the end of a vanished worker's lease until the server ends its sessions.
const STALL_AFTER_LEASE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Drain")]
pub struct DrainArgs {
    /// Consumer group; it must exist
    #[arg(long, env = "SPILLWAY_CONSUMER_GROUP", value_name = "GROUP", default_value = "drain")]
    pub consumer_group: String,

    /// Cap of a group that is new to the database: maximum orders that the pool commits in any second; later changes:
    /// `drain-worker rate set`
    #[arg(long, env = "SPILLWAY_INITIAL_RATE", value_name = "ORDERS", default_value = "2000")]
    pub initial_rate: Rate,

    /// Name of this worker in the pool, for display [default: host:process]
    #[arg(long, env = "SPILLWAY_WORKER_NAME", value_name = "NAME")]
    pub worker_name: Option<String>,

    /// Lease duration: a worker without a heartbeat for this long loses its share to the others, milliseconds
    #[arg(long, env = "SPILLWAY_LEASE_MS", value_name = "MS", default_value_t = 3_000,
          value_parser = clap::value_parser!(u64).range(2_000..=60_000))]
    pub lease_ms: u64,

    /// Reduce the rate while a tenth of the commits takes longer than this, milliseconds; 0: never
    #[arg(long, env = "SPILLWAY_SLOW_COMMIT_MS", value_name = "MS", default_value_t = 250,
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub slow_commit_ms: u64,

    /// Maximum orders in one transaction
    #[arg(long, env = "SPILLWAY_TRANSACTION_ORDERS_MAX", value_name = "ORDERS", default_value = "200")]
    pub transaction_orders_max: NonZeroU32,

    /// Maximum time that an order waits for its batch to fill, milliseconds
    #[arg(long, env = "SPILLWAY_BATCH_LINGER_MS", value_name = "MS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(0..=1_000))]
    pub batch_linger_ms: u64,

    /// Time between receives in which messages gather, milliseconds, while the broker has no backlog; 0: none
    #[arg(long, env = "SPILLWAY_RECEIVE_PAUSE_MS", value_name = "MS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(0..=1_000))]
    pub receive_pause_ms: u64,

    /// Maximum receives in flight; one for each broker at least
    #[arg(long, env = "SPILLWAY_RECEIVES_MAX", value_name = "COUNT", default_value = "4")]
    pub receives_max: NonZeroUsize,

    /// Orders to prefetch, as the time in which the share commits them, milliseconds
    #[arg(long, env = "SPILLWAY_PREFETCH_MS", value_name = "MS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(10..=30_000))]
    pub prefetch_ms: u64,

    /// Time for which the broker hides a received message from other workers; the worker extends it as needed,
    /// seconds
    #[arg(long, env = "SPILLWAY_INVISIBLE_S", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(10..=43_200))]
    pub invisible_s: u64,

    /// Maximum duration of a stop, milliseconds; the platform's own grace period must be longer
    #[arg(long, env = "SPILLWAY_DRAIN_GRACE_MS", value_name = "MS", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(1_000..=600_000))]
    pub grace_ms: u64,

    /// Address of the buyers' lookups: GET /v1/orders/{order_id}
    #[arg(long, env = "SPILLWAY_QUERY_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:9100")]
    pub query_listen: SocketAddr,

    /// Maximum open connections to the query port; further ones get 503 and are closed
    #[arg(long, env = "SPILLWAY_QUERY_CONNECTIONS_MAX", value_name = "COUNT", default_value = "1024")]
    pub query_connections_max: NonZeroUsize,

    /// Address of console, control API, metrics and health; buyers must not reach it
    #[arg(long, env = "SPILLWAY_ADMIN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9101")]
    pub admin_listen: SocketAddr,

    /// Bearer token of the control API, at least 16 characters, or NAME=TOKEN; several by commas. The audit trail has the
    /// name. Without a token --admin-listen must be a loopback address; prefer the environment variable
    #[arg(long, env = "SPILLWAY_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<Secret<String>>,

    /// As --admin-token, for callers who see everything and change nothing
    #[arg(long, env = "SPILLWAY_ADMIN_READ_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_read_token: Option<Secret<String>>,

    /// Time for which the broker stores messages, hours; the worker warns before the broker drops any
    #[arg(long, env = "SPILLWAY_BROKER_RETENTION_H", value_name = "HOURS", default_value_t = RETENTION_H_DEFAULT)]
    pub broker_retention_h: NonZeroU32,

    /// Apply the migrations at start: for SQLite on one machine, rejected for MySQL
    #[arg(long, env = "SPILLWAY_MIGRATE_ON_START")]
    pub migrate_on_start: bool,
}

/// The validated settings of a worker.
#[derive(Clone, Debug)]
pub struct DrainSettings {
    pub database_url: shared::config::DatabaseUrl,
    pub store: StoreConfig,
    pub client: ClientConfig,
    pub consumer: ConsumerConfig,
    pub pool: PoolConfig,
    pub access: AdminAccess,
    pub lookups: Arc<LookupAccess>,
    pub query_connections_max: NonZeroUsize,
    pub lag: LagArgs,
    pub orders_topic: String,
    pub grace: Duration,
    pub retention_h: NonZeroU32,
    /// `None`: the adaptive limit is off.
    pub slow_commit: Option<Duration>,
    pub pipeline: PipelineConfig,
    pub broker_dlq: BrokerDlqConfig,
    pub migrate_on_start: bool,
}

impl RunArgs {
    /// Validates the flags as a whole.
    ///
    /// # Errors
    /// Every fault, not only the first.
    pub fn settings(&self) -> Result<DrainSettings, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let drain = &self.drain;
        let client = self.rocketmq.client_config(&mut errors);
        self.database.check(&mut errors);
        errors.require(
            is_topic_name(&drain.consumer_group),
            "--consumer-group: 1 to 60 letters, digits, '-' and '_'",
        );
        errors.require(
            drain.transaction_orders_max.get() <= 1_000,
            "--transaction-orders-max: must be 1 to 1000",
        );
        errors.require(drain.receives_max.get() <= 64, "--receives-max: must be 1 to 64");
        errors.require(
            drain.query_connections_max.get() <= 65_536,
            "--query-connections-max: must be 1 to 65536",
        );
        errors.require(
            !drain.migrate_on_start || self.database.database_url.scheme() == "sqlite",
            "--migrate-on-start: only with a sqlite: database; for MySQL run `drain-worker migrate` with its own account",
        );
        errors.require(
            drain.query_listen != drain.admin_listen || drain.query_listen.port() == 0,
            "--admin-listen: must differ from --query-listen: buyers must not reach the admin port",
        );
        let broker_dlq = self.dead_letters.broker_dlq(&drain.consumer_group, &mut errors);
        let mut tokens = Vec::new();
        for (flag, list, role) in [
            ("--admin-token", &drain.admin_token, AdminRole::Operate),
            ("--admin-read-token", &drain.admin_read_token, AdminRole::Read),
        ] {
            for text in list.iter().flat_map(|list| list.expose().split(',')) {
                match AdminToken::parse(text, role) {
                    Ok(token) => tokens.push(token),
                    Err(fault) => errors.push(format_args!("{flag}: {fault}")),
                }
            }
        }
        errors.require(
            drain.admin_read_token.is_none() || drain.admin_token.is_some(),
            "--admin-read-token: --admin-token must be set too",
        );
        let is_open = drain.admin_token.is_none() && !drain.admin_listen.ip().is_loopback();
        errors.require(
            !is_open,
            format_args!(
                "--admin-listen {}: reachable from other machines, so --admin-token must be set (SPILLWAY_ADMIN_TOKEN)",
                drain.admin_listen
            ),
        );
        errors.require(
            self.lag.lag_openapi_key.as_ref().is_none_or(|key| OpenApiKey::new(key).is_some()),
            "--lag-openapi-key: must be ID:SECRET of an access key",
        );
        let lookups = self.lookups.signed_gateway(&[], &mut errors);
        let lookups = lookups.map_or(LookupAccess::Open, LookupAccess::Gateway);
        let (Some(client), true) = (client, errors.is_empty()) else {
            return Err(errors);
        };
        let lease = Duration::from_millis(drain.lease_ms);
        let mut consumer = ConsumerConfig::new(&drain.consumer_group, [&self.rocketmq.orders_topic]);
        consumer.invisible_duration = Duration::from_secs(drain.invisible_s);
        consumer.extend_max = Some(EXTEND_MAX);
        let writers = NonZeroUsize::try_from(self.database.database_writers_max).unwrap_or(NonZeroUsize::MIN);
        Ok(DrainSettings {
            database_url: self.database.database_url.clone(),
            // A worker that vanishes inside a transaction holds its locks until the server ends its session.
            store: StoreConfig {
                stall_timeout: lease + STALL_AFTER_LEASE,
                discard_undo: Duration::from_hours(self.dead_letters.discard_undo_h),
                ..self.database.store_config()
            },
            client,
            consumer,
            pool: PoolConfig {
                group: drain.consumer_group.clone(),
                worker: drain.worker_name.clone().unwrap_or_else(own_name),
                seed: GroupSettings::new(drain.initial_rate),
                lease,
                heartbeat_interval: HEARTBEAT_INTERVAL,
                heartbeat_interval_fast: HEARTBEAT_INTERVAL_FAST,
            },
            access: if tokens.is_empty() { AdminAccess::Loopback } else { AdminAccess::Tokens(tokens) },
            lookups: Arc::new(lookups),
            query_connections_max: drain.query_connections_max,
            lag: self.lag.clone(),
            orders_topic: self.rocketmq.orders_topic.clone(),
            grace: Duration::from_millis(drain.grace_ms),
            retention_h: drain.broker_retention_h,
            slow_commit: (drain.slow_commit_ms > 0).then(|| Duration::from_millis(drain.slow_commit_ms)),
            pipeline: PipelineConfig {
                receives_max: drain.receives_max,
                receive_pause: Duration::from_millis(drain.receive_pause_ms),
                batch_orders_max: drain.transaction_orders_max,
                batch_linger: Duration::from_millis(drain.batch_linger_ms),
                writers,
                prefetch: Duration::from_millis(drain.prefetch_ms),
                // The rest is for leaving the pool and closing.
                grace: Duration::from_millis(drain.grace_ms) * 2 / 3,
            },
            broker_dlq,
            migrate_on_start: drain.migrate_on_start,
        })
    }
}

fn own_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    format!("{host}:{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::{Cli, Command};

    /// Renewal for an hour only would spend an attempt for each hour of an outage.
    #[test]
    fn messages_are_extended_for_as_long_as_the_broker_stores_them() {
        let flags = ["drain-worker", "run", "--database-url", "sqlite:x", "--broker-retention-h", "8760"];
        let Command::Run(args) = Cli::parse_from(flags).command else { panic!("another command") };
        let settings = args.settings().expect("valid");
        let extend_max = settings.consumer.extend_max.expect("extended");
        assert!(extend_max >= Duration::from_secs(u64::from(settings.retention_h.get()) * 3_600));
    }
}
