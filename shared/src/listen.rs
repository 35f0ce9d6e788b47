//! Listening where a crowd arrives.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted. The usual 1,024 overflow when a sale opens, and what overflows is not
/// refused: the client believes itself connected and waits for seconds until the kernel tries again. The system's own
/// bound (`net.core.somaxconn`, 4,096 on Linux since 5.4) holds all the same.
pub const BACKLOG: u32 = 4_096;

/// Listens on `address` with a queue of [`BACKLOG`] connections.
///
/// # Errors
/// If the address cannot be had.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As the standard library does on Unix: a restart must not wait for connections of the process before it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Raises the process's bound on open files as far as it may be raised: each connection is one. Child processes
/// inherit it.
#[cfg(unix)]
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Too few show themselves as connections that cannot be opened, and those are counted.
    let _as_before = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Nothing is bounded so here.
#[cfg(not(unix))]
pub fn raise_open_files() {}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn more_than_the_usual_queue_may_wait_to_be_accepted() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let address = listener.local_addr().expect("bound");
        // Nobody accepts. With the usual queue the 1,026th would not get through.
        let waiting: Vec<_> = (0..1_200)
            .map_while(|_| TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok())
            .collect();
        assert_eq!(waiting.len(), 1_200);
    }
}
