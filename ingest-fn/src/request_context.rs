//! A request's headers of its own, its id, and the time of its arrival.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
pub(crate) use shared::http::REQUEST_ID;
use shared::http::new_request_id;
use shared::time::Clock;
use time::OffsetDateTime;
use tokio::time::Instant;

/// A retry with the same value is the same order.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Function Compute's request id.
pub(crate) const FC_REQUEST_ID: HeaderName = HeaderName::from_static("x-fc-request-id");

/// Maximum length of a platform id, bytes; real ones are UUIDs.
const ID_BYTES_MAX: usize = 64;

/// Identifies a request in its answer and in log lines: Function Compute's id, or a generated one without a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId {
    value: HeaderValue,
    is_from_platform: bool,
}

impl RequestId {
    /// The platform's id if it is 1 to 64 visible ASCII characters; else a new one.
    #[must_use]
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        match headers.get(FC_REQUEST_ID) {
            Some(value) if is_valid(value) => Self { value: value.clone(), is_from_platform: true },
            _ => Self::new(),
        }
    }

    /// A new id.
    #[must_use]
    pub(crate) fn new() -> Self {
        let value = HeaderValue::from_bytes(&new_request_id());
        Self { value: value.unwrap_or(HeaderValue::from_static("unknown")), is_from_platform: false }
    }

    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        // Visible ASCII by construction.
        self.value.to_str().unwrap_or_default()
    }

    #[must_use]
    pub(crate) const fn as_header(&self) -> &HeaderValue {
        &self.value
    }

    #[must_use]
    pub(crate) const fn is_from_platform(&self) -> bool {
        self.is_from_platform
    }
}

fn is_valid(value: &HeaderValue) -> bool {
    (1..=ID_BYTES_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// Arrival of a request by two clocks: during a freeze in the middle of a request either clock may stand still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestStart {
    monotonic: Instant,
    wall: OffsetDateTime,
}

impl RequestStart {
    #[must_use]
    pub(crate) fn now(clock: &impl Clock) -> Self {
        Self { monotonic: Instant::now(), wall: clock.now() }
    }

    /// The larger of the two clocks' elapsed times.
    #[must_use]
    pub(crate) fn elapsed(&self, clock: &impl Clock) -> Duration {
        self.elapsed_at(clock.now())
    }

    /// As [`Self::elapsed`], for a caller that has read the wall clock.
    #[must_use]
    pub(crate) fn elapsed_at(&self, now: OffsetDateTime) -> Duration {
        let wall = Duration::try_from(now - self.wall).unwrap_or_default();
        self.monotonic.elapsed().max(wall)
    }
}

/// Milliseconds since 1970; an earlier time is 0.
pub(crate) fn unix_ms(now: OffsetDateTime) -> u64 {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    seconds * 1_000 + u64::from(now.millisecond())
}

/// `Observe` inserts it into the extensions of every request.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(crate) id: RequestId,
    pub(crate) start: RequestStart,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_platform_id_is_used_and_any_other_is_replaced() {
        let with = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(FC_REQUEST_ID, HeaderValue::from_bytes(value).expect("a header"));
            RequestId::from_headers(&headers)
        };
        let valid = "1-6744f3a5-15d4b2c8-0a1b2c3d4e5f";
        assert_eq!(with(valid.as_bytes()).as_str(), valid);
        for invalid in [&b""[..], b"two words", "caf\u{e9}".as_bytes(), &[b'a'; 65]] {
            let id = with(invalid);
            assert_ne!(id.as_str().as_bytes(), invalid);
            assert_eq!(id.as_str().len(), 32);
        }
        assert_ne!(RequestId::new(), RequestId::new());
        assert_eq!(RequestId::from_headers(&HeaderMap::new()).as_header().len(), 32);
    }
}
