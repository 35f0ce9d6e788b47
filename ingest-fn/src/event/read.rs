//! From an event to the request that it stands for.

use std::fmt;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Largest event, bytes: Function Compute's own bound on an asynchronous one, and eight times the largest order's.
pub const EVENT_BYTES_MAX: usize = 128 * 1024;

/// Most headers of a request within an event.
pub const HEADERS_MAX: usize = 128;

/// What is wrong with an event. Never holds what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON of the expected shape.
    #[error("it is not an object with path, httpMethod, headers, queryParameters, body and isBase64Encoded")]
    Shape,
    /// `httpMethod` is none.
    #[error("httpMethod is not a method")]
    Method,
    /// `path`, with the query, is no target of a request.
    #[error("path or queryParameters cannot be part of a request")]
    Target,
    /// A header's name or value is none, or there are more than [`HEADERS_MAX`].
    #[error("headers cannot be a request's")]
    Headers,
    /// The body is said to be base64 and is not.
    #[error("body is not base64")]
    Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    path: String,
    http_method: String,
    #[serde(default)]
    headers: Option<Pairs>,
    #[serde(default)]
    query_parameters: Option<Pairs>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// The members of an object, none lost: a map would keep one of those that have the same name.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = members.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

/// What a query may hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The request that `event` stands for. Parameters that occur twice stay so, for whoever judges them.
///
/// # Errors
/// [`EventError`].
pub fn read(event: &[u8]) -> Result<Request<Bytes>, EventError> {
    let event: Event = serde_json::from_slice(event).map_err(|_| EventError::Shape)?;
    let mut request = Request::new(body(event.body, event.is_base64_encoded.unwrap_or_default())?);
    *request.method_mut() =
        Method::from_bytes(event.http_method.as_bytes()).map_err(|_| EventError::Method)?;
    *request.uri_mut() = target(&event.path, &event.query_parameters.unwrap_or_default())?;
    *request.headers_mut() = headers(event.headers.unwrap_or_default())?;
    Ok(request)
}

fn body(text: Option<String>, is_base64: bool) -> Result<Bytes, EventError> {
    let text = text.unwrap_or_default();
    if is_base64 {
        STANDARD.decode(text).map(Bytes::from).map_err(|_| EventError::Base64)
    } else {
        Ok(Bytes::from(text))
    }
}

fn target(path: &str, parameters: &Pairs) -> Result<Uri, EventError> {
    // Anything else could name a host, or bring a query of its own.
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return Err(EventError::Target);
    }
    let mut target = path.to_owned();
    for (index, (name, value)) in parameters.0.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.extend(utf8_percent_encode(name, PLAIN));
        target.push('=');
        target.extend(utf8_percent_encode(value, PLAIN));
    }
    Uri::builder().path_and_query(target).build().map_err(|_| EventError::Target)
}

fn headers(pairs: Pairs) -> Result<HeaderMap, EventError> {
    if pairs.0.len() > HEADERS_MAX {
        return Err(EventError::Headers);
    }
    let mut headers = HeaderMap::with_capacity(pairs.0.len());
    for (name, value) in pairs.0 {
        let name = HeaderName::try_from(name).map_err(|_| EventError::Headers)?;
        let value = HeaderValue::try_from(value).map_err(|_| EventError::Headers)?;
        headers.append(name, value);
    }
    Ok(headers)
}
