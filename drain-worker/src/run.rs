//! A worker, put together.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use shared::rocketmq::{ClientError, DefaultContext, StreamConsumer};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::backoff::Backoff;
use crate::config::DrainSettings;
use crate::dead_letters::exhausted::Exhausted;
use crate::dead_letters::{Obstacle, RedriveConfig, Redriver};
use crate::lag::{LagOf, MetricsLag};
use crate::monitor::Monitor;
use crate::pipeline::{DrainError, Pipeline};
use crate::pool::{Member, Signals};
use crate::rate::RateGate;
use crate::serve::{ServeConfig, serve};
use crate::store::{OrderStore, Store, StoreError};
use crate::{metrics, query};

/// Why the worker could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The broker.
    #[error("RocketMQ: {0}")]
    Broker(#[from] ClientError),
    /// The drain stopped by itself.
    #[error("drain: {0}")]
    Drain(#[from] DrainError),
    /// A listener broke.
    #[error("HTTP: {0}")]
    Http(#[from] std::io::Error),
}

/// The worker's listeners.
#[derive(Debug)]
pub struct Listeners {
    /// For buyers.
    pub query: TcpListener,
    /// For operators.
    pub admin: TcpListener,
}

/// What the last steps of a stop have in any case.
const CLOSE_MIN: Duration = Duration::from_millis(200);

/// Most connections to the admin port: probes, scrapers, a few consoles with a browser's six each.
const ADMIN_CONNECTIONS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// How long a start waits for database and broker before it gives up.
const START_WAIT: Duration = Duration::from_secs(30);

/// Drains until `shutdown` is cancelled, then stops in order within the grace period.
///
/// # Errors
/// [`RunError`] if database or broker cannot be reached at start, or the drain fails for good.
pub async fn run(
    settings: DrainSettings,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    shared::telemetry::metrics();
    metrics::describe();
    let store = Arc::new(open(&settings).await?);
    let consumer = connect(&settings).await?;
    tracing::info!(
        database = %settings.database_url,
        broker = %settings.client.endpoint,
        group = settings.pool.group,
        worker = settings.pool.worker,
        connections_max = settings.store.connections_max(),
        query = %listeners.query.local_addr()?,
        admin = %listeners.admin.local_addr()?,
        access = ?settings.access,
        "draining"
    );
    settings.lookups.warn();
    let gate = RateGate::closed();
    let signals = Signals::default();
    let group = settings.pool.group.clone();
    let backoff = Backoff::new(settings.backoff_slow);
    let member = Member::new(store.clone(), settings.pool, gate.clone(), signals.clone(), backoff);
    let monitor = Monitor::new(member.view(), signals.health.clone(), settings.retention_h);
    let judges = (signals.meter.clone(), signals.health.clone());
    let redriver = Redriver::new(
        store.clone(),
        gate.clone(),
        judges.clone(),
        unless_paused(&monitor),
        &group,
        RedriveConfig::default(),
    );
    let exhausted = Exhausted::new(
        store.clone(),
        settings.client.clone(),
        settings.exhausted,
        gate.clone(),
        judges,
        unless_paused(&monitor),
    );
    let desk = Admin {
        store: store.clone(),
        group: group.as_str().into(),
        monitor: monitor.clone(),
        health: signals.health.clone(),
        redriver,
    };
    let of = LagOf::new(&settings.client.namespace, &settings.orders_topic, &group);
    let lag = MetricsLag::new(&settings.lag, &settings.client.endpoint.to_string(), of);

    // The listeners stay up until the drain has ended: buyers keep asking while a worker stops.
    let drained = CancellationToken::new();
    let lookups = query::router(store.clone(), settings.lookups);
    let desk = admin::router(desk, settings.access);
    let for_buyers = ServeConfig::new("query", settings.query_connections_max);
    let for_operators = ServeConfig::new("admin", ADMIN_CONNECTIONS_MAX);
    let servers = [
        tokio::spawn(serve(listeners.query, lookups, for_buyers, drained.clone())),
        tokio::spawn(serve(listeners.admin, desk, for_operators, drained.clone())),
    ];
    let watching =
        spawn_vital(&shutdown, monitor.run(store.clone(), lag, signals.lag.clone(), drained.clone()));
    let taking_over = spawn_vital(&shutdown, exhausted.run(shutdown.clone()));
    let leave = CancellationToken::new();
    let membership = spawn_vital(&shutdown, member.run(leave.clone()));
    let pipeline = Pipeline {
        consumer: consumer.clone(),
        store: store.clone(),
        gate,
        config: settings.pipeline,
        health: signals.health,
        meter: signals.meter,
        held: signals.held,
    };
    let result = pipeline.run(shutdown).await;
    // The pipeline has had its part of the grace period; what is left is shared by the rest.
    let deadline = Instant::now() + settings.grace.saturating_sub(settings.pipeline.grace);
    // At once: what this worker does not use any more, the others wait for.
    leave.cancel();
    let taken_over = ended(taking_over, deadline).await;
    // Its own bound is a few seconds. Longer, and the lease lapses by itself.
    let left = match timeout_at(deadline, membership).await {
        Ok(left) => left.map_err(|error| bug(&error))?,
        Err(_elapsed) => Ok(()),
    };
    let settled = consumer.close(deadline.saturating_duration_since(Instant::now()).max(CLOSE_MIN)).await;
    drained.cancel();
    let watched = ended(watching, deadline).await;
    let mut served = Ok(());
    for server in servers {
        served = served.and(ended(server, deadline).await);
    }
    let _closed = timeout_at(deadline + CLOSE_MIN, store.close()).await;
    tracing::info!(settled, "stopped");
    result?;
    left?;
    Ok(taken_over.and(watched).and(served)?)
}

/// Runs what a worker is not whole without: its place in the pool, its eyes. However that ends, the worker does, and its
/// platform starts another.
fn spawn_vital<T: Send + 'static>(
    shutdown: &CancellationToken,
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let ends = shutdown.clone().drop_guard();
    tokio::spawn(async move {
        let _ends = ends;
        task.await
    })
}

/// Waits for a task until `deadline`, and ends it then.
async fn ended(mut task: JoinHandle<()>, deadline: Instant) -> Result<(), DrainError> {
    match timeout_at(deadline + CLOSE_MIN, &mut task).await {
        Ok(ended) => ended.map_err(|error| bug(&error)),
        Err(_elapsed) => {
            task.abort();
            Ok(())
        }
    }
}

fn bug(error: &JoinError) -> DrainError {
    DrainError::Bug(error.to_string())
}

/// Nothing is redriven or taken over while the pool is paused.
fn unless_paused(monitor: &Monitor) -> Obstacle {
    let monitor = monitor.clone();
    Arc::new(move || monitor.is_paused().then(|| "the pool is paused".to_owned()))
}

async fn open(settings: &DrainSettings) -> Result<Store, StoreError> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        let opening = async {
            let store = Store::connect(&settings.database_url, settings.store).await?;
            if settings.embedded {
                store.migrate().await?;
            }
            store.check_schema().await?;
            Ok(store)
        };
        match opening.await {
            Err(error) if StoreError::is_transient(&error) && Instant::now() < deadline => {
                tracing::warn!(%error, "waiting for the database");
                sleep(Duration::from_millis(500)).await;
            }
            result => return result,
        }
    }
}

async fn connect(settings: &DrainSettings) -> Result<StreamConsumer, ClientError> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        match StreamConsumer::connect(settings.client.clone(), settings.consumer.clone(), DefaultContext)
            .await
        {
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                tracing::warn!(%error, "waiting for the broker");
                sleep(Duration::from_millis(500)).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_breaks_ends_the_worker_and_is_told() {
        let shutdown = CancellationToken::new();
        let broken = spawn_vital(&shutdown, async { panic!("planted") });
        shutdown.cancelled().await;
        let told = ended(broken, Instant::now() + Duration::from_secs(30)).await;
        assert!(matches!(told, Err(DrainError::Bug(_))), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_does_not_end_is_not_waited_for_without_end() {
        let shutdown = CancellationToken::new();
        let hanging = spawn_vital(&shutdown, std::future::pending());
        let began = Instant::now();
        assert!(ended(hanging, began + Duration::from_secs(3)).await.is_ok());
        assert_eq!(began.elapsed(), Duration::from_secs(3) + CLOSE_MIN);
        shutdown.cancelled().await;
    }
}
