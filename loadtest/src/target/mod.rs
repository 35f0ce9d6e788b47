//! The address of the system under test, and what every request to it carries: TLS, a path prefix, headers, a bearer
//! token, the gateway's signature.

mod head;
mod signature;
mod tls;
mod url;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

pub use head::{HeaderTemplate, RequestFields, RequestHead};
pub use signature::GatewaySigner;
pub use tls::TlsTarget;
pub use url::TargetUrl;

/// Bound on the connection and the TLS handshake of the first look at a target.
const LOOK_BOUND: Duration = Duration::from_secs(5);

/// The place that the generator sends to.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: SocketAddr,
    /// `None`: no TLS.
    pub tls: Option<TlsTarget>,
    pub head: Arc<RequestHead>,
}

impl Target {
    /// Plain HTTP, without further headers.
    pub fn plain(address: SocketAddr, host: &str) -> Self {
        Self { address, tls: None, head: Arc::new(RequestHead::new(host)) }
    }

    /// Connects to each of `addresses` until one accepts, and completes the TLS handshake if there is one.
    ///
    /// # Errors
    /// If none does; the error names the reason of each.
    pub fn look(
        addresses: impl IntoIterator<Item = SocketAddr>,
        tls: Option<TlsTarget>,
        head: RequestHead,
    ) -> anyhow::Result<Self> {
        let mut reasons = Vec::new();
        for address in addresses {
            match try_address(address, tls.as_ref()) {
                Ok(()) => return Ok(Self { address, tls, head: Arc::new(head) }),
                Err(error) => reasons.push(format!("{address}: {error:#}")),
            }
        }
        bail!("no address accepts a connection: {}", reasons.join("; "))
    }
}

fn try_address(address: SocketAddr, tls: Option<&TlsTarget>) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, LOOK_BOUND)?;
    let Some(tls) = tls else { return Ok(()) };
    stream.set_read_timeout(Some(LOOK_BOUND))?;
    stream.set_write_timeout(Some(LOOK_BOUND))?;
    let mut session = tls.session()?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).context("the TLS handshake")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn every_address_of_a_name_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let open = listener.local_addr().expect("bound");
        // As of a `localhost` that is `::1` first.
        let closed = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, open.port()));
        let look = |addresses: &[SocketAddr]| {
            Target::look(addresses.iter().copied(), None, RequestHead::new("localhost"))
        };
        assert_eq!(look(&[closed, open]).expect("the second one").address, open);
        let error = look(&[closed]).expect_err("the port is closed").to_string();
        assert!(error.contains(&closed.to_string()), "{error}");
    }
}
