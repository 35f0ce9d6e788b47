//! Single requests on a blocking connection: the look at a target before a run, and the look-ups of the ledger. The
//! requests of a run have an event loop of their own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::{ClientConnection, StreamOwned};
use tokio::time::Instant;

use super::Target;
use super::response::{RESPONSE_BYTES_MAX, ResponseParse, parse};

/// Bytes of a response by which it is HTTP/1.
const VERSION: &[u8] = b"HTTP/1.";

/// A connection to a target, for one request at a time.
#[derive(Debug)]
pub struct TargetConnection {
    stream: TargetStream,
    /// Bound on the connection, and on each response.
    wait_max: Duration,
}

#[derive(Debug)]
enum TargetStream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl TargetConnection {
    /// Connects, and completes the TLS handshake if the target has TLS.
    ///
    /// # Errors
    /// If the target does not accept the connection within `wait_max`.
    pub fn open(target: &Target, wait_max: Duration) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&target.address, wait_max)?;
        bound_io(&stream, wait_max)?;
        let Some(tls) = &target.tls else {
            return Ok(Self { stream: TargetStream::Plain(stream), wait_max });
        };
        let mut session = tls.session()?;
        while session.is_handshaking() {
            session.complete_io(&mut stream).context("the TLS handshake")?;
        }
        Ok(Self { stream: TargetStream::Tls(Box::new(StreamOwned::new(session, stream))), wait_max })
    }

    /// Uses a connection without TLS that is open.
    ///
    /// # Errors
    /// If `wait_max` is zero, or the socket is closed.
    pub fn plain(stream: TcpStream, wait_max: Duration) -> anyhow::Result<Self> {
        bound_io(&stream, wait_max)?;
        Ok(Self { stream: TargetStream::Plain(stream), wait_max })
    }

    /// Sends `request` and waits for an HTTP response, of which only the first bytes are read.
    pub(crate) fn probe(mut self, request: &[u8]) -> anyhow::Result<()> {
        let mut received = Vec::new();
        self.send(request)?;
        let began = Instant::now();
        while received.len() < VERSION.len() {
            self.receive(&mut received, began)?;
        }
        anyhow::ensure!(received.starts_with(VERSION), "the response is not HTTP/1.1");
        Ok(())
    }

    /// Sends `request` and reads the response. Returns status and body, and the connection if it stays open.
    ///
    /// # Errors
    /// If no complete response comes within the bound, or it is not HTTP/1.1 with a length or chunks.
    pub fn exchange(mut self, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>, Option<Self>)> {
        let mut received = Vec::new();
        self.send(request)?;
        let began = Instant::now();
        loop {
            self.receive(&mut received, began)?;
            match parse(&received) {
                ResponseParse::Complete(response) => {
                    let (status, body, close) = (response.status, response.body.into_owned(), response.close);
                    return Ok((status, body, (!close).then_some(self)));
                }
                ResponseParse::Partial if received.len() <= RESPONSE_BYTES_MAX => {}
                ResponseParse::Partial | ResponseParse::Invalid => bail!("the response is not HTTP/1.1"),
            }
        }
    }

    fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        match &mut self.stream {
            TargetStream::Plain(stream) => stream.write_all(request)?,
            TargetStream::Tls(stream) => {
                stream.write_all(request)?;
                stream.flush()?;
            }
        }
        Ok(())
    }

    /// Appends what the server has sent to `received`; the response began to be awaited at `began`.
    fn receive(&mut self, received: &mut Vec<u8>, began: Instant) -> anyhow::Result<()> {
        let late = || format!("no response within {} s", self.wait_max.as_secs_f64());
        anyhow::ensure!(began.elapsed() < self.wait_max, late());
        let mut buffer = [0; 4_096];
        let read = match &mut self.stream {
            TargetStream::Plain(stream) => stream.read(&mut buffer),
            TargetStream::Tls(stream) => stream.read(&mut buffer),
        };
        match read {
            Ok(0) => bail!("the connection ended before the response"),
            Ok(bytes) => received.extend_from_slice(&buffer[..bytes]),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                bail!(late())
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn bound_io(stream: &TcpStream, wait_max: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(wait_max))?;
    stream.set_write_timeout(Some(wait_max))
}
