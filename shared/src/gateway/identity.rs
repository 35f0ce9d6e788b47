//! The identity header, in which the gateway names the buyer.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};

use crate::order::UserId;

/// Parses the name of the identity header. Returns `None` for a header that has another meaning already.
#[must_use]
pub fn parse_identity_header(name: &str) -> Option<HeaderName> {
    let header = HeaderName::try_from(name).ok()?;
    let taken = ["idempotency-key", AUTHORIZATION.as_str(), CONTENT_TYPE.as_str(), HOST.as_str()];
    let is_taken = taken.contains(&header.as_str())
        || ["x-ca-proxy-signature", "x-fc-"].iter().any(|prefix| header.as_str().starts_with(prefix));
    (!is_taken).then_some(header)
}

/// Parses the identity header's value; returns `None` if it is not a valid user id.
#[must_use]
pub fn parse_buyer(value: &HeaderValue) -> Option<UserId> {
    UserId::parse(value.to_str().ok()?).ok()
}
