//! Accepts connections and rejects those beyond a bound.

use std::io::{self, Write};
use std::net::TcpStream as StdStream;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::answers;
use crate::telemetry::LogBudget;

/// Pause after an accept error that is not the client's, such as EMFILE, so that the loop does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

static FAILURES: LogBudget = LogBudget::new(1, |times| {
    tracing::warn!(event = "accept_failed", times, "cannot accept connections; retrying");
});

/// A listener that survives accept errors, of which it logs one a second and the number of the others.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    port: &'static str,
}

impl Acceptor {
    /// Accepts on `listener`; `port` names it in log lines.
    #[must_use]
    pub const fn new(listener: TcpListener, port: &'static str) -> Self {
        Self { listener, port }
    }

    /// Waits for the next connection. A client that resets its connection early is skipped; after any other error the
    /// acceptor logs, pauses for 50 ms and tries again. Cancel safe: no accepted connection is lost.
    pub async fn accept(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _address)) => {
                    // With Nagle's algorithm a response could wait for the client's delayed acknowledgement.
                    let _unchanged_on_error = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    FAILURES.record(|| {
                        tracing::warn!(event = "accept_failed", port = self.port, times = 1, %error, "cannot accept connections; retrying");
                    });
                    sleep(ERROR_PAUSE).await;
                }
            }
        }
    }
}

/// Answers 503 with `Retry-After: 1` and closes the connection. Never waits: a new connection has room for the response.
pub fn reject(mut stream: StdStream) {
    let _best_effort = stream.write(&answers::too_many_connections());
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
