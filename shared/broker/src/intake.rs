//! Admits calls: checks their headers before their body is read, and bounds the bodies in flight.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tonic::Request;
use tonic::body::Body;

use super::auth;
use super::config::BrokerConfig;
use super::error::Refusal;
use spillway_rocketmq::Credentials;
use spillway_rocketmq::protocol::{Code, header};

/// Maximum bytes of a send: bodies of 4 MiB, their properties, and the framing.
pub(crate) const SEND_BYTES_MAX: usize = 6 << 20;
/// Maximum bytes of every other call, and of a command of a Telemetry stream. Decoding can take 16 times as much memory.
pub(crate) const CALL_BYTES_MAX: usize = 256 << 10;
/// Maximum bytes in flight of calls other than sends, which have their own bound: a broker full of sends still takes acks.
const CALLS_PENDING_BYTES_MAX: usize = 16 << 20;
/// Maximum wait for the whole body of a call.
const BODY_WAIT: Duration = Duration::from_secs(10);

const PAYLOAD_TOO_LARGE: Code = Code(41_300);
/// The frame of a message without fields: not compressed, zero bytes.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);

/// Admits the calls of a server.
#[derive(Debug)]
pub(crate) struct Intake {
    credentials: Option<Credentials>,
    /// One permit per byte of the sends in flight.
    sends_pending: Arc<Semaphore>,
    calls_pending: Arc<Semaphore>,
}

/// The bound of a call's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLimit {
    Send,
    Call,
}

/// The caller, from the call's headers.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) client_id: String,
    /// Deadline of the call, if the client sent one.
    pub(crate) deadline: Option<Instant>,
    pub(crate) version: Option<String>,
}

/// Result of the admission, among a request's extensions.
#[derive(Clone, Debug)]
struct Admission(Result<Caller, Refusal>);

/// Returns the caller of an admitted request.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Caller, Refusal> {
    match request.extensions().get::<Admission>() {
        Some(Admission(admitted)) => admitted.clone(),
        None => Err(Refusal::new(Code::INTERNAL_SERVER_ERROR, "the call was not admitted")),
    }
}

impl Intake {
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        Self {
            credentials: config.credentials.clone(),
            sends_pending: Arc::new(Semaphore::new(config.pending_bytes_max)),
            calls_pending: Arc::new(Semaphore::new(CALLS_PENDING_BYTES_MAX)),
        }
    }

    /// Checks the headers only, for a call that reads its body as a stream.
    pub(crate) fn admit_stream(&self, mut request: http::Request<Body>) -> http::Request<Body> {
        let admitted = self.check(request.headers());
        request.extensions_mut().insert(Admission(admitted));
        request
    }

    /// Checks the headers, then reads the body. A refused call continues at once with an empty message, and [`caller`]
    /// returns the refusal. The permits last for as long as the body is in memory.
    pub(crate) async fn admit(
        &self,
        request: http::Request<Body>,
        limit: BodyLimit,
    ) -> (http::Request<Body>, Option<OwnedSemaphorePermit>) {
        let (mut parts, body) = request.into_parts();
        let (pending, bytes_max) = match limit {
            BodyLimit::Send => (&self.sends_pending, SEND_BYTES_MAX),
            BodyLimit::Call => (&self.calls_pending, CALL_BYTES_MAX),
        };
        let admitted = match self.check(&parts.headers) {
            Ok(caller) => read(body, pending, bytes_max).await.map(|whole| (caller, whole)),
            Err(refusal) => Err(refusal),
        };
        let (admitted, body, permits) = match admitted {
            Ok((caller, (body, permits))) => (Ok(caller), body, permits),
            Err(refusal) => (Err(refusal), EMPTY_MESSAGE, None),
        };
        parts.extensions.insert(Admission(admitted));
        (http::Request::from_parts(parts, Body::new(Full::new(body))), permits)
    }

    /// Checks the headers that every call must carry.
    fn check(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        if let Some(credentials) = &self.credentials {
            auth::check(credentials, headers)?;
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let client_id = text(header::CLIENT_ID).filter(|id| !id.is_empty());
        let Some(client_id) = client_id else {
            return Err(Refusal::new(Code::CLIENT_ID_REQUIRED, "client id cannot be empty"));
        };
        Ok(Caller {
            client_id: client_id.to_owned(),
            deadline: text("grpc-timeout").and_then(grpc_timeout).map(|timeout| Instant::now() + timeout),
            version: text(header::CLIENT_VERSION).map(str::to_owned),
        })
    }
}

async fn read(
    body: Body,
    pending: &Arc<Semaphore>,
    bytes_max: usize,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    match timeout(BODY_WAIT, collect(body, pending, bytes_max)).await {
        Ok(result) => result,
        Err(_elapsed) => {
            Err(Refusal::new(Code::REQUEST_TIMEOUT, "the request's body did not arrive in time"))
        }
    }
}

async fn collect(
    mut body: Body,
    pending: &Arc<Semaphore>,
    bytes_max: usize,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let mut whole = BytesMut::new();
    let mut permits: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(Code::BAD_REQUEST, "the request's body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > bytes_max {
            return Err(Refusal::new(PAYLOAD_TOO_LARGE, format!("the request exceeds {bytes_max} bytes")));
        }
        let more = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let more = pending
            .clone()
            .try_acquire_many_owned(more)
            .map_err(|_| Refusal::new(Code::TOO_MANY_REQUESTS, "too many bytes of requests are in flight"))?;
        match &mut permits {
            Some(permits) => permits.merge(more),
            None => permits = Some(more),
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), permits))
}

/// Parses gRPC's time-out header: up to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::StreamBody;

    use super::*;

    #[test]
    fn timeouts_read_as_grpc_says() {
        assert_eq!(grpc_timeout("3000000u"), Some(Duration::from_secs(3)));
        assert_eq!(grpc_timeout("2M"), Some(Duration::from_secs(120)));
        for text in ["", "S", "123456789S", "1x", "é", "1é"] {
            assert_eq!(grpc_timeout(text), None, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_refused_in_time() {
        let pending = Arc::new(Semaphore::new(1));
        let never = Body::new(StreamBody::new(futures_util::stream::pending::<Result<_, Infallible>>()));
        let refused = read(never, &pending, 1).await.expect_err("late");
        assert_eq!(refused.code, Code::REQUEST_TIMEOUT);
    }
}
