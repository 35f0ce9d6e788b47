//! One worker: its connections, its publisher, its beginning and its end.

use std::future::Future;
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::time::Clock;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Dispatch, RunError, serve_connection};
use crate::app::App;
use crate::instance::InstanceState;
use crate::publish::{OrderPublisher, WarmUpError};

/// Between two attempts to reach the broker at start.
const START_RETRY: Duration = Duration::from_millis(250);

/// How long an instance that cannot start stays to say why: the platform asks `/initialize` as soon as the port is
/// open, and should hear a reason rather than find nobody.
const FAILED_START_LINGER: Duration = Duration::from_secs(1);

/// Connections on their way to a worker. More wait in the listener's own queue.
const PENDING_CONNECTIONS_MAX: usize = 1_024;

/// Where the acceptor leaves a worker's connections.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    pub(super) connections: mpsc::Sender<Connection>,
    /// Connections that the worker has, those at the door included.
    pub(super) open: Arc<AtomicUsize>,
}

/// A connection, counted as long as it is there.
#[derive(Debug)]
pub(super) struct Connection {
    stream: StdStream,
    counted: Counted,
}

#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Connection {
    pub(super) fn new(stream: StdStream, open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self { stream, counted: Counted(open) }
    }

    /// Back to the stream, for one that is not taken.
    pub(super) fn into_stream(self) -> StdStream {
        self.stream
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A door, and what comes in by it.
pub(super) fn channel() -> (WorkerHandle, mpsc::Receiver<Connection>) {
    let (sender, receiver) = mpsc::channel(PENDING_CONNECTIONS_MAX);
    (WorkerHandle { connections: sender, open: Arc::default() }, receiver)
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) connections: mpsc::Receiver<Connection>,
    pub(super) stop: CancellationToken,
    pub(super) start_timeout: Duration,
    pub(super) grace: Duration,
}

impl Worker {
    /// Serves until it is told to stop, or cannot reach the broker. Whether all that it sent was settled.
    pub(super) async fn run<P: OrderPublisher, C: Clock + Clone>(
        mut self,
        app: Arc<App<P, C>>,
    ) -> Result<bool, WarmUpError> {
        let front = Dispatch::new(&app);
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        let serving = async {
            while let Some(Some(connection)) = self.stop.run_until_cancelled(self.connections.recv()).await {
                let (front, stop, cut) = (front.clone(), self.stop.clone(), cut.clone());
                connections.spawn(async move { serve(connection, front, &stop, &cut).await });
            }
        };
        let starting = async {
            let started = start(&app, self.start_timeout, &self.stop).await;
            if let Err(error) = &started {
                app.instance().enter(InstanceState::Failed(error.reason.clone()));
                self.stop.run_until_cancelled(sleep(FAILED_START_LINGER)).await;
                self.stop.cancel();
            }
            started
        };
        let (started, ()) = tokio::join!(starting, serving);
        let deadline = Instant::now() + self.grace;
        connections.close();
        if timeout_at(deadline, connections.wait()).await.is_err() {
            tracing::warn!("the grace period is over; connections are cut");
            cut.cancel();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let settled = app.publisher().close(left).await;
        started.map(|()| settled)
    }
}

async fn serve<P: OrderPublisher, C: Clock + Clone>(
    Connection { stream, counted: _until_the_end }: Connection,
    front: Dispatch<P, C>,
    stop: &CancellationToken,
    cut: &CancellationToken,
) {
    // Fails only where the reactor cannot take one more; the client then sees a connection that ends.
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    serve_connection(stream, front, stop, cut).await;
}

/// Reaches the broker, trying again while it may still be starting itself.
async fn start<P: OrderPublisher, C: Clock>(
    app: &App<P, C>,
    bound: Duration,
    stop: &CancellationToken,
) -> Result<(), WarmUpError> {
    let deadline = Instant::now() + bound;
    let reaching = async {
        loop {
            match app.publisher().warm_up().await {
                Ok(()) => {
                    app.instance().worker_started();
                    return Ok(());
                }
                Err(error) if error.retryable && Instant::now() < deadline => {
                    tracing::warn!(%error, "waiting for the broker");
                    sleep(START_RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    };
    stop.run_until_cancelled(reaching).await.unwrap_or(Ok(()))
}

/// Runs a worker on a thread and a runtime of its own.
pub(super) async fn on_thread(
    number: usize,
    run: impl Future<Output = Result<bool, WarmUpError>> + Send + 'static,
) -> Result<bool, RunError> {
    let (tell, ended) = oneshot::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(RunError::Http).and_then(|it| it.block_on(run).map_err(RunError::Start));
        let _nobody_waits = tell.send(result);
    };
    std::thread::Builder::new().name(format!("ingest-{number}")).spawn(body)?;
    ended.await.unwrap_or_else(|_dropped| Err(RunError::Worker(format!("worker {number} panicked"))))
}
