//! The header in which the gateway names the buyer.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};

use crate::order::UserId;

/// The header called `name`, unless it means something else already: it would name the wrong buyer.
#[must_use]
pub fn identity_header(name: &str) -> Option<HeaderName> {
    let header = HeaderName::try_from(name).ok()?;
    let taken = ["idempotency-key", AUTHORIZATION.as_str(), CONTENT_TYPE.as_str(), HOST.as_str()];
    let is_taken = taken.contains(&header.as_str())
        || ["x-ca-proxy-signature", "x-fc-"].iter().any(|prefix| header.as_str().starts_with(prefix));
    (!is_taken).then_some(header)
}

/// The buyer that the header's value names; `None` if that is no user id.
#[must_use]
pub fn buyer(value: &HeaderValue) -> Option<UserId> {
    UserId::parse(value.to_str().ok()?).ok()
}
