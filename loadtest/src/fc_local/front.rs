//! The front: two listeners, their connections, and an orderly end.

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
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::driver::Driver;
use super::{FrontConfig, Status, Summary, proxy};
use crate::platform::Phase;

/// Most connections to the admin address.
const ADMIN_CONNECTIONS_MAX: usize = 16;

/// After a failed accept (no file descriptors, mostly), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A front under way. [`Front::stop`] ends it in order; when it is dropped its processes are killed.
#[derive(Debug)]
pub struct Front {
    /// Where requests come in.
    pub address: SocketAddr,
    /// Where `GET /_fc/status` answers.
    pub admin: SocketAddr,
    driver: Arc<Driver>,
    connections: Arc<Semaphore>,
    closing: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Front {
    /// Starts a front. Provisioned instances begin to start; nothing is waited for.
    ///
    /// # Errors
    /// If a rule is out of bounds or an address cannot be had.
    pub async fn start(config: FrontConfig) -> anyhow::Result<Self> {
        let bind = |address: SocketAddr| {
            shared::http::listen(address).with_context(|| format!("cannot listen on {address}"))
        };
        let (listener, admin_listener) = (bind(config.listen)?, bind(config.admin)?);
        let (address, admin) = (listener.local_addr()?, admin_listener.local_addr()?);
        let connections = Arc::new(Semaphore::new(config.bounds.connections_max));
        let driver = Arc::new(Driver::new(config)?);
        let (closing, closed) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.clone().run());
        let proxied = driver.clone();
        tasks.spawn(accept(listener, connections.clone(), closed.clone(), move |request| {
            proxy::answer(proxied.clone(), request)
        }));
        let told = driver.clone();
        let admin_connections = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
        tasks.spawn(accept(admin_listener, admin_connections, closed, move |request| {
            let answer = tell(&told, &request);
            async { answer }
        }));
        Ok(Self { address, admin, driver, connections, closing, tasks })
    }

    /// Every instance and what has happened, at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.driver.status()
    }

    /// Stops in order: no new connections, the requests under way, then every instance with its pre-stop and
    /// SIGTERM, all at once.
    pub async fn stop(mut self) -> Summary {
        let bounds = self.driver.config.bounds;
        self.closing.send_replace(true);
        self.driver.stopping.store(true, Ordering::Relaxed);
        // Each connection holds a permit until it has ended.
        let all = u32::try_from(bounds.connections_max).unwrap_or(u32::MAX);
        let _ended = timeout(bounds.timeout, self.connections.acquire_many(all)).await;
        self.tasks.shutdown().await;
        let now = self.driver.now();
        let instances = self.driver.with(|state| {
            let instances: Vec<_> = state.instances().cloned().collect();
            let phases = instances.into_iter().filter_map(|instance| {
                let phase = state.platform.phase_of(instance.id)?;
                state.platform.retire(now, instance.id);
                Some((instance, phase))
            });
            phases.collect::<Vec<_>>()
        });
        let mut stops = JoinSet::new();
        for (instance, phase) in instances {
            let driver = self.driver.clone();
            stops.spawn(async move {
                match phase {
                    // It has nothing to finish, and may not even answer.
                    Phase::Starting => driver.terminate(&instance).await,
                    // That is already under way.
                    Phase::Stopping => {
                        let _gone = instance.has_ended(bounds.pre_stop + bounds.stop * 2).await;
                    }
                    Phase::Active | Phase::Idle | Phase::Frozen => driver.stop(instance).await,
                }
            });
        }
        stops.join_all().await;
        self.driver.summary()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        self.driver.stopping.store(true, Ordering::Relaxed);
        let now = self.driver.now();
        self.driver.with(|state| {
            let instances: Vec<_> = state.instances().cloned().collect();
            for instance in instances {
                state.platform.retire(now, instance.id);
                instance.signal(Signal::KILL);
            }
        });
    }
}

/// Takes connections until the front closes.
async fn accept<F, A>(
    listener: TcpListener,
    connections: Arc<Semaphore>,
    mut closed: watch::Receiver<bool>,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    loop {
        let accepted = async {
            // One that waits for a permit is not accepted yet: the kernel's queue is the bound beyond the bound.
            let permit = connections.clone().acquire_owned().await.ok()?;
            listener.accept().await.ok().map(|(stream, _)| (stream, permit))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            _ = closed.wait_for(|closed| *closed) => return,
        };
        match accepted {
            Some((stream, permit)) => {
                tokio::spawn(serve(stream, permit, closed.clone(), answer.clone()));
            }
            None => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one connection. It is never closed for being idle: the platform's are not either.
async fn serve<F, A>(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    mut closed: watch::Receiver<bool>,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Send + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    // Without this an answer may wait for the client's delayed acknowledgement of the one before.
    let _left_as_it_is = stream.set_nodelay(true);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        // How a client's connection ended is the client's matter.
        _ended = connection.as_mut() => true,
        _ = closed.wait_for(|closed| *closed) => false,
    };
    if !ended {
        connection.as_mut().graceful_shutdown();
        let _ended = connection.await;
    }
    drop(permit);
}

fn tell(driver: &Driver, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let known = request.method() == Method::GET && request.uri().path() == "/_fc/status";
    // Strings, numbers and lists of them: serialisation cannot fail.
    let body = if known { serde_json::to_vec(&driver.status()).unwrap_or_default() } else { Vec::new() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    if known {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}
