//! Keeps what is the platform's from everybody who comes by the function's public address.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, Method};

use crate::error::ApiError;

/// By which door the platform let a request in: `/http-invoke` for the function's HTTP trigger, `/invoke` for an event,
/// `/initialize` for the hook. Clients cannot send it: the platform drops their `x-fc-` headers (certain: vendor's limits
/// of web functions). That the current generation still sends it is only likely (documented for 2.0), so its absence
/// proves nothing.
const CONTROL_PATH: HeaderName = HeaderName::from_static("x-fc-control-path");

/// For every route that is not public: a request that came by the HTTP trigger finds nothing there. Nor does a `HEAD`,
/// which would do what a `GET` does.
pub async fn reject_http_trigger(request: Request, next: Next) -> Response {
    let by_the_trigger =
        request.headers().get(CONTROL_PATH).is_some_and(|value| value.as_bytes() == b"/http-invoke");
    let probes_a_hook = request.method() == Method::HEAD && request.uri().path() == "/pre-stop";
    match (by_the_trigger, probes_a_hook) {
        (true, _) => ApiError::NotFound.into_response(),
        (false, true) => ApiError::MethodNotAllowed.into_response(),
        (false, false) => next.run(request).await,
    }
}
