//! What is known of a request before anybody has read it: its id and when it came.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use shared::time::Clock;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Function Compute's id of the request.
pub const FC_REQUEST_ID: HeaderName = HeaderName::from_static("x-fc-request-id");

/// The id in every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over, bytes: the platform's are UUIDs.
const ID_BYTES_MAX: usize = 64;

/// Names one request in answers and log lines: Function Compute's id, or one made here where there is no platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    value: HeaderValue,
    is_from_platform: bool,
}

impl RequestId {
    /// The platform's id, if there is one and it is nothing but visible ASCII of a sane length; else a new one.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        match headers.get(FC_REQUEST_ID) {
            Some(value) if is_sane(value) => Self { value: value.clone(), is_from_platform: true },
            _ => Self::new(),
        }
    }

    /// A new one: a random start for the process, and a number that counts up.
    #[must_use]
    pub fn new() -> Self {
        static PREFIX: std::sync::LazyLock<u64> = std::sync::LazyLock::new(rand::random);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut text = [0_u8; 32];
        // Both are 16 hex digits, which fit.
        let _written = hex::encode_to_slice(PREFIX.to_be_bytes(), &mut text[..16]);
        let _written = hex::encode_to_slice(number.to_be_bytes(), &mut text[16..]);
        let value = HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("unknown"));
        Self { value, is_from_platform: false }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only visible ASCII got in.
        self.value.to_str().unwrap_or_default()
    }

    /// As a header's value.
    #[must_use]
    pub const fn as_header(&self) -> &HeaderValue {
        &self.value
    }

    /// Whether the platform gave it.
    #[must_use]
    pub const fn is_from_platform(&self) -> bool {
        self.is_from_platform
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

fn is_sane(value: &HeaderValue) -> bool {
    (1..=ID_BYTES_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// When a request came, by two clocks: an instance may be frozen in the middle of a request, and not every clock runs
/// on meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct RequestStart {
    monotonic: Instant,
    wall: OffsetDateTime,
}

impl RequestStart {
    /// Now.
    #[must_use]
    pub fn now(clock: &impl Clock) -> Self {
        Self { monotonic: Instant::now(), wall: clock.now() }
    }

    /// How long ago, by the clock that says more.
    #[must_use]
    pub fn elapsed(&self, clock: &impl Clock) -> Duration {
        self.elapsed_at(clock.now())
    }

    /// The same where the wall clock has been read already.
    #[must_use]
    pub fn elapsed_at(&self, now: OffsetDateTime) -> Duration {
        let wall = Duration::try_from(now - self.wall).unwrap_or_default();
        self.monotonic.elapsed().max(wall)
    }
}

/// Goes with every request of the public API, in its extensions.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The request's id.
    pub id: RequestId,
    /// When it came.
    pub received: RequestStart,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_s_id_is_taken_over_if_it_is_one() {
        let with = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(FC_REQUEST_ID, HeaderValue::from_bytes(value).expect("a header"));
            RequestId::from_headers(&headers)
        };
        let sane = "1-6744f3a5-15d4b2c8-0a1b2c3d4e5f";
        assert_eq!(with(sane.as_bytes()).as_str(), sane);
        for odd in [&b""[..], b"two words", "caf\u{e9}".as_bytes(), &[b'a'; 65]] {
            let id = with(odd);
            assert_ne!(id.as_str().as_bytes(), odd);
            assert_eq!(id.as_str().len(), 32);
        }
        assert_ne!(RequestId::new(), RequestId::new());
        assert_eq!(RequestId::from_headers(&HeaderMap::new()).as_header().len(), 32);
    }
}
