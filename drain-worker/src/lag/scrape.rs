//! One bounded GET.

use std::fmt;
use std::str::FromStr;

use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::{Serialize, Serializer};
use tokio::time::timeout;

use super::{LagError, RESPONSE_WAIT};
use crate::exchange::exchange;

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

/// The operator configures it; no order contributes to it.
#[derive(Clone, PartialEq, Eq)]
pub struct ScrapeUrl(Uri);

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
        if authority.host().is_empty() { Err(ScrapeUrlError::Syntax) } else { Ok(Self(uri)) }
    }
}

impl fmt::Display for ScrapeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for ScrapeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
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
        // A connection for each exchange: it ends with this call at the latest.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        let request = Request::get(&self.0)
            .header(header::ACCEPT, "text/plain")
            .header(header::CONNECTION, "close")
            .body(Full::default())
            .map_err(|error| self.wrong(error.to_string()))?;
        let (status, body) = exchange(&client, request, RESPONSE_BYTES_MAX)
            .await
            .map_err(|error| LagError::from_exchange(self, error))?;
        if status != StatusCode::OK {
            return Err(self.wrong(format!("answered {status}")));
        }
        String::from_utf8(body.into()).map_err(|_invalid| self.wrong("not text".to_owned()))
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
            ("http://broker:5557/metrics", Ok(())),
            ("http://[::1]:5557/metrics?match[]=a", Ok(())),
            ("http://broker/", Ok(())),
            ("https://broker/metrics", Err(ScrapeUrlError::Scheme)),
            ("http://user:secret@broker/metrics", Err(ScrapeUrlError::Credentials)),
            ("http://:5557/metrics", Err(ScrapeUrlError::Syntax)),
            ("broker:5557", Err(ScrapeUrlError::Syntax)),
            ("/metrics", Err(ScrapeUrlError::Syntax)),
            ("", Err(ScrapeUrlError::Syntax)),
        ] {
            let url = text.parse::<ScrapeUrl>().map(|url| url.to_string());
            assert_eq!(url, expected.map(|()| text.to_owned()), "{text}");
        }
    }
}
