//! One connection.

use std::convert::Infallible;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Most bytes of a request's head, and of what is read ahead of a body. The platform lets 8 KiB of headers and 4 KiB
/// of path and query through (certain: vendor's limits of web functions).
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Answers requests on `stream` until the client ends it, `stop` is cancelled and the request under way is answered,
/// or `cut` is.
///
/// Nothing here ends a connection for being idle, and no header or keep-alive timer is set: Function Compute reuses
/// connections, and one that is closed under a `POST` costs that order a 502 (certain: vendor's troubleshooting of
/// "process exited unexpectedly"; an idle time-out must be over 15 minutes or none).
pub async fn serve_connection<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    service: S,
    stop: &CancellationToken,
    cut: &CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let connection =
        http1::Builder::new().max_buf_size(BUFFER_BYTES_MAX).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that breaks the protocol or its connection hears of it from hyper, or not at all.
    let ended = stop.run_until_cancelled(connection.as_mut()).await;
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        cut.run_until_cancelled(connection).await;
    }
}
