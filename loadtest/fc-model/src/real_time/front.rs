//! The HTTP front: two listeners, their connections, and an orderly stop.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use rustix::process::Signal;
use shared::http::{Acceptor, Timeouts, serve_connection};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::config::FrontConfig;
use super::state::FrontState;
use super::status::{FrontStatus, FrontSummary};
use super::{lifecycle, proxy};
use crate::platform::InstancePhase;

/// Time of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const ADMIN_CONNECTIONS_MAX: usize = 16;

/// A running front. [`FcFront::stop`] ends it in order; dropping it kills the processes.
#[derive(Debug)]
pub struct FcFront {
    pub address: SocketAddr,
    /// Address of `GET /_fc/status`.
    pub admin: SocketAddr,
    state: Arc<FrontState>,
    connections: Arc<Semaphore>,
    closing: CancellationToken,
    tasks: JoinSet<()>,
}

impl FcFront {
    /// Starts a front. Does not wait for provisioned instances.
    ///
    /// # Errors
    /// If a rule is out of bounds or an address is not available.
    pub async fn start(config: FrontConfig) -> anyhow::Result<Self> {
        let bind = |address: SocketAddr| {
            shared::http::listen(address).with_context(|| format!("cannot listen on {address}"))
        };
        let (listener, admin_listener) = (bind(config.listen)?, bind(config.admin)?);
        let (address, admin) = (listener.local_addr()?, admin_listener.local_addr()?);
        let connections = Arc::new(Semaphore::new(config.bounds.connections_max));
        let state = Arc::new(FrontState::new(config)?);
        let closing = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(lifecycle::run_timers(state.clone()));
        let proxied = state.clone();
        tasks.spawn(accept(listener, "front", connections.clone(), closing.clone(), move |request| {
            proxy::respond(proxied.clone(), request)
        }));
        let reported = state.clone();
        let admin_connections = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
        tasks.spawn(accept(admin_listener, "admin", admin_connections, closing.clone(), move |request| {
            let response = status_response(&reported, &request);
            async { response }
        }));
        Ok(Self { address, admin, state, connections, closing, tasks })
    }

    pub fn status(&self) -> FrontStatus {
        self.state.status()
    }

    /// Stops accepting, waits for requests under way, then stops all instances at once with pre-stop and SIGTERM.
    pub async fn stop(mut self) -> FrontSummary {
        let bounds = self.state.config.bounds;
        self.closing.cancel();
        self.state.stopping.store(true, Ordering::Relaxed);
        // Each connection holds a permit until it has ended.
        let all = u32::try_from(bounds.connections_max).unwrap_or(u32::MAX);
        let _ended = timeout(bounds.timeout, self.connections.acquire_many(all)).await;
        self.tasks.shutdown().await;
        let mut stops = JoinSet::new();
        for (instance, phase) in self.state.retire_all() {
            let state = self.state.clone();
            stops.spawn(async move {
                match phase {
                    // No request to finish, and it may not respond.
                    InstancePhase::Starting => lifecycle::terminate(&state, &instance).await,
                    // A stop is already under way.
                    InstancePhase::Stopping => {
                        let _gone = instance.has_ended(bounds.pre_stop + bounds.stop * 2).await;
                    }
                    InstancePhase::Active | InstancePhase::Idle | InstancePhase::Frozen => {
                        lifecycle::stop(&state, &instance).await;
                    }
                }
            });
        }
        stops.join_all().await;
        self.state.summary()
    }
}

impl Drop for FcFront {
    fn drop(&mut self) {
        self.closing.cancel();
        self.state.stopping.store(true, Ordering::Relaxed);
        for (instance, _phase) in self.state.retire_all() {
            instance.signal(Signal::KILL);
        }
    }
}

/// Accepts connections until the front closes. Idle connections stay open: the platform does not close them either.
async fn accept<F, A>(
    listener: TcpListener,
    port: &'static str,
    connections: Arc<Semaphore>,
    closing: CancellationToken,
    respond: F,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let acceptor = Acceptor::new(listener, port);
    loop {
        let accepted = async {
            // Without a permit nothing is accepted: further connections wait in the kernel's queue.
            let permit = connections.clone().acquire_owned().await.ok()?;
            Some((acceptor.accept().await, permit))
        };
        let Some(Some((stream, permit))) = closing.run_until_cancelled(accepted).await else { return };
        let (closing, respond) = (closing.clone(), respond.clone());
        tokio::spawn(async move {
            serve_connection(stream, service_fn(respond), &Timeouts::head_only(HEAD_TIMEOUT), &closing).await;
            drop(permit);
        });
    }
}

fn status_response(
    state: &FrontState,
    request: &Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let found = request.method() == Method::GET && request.uri().path() == "/_fc/status";
    // Strings, numbers and lists of them: serialisation cannot fail.
    let body = if found { serde_json::to_vec(&state.status()).unwrap_or_default() } else { Vec::new() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    if found {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}
