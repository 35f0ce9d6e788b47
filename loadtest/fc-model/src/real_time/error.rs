//! Responses of the front itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use shared::problem::{MEDIA_TYPE, Problem};

use super::headers::{ERROR_TYPE, REQUEST_ID};
use crate::platform::ThrottleReason;

/// Why a request has no response from an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrontError {
    /// Headers, target or body exceed the platform's bounds.
    InvalidArgument,
    Throttled(ThrottleReason),
    NotStarted,
    NotInitialized,
    /// The process ended or closed the connection.
    ProcessExited,
    /// The response exceeds the bounds.
    BadResponse,
    TimedOut,
    Stopping,
}

const ERRORS: usize = 8;

impl FrontError {
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

    /// In the order of [`Self::index`].
    const CODES: [&'static str; ERRORS] = [
        "fc_invalid_argument",
        "fc_throttled",
        "fc_not_started",
        "fc_initialization_failed",
        "fc_process_exited",
        "fc_bad_response",
        "fc_timeout",
        "fc_stopping",
    ];

    /// The platform's status where it is documented: 400, 429, 502, and 200 for a failed initialisation. The statuses
    /// of a failed start (502) and a time-out (504) are assumed.
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
            Self::InvalidArgument => "Headers, target or body exceed the platform's limit.",
            Self::Throttled(ThrottleReason::Instances) => {
                "All instances are full; their number is at its limit."
            }
            Self::Throttled(ThrottleReason::Delivery) => {
                "All instances are full; the delivery of new ones is at its limit."
            }
            Self::Throttled(ThrottleReason::Compute) => "The quota on vCPU and memory is used up.",
            Self::NotStarted => "The instance did not start.",
            Self::NotInitialized => "The instance's initialisation failed.",
            Self::ProcessExited => "The instance's process ended or closed the connection.",
            Self::BadResponse => "The instance's response exceeds the platform's limit.",
            Self::TimedOut => "The instance did not respond in time.",
            Self::Stopping => "fc-local is stopping.",
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
        // The header's value is documented for this error only.
        if self == Self::NotInitialized {
            headers.insert(ERROR_TYPE, HeaderValue::from_static("InitializationError"));
        }
        response
    }
}

#[derive(Debug, Default)]
pub(super) struct FrontErrorCounts([AtomicU64; ERRORS]);

impl FrontErrorCounts {
    pub(super) fn count(&self, error: FrontError) {
        self.0[error.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts above 0 by code.
    pub(super) fn by_code(&self) -> BTreeMap<String, u64> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let named = FrontError::CODES.into_iter().zip(counts);
        named.filter(|(_, count)| *count > 0).map(|(code, count)| (code.to_owned(), count)).collect()
    }
}
