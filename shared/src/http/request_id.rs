//! Ids of requests that no platform names.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderName;

/// The header with a request's id, in every error response.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A new id: a random prefix of the process and a sequence number, 16 hex digits each.
#[must_use]
pub fn new_request_id() -> [u8; 32] {
    static PREFIX: LazyLock<u64> = LazyLock::new(rand::random);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut text = [0_u8; 32];
    // Both are 16 hex digits, which fit.
    let _written = hex::encode_to_slice(PREFIX.to_be_bytes(), &mut text[..16]);
    let _written = hex::encode_to_slice(number.to_be_bytes(), &mut text[16..]);
    text
}
