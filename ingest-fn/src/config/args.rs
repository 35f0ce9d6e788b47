//! Flags: one struct for each heading of `--help`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;
use shared::config::ConfigErrors;

use crate::limits::RequestLimits;
use crate::publish::BatchLimits;
use crate::request_logger::{FcLogFraming, RequestLogSettings};

/// Function Compute's default.
const DEFAULT_PORT: u16 = 9_000;

/// Flags for the address. Function Compute sets the port by environment variables (certain: vendor's documentation of
/// custom containers).
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct ListenArgs {
    /// Address to listen on [default: 0.0.0.0 with the port below]
    #[arg(long, env = "SPILLWAY_INGEST_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Port on 0.0.0.0 if no address is given; set by Function Compute [default: CAPort, or 9000]
    #[arg(long, env = "FC_SERVER_PORT", value_name = "PORT")]
    pub port: Option<u16>,

    /// Port, by the platform's older name
    #[arg(long, env = "CAPort", value_name = "PORT", hide = true)]
    #[serde(skip)]
    pub ca_port: Option<u16>,
}

impl ListenArgs {
    #[must_use]
    pub(super) fn address(&self) -> SocketAddr {
        let port = self.port.or(self.ca_port).unwrap_or(DEFAULT_PORT);
        self.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    }

    pub(super) fn fill_in_defaults(&mut self) {
        let address = self.address();
        self.listen = Some(address);
        self.port = Some(address.port());
    }
}

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Coalescing")]
pub struct BatchArgs {
    /// Maximum bytes of body and keys in one message; the managed service bills by 4 KiB, and the default is four units
    #[arg(long, env = "SPILLWAY_BATCH_BYTES_MAX", value_name = "BYTES", default_value_t = 16_320)]
    pub batch_bytes_max: usize,

    /// Maximum orders in one message
    #[arg(long, env = "SPILLWAY_BATCH_ORDERS_MAX", value_name = "COUNT", default_value = "64")]
    pub batch_orders_max: NonZeroUsize,

    /// Maximum time that an order waits for others, while sends are in flight or one began within this time, milliseconds
    #[arg(long, env = "SPILLWAY_LINGER_MS", value_name = "MS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(0..=20))]
    pub linger_ms: u64,
}

/// Maximum connections by default.
const CONNECTIONS_MAX: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();

/// Open files besides connections: those of the runtimes, of the broker's connections, and those for probes.
const OTHER_FILES: usize = 256;

fn connections_permitted() -> Option<usize> {
    let files_max = usize::try_from(shared::http::open_files_max()?).unwrap_or(usize::MAX);
    Some(files_max.saturating_sub(OTHER_FILES))
}

impl BatchArgs {
    pub(super) const fn limits(&self) -> BatchLimits {
        BatchLimits {
            orders_max: self.batch_orders_max,
            bytes_max: self.batch_bytes_max,
            linger: Duration::from_millis(self.linger_ms),
        }
    }
}

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Maximum requests in flight; further ones get 429 immediately
    #[arg(long, env = "SPILLWAY_REQUESTS_MAX", value_name = "COUNT", default_value = "2048")]
    pub requests_max: NonZeroUsize,

    /// Maximum bytes of their bodies together; further requests get 429 immediately
    #[arg(long, env = "SPILLWAY_REQUESTS_BYTES_MAX", value_name = "BYTES", default_value = "8388608")]
    pub requests_bytes_max: NonZeroUsize,

    /// Maximum open connections; further ones serve one probe, or get 503 [default: 8192, or what the limit of open files permits]
    #[arg(long, env = "SPILLWAY_CONNECTIONS_MAX", value_name = "COUNT")]
    pub connections_max: Option<NonZeroUsize>,

    /// Runtimes, each on its own thread with its own connection to the broker [default: one per processor]
    #[arg(long, env = "SPILLWAY_WORKERS", value_name = "COUNT")]
    pub workers: Option<NonZeroUsize>,

    /// Maximum wait for a request's body, milliseconds
    #[arg(long, env = "SPILLWAY_BODY_TIMEOUT_MS", value_name = "MS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub body_timeout_ms: u64,

    /// Maximum time to publish a message, retries included, milliseconds; one attempt gets at most half of it
    #[arg(long, env = "SPILLWAY_PUBLISH_TIMEOUT_MS", value_name = "MS", default_value_t = 3_000,
          value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub publish_timeout_ms: u64,

    /// Maximum sends to the broker in flight
    #[arg(long, env = "SPILLWAY_PUBLISHES_IN_FLIGHT_MAX", value_name = "COUNT", default_value = "64")]
    pub publishes_in_flight_max: NonZeroUsize,

    /// Maximum messages that are queued or in flight; further orders get 503
    #[arg(long, env = "SPILLWAY_QUEUE_MESSAGES_MAX", value_name = "COUNT", default_value = "2048")]
    pub queue_messages_max: NonZeroUsize,

    /// Time that a start retries to reach the broker, milliseconds
    #[arg(long, env = "SPILLWAY_START_TIMEOUT_MS", value_name = "MS", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(100..=300_000))]
    pub start_timeout_ms: u64,

    /// Time that a stop waits for requests and messages in flight, milliseconds
    #[arg(long, env = "SPILLWAY_INGEST_GRACE_MS", value_name = "MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(100..=90_000))]
    pub grace_ms: u64,
}

impl LimitArgs {
    pub(super) const fn publish_timeout(&self) -> Duration {
        Duration::from_millis(self.publish_timeout_ms)
    }

    pub(super) const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// By default at most what the limit of open files permits: a function's limit is unknown, and the default must start.
    pub(super) fn connections_max(&self) -> NonZeroUsize {
        let permitted = connections_permitted().and_then(NonZeroUsize::new);
        let default = permitted.map_or(CONNECTIONS_MAX, |permitted| permitted.min(CONNECTIONS_MAX));
        self.connections_max.unwrap_or(default)
    }

    /// Checks the bounds against each other and against the system's.
    pub(super) fn check(&self, errors: &mut ConfigErrors) {
        errors.require(
            self.grace() >= self.publish_timeout(),
            "--grace-ms: must be at least --publish-timeout-ms, or a stop cuts orders off",
        );
        let connections_max = self.connections_max.unwrap_or(CONNECTIONS_MAX);
        errors.require(
            connections_max >= self.requests_max,
            format_args!("--connections-max: must be at least --requests-max ({})", self.requests_max),
        );
        if let (Some(connections_max), Some(permitted)) = (self.connections_max, connections_permitted()) {
            errors.require(
                connections_max.get() <= permitted,
                format_args!(
                    "--connections-max: at most {permitted} fit in the system's limit of open files"
                ),
            );
        }
    }

    /// By default one per processor that the system grants this process; a container's quota counts.
    pub(super) fn workers(&self) -> NonZeroUsize {
        self.workers.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }

    pub(super) fn request_limits(&self, linger: Duration) -> RequestLimits {
        let body_timeout = Duration::from_millis(self.body_timeout_ms);
        RequestLimits {
            requests_max: self.requests_max,
            bytes_max: self.requests_bytes_max,
            body_timeout,
            // Each part has its own bound; only a process that was frozen exceeds their sum.
            request_timeout: body_timeout + linger + self.publish_timeout(),
            drain_timeout: self.grace(),
        }
    }
}

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Logs")]
pub struct ObserveArgs {
    /// Markers by which Function Compute finds a request's log: around requests that log a line, around all, or none
    #[arg(long, env = "SPILLWAY_FC_LOG_FRAMING", value_enum, default_value_t = FcLogFraming::Auto)]
    pub fc_log_framing: FcLogFraming,

    /// Minimum time between two log lines with the metrics, seconds; the next request that completes writes it; 0: never
    #[arg(long, env = "SPILLWAY_METRICS_LOG_INTERVAL_S", value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub metrics_log_interval_s: u64,
}

impl ObserveArgs {
    #[must_use]
    pub(super) const fn settings(&self) -> RequestLogSettings {
        RequestLogSettings {
            framing: self.fc_log_framing,
            metrics_interval: Duration::from_secs(self.metrics_log_interval_s),
        }
    }
}
