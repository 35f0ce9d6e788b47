//! The rest of a request's body that its answer did not need.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Maximum bytes of an unread body that are read for the sake of the next request: more than the largest event. A
/// request that announces more loses its connection.
pub(super) const DRAIN_BYTES_MAX: usize = 256 * 1024;

/// Maximum duration of that.
const DRAIN_MAX: Duration = Duration::from_millis(500);

/// A body that is read to its end, within bounds, after it was dropped: a rejection is answered at once, and the
/// connection still serves the next order. At most one for each connection.
#[derive(Debug)]
pub(super) struct DrainedBody<B: HttpBody<Data = Bytes> + Send + Unpin + 'static> {
    /// `None` once its end was read.
    unread: Option<B>,
}

impl<B: HttpBody<Data = Bytes> + Send + Unpin + 'static> DrainedBody<B> {
    pub(super) fn new(body: B) -> Self {
        Self { unread: Some(body).filter(|body| !body.is_end_stream()) }
    }
}

impl<B: HttpBody<Data = Bytes> + Send + Unpin + 'static> HttpBody for DrainedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.unread else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.unread = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.unread.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.unread.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: HttpBody<Data = Bytes> + Send + Unpin + 'static> Drop for DrainedBody<B> {
    fn drop(&mut self) {
        let body = self.unread.take().filter(|body| !body.is_end_stream());
        let fits = |body: &B| body.size_hint().lower() <= DRAIN_BYTES_MAX as u64;
        let (Some(mut body), Ok(runtime)) = (body.filter(fits), Handle::try_current()) else { return };
        runtime.spawn(timeout(DRAIN_MAX, async move {
            let mut left = DRAIN_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let Some(rest) = left.checked_sub(bytes) else { break };
                left = rest;
            }
        }));
    }
}
