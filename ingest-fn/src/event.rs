//! The event form: a request that API Gateway wraps into the body of `POST /invoke`, and the reply that wraps the
//! answer.
//!
//! Function Compute passes on only the body of such an answer, so status and headers are part of it.
//!
//! The members' names are certain (API Gateway's documentation, "Use Function Compute as the backend"). The form of an
//! absent part is unknown: `null` and a missing member mean the same here, and unknown members are ignored.

use std::fmt;

use axum::body::{Body, Bytes};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Collected};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// Maximum event, bytes: Function Compute's own bound on an asynchronous one, and eight times the largest order.
pub const EVENT_BYTES_MAX: usize = 128 * 1024;

/// Maximum headers of a request in an event.
pub const HEADERS_MAX: usize = 128;

/// Reason why an event is malformed. Contains nothing of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("it is not an object with path, httpMethod, headers, queryParameters, body and isBase64Encoded")]
    Shape,
    #[error("httpMethod is not a method")]
    Method,
    #[error("path or queryParameters cannot be part of a request")]
    Target,
    /// A header is invalid, or there are more than [`HEADERS_MAX`].
    #[error("headers cannot be a request's")]
    Headers,
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

/// The members of an object, duplicates included; a map would drop them.
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

/// Characters that a query contains unescaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Decodes the request in `event`. Repeated query parameters and headers stay repeated.
///
/// # Errors
/// [`EventError`]; sending the same event again cannot succeed.
pub fn decode_event(event: &[u8]) -> Result<Request<Bytes>, EventError> {
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
    // Any other path could name a host or contain a query.
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventReply<'a> {
    is_base64_encoded: bool,
    status_code: u16,
    headers: ReplyHeaders<'a>,
    body: &'a str,
}

/// An object has each name once: values of a repeated header are joined, as RFC 9110 permits.
struct ReplyHeaders<'a>(&'a HeaderMap);

impl Serialize for ReplyHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            // This crate's own headers are text.
            let values: Vec<_> =
                self.0.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            map.serialize_entry(name.as_str(), &values.join(", "))?;
        }
        map.end()
    }
}

/// Wraps `response` into a 200 whose body contains status, headers and body. Its extensions stay extensions.
pub async fn encode_reply(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    // This crate's answers are in memory: reading one cannot fail.
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let base64;
    let (is_base64_encoded, body) = match std::str::from_utf8(&body) {
        Ok(text) => (false, text),
        Err(_) => {
            base64 = STANDARD.encode(&body);
            (true, base64.as_str())
        }
    };
    let status_code = parts.status.as_u16();
    let reply = EventReply { is_base64_encoded, status_code, headers: ReplyHeaders(&parts.headers), body };
    // Strings and numbers only: serialisation cannot fail.
    let mut wrapped = Response::new(Body::from(serde_json::to_vec(&reply).unwrap_or_default()));
    wrapped.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *wrapped.extensions_mut() = parts.extensions;
    wrapped
}
