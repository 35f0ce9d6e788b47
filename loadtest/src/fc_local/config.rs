//! What a front is to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::platform::{ColdStart, Rules};

/// What a front is to do.
#[derive(Clone, Debug)]
pub struct FrontConfig {
    /// Where requests come in; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the front tells about itself; port 0 takes a free one.
    pub admin: SocketAddr,
    /// The platform's rules.
    pub rules: Rules,
    /// How an instance is started.
    pub launch: Launch,
    /// How long a start is made to take.
    pub padding: Padding,
    /// Whether an instance is asked `POST /initialize` before its first request.
    pub initialize: bool,
    /// Memory that instances are told they have, MB. Nothing enforces it.
    pub memory_mb: u32,
    /// Seed of the padding.
    pub seed: u64,
    /// Bounds.
    pub bounds: Bounds,
}

/// How an instance is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Flags of ingest-fn; `--listen` is added.
    pub arguments: Vec<String>,
    /// Environment on top of this process's: secrets go here, because flags show in process lists.
    pub environment: Vec<(&'static str, String)>,
    /// Where the instances' log lies.
    pub directory: PathBuf,
}

/// How long a start is made to take, if the process is faster.
#[derive(Clone, Debug, Default)]
pub struct Padding {
    /// The whole start; `None`: as long as the process takes.
    pub start: Option<ColdStart>,
    /// On top.
    pub vpc: Option<ColdStart>,
}

/// Bounds of a front.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most client connections at once; more wait to be accepted.
    pub connections_max: usize,
    /// Largest request body, bytes.
    pub request_bytes_max: usize,
    /// Largest response body, bytes.
    pub response_bytes_max: usize,
    /// Longest wait for an instance's answer.
    pub timeout: Duration,
    /// Longest start, `POST /initialize` included.
    pub start: Duration,
    /// Longest `GET /pre-stop`.
    pub pre_stop: Duration,
    /// From SIGTERM to SIGKILL.
    pub stop: Duration,
}

impl Default for Bounds {
    /// Small enough for one machine; where the platform has a bound of its own, at most that.
    fn default() -> Self {
        Self {
            connections_max: 8_192,
            request_bytes_max: 1024 * 1024,
            response_bytes_max: 1024 * 1024,
            timeout: Duration::from_secs(60),
            start: Duration::from_secs(120),
            pre_stop: Duration::from_secs(90),
            stop: Duration::from_secs(15),
        }
    }
}

impl Padding {
    /// The least that a start takes: evenly spread over the ranges.
    pub(super) fn sample(&self, random: &mut impl Rng) -> Duration {
        let mut of = |range: &Option<ColdStart>| match range {
            Some(range) => range.at(random.random()),
            None => Duration::ZERO,
        };
        of(&self.start) + of(&self.vpc)
    }
}
