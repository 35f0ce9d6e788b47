//! Opens connections: to the first of a server's addresses that answers, with TLS if it is configured.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

#[cfg(feature = "tls")]
use super::tls::TlsDialer;
use crate::endpoints::{Endpoint, Endpoints};

/// Time after which the next address is tried beside one that does not answer (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) endpoints: Endpoints,
    /// Time-out of each address.
    pub(super) connect_timeout: Duration,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsDialer>,
}

/// A connection.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Connector {
    /// The scheme of URIs.
    pub(super) const fn scheme(&self) -> &'static str {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return "https";
        }
        "http"
    }

    /// Tries the addresses from a random one on: clients spread over them.
    ///
    /// # Errors
    /// The last error, once every address has failed.
    pub(super) async fn connect(self) -> io::Result<TokioIo<Box<dyn Io>>> {
        let addresses = self.endpoints.addresses();
        let (before, after) = addresses.split_at(rand::random_range(0..addresses.len()));
        let mut untried: VecDeque<Endpoint> = after.iter().chain(before).cloned().collect();
        let mut attempts = FuturesUnordered::new();
        let mut last = io::Error::other("no address");
        loop {
            if attempts.is_empty() {
                let Some(address) = untried.pop_front() else { return Err(last) };
                attempts.push(self.clone().connect_to(address));
            }
            tokio::select! {
                Some(attempt) = attempts.next() => match attempt {
                    Ok(connection) => return Ok(TokioIo::new(connection)),
                    Err(error) => last = error,
                },
                () = sleep(NEXT_ADDRESS_AFTER), if !untried.is_empty() => {}
            }
            if let Some(address) = untried.pop_front() {
                attempts.push(self.clone().connect_to(address));
            }
        }
    }

    async fn connect_to(self, address: Endpoint) -> io::Result<Box<dyn Io>> {
        let connecting = async {
            let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
            stream.set_nodelay(true)?;
            #[cfg(feature = "tls")]
            if let Some(tls) = &self.tls {
                return tls
                    .connect(&address.host, stream)
                    .await
                    .map(|stream| Box::new(stream) as Box<dyn Io>);
            }
            Ok(Box::new(stream) as Box<dyn Io>)
        };
        let connected = timeout(self.connect_timeout, connecting).await;
        connected
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}")))
    }
}
