//! One bounded exchange as an HTTP client, with TLS or without.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub(crate) type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client for `http` and `https`. `connect_wait` bounds the wait for a connection, without TLS.
pub(crate) fn https_client(tls: ClientConfig, connect_wait: Duration) -> HttpsClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_wait));
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).build(https)
}

/// Checks servers against the certificates in a PEM file; `None`: against the public roots.
///
/// # Errors
/// A message that names the file.
pub(crate) fn tls_client_config(roots_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = roots_file {
        let at = |error: &dyn Display| format!("{}: {error}", path.display());
        roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| at(&error))?;
        for certificate in certificates {
            roots.add(certificate.map_err(|error| at(&error))?).map_err(|error| at(&error))?;
        }
        if roots.is_empty() {
            return Err(at(&"no certificate in it"));
        }
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Returns a URL without a slash at the end; `None`: it is not `http` or `https`, or has a user or a query.
pub(crate) fn base_url(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    (is_web && is_plain && uri.query().is_none()).then(|| text.trim_end_matches('/').to_owned())
}

/// An exchange that ended without a whole response.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct ExchangeError {
    pub(crate) reason: String,
    /// True if no connection was made: the server has not seen the request.
    pub(crate) is_unsent: bool,
}

/// Sends `request` and reads the response, of at most `bytes_max` bytes.
///
/// # Errors
/// [`ExchangeError`].
pub(crate) async fn exchange<C>(
    client: &Client<C, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<(StatusCode, Bytes), ExchangeError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let failed = |error: &dyn Error, is_unsent| ExchangeError { reason: causes(error), is_unsent };
    let response = client.request(request).await.map_err(|error| failed(&error, error.is_connect()))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), bytes_max).collect().await;
    Ok((status, body.map_err(|error| failed(&*error, false))?.to_bytes()))
}

/// An error with its causes, the outermost first.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_a_host_and_perhaps_a_path() {
        for (text, expected) in [
            ("http://localhost:9101", Some("http://localhost:9101")),
            ("http://localhost:9101/", Some("http://localhost:9101")),
            ("https://drain.example/workers/1/", Some("https://drain.example/workers/1")),
            ("http://[::1]:9101", Some("http://[::1]:9101")),
            ("localhost:9101", None),
            ("ftp://localhost", None),
            ("http://ann:secret@localhost", None),
            ("http://localhost/?a=b", None),
            ("", None),
        ] {
            assert_eq!(base_url(text).as_deref(), expected, "{text}");
        }
    }
}
