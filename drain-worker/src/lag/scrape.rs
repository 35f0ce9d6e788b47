//! One bounded GET.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde::{Serialize, Serializer};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::LagError;

const RESPONSE_WAIT: Duration = Duration::from_secs(2);
/// Maximum response. A broker returns about 2 kB for each topic and group.
const RESPONSE_BYTES_MAX: usize = 8 << 20;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeUrlError {
    #[error("must look like http://host:port/metrics")]
    Syntax,
    #[error("only http: use a collector beside the worker for other schemes")]
    Scheme,
    /// The URL contains a user name or password, which would appear in logs.
    #[error("must not contain a user name or password")]
    Credentials,
}

#[derive(Clone, PartialEq, Eq)]
pub struct ScrapeUrl {
    uri: Uri,
    host: String,
    port: u16,
}

impl FromStr for ScrapeUrl {
    type Err = ScrapeUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_invalid| ScrapeUrlError::Syntax)?;
        match uri.scheme_str() {
            Some("http") => (),
            Some(_) => return Err(ScrapeUrlError::Scheme),
            None => return Err(ScrapeUrlError::Syntax),
        }
        let authority = uri.authority().ok_or(ScrapeUrlError::Syntax)?;
        if authority.as_str().contains('@') {
            return Err(ScrapeUrlError::Credentials);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(80);
        if host.is_empty() { Err(ScrapeUrlError::Syntax) } else { Ok(Self { uri, host, port }) }
    }
}

impl fmt::Display for ScrapeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(formatter)
    }
}

impl fmt::Debug for ScrapeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(formatter)
    }
}

impl Serialize for ScrapeUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ScrapeUrl {
    pub(super) async fn text(&self) -> Result<String, LagError> {
        timeout(RESPONSE_WAIT, self.get())
            .await
            .map_err(|_elapsed| LagError::Timeout { url: self.to_string(), after: RESPONSE_WAIT })?
    }

    async fn get(&self) -> Result<String, LagError> {
        // The operator configures the host; no order contributes to it.
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.wrong(error.to_string()))?;
        let request = self.request()?;
        let exchange = async {
            let response =
                sender.send_request(request).await.map_err(|error| self.wrong(error.to_string()))?;
            if response.status() != StatusCode::OK {
                return Err(self.wrong(format!("answered {}", response.status())));
            }
            let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await;
            let body = body.map_err(|error| self.wrong(error.to_string()))?.to_bytes();
            String::from_utf8(body.into()).map_err(|_invalid| self.wrong("not text".to_owned()))
        };
        // The connection ends with its one exchange, at the latest with this call.
        tokio::pin!(connection, exchange);
        tokio::select! {
            text = &mut exchange => text,
            ended = &mut connection => match ended {
                // All bytes have arrived and remain to be processed.
                Ok(()) => exchange.await,
                Err(error) => Err(self.wrong(error.to_string())),
            },
        }
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, LagError> {
        let target = self.uri.path_and_query().map_or("/", |target| target.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        Request::get(target)
            .header(header::HOST, host)
            .header(header::ACCEPT, HeaderValue::from_static("text/plain"))
            .header(header::CONNECTION, HeaderValue::from_static("close"))
            .body(Empty::new())
            .map_err(|error| self.wrong(error.to_string()))
    }

    fn unreachable(&self, error: &std::io::Error) -> LagError {
        LagError::Unreachable { url: self.to_string(), reason: error.to_string() }
    }

    fn wrong(&self, reason: String) -> LagError {
        LagError::Response { url: self.to_string(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_urls_are_valid() {
        for (text, expected) in [
            ("http://broker:5557/metrics", Ok(("broker", 5557))),
            ("http://[::1]:5557/metrics?match[]=a", Ok(("::1", 5557))),
            ("http://broker", Ok(("broker", 80))),
            ("https://broker/metrics", Err(ScrapeUrlError::Scheme)),
            ("http://user:secret@broker/metrics", Err(ScrapeUrlError::Credentials)),
            ("broker:5557", Err(ScrapeUrlError::Syntax)),
            ("/metrics", Err(ScrapeUrlError::Syntax)),
            ("", Err(ScrapeUrlError::Syntax)),
        ] {
            let url = text.parse::<ScrapeUrl>();
            assert_eq!(
                url.as_ref().map(|url| (url.host.as_str(), url.port)).map_err(Clone::clone),
                expected,
                "{text}"
            );
        }
    }
}
