//! What surrounds the handlers of the public API, a file each, from the outside in: [`observe`], [`admission`],
//! [`head`], [`buffer`], [`signature`], [`identity`].
//!
//! All of them are plain `tower` services over `http::Request`, stacked in [`crate::router`]. [`private`] surrounds what is
//! not public.

pub mod admission;
pub mod buffer;
pub mod head;
pub mod identity;
pub mod observe;
pub mod private;
pub mod signature;

/// The answer of every layer and handler.
pub type Response = http::Response<axum::body::Body>;

/// What a request says its body has, bytes.
fn announced_bytes(headers: &http::HeaderMap) -> Option<usize> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
