//! What the front answers by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use shared::problem::{MEDIA_TYPE, Problem};

use super::headers::{ERROR_TYPE, REQUEST_ID};
use crate::platform::Throttle;

/// Why a request gets no answer of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Headers, target or body are over the platform's bounds.
    InvalidArgument,
    /// There is no room.
    Throttled(Throttle),
    /// The instance did not start.
    NotStarted,
    /// Its `POST /initialize` failed.
    NotInitialized,
    /// Its process ended, or it closed the connection.
    ProcessExited,
    /// Its answer is over the bounds.
    BadResponse,
    /// It did not answer in time.
    TimedOut,
    /// The front is stopping.
    Stopping,
}

const KINDS: usize = 8;

impl Refusal {
    const fn index(self) -> usize {
        match self {
            Self::InvalidArgument => 0,
            Self::Throttled(_) => 1,
            Self::NotStarted => 2,
            Self::NotInitialized => 3,
            Self::ProcessExited => 4,
            Self::BadResponse => 5,
            Self::TimedOut => 6,
            Self::Stopping => 7,
        }
    }

    /// Stable names, in the order of [`Self::index`].
    const CODES: [&'static str; KINDS] = [
        "fc_invalid_argument",
        "fc_throttled",
        "fc_not_started",
        "fc_initialization_failed",
        "fc_process_exited",
        "fc_bad_response",
        "fc_timeout",
        "fc_stopping",
    ];

    /// The platform's statuses where they are documented: 400, 429, 502, and 200 for a failed initialisation. What it
    /// answers to a failed start and after a time-out is not; here it is 502 and 504.
    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotInitialized => StatusCode::OK,
            Self::NotStarted | Self::ProcessExited | Self::BadResponse => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::InvalidArgument => "Headers, target or body are larger than the platform takes.",
            Self::Throttled(Throttle::Instances) => {
                "There are as many instances as may be, and all are full."
            }
            Self::Throttled(Throttle::Delivery) => "Instances are delivered no faster, and all are full.",
            Self::Throttled(Throttle::Compute) => "The quota on processors and memory is used up.",
            Self::NotStarted => "The instance did not start.",
            Self::NotInitialized => "The instance's initialisation failed.",
            Self::ProcessExited => "The instance's process ended, or it closed the connection.",
            Self::BadResponse => "The instance's answer is larger than the platform takes.",
            Self::TimedOut => "The instance did not answer in time.",
            Self::Stopping => "The platform on this machine is stopping.",
        }
    }

    pub(super) fn into_response(self, request_id: &HeaderValue) -> Response<Full<Bytes>> {
        let problem = Problem::new(self.status(), Self::CODES[self.index()], self.detail());
        // Strings and numbers only: serialisation cannot fail.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(REQUEST_ID, request_id.clone());
        // Of the others the header's value is not documented, so it is left out.
        if self == Self::NotInitialized {
            headers.insert(ERROR_TYPE, HeaderValue::from_static("InitializationError"));
        }
        response
    }
}

/// How often each was answered.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; KINDS]);

impl Refusals {
    pub(super) fn count(&self, refusal: Refusal) {
        self.0[refusal.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// By code, those that occurred.
    pub(super) fn by_code(&self) -> BTreeMap<String, u64> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let named = Refusal::CODES.into_iter().zip(counts);
        named.filter(|(_, count)| *count > 0).map(|(code, count)| (code.to_owned(), count)).collect()
    }
}
