//! Flags for bounds.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;

use crate::limits::RequestLimits;

/// Flags for coalescing.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Coalescing")]
pub struct BatchArgs {
    /// Most bytes of body and keys in one message; the managed service bills by 4 KiB, and this is four of them
    #[arg(long, env = "SPILLWAY_BATCH_BYTES_MAX", value_name = "BYTES", default_value_t = 16_320)]
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

    /// Most bytes of their bodies together; beyond it the answer is 429 at once
    #[arg(long, env = "SPILLWAY_REQUESTS_BYTES_MAX", value_name = "BYTES", default_value = "8388608")]
    pub requests_bytes_max: NonZeroUsize,

    /// Most connections at once; one more is told so and closed
    #[arg(long, env = "SPILLWAY_CONNECTIONS_MAX", value_name = "COUNT", default_value = "8192")]
    pub connections_max: NonZeroUsize,

    /// Runtimes, each on a thread of its own with its own connection to the broker [default: one for each processor]
    #[arg(long, env = "SPILLWAY_WORKERS", value_name = "COUNT")]
    pub workers: Option<NonZeroUsize>,

    /// Longest wait for a request's body, milliseconds
    #[arg(long, env = "SPILLWAY_BODY_TIMEOUT_MS", value_name = "MS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub body_timeout_ms: u64,

    /// From enqueueing a message to the broker's acknowledgement, retries included, milliseconds; one try may take half of it
    #[arg(long, env = "SPILLWAY_PUBLISH_TIMEOUT_MS", value_name = "MS", default_value_t = 3_000,
          value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub publish_timeout_ms: u64,

    /// Most sends to the broker under way at once
    #[arg(long, env = "SPILLWAY_PUBLISHES_IN_FLIGHT_MAX", value_name = "COUNT", default_value = "64")]
    pub publishes_in_flight_max: NonZeroUsize,

    /// Most messages waiting for a send or its answer
    #[arg(long, env = "SPILLWAY_QUEUE_MESSAGES_MAX", value_name = "COUNT", default_value = "2048")]
    pub queue_messages_max: NonZeroUsize,

    /// How long a start tries to reach the broker, milliseconds
    #[arg(long, env = "SPILLWAY_START_TIMEOUT_MS", value_name = "MS", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(100..=300_000))]
    pub start_timeout_ms: u64,

    /// How long a stop may take, milliseconds
    #[arg(long, env = "SPILLWAY_INGEST_GRACE_MS", value_name = "MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(100..=90_000))]
    pub grace_ms: u64,
}

impl BatchArgs {
    pub(super) const fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }
}

impl LimitArgs {
    pub(super) const fn publish_timeout(&self) -> Duration {
        Duration::from_millis(self.publish_timeout_ms)
    }

    pub(super) const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// As many as the system grants this process: a container's share of processors counts.
    pub(super) fn workers(&self) -> NonZeroUsize {
        self.workers.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }

    pub(super) fn request_limits(&self, linger: Duration) -> RequestLimits {
        let body_timeout = Duration::from_millis(self.body_timeout_ms);
        RequestLimits {
            requests_max: self.requests_max,
            bytes_max: self.requests_bytes_max,
            body_timeout,
            // Each part has its own bound; only a process that stood still can be past their sum.
            request_timeout: body_timeout + linger + self.publish_timeout(),
            drain_timeout: self.grace(),
        }
    }
}
