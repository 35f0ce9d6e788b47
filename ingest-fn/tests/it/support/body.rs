//! A request body in chunks, without a Content-Length.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;

/// The end of a body, after its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The regular end.
    Complete,
    /// A broken connection.
    Broken,
    /// No end: the body stays pending.
    Silence,
    /// A test fails if the body is polled.
    Unread,
}

struct Chunked {
    chunks: VecDeque<Bytes>,
    end: End,
}

pub(crate) fn chunked(chunks: impl IntoIterator<Item = impl Into<Bytes>>, end: End) -> Body {
    Body::new(Chunked { chunks: chunks.into_iter().map(Into::into).collect(), end })
}

impl HttpBody for Chunked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.chunks.pop_front(), self.end) {
            (Some(chunk), _) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            (None, End::Complete) => Poll::Ready(None),
            (None, End::Broken) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            (None, End::Silence) => Poll::Pending,
            (None, End::Unread) => panic!("the body is read"),
        }
    }
}
