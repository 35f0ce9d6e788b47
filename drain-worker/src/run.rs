//! Connects the parts of a worker, runs them, and stops them in order.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use shared::http::{ServeConfig, serve};
use shared::rocketmq::{ClientError, DefaultContext, StreamConsumer};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::adaptive_limit::AdaptiveLimit;
use crate::admin::{self, Admin};
use crate::config::DrainSettings;
use crate::dead_letters::broker_dlq::BrokerDlqConsumer;
use crate::dead_letters::{RedriveConfig, Redriver, WriteGuard, deletion};
use crate::lag::{ConfiguredLag, LagQuery};
use crate::monitor::Monitor;
use crate::pipeline::GatedWriter;
use crate::pipeline::{Pipeline, PipelineError};
use crate::pool::{Member, WorkerSignals};
use crate::purge::Purger;
use crate::rate::RateGate;
use crate::store::{Store, StoreError};
use crate::{metrics, query};

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("RocketMQ: {0}")]
    Broker(#[from] ClientError),
    #[error("drain: {0}")]
    Drain(#[from] PipelineError),
    #[error("HTTP: {0}")]
    Http(#[from] std::io::Error),
}

#[derive(Debug)]
pub struct Listeners {
    pub query: TcpListener,
    pub admin: TcpListener,
}

/// Minimum time for the last steps of a stop.
const CLOSE_MIN: Duration = Duration::from_millis(200);

/// Maximum connections to the admin port: probes, scrapers, a few consoles with a browser's six each.
const ADMIN_CONNECTIONS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// Maximum time at start until database and broker are available.
const START_WAIT: Duration = Duration::from_secs(30);

const START_RETRY: Duration = Duration::from_millis(500);

/// Drains until `shutdown` is cancelled, then stops in order within the grace period.
///
/// # Errors
/// [`RunError`] if database or broker are unavailable at start, or the pipeline fails for good.
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
        event = "worker_started",
        database = %settings.database_url,
        broker = %settings.client.endpoints,
        group = settings.pool.group,
        worker = settings.pool.worker,
        connections_max = settings.store.connections_max(),
        query = %listeners.query.local_addr()?,
        admin = %listeners.admin.local_addr()?,
        access = ?settings.access,
        "worker started"
    );
    settings.lookups.warn();
    let gate = RateGate::closed();
    let signals = WorkerSignals::default();
    let (group, worker) = (settings.pool.group.clone(), settings.pool.worker.clone());
    let adaptive_limit = AdaptiveLimit::new(settings.slow_commit);
    let member = Member::new(store.clone(), settings.pool, gate.clone(), signals.clone(), adaptive_limit);
    let monitor = Monitor::new(member.snapshot(), signals.clone(), shutdown.clone(), settings.retention_h);
    let operator_writer = GatedWriter::new(gate.clone(), signals.stats.clone(), signals.breaker.clone());
    let redriver = Redriver::new(
        store.clone(),
        operator_writer.clone(),
        pause_check(&monitor, &store),
        &group,
        RedriveConfig::default(),
    );
    let purger = Purger::new(
        store.clone(),
        operator_writer.clone(),
        pause_check(&monitor, &store),
        &group,
        settings.retention_h.get(),
    );
    let broker_dlq = BrokerDlqConsumer::new(
        store.clone(),
        settings.client.clone(),
        settings.broker_dlq,
        operator_writer,
        pause_check(&monitor, &store),
    );
    let admin_state = Admin {
        store: store.clone(),
        group: group.as_str().into(),
        worker: worker.into(),
        monitor: monitor.clone(),
        redriver,
        purger,
    };
    let lag_query = LagQuery::new(&settings.client.namespace, &settings.orders_topic, &group);
    let endpoint = settings.client.endpoints.addresses()[0].to_string();
    let lag = ConfiguredLag::new(&settings.lag, &endpoint, lag_query);

    // The listeners stay open until the pipeline has ended: buyers continue to look orders up while a worker stops.
    let drained = CancellationToken::new();
    let lookups = query::router(store.clone(), settings.lookups);
    let admin_router = admin::router(admin_state, settings.access);
    let for_buyers = ServeConfig {
        on_reject: || metrics::connection_rejected("query"),
        ..ServeConfig::new("query", settings.query_connections_max)
    };
    let for_operators = ServeConfig {
        on_reject: || metrics::connection_rejected("admin"),
        ..ServeConfig::new("admin", ADMIN_CONNECTIONS_MAX)
    };
    let servers = [
        tokio::spawn(serve(listeners.query, TowerToHyperService::new(lookups), for_buyers, drained.clone())),
        tokio::spawn(serve(
            listeners.admin,
            TowerToHyperService::new(admin_router),
            for_operators,
            drained.clone(),
        )),
    ];
    let watching =
        spawn_critical(&shutdown, monitor.run(store.clone(), lag, signals.lag.clone(), drained.clone()));
    let taking_over = spawn_critical(&shutdown, broker_dlq.run(shutdown.clone()));
    let deleting = spawn_critical(&shutdown, deletion::run(store.clone(), shutdown.clone()));
    let leave = CancellationToken::new();
    let membership = spawn_critical(&shutdown, member.run(leave.clone()));
    let pipeline = Pipeline {
        consumer: consumer.clone(),
        store: store.clone(),
        gate,
        config: settings.pipeline,
        breaker: signals.breaker,
        broker: signals.broker,
        cordon: signals.cordon,
        stats: signals.stats,
        in_flight: signals.in_flight,
    };
    let result = pipeline.run(shutdown).await;
    // The pipeline has used its part of the grace period; the rest is shared by the following steps.
    let deadline = Instant::now() + settings.grace.saturating_sub(settings.pipeline.grace);
    // Without delay: the other workers wait for this worker's share.
    leave.cancel();
    let taken_over = join_by(taking_over, deadline).await.and(join_by(deleting, deadline).await);
    // Leaving has its own bound of a few seconds. Beyond it, the lease expires by itself.
    let left = match timeout_at(deadline, membership).await {
        Ok(left) => left.map_err(|error| panicked(&error))?,
        Err(_elapsed) => Ok(()),
    };
    let settled = consumer.close(deadline.saturating_duration_since(Instant::now()).max(CLOSE_MIN)).await;
    drained.cancel();
    let watched = join_by(watching, deadline).await;
    let mut served = Ok(());
    for server in servers {
        served = served.and(join_by(server, deadline).await);
    }
    let _closed = timeout_at(deadline + CLOSE_MIN, store.close()).await;
    shared::telemetry::log_suppressed();
    tracing::info!(event = "worker_stopped", settled, "worker stopped");
    result?;
    left?;
    Ok(taken_over.and(watched).and(served)?)
}

/// Spawns a task without which the worker cannot run. When the task ends for any reason, the worker stops, and its
/// platform starts another.
fn spawn_critical<T: Send + 'static>(
    shutdown: &CancellationToken,
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let ends = shutdown.clone().drop_guard();
    tokio::spawn(async move {
        let _ends = ends;
        task.await
    })
}

/// Waits for a task until `deadline`, then aborts it.
async fn join_by(mut task: JoinHandle<()>, deadline: Instant) -> Result<(), PipelineError> {
    match timeout_at(deadline + CLOSE_MIN, &mut task).await {
        Ok(join_by) => join_by.map_err(|error| panicked(&error)),
        Err(_elapsed) => {
            task.abort();
            Ok(())
        }
    }
}

fn panicked(error: &JoinError) -> PipelineError {
    PipelineError::Panicked(error.to_string())
}

/// Prevents redrives and broker dead letters while the pool is paused.
fn pause_check(monitor: &Monitor, store: &Arc<Store>) -> WriteGuard {
    let (monitor, store) = (monitor.clone(), store.clone());
    Arc::new(move || {
        let (monitor, store) = (monitor.clone(), store.clone());
        Box::pin(async move { monitor.is_paused(&store).await.then(|| "the pool is paused".to_owned()) })
    })
}

async fn open(settings: &DrainSettings) -> Result<Store, StoreError> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        let opening = async {
            let store = Store::connect(&settings.database_url, settings.store).await?;
            if settings.migrate_on_start {
                store.migrate().await?;
            }
            store.check_schema().await?;
            store.check_statement_limit().await?;
            Ok(store)
        };
        match opening.await {
            Err(error) if StoreError::is_transient(&error) && Instant::now() < deadline => {
                tracing::warn!(event = "database_wait", %error, "cannot open the database; retrying");
                sleep(START_RETRY).await;
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
                tracing::warn!(event = "broker_wait", %error, "cannot connect to the broker; retrying");
                sleep(START_RETRY).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicked_task_ends_the_worker_with_its_error() {
        let shutdown = CancellationToken::new();
        let broken = spawn_critical(&shutdown, async { panic!("planted") });
        shutdown.cancelled().await;
        let result = join_by(broken, Instant::now() + Duration::from_secs(30)).await;
        assert!(matches!(result, Err(PipelineError::Panicked(_))), "{result:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_aborted_at_the_deadline() {
        let shutdown = CancellationToken::new();
        let hanging = spawn_critical(&shutdown, std::future::pending());
        let began = Instant::now();
        assert!(join_by(hanging, began + Duration::from_secs(3)).await.is_ok());
        assert_eq!(began.elapsed(), Duration::from_secs(3) + CLOSE_MIN);
        shutdown.cancelled().await;
    }
}
