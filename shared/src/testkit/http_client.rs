//! A plain HTTP/1.1 client: one connection, one request at a time.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An open connection.
#[derive(Debug)]
pub struct HttpClient(SendRequest<Full<Bytes>>);

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// Status code.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub text: String,
}

impl HttpClient {
    /// Connects to `address`.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends `request`, with a `Host` header if it has none, and reads the response.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> hyper::Result<HttpResponse> {
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        self.0.ready().await?;
        let (parts, body) = self.0.send_request(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(HttpResponse { status: parts.status, headers: parts.headers, text })
    }

    /// Sends `GET path` on a connection of its own.
    pub async fn get(address: SocketAddr, path: &str) -> HttpResponse {
        let request = Request::get(path).body(Full::default()).expect("a request");
        Self::connect(address).await.send(request).await.expect("a response")
    }
}

impl HttpResponse {
    /// Parses the body.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
