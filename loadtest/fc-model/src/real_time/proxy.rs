//! One request: bounds, placement, exchange, response.

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
use super::error::FrontError;
use super::headers::{self, TARGET_BYTES_MAX};
use super::instance::{InstanceEnd, LocalInstance};
use super::lifecycle;
use super::state::{FrontState, PlacedRequest};

/// Time that a request with a broken connection waits to learn that the process has ended.
const PROCESS_END_BOUND: Duration = Duration::from_millis(250);

pub(super) async fn respond(
    front: Arc<FrontState>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let request_id = front.request_id();
    Ok(match forward(&front, request, &request_id).await {
        Ok(response) => response,
        Err(error) => {
            front.errors.count(error);
            error.into_response(&request_id)
        }
    })
}

/// A request's slot on an instance; dropping it releases the slot.
struct RequestSlot<'a> {
    front: &'a FrontState,
    instance: Arc<LocalInstance>,
}

impl Drop for RequestSlot<'_> {
    fn drop(&mut self) {
        self.front.request_done(self.instance.id);
    }
}

async fn forward(
    front: &Arc<FrontState>,
    request: Request<Incoming>,
    request_id: &HeaderValue,
) -> Result<Response<Full<Bytes>>, FrontError> {
    let request = to_instance(front, request, request_id).ok_or(FrontError::InvalidArgument)?;
    if front.stopping.load(Ordering::Relaxed) {
        return Err(FrontError::Stopping);
    }
    let PlacedRequest { instance, wait, thawed, start } = front.place().map_err(FrontError::Throttled)?;
    if start {
        tokio::spawn(lifecycle::start(front.clone(), instance.clone()));
    }
    let thawed_at = thawed.then(Instant::now);
    let slot = RequestSlot { front, instance };
    if wait {
        slot.instance.ready().await.map_err(|end| match end {
            InstanceEnd::NotInitialized => FrontError::NotInitialized,
            InstanceEnd::Gone => FrontError::NotStarted,
        })?;
    }
    let exchange = exchange(front, &slot.instance, request);
    let response = timeout(front.config.bounds.timeout, exchange).await;
    let response = response.map_err(|_elapsed| FrontError::TimedOut)?;
    if let Some(thawed_at) = thawed_at {
        front.record_thaw(thawed_at.elapsed());
    }
    match response {
        Ok(response) => to_client(response, request_id).ok_or(FrontError::BadResponse),
        Err(ExchangeError::RequestTooLarge) => Err(FrontError::InvalidArgument),
        Err(ExchangeError::ResponseTooLarge) => Err(FrontError::BadResponse),
        Err(ExchangeError::Broken) => {
            // If the process died, the client's next request must not be placed on this instance.
            let _ended = slot.instance.has_ended(PROCESS_END_BOUND).await;
            Err(FrontError::ProcessExited)
        }
    }
}

async fn exchange(
    front: &FrontState,
    instance: &LocalInstance,
    request: Request<RequestBody>,
) -> Result<Response<Bytes>, ExchangeError> {
    let mut connection = instance.connection().await?;
    let (parts, body) = connection.exchange(request, front.config.bounds.response_bytes_max).await?;
    instance.store(connection);
    Ok(Response::from_parts(parts, body))
}

/// Converts a client's request to the instance's; `None` if it exceeds a bound.
fn to_instance(
    front: &FrontState,
    request: Request<Incoming>,
    request_id: &HeaderValue,
) -> Option<Request<RequestBody>> {
    let bytes_max = front.config.bounds.request_bytes_max;
    let (mut parts, body) = request.into_parts();
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max as u64) {
        return None;
    }
    let target = parts.uri.path_and_query()?;
    if target.as_str().len() > TARGET_BYTES_MAX {
        return None;
    }
    // A client may send an absolute URI, as to a proxy; the instance gets the path.
    if parts.uri.authority().is_some() {
        parts.uri = Uri::from(target.clone());
    }
    parts.version = Version::HTTP_11;
    let within = headers::to_instance(&mut parts.headers, &front.common_headers, request_id);
    within.then(|| Request::from_parts(parts, Either::Left(Limited::new(body, bytes_max))))
}

/// Converts an instance's response to the client's; `None` if it exceeds a bound.
fn to_client(response: Response<Bytes>, request_id: &HeaderValue) -> Option<Response<Full<Bytes>>> {
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    headers::to_client(&mut parts.headers, request_id).then(|| Response::from_parts(parts, Full::new(body)))
}
