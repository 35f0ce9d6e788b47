//! The address of the system under test, and what every request to it carries: TLS, a path prefix, headers, a bearer
//! token, the gateway's signature.

mod exchange;
mod head;
mod response;
mod signature;
mod tls;
mod url;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

pub use exchange::TargetConnection;
pub use head::{HeaderTemplate, RequestFields, RequestHead};
pub(crate) use response::{HttpResponse, ResponseParse, parse as parse_response, problem_code};
pub use signature::GatewaySigner;
pub use tls::TlsTarget;
pub use url::TargetUrl;

/// Bound on each step of the first look at a target: connection, TLS handshake and response. An instance of Function
/// Compute may start first.
const LOOK_BOUND: Duration = Duration::from_secs(10);

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

    /// Sends a request to each of `addresses` until one answers it. Any HTTP response is an answer: the request has no
    /// credentials, and its path is the prefix.
    ///
    /// # Errors
    /// If none does; the error names the reason of each.
    pub fn look(
        addresses: impl IntoIterator<Item = SocketAddr>,
        tls: Option<&TlsTarget>,
        head: RequestHead,
    ) -> anyhow::Result<Self> {
        Self::look_within(LOOK_BOUND, addresses, tls, head)
    }

    fn look_within(
        wait_max: Duration,
        addresses: impl IntoIterator<Item = SocketAddr>,
        tls: Option<&TlsTarget>,
        head: RequestHead,
    ) -> anyhow::Result<Self> {
        let request = format!(
            "GET {}/ HTTP/1.1\r\nhost: {}\r\nuser-agent: loadtest\r\nconnection: close\r\n\r\n",
            head.prefix, head.host
        );
        let head = Arc::new(head);
        let mut reasons = Vec::new();
        for address in addresses {
            let target = Self { address, tls: tls.cloned(), head: head.clone() };
            let answered = TargetConnection::open(&target, wait_max)
                .and_then(|connection| connection.probe(request.as_bytes()));
            match answered {
                Ok(()) => return Ok(target),
                Err(error) => reasons.push(format!("{address}: {error:#}")),
            }
        }
        bail!("no address answers a request: {}", reasons.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Sends `response` to every request; `None`: accepts connections only.
    fn server(response: Option<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in listener.incoming().map_while(Result::ok) {
                if let Some(response) = response {
                    let _request = stream.read(&mut [0; 4_096]);
                    let _gone = stream.write_all(response.as_bytes());
                }
                open.push(stream);
            }
        });
        address
    }

    fn look(wait_max: Duration, addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
        let (addresses, head) = (addresses.iter().copied(), RequestHead::new("localhost"));
        let looked = Target::look_within(wait_max, addresses, None, head);
        looked.map(|target| target.address).map_err(|error| error.to_string())
    }

    #[test]
    fn every_address_of_a_name_is_tried() {
        let open = server(Some("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"));
        // As of a `localhost` that is `::1` first.
        let closed = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, open.port()));
        assert_eq!(look(LOOK_BOUND, &[closed, open]), Ok(open));
        let error = look(LOOK_BOUND, &[closed]).expect_err("the port is closed");
        assert!(error.contains(&closed.to_string()), "{error}");
    }

    #[test]
    fn a_target_that_accepts_connections_and_answers_no_request_is_unreachable() {
        for (response, wait_max, reason) in [
            (None, Duration::from_millis(500), "no response within 0.5 s"),
            (Some("SSH-2.0-OpenSSH\r\n"), LOOK_BOUND, "the response is not HTTP/1.1"),
        ] {
            let address = server(response);
            let error = look(wait_max, &[address]).expect_err("no HTTP");
            assert!(error.contains(&format!("{address}: {reason}")), "{error}");
        }
    }
}
