//! Authentication of the admin API.
//!
//! With a token, every call must present it. Without one, the listener is on a loopback address alone, and requests
//! that a foreign web page could cause are rejected: a name that resolves to loopback, a form sent across origins.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use shared::config::Secret;
use shared::problem::Problem;
use subtle::ConstantTimeEq;

/// Minimum length of the token, characters.
pub const TOKEN_CHARS_MIN: usize = 16;

#[derive(Clone, Debug)]
pub enum AdminAccess {
    Token(Secret<String>),
    /// No token: the listener must be on a loopback address.
    Loopback,
}

/// The reason why a call is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthError {
    Token,
    /// The `Host` header names another host.
    ForeignHost,
    /// A change that is not JSON.
    NotJson,
    ForeignOrigin,
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let (status, code, detail) = match self {
            Self::Token => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Send the admin token: Authorization: Bearer <token>.",
            ),
            Self::ForeignHost => (
                StatusCode::FORBIDDEN,
                "foreign_host",
                "Without an admin token the worker answers localhost only; set SPILLWAY_ADMIN_TOKEN to allow other \
                 names.",
            ),
            Self::NotJson => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send JSON, with Content-Type: application/json.",
            ),
            Self::ForeignOrigin => {
                (StatusCode::FORBIDDEN, "foreign_origin", "A page of another origin may not change anything.")
            }
        };
        let mut response = Problem::new(status, code, detail).into_response();
        if self == Self::Token {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Passes an authenticated call on, or rejects it.
pub(super) async fn guard(State(access): State<Arc<AdminAccess>>, request: Request, next: Next) -> Response {
    let checked = match &*access {
        AdminAccess::Token(token) => check_token(request.headers(), token),
        AdminAccess::Loopback => check_loopback(request.headers()),
    };
    match checked.and_then(|()| check_change(request.method(), request.headers())) {
        Ok(()) => next.run(request).await,
        Err(denied) => denied.into_response(),
    }
}

fn check_token(headers: &HeaderMap, token: &Secret<String>) -> Result<(), AuthError> {
    let token_sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| {
        let (scheme, token) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
    });
    // In constant time, so that the duration reveals nothing about the token.
    match token_sent {
        Some(token_sent) if bool::from(token_sent.ct_eq(token.expose().as_bytes())) => Ok(()),
        _ => Err(AuthError::Token),
    }
}

fn check_loopback(headers: &HeaderMap) -> Result<(), AuthError> {
    let host = text(headers, &HOST).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback { Ok(()) } else { Err(AuthError::ForeignHost) }
}

/// A page of another origin can neither send this content type nor omit its `Origin`.
fn check_change(method: &Method, headers: &HeaderMap) -> Result<(), AuthError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let kind = text(headers, &CONTENT_TYPE).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(AuthError::NotJson);
    }
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = text(headers, &ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match (origin, text(headers, &HOST)) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(AuthError::ForeignOrigin),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().expect("a name"), value.parse::<HeaderValue>().expect("a value"))
            })
            .collect()
    }

    #[test]
    fn only_the_whole_token_passes() {
        let token = Secret::new("correct-horse-battery".to_owned());
        for (value, passes) in [
            ("Bearer correct-horse-battery", true),
            ("bearer correct-horse-battery", true),
            ("Bearer correct-horse-batter", false),
            ("Bearer correct-horse-batterY", false),
            ("Bearer correct-horse-battery ", false),
            ("Basic correct-horse-battery", false),
            ("correct-horse-battery", false),
            ("", false),
        ] {
            assert_eq!(check_token(&headers(&[("authorization", value)]), &token).is_ok(), passes, "{value}");
        }
        assert!(check_token(&HeaderMap::new(), &token).is_err());
    }

    #[test]
    fn without_a_token_only_localhost_is_allowed() {
        for (host, passes) in [
            ("localhost:9101", true),
            ("127.0.0.1:9101", true),
            ("127.9.9.9", true),
            ("[::1]:9101", true),
            ("evil.example:9101", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:9101", false),
            ("", false),
        ] {
            assert_eq!(check_loopback(&headers(&[("host", host)])).is_ok(), passes, "{host}");
        }
    }

    #[test]
    fn changes_require_json_and_the_same_origin() {
        let json = ("content-type", "application/json; charset=utf-8");
        let host = ("host", "localhost:9101");
        for (what, pairs, passes) in [
            ("a program", &[json, host][..], true),
            ("the console", &[json, host, ("origin", "http://localhost:9101")], true),
            ("another page", &[json, host, ("origin", "http://evil.example")], false),
            ("a page without an origin", &[json, host, ("origin", "null")], false),
            ("a form", &[("content-type", "text/plain"), host], false),
            ("nothing", &[host], false),
        ] {
            assert_eq!(check_change(&Method::POST, &headers(pairs)).is_ok(), passes, "{what}");
        }
        assert!(check_change(&Method::GET, &HeaderMap::new()).is_ok());
    }
}
