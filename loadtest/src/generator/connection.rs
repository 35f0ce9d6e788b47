//! One connection: bytes to write, bytes read, and the request in flight.

use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::in_flight::{InFlight, NoResponseCause};
use crate::target::{HttpResponse, ResponseParse, Target, parse_response};

#[derive(Debug)]
pub(super) struct ClientConnection {
    stream: TcpStream,
    tls: Option<Box<rustls::ClientConnection>>,
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
    /// Distinguishes this idle time from any other; `None` while it is in use.
    pub(super) idle_since: Option<u64>,
    /// True once the peer has refused bytes after it had closed its side.
    peer_gone: bool,
}

pub(super) enum IoProgress {
    Nothing,
    Broken(NoResponseCause),
}

impl ClientConnection {
    pub(super) fn open(target: &Target, registry: &Registry, token: Token) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let session = target.tls.as_ref().map(|tls| tls.session().map(Box::new));
        Ok(Self {
            stream,
            tls: session.transpose().map_err(std::io::Error::other)?,
            connected: false,
            out: Vec::with_capacity(1_024),
            written: 0,
            allowed: 0,
            part: 0,
            partial: Vec::new(),
            flight: None,
            answered: 0,
            idle_since: None,
            peer_gone: false,
        })
    }

    /// True once requests can be sent: connected and, with TLS, after the handshake.
    pub(super) fn is_open(&self) -> bool {
        self.connected && self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.out.len() && self.tls.as_ref().is_none_or(|tls| !tls.wants_write())
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
            let bytes = &self.out[self.written..self.allowed];
            let written = match &mut self.tls {
                // The session keeps everything, before the end of the handshake too.
                Some(tls) => tls.writer().write(bytes),
                None => self.stream.write(bytes),
            };
            match written {
                Ok(0) => return IoProgress::Broken(NoResponseCause::Reset),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return IoProgress::Nothing,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.write_failed(&error),
            }
        }
        self.write_tls()
    }

    /// Writes what the TLS session has for the server.
    fn write_tls(&mut self) -> IoProgress {
        let Some(tls) = &mut self.tls else { return IoProgress::Nothing };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return IoProgress::Nothing,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.write_failed(&error),
            }
        }
        IoProgress::Nothing
    }

    fn write_failed(&mut self, error: &std::io::Error) -> IoProgress {
        self.peer_gone = error.kind() == ErrorKind::BrokenPipe;
        IoProgress::Broken(NoResponseCause::Reset)
    }

    /// Reads from the stream or, with TLS, decrypts; 0 at the end of the stream.
    fn read(&mut self, scratch: &mut [u8]) -> std::io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(scratch) };
        loop {
            match tls.reader().read(scratch) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            let processed = tls.process_new_packets();
            // The handshake's next message, or an alert that says why it failed.
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    // The socket becomes writable again.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    written => written?,
                };
            }
            processed.map_err(std::io::Error::other)?;
        }
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

    fn end_cause(&self) -> NoResponseCause {
        if self.is_open() { NoResponseCause::Reset } else { NoResponseCause::Connect }
    }

    /// Reads the available bytes; calls `answered` with each complete response.
    pub(super) fn readable<R>(
        &mut self,
        scratch: &mut [u8],
        answered: impl FnOnce(HttpResponse<'_>) -> R,
    ) -> Result<Option<R>, NoResponseCause> {
        loop {
            let bytes = match self.read(scratch) {
                Ok(0) => return Err(self.end_cause()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(self.end_cause()),
            };
            if self.flight.is_none() {
                // No request is in flight.
                return Err(NoResponseCause::Protocol);
            }
            let parsed = if self.partial.is_empty() {
                parse_response(&scratch[..bytes])
            } else {
                self.partial.extend_from_slice(&scratch[..bytes]);
                parse_response(&self.partial)
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
            if bytes < scratch.len() && self.tls.is_none() {
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
