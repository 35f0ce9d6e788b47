//! Takes connections and deals them out.

use std::io::{self, Write};
use std::net::TcpStream as StdStream;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::worker::{Connection, WorkerHandle};
use crate::summary;

/// After a failure that is nobody's in particular, such as being out of files.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(50);

/// To a connection that is one too many. Written at once or not at all.
const OVERLOADED_RESPONSE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Gives each new connection to the worker that has the fewest.
///
/// One listener with a fair hand, not `SO_REUSEPORT`: the kernel would deal by a hash, and of the few connections that
/// a platform keeps to an instance one worker could get nearly all.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: TcpListener,
    workers: Vec<WorkerHandle>,
    connections_max: usize,
}

impl Acceptor {
    pub(super) fn new(
        listener: TcpListener,
        workers: Vec<WorkerHandle>,
        connections_max: NonZeroUsize,
    ) -> Self {
        Self { listener, workers, connections_max: connections_max.get() }
    }

    /// Until `stop`; then nobody listens any more.
    pub(super) async fn run(self, stop: &CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, _address)) => self.dispatch(stream),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    summary::accept_failure(&error);
                    sleep(ACCEPT_ERROR_PAUSE).await;
                }
            }
        }
    }

    fn dispatch(&self, stream: TcpStream) {
        // Without this an answer may wait for the client's delayed acknowledgement of the one before.
        let _left_as_it_is = stream.set_nodelay(true);
        // From this runtime to another; where that fails the connection is as good as broken.
        let Ok(stream) = stream.into_std() else { return };
        let open: usize = self.workers.iter().map(|channel| channel.open.load(Ordering::Relaxed)).sum();
        let Some(channel) = self.workers.iter().min_by_key(|channel| channel.open.load(Ordering::Relaxed))
        else {
            return;
        };
        if open >= self.connections_max {
            return refuse(stream);
        }
        match channel.connections.try_send(Connection::new(stream, channel.open.clone())) {
            // The worker is gone only where all is about to end.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(connection)) => refuse(connection.into_stream()),
        }
    }
}

/// Says why before it closes, as far as that can be done at once.
fn refuse(mut stream: StdStream) {
    summary::connections_shed();
    let _best_effort = stream.write(OVERLOADED_RESPONSE);
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
