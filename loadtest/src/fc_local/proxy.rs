//! One request: bounds, a place, the exchange, the answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body_util::{Either, Full, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::connection::{ExchangeError, RequestBody};
use super::driver::{Driver, Placed};
use super::headers::{self, TARGET_BYTES_MAX};
use super::instance::{End, Instance};
use super::refusal::Refusal;

/// How long a request whose connection broke waits to learn whether the process did.
const END_BOUND: Duration = Duration::from_millis(250);

/// Answers a request, whatever comes.
pub(super) async fn answer(
    driver: Arc<Driver>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let request_id = driver.request_id();
    Ok(match forward(&driver, request, &request_id).await {
        Ok(response) => response,
        Err(refusal) => {
            driver.refusals.count(refusal);
            refusal.into_response(&request_id)
        }
    })
}

/// A request's place on an instance, given back however the request ends.
struct Lease<'a> {
    driver: &'a Driver,
    instance: Arc<Instance>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.driver.done(self.instance.id);
    }
}

async fn forward(
    driver: &Arc<Driver>,
    request: Request<Incoming>,
    request_id: &HeaderValue,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let request = to_instance(driver, request, request_id).ok_or(Refusal::InvalidArgument)?;
    if driver.stopping.load(Ordering::Relaxed) {
        return Err(Refusal::Stopping);
    }
    let Placed { instance, wait, thawed } = driver.place().map_err(Refusal::Throttled)?;
    let began = thawed.then(Instant::now);
    let lease = Lease { driver, instance };
    if wait {
        lease.instance.ready().await.map_err(|end| match end {
            End::NotInitialized => Refusal::NotInitialized,
            End::Gone => Refusal::NotStarted,
        })?;
    }
    let exchange = exchange(driver, &lease.instance, request);
    let response = timeout(driver.config.bounds.timeout, exchange).await;
    let response = response.map_err(|_elapsed| Refusal::TimedOut)?;
    if let Some(began) = began {
        driver.thaw_answered(began.elapsed());
    }
    match response {
        Ok(response) => to_client(response, request_id).ok_or(Refusal::BadResponse),
        Err(ExchangeError::RequestTooLarge) => Err(Refusal::InvalidArgument),
        Err(ExchangeError::ResponseTooLarge) => Err(Refusal::BadResponse),
        Err(ExchangeError::Broken) => {
            // If it died, whoever hears of it here must not meet it again with the next request.
            let _known_now = lease.instance.has_ended(END_BOUND).await;
            Err(Refusal::ProcessExited)
        }
    }
}

async fn exchange(
    driver: &Driver,
    instance: &Instance,
    request: Request<RequestBody>,
) -> Result<Response<Bytes>, ExchangeError> {
    let mut connection = instance.connection().await?;
    let (parts, body) = connection.exchange(request, driver.config.bounds.response_bytes_max).await?;
    instance.keep(connection);
    Ok(Response::from_parts(parts, body))
}

/// The request as an instance gets it; `None`: it is over a bound.
fn to_instance(
    driver: &Driver,
    request: Request<Incoming>,
    request_id: &HeaderValue,
) -> Option<Request<RequestBody>> {
    let bytes_max = driver.config.bounds.request_bytes_max;
    let (mut parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max as u64) {
        return None;
    }
    let target = parts.uri.path_and_query()?;
    if target.as_str().len() > TARGET_BYTES_MAX {
        return None;
    }
    // A client may send the whole URI, as to a proxy; an instance gets the path.
    if parts.uri.authority().is_some() {
        parts.uri = Uri::from(target.clone());
    }
    parts.version = Version::HTTP_11;
    let within = headers::to_instance(&mut parts.headers, &driver.common_headers, request_id);
    within.then(|| Request::from_parts(parts, Either::Left(Limited::new(body, bytes_max))))
}

/// The answer as a client gets it; `None`: it is over a bound.
fn to_client(response: Response<Bytes>, request_id: &HeaderValue) -> Option<Response<Full<Bytes>>> {
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    headers::to_client(&mut parts.headers, request_id).then(|| Response::from_parts(parts, Full::new(body)))
}
