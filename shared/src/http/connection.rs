//! Serves one connection.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, join};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::timeouts::{ConnectionTimeouts, Timeouts};

/// Maximum bytes of a request's head, and of what is read ahead of a body. Function Compute accepts 8 KiB of headers
/// and 4 KiB of path and query (certain: vendor's limits of web functions).
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Answers requests on `stream` until the client closes it, or until `stop` is cancelled and the request in flight is
/// answered. Sets no time-out: see [`super::serve`] for a server that has them.
///
/// To cut the connection, drop the future.
pub async fn serve_connection<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    service: S,
    stop: &CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let connection =
        http1::Builder::new().max_buf_size(BUFFER_BYTES_MAX).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // hyper answers a client that breaks the protocol; there is nothing to add here.
    if stop.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _client_error = connection.await;
    }
}

/// [`serve_connection`] that closes the connection when the client exceeds one of `timeouts`.
pub(super) async fn serve_with_timeouts<S, B>(
    stream: TcpStream,
    service: S,
    timeouts: Timeouts,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let timeouts = &ConnectionTimeouts::new(timeouts);
    let (reader, writer) = stream.into_split();
    let stream = join(ActivityReader { reader, timeouts }, writer);
    let service = &service;
    let timed = service_fn(|request: Request<Incoming>| {
        timeouts.head_read();
        let response = service.call(request);
        async move {
            let response = response.await;
            timeouts.answered();
            response
        }
    });
    timeouts.enforce(serve_connection(stream, timed, &stop)).await;
}

/// Reports to the time-outs that the client sent bytes.
struct ActivityReader<'a, R> {
    reader: R,
    timeouts: &'a ConnectionTimeouts,
}

impl<R: AsyncRead + Unpin> AsyncRead for ActivityReader<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.reader).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.timeouts.bytes_read();
        }
        read
    }
}
