//! The configuration of a front.

use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::facts::StartRange;
use crate::process::ProcessLaunch;
use crate::rules::PlatformRules;

#[derive(Clone, Debug)]
pub struct FrontConfig {
    /// Address of the front; port 0 selects a free port.
    pub listen: SocketAddr,
    /// Address of `GET /_fc/status`; port 0 selects a free port.
    pub admin: SocketAddr,
    pub rules: PlatformRules,
    /// Starts an instance; `--listen` is appended to the arguments.
    pub launch: ProcessLaunch,
    pub padding: StartPadding,
    /// True if an instance gets `POST /initialize` before its first request.
    pub initialize: bool,
    /// Memory announced to instances, MB. Not enforced.
    pub memory_mb: u32,
    /// Seed of the padding.
    pub seed: u64,
    pub bounds: FrontBounds,
}

/// Minimum duration of a start.
#[derive(Clone, Debug, Default)]
pub struct StartPadding {
    /// The whole start; `None`: the process's own time.
    pub start: Option<StartRange>,
    /// Added by a VPC.
    pub vpc: Option<StartRange>,
}

#[derive(Clone, Copy, Debug)]
pub struct FrontBounds {
    /// Maximum open client connections; further ones wait in the kernel's queue.
    pub connections_max: usize,
    pub request_bytes_max: usize,
    pub response_bytes_max: usize,
    /// Time for an instance's response.
    pub timeout: Duration,
    /// Time for a start, `POST /initialize` included.
    pub start: Duration,
    /// Time for `GET /pre-stop`.
    pub pre_stop: Duration,
    /// Time from SIGTERM to SIGKILL.
    pub stop: Duration,
}

impl Default for FrontBounds {
    /// Bounds for one machine, none above the platform's own.
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

impl StartPadding {
    /// Draws a minimum start duration, uniform within the ranges.
    pub(super) fn sample(&self, random: &mut impl Rng) -> Duration {
        let mut draw = |range: &Option<StartRange>| match range {
            Some(range) => range.at(random.random()),
            None => Duration::ZERO,
        };
        draw(&self.start) + draw(&self.vpc)
    }
}
