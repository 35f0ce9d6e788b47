//! The event form: a request that API Gateway wraps into the body of `POST /invoke`, and an answer wrapped likewise.
//!
//! Function Compute hands on nothing of such an answer but its body, so that status and headers stand in there.
//!
//! The members' names are certain (API Gateway's documentation, "Use Function Compute as the backend"). What an absent
//! part looks like is unknown: `null` and a missing member mean the same here, and members that are not known are
//! passed over.

mod read;
mod reply;

pub use read::{EVENT_BYTES_MAX, EventError, HEADERS_MAX, read};
pub use reply::wrap;
