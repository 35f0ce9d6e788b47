//! An HTTP/1.1 server that a test plays the service with. Tests that use it include this file.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct StubServer {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
    pub(crate) connections: Arc<AtomicUsize>,
}

/// Serves each connection on a thread, until the test process ends. `behave` responds to request number `n`, and returns
/// true to serve the connection further.
pub(crate) fn serve(
    behave: impl Fn(&str, usize, &mut TcpStream) -> bool + Send + Sync + 'static,
) -> StubServer {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = StubServer { address, requests: Arc::default(), connections: Arc::default() };
    let (requests, connections) = (server.requests.clone(), server.connections.clone());
    let behave = Arc::new(behave);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, requests) = (stream.expect("accepted"), requests.clone());
            connections.fetch_add(1, Ordering::SeqCst);
            let behave = behave.clone();
            std::thread::spawn(move || {
                let mut read = Vec::new();
                while let Some(request) = read_request(&mut stream, &mut read) {
                    let number = requests.fetch_add(1, Ordering::SeqCst);
                    if !behave(&request, number, &mut stream) {
                        return;
                    }
                }
            });
        }
    });
    server
}

/// Reads one request; `read` has the bytes after the last one. `None`: the connection has ended.
fn read_request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<String> {
    let mut buffer = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").map_or(Some(0), |length| length.parse().ok())?;
            if body.len() >= length {
                read.drain(..head.len() + 4 + length);
                return Some(text);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(bytes) => read.extend_from_slice(&buffer[..bytes]),
        }
    }
}

/// The value of header `name`, which is in lower case as the generator sends it.
pub(crate) fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.split("\r\n").skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(": ")).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// `headers`: complete lines. Returns false once the client is gone.
pub(crate) fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> bool {
    let text = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).is_ok()
}
