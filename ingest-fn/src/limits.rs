//! Bounds on requests.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Largest body, bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// How much is taken on, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Most under way at once.
    pub requests_max: NonZeroUsize,
    /// Most bytes of their bodies together.
    pub bytes_max: NonZeroUsize,
    /// Longest wait for a body.
    pub body_timeout: Duration,
    /// Longest that a request may take in all; past it no answer is a success.
    pub request_timeout: Duration,
    /// Longest wait of a stop for the requests under way.
    pub drain_timeout: Duration,
}
