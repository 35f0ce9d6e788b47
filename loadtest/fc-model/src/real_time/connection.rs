//! A keep-alive connection to an instance. The task that uses it also drives it, so that no other task must wake up.

use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Request, response};
use http_body_util::{Either, Empty, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A client's body, forwarded in a stream, or no body.
pub(super) type RequestBody = Either<Limited<Incoming>, Empty<Bytes>>;

pub(super) fn no_body() -> RequestBody {
    Either::Right(Empty::new())
}

#[derive(Debug)]
pub(super) enum ExchangeError {
    /// The client's body exceeds the bound.
    RequestTooLarge,
    /// The instance's body exceeds the bound.
    ResponseTooLarge,
    /// The connection failed to open, or broke.
    Broken,
}

#[derive(Debug)]
pub(super) struct InstanceConnection {
    sender: SendRequest<RequestBody>,
    /// `None` after the connection is closed.
    driven: Option<http1::Connection<TokioIo<TcpStream>, RequestBody>>,
    request_too_large: bool,
}

impl InstanceConnection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, ExchangeError> {
        let stream = TcpStream::connect(address).await.map_err(|_refused| ExchangeError::Broken)?;
        stream.set_nodelay(true).map_err(|_closed| ExchangeError::Broken)?;
        let (sender, driven) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_closed| ExchangeError::Broken)?;
        Ok(Self { sender, driven: Some(driven), request_too_large: false })
    }

    pub(super) fn is_reusable(&self) -> bool {
        self.driven.is_some() && self.sender.is_ready()
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        let Some(driven) = &mut self.driven else { return };
        if let Poll::Ready(end) = Pin::new(driven).poll(context) {
            self.request_too_large |= end.is_err_and(|error| is_over_limit(&error));
            self.driven = None;
        }
    }

    fn broken(&self, error: &hyper::Error) -> ExchangeError {
        if self.request_too_large || is_over_limit(error) {
            ExchangeError::RequestTooLarge
        } else {
            ExchangeError::Broken
        }
    }

    /// Sends a request and reads the whole response, of at most `bytes_max` bytes.
    pub(super) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        bytes_max: usize,
    ) -> Result<(response::Parts, Bytes), ExchangeError> {
        let mut answer = pin!(self.sender.send_request(request));
        let response = poll_fn(|context| {
            self.drive(context);
            answer.as_mut().poll(context)
        });
        let (parts, body) = response.await.map_err(|error| self.broken(&error))?.into_parts();
        let body = self.read(body, bytes_max).await?;
        // The connection must see the end of the response before it can be reused.
        poll_fn(|context| {
            self.drive(context);
            Poll::Ready(())
        })
        .await;
        Ok((parts, body))
    }

    async fn read(&mut self, mut body: Incoming, bytes_max: usize) -> Result<Bytes, ExchangeError> {
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        while !body.is_end_stream() {
            let frame = poll_fn(|context| {
                self.drive(context);
                Pin::new(&mut body).poll_frame(context)
            });
            let Some(frame) = frame.await else { break };
            let Ok(data) = frame.map_err(|error| self.broken(&error))?.into_data() else { continue };
            if first.len() + more.len() + data.len() > bytes_max {
                return Err(ExchangeError::ResponseTooLarge);
            }
            // Most responses have one chunk, which needs no copy.
            if first.is_empty() {
                first = data;
            } else {
                more.extend_from_slice(&data);
            }
        }
        if more.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + more.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&more);
        Ok(whole.freeze())
    }
}

fn is_over_limit(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
