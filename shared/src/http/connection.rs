//! Serves one connection.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::answers;
use super::timeouts::{ConnectionSteps, Step, Timeouts};

/// Maximum bytes of a request's head, and of what is read ahead of a body. Function Compute accepts 8 KiB of headers
/// and 4 KiB of path and query (certain: vendor's limits of web functions).
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Bounds on what is read and dropped after the last answer. A socket that is closed with unread bytes is reset, and
/// the client may lose the answer with them (RFC 9112, section 9.6). The bytes are Function Compute's maximum of a
/// request (certain: vendor's limits).
const LINGER_BYTES_MAX: usize = 32 * 1024 * 1024;
const LINGER_MAX: Duration = Duration::from_secs(2);

/// The reason why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// By the client, by the protocol, or by a stop.
    Closed,
    /// A request's head took longer than its time-out.
    SlowHead,
    /// Another step took longer than its time-out.
    TimedOut,
}

/// Answers requests on `stream` until the client closes it, until it exceeds one of `timeouts`, or until `stop` is
/// cancelled and the request in flight is answered.
///
/// To cut the connection, drop the future.
pub async fn serve_connection<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    service: S,
    timeouts: &Timeouts,
    stop: &CancellationToken,
) -> ConnectionEnd
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let steps = &ConnectionSteps::default();
    let mut stream = TrackedStream { stream, steps, is_at_end: false, last_write_is_whole: true };
    let timed_out = {
        let service = service_fn(|request: Request<Incoming>| {
            steps.enter(Step::Answer);
            let response = service.call(request);
            async move {
                let response = response.await;
                steps.enter(Step::Idle);
                response
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(&mut stream), service);
        let until_the_end = async {
            let mut connection = pin!(connection);
            // hyper answers a client that breaks the protocol; there is nothing to add here.
            if stop.run_until_cancelled(connection.as_mut()).await.is_none() {
                connection.as_mut().graceful_shutdown();
                let _client_error = connection.await;
            }
        };
        steps.enforce(timeouts, until_the_end).await
    };
    if !matches!(timed_out, Some(Step::New | Step::Idle)) && !stream.is_at_end {
        stop.run_until_cancelled(stream.linger(timed_out == Some(Step::Head))).await;
    }
    match timed_out {
        None => ConnectionEnd::Closed,
        Some(Step::Head) => ConnectionEnd::SlowHead,
        Some(_) => ConnectionEnd::TimedOut,
    }
}

/// A connection's stream. Reports that the client sent bytes, and knows what its end needs.
struct TrackedStream<'a, S> {
    stream: S,
    steps: &'a ConnectionSteps,
    /// The client has closed its side, or the connection is broken.
    is_at_end: bool,
    /// A further answer would not begin in the middle of another.
    last_write_is_whole: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TrackedStream<'_, S> {
    /// Closes the server's side, and drops what the client still sends until it closes its own, within bounds.
    async fn linger(&mut self, is_slow_head: bool) {
        let lingering = async {
            if is_slow_head && self.last_write_is_whole {
                self.stream.write_all(&answers::slow_head()).await?;
            }
            self.stream.shutdown().await?;
            let mut dropped = vec![0; 16 * 1024];
            let mut left = LINGER_BYTES_MAX;
            while left > 0 {
                match self.stream.read(&mut dropped).await? {
                    0 => break,
                    bytes => left = left.saturating_sub(bytes),
                }
            }
            Ok::<_, io::Error>(())
        };
        // The client is gone, or has had its time.
        let _ended = timeout(LINGER_MAX, lingering).await;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.steps.bytes_read();
        } else if read.is_ready() {
            self.is_at_end = true;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.last_write_is_whole = matches!(written, Poll::Ready(Ok(count)) if count == bytes.len());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        self.last_write_is_whole = matches!(written, Poll::Ready(Ok(count)) if count == bytes);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
