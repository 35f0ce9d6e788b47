//! One worker: its connections, its publisher, its start and its stop.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use shared::http::{ConnectionEnd, Timeouts, serve_connection};
use shared::time::Clock;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RunError;
use super::unread_body::{DRAIN_BYTES_MAX, DrainedBody};
use crate::app::App;
use crate::body::announced_bytes;
use crate::instance::InstanceState;
use crate::log_budgets::HEADS_TIMED_OUT;
use crate::metrics;
use crate::publish::{OrderPublisher, WarmUpError};
use crate::router::Dispatch;

/// Pause between two attempts to reach the broker at start.
const START_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Time that an instance whose start failed stays reachable: the platform calls `/initialize` as soon as the port is
/// open, and gets the reason instead of a closed connection.
const FAILED_START_LINGER: Duration = Duration::from_secs(1);

/// Connections accepted but not yet received by the worker. Further ones are rejected.
const PENDING_CONNECTIONS_MAX: usize = 1_024;

/// The acceptor's end of a worker.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    pub(super) connections: mpsc::Sender<CountedStream>,
    /// Connections of the worker, pending ones included.
    pub(super) open: Arc<AtomicUsize>,
}

/// A connection beyond the bound is there for one probe.
const PROBE_TIMEOUTS: Timeouts =
    Timeouts { head: Duration::from_secs(1), answer: None, idle: Some(Duration::from_secs(1)) };

/// A connection that is counted until it is dropped.
#[derive(Debug)]
pub(super) struct CountedStream {
    stream: StdStream,
    /// Beyond the bound: it serves one probe, and rejects any other request.
    is_for_probes: bool,
    count: ConnectionCount,
}

#[derive(Debug)]
struct ConnectionCount(Arc<AtomicUsize>);

impl CountedStream {
    pub(super) fn new(stream: StdStream, is_for_probes: bool, open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        metrics::connection_opened();
        Self { stream, is_for_probes, count: ConnectionCount(open) }
    }

    pub(super) fn into_stream(self) -> StdStream {
        self.stream
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        metrics::connection_closed();
    }
}

pub(super) fn channel() -> (WorkerHandle, mpsc::Receiver<CountedStream>) {
    let (sender, receiver) = mpsc::channel(PENDING_CONNECTIONS_MAX);
    (WorkerHandle { connections: sender, open: Arc::default() }, receiver)
}

#[derive(Debug)]
pub(super) struct HttpWorker {
    pub(super) connections: mpsc::Receiver<CountedStream>,
    pub(super) stop: CancellationToken,
    pub(super) start_timeout: Duration,
    pub(super) head_timeout: Duration,
    pub(super) grace: Duration,
}

impl HttpWorker {
    /// Serves until `stop` is cancelled or the broker cannot be reached; the latter cancels `stop` for all workers.
    /// Returns true if every message in flight was acknowledged or failed within the grace period.
    pub(super) async fn run<P: OrderPublisher, C: Clock + Clone>(
        mut self,
        app: Arc<App<P, C>>,
    ) -> Result<bool, WarmUpError> {
        let dispatch = Dispatch::new(&app);
        let connections = TaskTracker::new();
        let force_shutdown = CancellationToken::new();
        let serving = async {
            while let Some(Some(connection)) = self.stop.run_until_cancelled(self.connections.recv()).await {
                let (dispatch, stop, force) = (dispatch.clone(), self.stop.clone(), force_shutdown.clone());
                // An idle connection is never closed: Function Compute reuses connections, and a connection closed
                // under a `POST` costs that order a 502 (certain: vendor's troubleshooting of "process exited
                // unexpectedly"; an idle time-out must be over 15 minutes or none).
                let timeouts = Timeouts::head_only(self.head_timeout);
                connections.spawn(async move { serve(connection, dispatch, timeouts, &stop, &force).await });
            }
        };
        let starting = async {
            let started = start(&app, self.start_timeout, &self.stop).await;
            if let Err(error) = &started {
                app.instance.set_state(InstanceState::Failed(error.reason.clone()));
                self.stop.run_until_cancelled(sleep(FAILED_START_LINGER)).await;
                self.stop.cancel();
            }
            started
        };
        let (started, ()) = tokio::join!(starting, serving);
        let deadline = Instant::now() + self.grace;
        connections.close();
        if timeout_at(deadline, connections.wait()).await.is_err() {
            tracing::warn!(event = "connections_cut", "grace period expired; closing connections");
            force_shutdown.cancel();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let settled = app.publisher.close(left).await;
        started.map(|()| settled)
    }
}

/// Serves requests until the client closes the connection, or `stop` is cancelled and the request in flight is answered,
/// or `force_shutdown` is cancelled.
async fn serve<P: OrderPublisher, C: Clock + Clone>(
    CountedStream { stream, is_for_probes, count: _until_the_end }: CountedStream,
    dispatch: Dispatch<P, C>,
    timeouts: Timeouts,
    stop: &CancellationToken,
    force_shutdown: &CancellationToken,
) {
    // Fails only if the reactor cannot register the socket; the client then sees a closed connection.
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let serving = async {
        if is_for_probes {
            let service = service_fn(|request: Request<Incoming>| async {
                dispatch.dispatch_probe(request).await.map(closing)
            });
            serve_connection(stream, service, &PROBE_TIMEOUTS, stop).await
        } else {
            let service = service_fn(|request: Request<Incoming>| {
                let is_oversized =
                    announced_bytes(request.headers()).is_some_and(|bytes| bytes > DRAIN_BYTES_MAX);
                let answer = dispatch.dispatch(request.map(DrainedBody::new));
                async move {
                    let response = answer.await?;
                    // The rest of the body cannot be distinguished from the next request, so the connection ends
                    // here. A client that pools connections must know before it sends the next order.
                    let ends = is_oversized || response.status() == StatusCode::REQUEST_TIMEOUT;
                    Ok::<_, Infallible>(if ends { closing(response) } else { response })
                }
            });
            serve_connection(stream, service, &timeouts, stop).await
        }
    };
    if let Some(ConnectionEnd::SlowHead) = force_shutdown.run_until_cancelled(serving).await
        && !is_for_probes
    {
        metrics::head_timed_out();
        HEADS_TIMED_OUT.count();
    }
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reaches the broker, and retries within `bound` because the broker may still be starting. Returns `Ok` if `stop` is
/// cancelled.
async fn start<P: OrderPublisher, C: Clock>(
    app: &App<P, C>,
    bound: Duration,
    stop: &CancellationToken,
) -> Result<(), WarmUpError> {
    let deadline = Instant::now() + bound;
    let reaching = async {
        loop {
            match app.publisher.warm_up().await {
                Ok(()) => {
                    metrics::broker_reachable(true);
                    app.instance.worker_started();
                    return Ok(());
                }
                Err(error) if error.retryable && Instant::now() < deadline => {
                    metrics::broker_reachable(false);
                    tracing::warn!(event = "broker_unreachable", %error, "broker unreachable; retrying");
                    sleep(START_RETRY_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    };
    stop.run_until_cancelled(reaching).await.unwrap_or(Ok(()))
}

/// Runs a worker on its own thread and runtime.
pub(super) async fn on_thread(
    number: usize,
    run: impl Future<Output = Result<bool, WarmUpError>> + Send + 'static,
) -> Result<bool, RunError> {
    let (sender, ended) = oneshot::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(RunError::Http).and_then(|it| it.block_on(run).map_err(RunError::Start));
        let _receiver_dropped = sender.send(result);
    };
    std::thread::Builder::new().name(format!("ingest-{number}")).spawn(body)?;
    ended.await.unwrap_or_else(|_dropped| Err(RunError::Worker(format!("worker {number} panicked"))))
}
