//! One connection: bytes to write, bytes read, and the request in flight.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::in_flight::{InFlight, NoResponseCause};
use super::response::{self, HttpResponse, ResponseParse};

#[derive(Debug)]
pub(super) struct ClientConnection {
    stream: TcpStream,
    connected: bool,
    pub(super) out: Vec<u8>,
    /// Bytes of `out` that were written.
    written: usize,
    /// Bytes of `out` that may be written; a slow client withholds the rest.
    allowed: usize,
    /// Bytes that a slow client sends at a time.
    pub(super) part: usize,
    /// Bytes of an incomplete response.
    partial: Vec<u8>,
    pub(super) flight: Option<InFlight>,
    pub(super) answered: u32,
    /// True once the peer has refused bytes after it had closed its side.
    peer_gone: bool,
}

pub(super) enum IoProgress {
    Nothing,
    Broken(NoResponseCause),
}

impl ClientConnection {
    pub(super) fn open(address: SocketAddr, registry: &Registry, token: Token) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            connected: false,
            out: Vec::with_capacity(1_024),
            written: 0,
            allowed: 0,
            part: 0,
            partial: Vec::new(),
            flight: None,
            answered: 0,
            peer_gone: false,
        })
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connected
    }

    pub(super) const fn is_written(&self) -> bool {
        self.written == self.out.len()
    }

    /// Starts to send `out`, at first only `allowed` bytes.
    pub(super) fn send(&mut self, allowed: usize) -> IoProgress {
        self.written = 0;
        self.allow(allowed)
    }

    /// Continues to send, up to `allowed` bytes of the request.
    pub(super) fn allow(&mut self, allowed: usize) -> IoProgress {
        self.allowed = allowed.min(self.out.len());
        if self.connected { self.write() } else { IoProgress::Nothing }
    }

    /// Bytes that may be sent so far.
    pub(super) const fn allowed(&self) -> usize {
        self.allowed
    }

    /// Handles a writable socket: connected, failed, or able to accept bytes.
    pub(super) fn writable(&mut self) -> IoProgress {
        if !self.connected {
            match self.stream.peer_addr() {
                Ok(_) => self.connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => {
                    return match self.stream.take_error() {
                        Ok(None) => IoProgress::Nothing,
                        Ok(Some(_)) | Err(_) => IoProgress::Broken(NoResponseCause::Connect),
                    };
                }
                Err(_) => return IoProgress::Broken(NoResponseCause::Connect),
            }
        }
        self.write()
    }

    fn write(&mut self) -> IoProgress {
        while self.written < self.allowed {
            match self.stream.write(&self.out[self.written..self.allowed]) {
                Ok(0) => return IoProgress::Broken(NoResponseCause::Reset),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return IoProgress::Nothing,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.peer_gone = error.kind() == ErrorKind::BrokenPipe;
                    return IoProgress::Broken(NoResponseCause::Reset);
                }
            }
        }
        IoProgress::Nothing
    }

    /// True if the peer of a broken connection had closed it before the request in flight arrived: the request was not
    /// processed. A reset after the peer's end of stream is a broken pipe; a reset alone is not.
    pub(super) fn closed_before_request(&mut self) -> bool {
        let is_broken_pipe = |error: std::io::Error| error.kind() == ErrorKind::BrokenPipe;
        self.answered > 0
            && self.partial.is_empty()
            && (self.peer_gone
                || self.stream.take_error().is_ok_and(|error| error.is_some_and(is_broken_pipe)))
    }

    /// Reads the available bytes; calls `answered` with each complete response.
    pub(super) fn readable<R>(
        &mut self,
        scratch: &mut [u8],
        answered: impl FnOnce(HttpResponse<'_>) -> R,
    ) -> Result<Option<R>, NoResponseCause> {
        loop {
            let bytes = match self.stream.read(scratch) {
                Ok(0) => {
                    return Err(if self.connected {
                        NoResponseCause::Reset
                    } else {
                        NoResponseCause::Connect
                    });
                }
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => {
                    return Err(if self.connected {
                        NoResponseCause::Reset
                    } else {
                        NoResponseCause::Connect
                    });
                }
            };
            if self.flight.is_none() {
                // No request is in flight.
                return Err(NoResponseCause::Protocol);
            }
            let parsed = if self.partial.is_empty() {
                response::parse(&scratch[..bytes])
            } else {
                self.partial.extend_from_slice(&scratch[..bytes]);
                response::parse(&self.partial)
            };
            match parsed {
                ResponseParse::Complete(answer) => {
                    let result = answered(answer);
                    self.partial.clear();
                    return Ok(Some(result));
                }
                ResponseParse::Partial if self.partial.is_empty() => {
                    self.partial.extend_from_slice(&scratch[..bytes]);
                }
                ResponseParse::Partial => {}
                ResponseParse::Invalid => return Err(NoResponseCause::Protocol),
            }
            // A read that does not fill the buffer has emptied the socket (epoll(7), edge-triggered streams).
            if bytes < scratch.len() {
                return Ok(None);
            }
        }
    }

    /// Removes the connection from the registry; dropping it closes the socket.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        // The following close deregisters it as well.
        let _closed_anyway = registry.deregister(&mut self.stream);
    }
}
