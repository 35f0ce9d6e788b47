//! Addresses of processes that a program starts itself, on the same machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to outgoing connections (Linux from 32768, `ip_local_port_range` in ip(7); others
/// from 49152, RFC 6335 §6).
const PORTS: Range<u16> = 10_000..32_768;

/// Returns a loopback address to which no socket is bound.
///
/// A port from the system (port 0) may become that of an outgoing connection before the process listens, or while it is
/// restarted. A port of this function may not; only another process that chooses the same can bind it first. One
/// process gets the same port again only after all others.
///
/// # Errors
/// If none of 1,000 ports can be bound.
pub fn free_loopback_address() -> io::Result<SocketAddr> {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random()));
    let mut error = io::ErrorKind::AddrInUse.into();
    for _ in 0..1_000 {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len() as u16;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener.local_addr(),
            Err(failed) => error = failed,
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_given_twice_nor_one_that_is_bound_nor_one_of_an_outgoing_connection() {
        let mut bound: Vec<TcpListener> = Vec::new();
        for _ in 0..100 {
            let address = free_loopback_address().expect("a free port");
            let listener = TcpListener::bind(address).expect("it is free");
            let outgoing = std::net::TcpStream::connect(address).expect("it listens");
            let port = outgoing.local_addr().expect("an address").port();
            assert!(!PORTS.contains(&port), "the system gave {port} to an outgoing connection");
            bound.push(listener);
        }
    }
}
