//! The HTTP server of both ports: a bound on open connections, and on every wait for a client.
//!
//! Whoever keeps a connection has a descriptor of this process; without these bounds clients that idle or dawdle could
//! take those that the database and the broker need.

mod connection;
mod turns;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Router;
use shared::telemetry::LogRateLimiter;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// After a failure that is nobody's in particular, such as being out of descriptors: those come back with time.
const PAUSE: Duration = Duration::from_millis(50);

/// To a connection that is one too many, as ingest-fn says it. Written at once or not at all.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct ServeConfig {
    /// Which port, in metrics and logs.
    pub port: &'static str,
    /// Most connections open at once; one more is told so and closed.
    pub connections_max: NonZeroUsize,
    /// The bounds on waits for a client.
    pub patience: Patience,
    /// How long a stop waits for requests under way before their connections are cut.
    pub grace: Duration,
}

/// How long a connection's next step may take. One that takes longer is closed without a word.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A request's head: from its first byte, or where it is a connection's first from the connection's beginning, to
    /// its end.
    pub head: Duration,
    /// From there to the answer's head: the request's body, and what is done about it.
    pub answer: Duration,
    /// From there to the next request's first byte: the client's taking of the answer, and its silence.
    pub idle: Duration,
}

impl Default for Patience {
    /// 10 s, 60 s, 75 s. A page of redriven letters takes 20 s at most and is what takes longest. A load balancer that
    /// reuses connections should be the one to close them, or a look-up could meet one that is just being closed: they
    /// commonly wait for 60 s at most (Alibaba's ALB 15 s, and 60 s at most: likely).
    fn default() -> Self {
        Self { head: Duration::from_secs(10), answer: Duration::from_secs(60), idle: Duration::from_secs(75) }
    }
}

impl ServeConfig {
    /// At most `connections_max` connections to `port`; the default [`Patience`], and 5 s of grace.
    #[must_use]
    pub fn new(port: &'static str, connections_max: NonZeroUsize) -> Self {
        Self { port, connections_max, patience: Patience::default(), grace: Duration::from_secs(5) }
    }
}

/// Serves `router` on `listener` until `stop` is cancelled. Then nobody listens any more, idle connections are closed at
/// once, and requests under way have the grace period. Dropped, it cuts every connection.
pub async fn serve(listener: TcpListener, router: Router, config: ServeConfig, stop: CancellationToken) {
    let mut front = Front::new(router, config, stop.clone());
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _address)) => front.take(stream),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                front.tell_failure(&error);
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    front.finish().await;
}

/// A listener's connections.
struct Front {
    router: Router,
    config: ServeConfig,
    stop: CancellationToken,
    open: JoinSet<()>,
    /// One line a second tells of all refusals, one of all failures.
    refusals: LogRateLimiter,
    failures: LogRateLimiter,
}

impl Front {
    fn new(router: Router, config: ServeConfig, stop: CancellationToken) -> Self {
        let budget = || LogRateLimiter::new(1, Duration::from_secs(1));
        Self { router, config, stop, open: JoinSet::new(), refusals: budget(), failures: budget() }
    }

    fn take(&mut self, stream: TcpStream) {
        // Those that have ended are counted until they are looked at. One that panicked has its log line.
        while self.open.try_join_next().is_some() {}
        if self.open.len() >= self.config.connections_max.get() {
            return self.refuse(stream);
        }
        // Without this an answer may wait for the client's delayed acknowledgement of the one before.
        let _left_as_it_is = stream.set_nodelay(true);
        let (router, patience, stop) = (self.router.clone(), self.config.patience, self.stop.clone());
        self.open.spawn(connection::serve(stream, router, patience, stop));
    }

    /// Says why before it closes, as far as that can be done at once.
    fn refuse(&self, stream: TcpStream) {
        let port = self.config.port;
        metrics::connection_refused(port);
        if let Some(connections) = self.refusals.count_due() {
            tracing::warn!(port, connections, "connections refused: too many open");
        }
        // The runtime would first wait to hear that the stream can be written to; a new one always can.
        if let Ok(mut stream) = stream.into_std() {
            let _best_effort = stream.write(TOO_MANY);
        }
    }

    fn tell_failure(&self, error: &io::Error) {
        if let Some(times) = self.failures.count_due() {
            tracing::warn!(port = self.config.port, times, %error, "a connection could not be taken");
        }
    }

    async fn finish(mut self) {
        let all_ended = async { while self.open.join_next().await.is_some() {} };
        if timeout(self.config.grace, all_ended).await.is_err() {
            let (port, connections) = (self.config.port, self.open.len());
            tracing::warn!(port, connections, "the grace period is over; connections are cut");
            self.open.shutdown().await;
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
