//! Authentication of the admin API.
//!
//! With a token, every call must present it. Without one, the listener is on a loopback address alone, and requests
//! that a foreign web page could cause are rejected: a name that resolves to loopback, a form sent across origins.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use shared::config::Secret;
use shared::problem::Problem;
use subtle::ConstantTimeEq;

use super::response::json_response;

/// Minimum length of the token, characters.
const TOKEN_CHARS_MIN: usize = 16;

/// The one POST that a reader may send: its body is a question.
pub(super) const SCHEDULE_PREVIEW: &str = "/v1/schedule/preview";

/// Maximum length of a token's name, characters.
const NAME_CHARS_MAX: usize = 32;

#[derive(Clone, Debug)]
pub enum AdminAccess {
    Tokens(Vec<AdminToken>),
    /// No token: the listener must be on a loopback address.
    Loopback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminRole {
    /// Sees everything, changes nothing.
    Read,
    Operate,
}

#[derive(Clone, Debug)]
pub struct AdminToken {
    /// For the audit trail.
    name: String,
    token: Secret<String>,
    role: AdminRole,
}

impl AdminToken {
    /// Parses `TOKEN` or `NAME=TOKEN`. Base64 may end with `=`, so a name is followed by a whole token.
    ///
    /// # Errors
    /// Says what a token must be.
    pub fn parse(text: &str, role: AdminRole) -> Result<Self, String> {
        let unnamed = match role {
            AdminRole::Read => "reader",
            AdminRole::Operate => "operator",
        };
        let (name, token) = Self::split(text).unwrap_or((unnamed, text));
        if token.len() < TOKEN_CHARS_MIN {
            return Err(format!("must have at least {TOKEN_CHARS_MIN} characters"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("only letters, digits and signs, no spaces".to_owned());
        }
        Ok(Self { name: name.to_owned(), token: Secret::new(token.to_owned()), role })
    }

    /// The token that a client presents whose flag has the same list as the worker's: the first, without its name.
    #[must_use]
    pub fn presented(list: &str) -> &str {
        let first = list.split(',').next().unwrap_or_default();
        Self::split(first).map_or(first, |(_, token)| token)
    }

    /// Splits `NAME=TOKEN`; `None`: the text has no name.
    fn split(text: &str) -> Option<(&str, &str)> {
        let is_name = |name: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_letter)
        };
        text.split_once('=').filter(|(name, token)| is_name(name) && token.len() >= TOKEN_CHARS_MIN)
    }
}

/// The name of the token that a call presented; empty: none is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Actor(pub(super) String);

/// Response of `GET /v1/access`.
#[derive(Serialize)]
struct AccessView<'a> {
    /// The name of the token; empty: none is needed.
    name: &'a str,
    role: AdminRole,
}

pub(super) async fn access(
    Extension(actor): Extension<Actor>,
    Extension(role): Extension<AdminRole>,
) -> Response {
    json_response(&AccessView { name: &actor.0, role })
}

/// The reason why a call is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthError {
    Token,
    /// The token may not change anything.
    ReadOnly,
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
            Self::ReadOnly => (
                StatusCode::FORBIDDEN,
                "read_only",
                "This token may not change anything; send one of --admin-token.",
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

/// Passes an authenticated call on with its [`Actor`] and [`AdminRole`], or rejects it.
pub(super) async fn guard(
    State(access): State<Arc<AdminAccess>>,
    mut request: Request,
    next: Next,
) -> Response {
    let checked = match &*access {
        AdminAccess::Tokens(tokens) => check_token(request.headers(), tokens),
        AdminAccess::Loopback => {
            check_loopback(request.headers()).map(|()| (Actor::default(), AdminRole::Operate))
        }
    };
    let checked = checked.and_then(|(actor, role)| {
        check_role(role, request.method(), request.uri().path())?;
        check_change(request.method(), request.headers())?;
        Ok((actor, role))
    });
    match checked {
        Ok((actor, role)) => {
            request.extensions_mut().insert(actor);
            request.extensions_mut().insert(role);
            next.run(request).await
        }
        Err(denied) => denied.into_response(),
    }
}

fn check_token(headers: &HeaderMap, tokens: &[AdminToken]) -> Result<(Actor, AdminRole), AuthError> {
    let token_sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| {
        let (scheme, token) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
    });
    let token_sent = token_sent.ok_or(AuthError::Token)?;
    // All of them, each in constant time, so that the duration reveals nothing about the tokens.
    let found = tokens.iter().fold(None, |found, token| {
        if bool::from(token_sent.ct_eq(token.token.expose().as_bytes())) { Some(token) } else { found }
    });
    let token = found.ok_or(AuthError::Token)?;
    Ok((Actor(token.name.clone()), token.role))
}

fn check_role(role: AdminRole, method: &Method, path: &str) -> Result<(), AuthError> {
    let is_refused = role == AdminRole::Read && is_change(method) && path != SCHEDULE_PREVIEW;
    if is_refused { Err(AuthError::ReadOnly) } else { Ok(()) }
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
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
    if !is_change(method) {
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
        let tokens = [AdminToken::parse("correct-horse-battery", AdminRole::Operate).expect("valid")];
        let check = |headers: &HeaderMap| check_token(headers, &tokens).is_ok();
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
            assert_eq!(check(&headers(&[("authorization", value)])), passes, "{value}");
        }
        assert!(!check(&HeaderMap::new()));
    }

    #[test]
    fn a_token_may_have_a_name() {
        assert_eq!(
            AdminToken::presented("ann=correct-horse-battery,staple-is-correct"),
            "correct-horse-battery"
        );
        assert_eq!(AdminToken::presented("Y29ycmVjdGhvcnNlYmF0dA=="), "Y29ycmVjdGhvcnNlYmF0dA==");
        for (text, expected) in [
            ("correct-horse-battery", Ok(("operator", "correct-horse-battery"))),
            ("ann=correct-horse-battery", Ok(("ann", "correct-horse-battery"))),
            ("ann=correct=horse=battery", Ok(("ann", "correct=horse=battery"))),
            // Base64, without a name.
            ("Y29ycmVjdGhvcnNlYmF0dA==", Ok(("operator", "Y29ycmVjdGhvcnNlYmF0dA=="))),
            ("ann=hunter2", Err("at least 16 characters")),
            ("", Err("at least 16 characters")),
            ("correct horse battery", Err("no spaces")),
        ] {
            match (AdminToken::parse(text, AdminRole::Operate), expected) {
                (Ok(token), Ok(parts)) => {
                    assert_eq!((token.name.as_str(), token.token.expose().as_str()), parts, "{text}");
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_token_of_a_reader_changes_nothing() {
        let tokens = [
            AdminToken::parse("ann=correct-horse-battery", AdminRole::Operate).expect("valid"),
            AdminToken::parse("wall=staple-is-correct", AdminRole::Read).expect("valid"),
        ];
        let reader = headers(&[("authorization", "Bearer staple-is-correct")]);
        let operator = headers(&[("authorization", "Bearer correct-horse-battery")]);
        let check = |method: &Method, headers: &HeaderMap| {
            let (Actor(name), role) = check_token(headers, &tokens)?;
            check_role(role, method, "/v1/schedule").map(|()| name)
        };
        assert_eq!(check(&Method::GET, &reader), Ok("wall".to_owned()));
        assert_eq!(check_role(AdminRole::Read, &Method::POST, "/v1/schedule/preview"), Ok(()));
        for method in [Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            assert_eq!(check(&method, &reader), Err(AuthError::ReadOnly));
            assert_eq!(check(&method, &operator), Ok("ann".to_owned()));
        }
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
