//! Start, stop and end of instances.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use http::{Method, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::process::Signal;
use shared::loopback::free_loopback_address;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::instance::{InstanceEnd, InstanceState, LocalInstance};
use super::state::FrontState;
use super::status::ColdStartRecord;

/// Poll interval while a process starts to listen: short, because it is part of the measured time.
const START_POLL: Duration = Duration::from_millis(1);

/// A failed instance keeps its slot for this time. Otherwise an instance that fails immediately would be restarted as
/// often as the delivery quota allows.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Maximum sleep of the timer loop.
const TIMER_SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// `POST /initialize` failed.
#[derive(Debug)]
struct NotInitialized(String);

impl std::fmt::Display for NotInitialized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "POST /initialize: {}", self.0)
    }
}

impl std::error::Error for NotInitialized {}

/// Runs the platform's timers until the task is aborted.
pub(super) async fn run_timers(front: Arc<FrontState>) {
    let mut actions = Vec::new();
    loop {
        let work = front.tick(&mut actions);
        for instance in work.start {
            tokio::spawn(start(front.clone(), instance));
        }
        for instance in work.stop {
            let front = front.clone();
            tokio::spawn(async move { stop(&front, &instance).await });
        }
        let longest = front.started.elapsed() + TIMER_SLEEP_MAX;
        let until = front.started + Duration::from_nanos(work.armed).min(longest);
        tokio::select! {
            () = sleep_until(until) => {}
            () = front.earlier_timer.notified() => {}
        }
    }
}

/// Starts an instance and wakes the requests that wait for it.
pub(super) async fn start(front: Arc<FrontState>, instance: Arc<LocalInstance>) {
    let bound = front.config.bounds.start;
    let started = timeout(bound, bring_up(&front, &instance)).await;
    match started.unwrap_or_else(|_elapsed| Err(anyhow!("not ready after {bound:?}"))) {
        Ok(record) => {
            front.instance_ready(&instance, record);
            instance.enter(InstanceState::Ready);
        }
        Err(error) => {
            let end =
                if error.is::<NotInitialized>() { InstanceEnd::NotInitialized } else { InstanceEnd::Gone };
            // If the process ended by itself, `watch` has recorded the failure.
            if instance.enter(InstanceState::Ended(end)) {
                front.record_failure(&error);
            }
            if instance.pid().is_some() {
                // `watch` removes the instance.
                instance.signal(Signal::KILL);
            } else {
                sleep(FAILURE_PAUSE).await;
                front.instance_ended(&instance);
            }
        }
    }
}

async fn bring_up(front: &Arc<FrontState>, instance: &Arc<LocalInstance>) -> anyhow::Result<ColdStartRecord> {
    let started = Instant::now();
    let config = &front.config;
    // The padding of a start depends on the seed and the instance's number only.
    let padding = config.padding.sample(&mut StdRng::seed_from_u64(config.seed ^ instance.id.number()));
    if front.stopping.load(Ordering::Relaxed) {
        bail!("the front is stopping");
    }
    let address = free_loopback_address().context("no free port")?;
    let mut launch = config.launch.clone();
    launch.arguments.push(format!("--listen={address}"));
    instance.set_process(launch.spawn()?, address);
    tokio::spawn(watch(front.clone(), instance.clone()));
    let listening = listening(instance, started).await?;
    // An instance may listen before it can serve: only a response counts.
    while !is_healthy(instance).await? {
        sleep(START_POLL).await;
    }
    let answering = started.elapsed();
    if config.initialize {
        initialize(instance).await?;
    }
    let initialized = started.elapsed();
    sleep_until(started + padding).await;
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    Ok(ColdStartRecord {
        listening_ms: ms(listening),
        answering_ms: ms(answering),
        initialize_ms: config.initialize.then(|| ms(initialized) - ms(answering)),
        ready_ms: ms(started.elapsed()),
    })
}

/// Waits until the port accepts connections, which is when the platform would send the first request.
async fn listening(instance: &LocalInstance, started: Instant) -> anyhow::Result<Duration> {
    loop {
        if let Ok(connection) = instance.connection().await {
            let duration = started.elapsed();
            instance.store_new(connection);
            return Ok(duration);
        }
        fail_if_ended(instance).await?;
        sleep(START_POLL).await;
    }
}

async fn is_healthy(instance: &LocalInstance) -> anyhow::Result<bool> {
    fail_if_ended(instance).await?;
    let status = instance.request(Method::GET, "/healthz").await.ok();
    Ok(status == Some(StatusCode::OK))
}

async fn fail_if_ended(instance: &LocalInstance) -> anyhow::Result<()> {
    if instance.has_ended(Duration::ZERO).await {
        bail!("the process has ended");
    }
    Ok(())
}

async fn initialize(instance: &LocalInstance) -> anyhow::Result<()> {
    match instance.request(Method::POST, "/initialize").await {
        Ok(status) if status.is_success() => Ok(()),
        Ok(status) => Err(anyhow!(NotInitialized(status.to_string()))),
        Err(error) => Err(anyhow!(NotInitialized(format!("{error:?}")))),
    }
}

/// Waits for the end of an instance's process and removes the instance.
async fn watch(front: Arc<FrontState>, instance: Arc<LocalInstance>) {
    let end = poll_fn(|context| instance.poll_process_ended(context)).await;
    let stopping = front.is_stopping(&instance);
    if !stopping && !instance.was_ready() {
        // If `start` ended the process after a failure, the failure is already recorded.
        if instance.enter(InstanceState::Ended(InstanceEnd::Gone)) {
            front.record_failure(&anyhow!(end));
        }
        sleep(FAILURE_PAUSE).await;
    } else if !stopping {
        front.record_failure(&anyhow!(end));
    }
    // Before waiting requests wake up: their retries must not be placed on the same instance.
    front.instance_ended(&instance);
    instance.enter(InstanceState::Ended(InstanceEnd::Gone));
}

/// Stops an instance that the platform counts as stopping: thaw, pre-stop, SIGTERM, SIGKILL after the bound.
pub(super) async fn stop(front: &FrontState, instance: &LocalInstance) {
    // A process that is not frozen ignores SIGCONT.
    instance.signal(Signal::CONT);
    let request = instance.request(Method::GET, "/pre-stop");
    let response = timeout(front.config.bounds.pre_stop, request).await;
    front.record_pre_stop(|pre_stops| match response {
        Ok(Ok(status)) if status.is_success() => pre_stops.answered += 1,
        // The instance stops anyway.
        Ok(Ok(_)) => pre_stops.refused += 1,
        Ok(Err(_)) | Err(_) => pre_stops.unanswered += 1,
    });
    terminate(front, instance).await;
}

/// Ends an instance's process without a pre-stop.
pub(super) async fn terminate(front: &FrontState, instance: &LocalInstance) {
    instance.signal(Signal::TERM);
    if !instance.has_ended(front.config.bounds.stop).await {
        front.record_kill();
        instance.signal(Signal::KILL);
        let _ended = instance.has_ended(front.config.bounds.stop).await;
    }
}
