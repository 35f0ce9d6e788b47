//! Accepts connections that faults can reset.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::faults::Faults;

/// Pause after an accept error such as EMFILE.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of the connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Maximum connections at a time.
    pub(crate) connections_max: usize,
    /// Maximum time without a byte from the peer, which answers pings, before a connection is closed. It bounds even a
    /// peer that never finishes the handshake.
    pub(crate) silence_max: Duration,
}

/// Accepted connections.
pub(crate) fn incoming(
    listener: TcpListener,
    faults: Faults,
    limits: ConnectionLimits,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(limits.connections_max));
    futures_util::stream::unfold((listener, faults, places), move |(listener, faults, places)| async move {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; retrying");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let place = places.clone().try_acquire_owned();
            let Ok(place) = place else {
                tracing::debug!("connection rejected: too many open");
                continue;
            };
            if faults.refuses_connections() {
                let _reset_anyway = stream.set_zero_linger();
                continue;
            }
            // Without it a small response can wait for an acknowledgement; if this fails, the connection is only slower.
            let _slow_at_worst = stream.set_nodelay(true);
            let broken = faults.connection();
            let connection = Connection {
                stream,
                dead: false,
                broken: Box::pin(broken.cancelled_owned()),
                silence_max: limits.silence_max,
                heard: Instant::now(),
                silent: Box::pin(sleep(limits.silence_max)),
                _place: place,
            };
            return Some((Ok(connection), (listener, faults, places)));
        }
    })
}

/// A connection that a [`tokio_util::sync::CancellationToken`] breaks.
pub(crate) struct Connection {
    stream: TcpStream,
    broken: Pin<Box<WaitForCancellationFutureOwned>>,
    dead: bool,
    silence_max: Duration,
    /// Instant of the last bytes from the peer.
    heard: Instant,
    /// Checks `heard` when it ends, so that a read does not have to move it.
    silent: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if !self.dead && self.broken.as_mut().poll(context).is_ready() {
            self.dead = true;
            // The peer must see a reset, not an orderly close.
            let _ends_anyway = self.stream.set_zero_linger();
        }
        while !self.dead && self.silent.as_mut().poll(context).is_ready() {
            let until = self.heard + self.silence_max;
            self.dead = until <= Instant::now();
            self.silent.as_mut().reset(until);
        }
        if self.dead { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let filled = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > filled {
            self.heard = Instant::now();
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
