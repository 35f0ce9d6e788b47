//! A listener with a queue for the moment a sale opens.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Maximum connections that wait to be accepted. The usual 1,024 overflow when a sale opens. The kernel does not refuse
/// an overflowing client: it stays half-connected for seconds until the kernel retries. The system's bound
/// (`net.core.somaxconn`, 4,096 on Linux since 5.4) applies as well.
pub const BACKLOG: u32 = 4_096;

/// Listens on `address` with a queue of [`BACKLOG`] connections.
///
/// # Errors
/// If the address is in use or not local.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As the standard library does on Unix: a restart must not wait for the connections of the previous process.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Maximum open files of the process after [`raise_open_files`]; `None`: no limit, or none that is known.
#[must_use]
pub fn open_files_max() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    #[cfg(not(unix))]
    return None;
}

/// Raises the process's limit of open files to its hard limit: each connection uses one. Child processes inherit it.
#[cfg(unix)]
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If this fails, connections fail to open later, and those are counted.
    let _unchanged = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// No effect on this platform.
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
        // The test never accepts. With the usual queue the 1,026th connection would time out.
        let waiting: Vec<_> = (0..1_200)
            .map_while(|_| TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok())
            .collect();
        assert_eq!(waiting.len(), 1_200);
    }
}
