//! From an answer to the reply that stands for it.

use axum::body::{Body, Bytes};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    is_base64_encoded: bool,
    status_code: u16,
    headers: Headers<'a>,
    body: &'a str,
}

/// An object holds each name once: values of a repeated header are joined, as RFC 9110 lets them be.
struct Headers<'a>(&'a HeaderMap);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            // Our own headers are text.
            let values: Vec<_> =
                self.0.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            map.serialize_entry(name.as_str(), &values.join(", "))?;
        }
        map.end()
    }
}

/// Wraps `response`: the result is a 200 whose body says status, headers and body. What layers have noted in the
/// extensions stays there.
pub async fn wrap(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    // Our own answers lie in memory as a whole: reading one cannot fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut wrapped = Response::new(Body::from(encode(parts.status.as_u16(), &parts.headers, &body)));
    wrapped.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *wrapped.extensions_mut() = parts.extensions;
    wrapped
}

fn encode(status_code: u16, headers: &HeaderMap, body: &Bytes) -> Vec<u8> {
    let base64;
    let (is_base64_encoded, body) = match std::str::from_utf8(body) {
        Ok(text) => (false, text),
        Err(_) => {
            base64 = STANDARD.encode(body);
            (true, base64.as_str())
        }
    };
    let reply = Reply { is_base64_encoded, status_code, headers: Headers(headers), body };
    // Strings and numbers only: serialisation cannot fail.
    serde_json::to_vec(&reply).unwrap_or_default()
}
