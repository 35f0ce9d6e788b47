//! One bounded exchange as an HTTP client.

use std::error::Error;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;

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
