//! How an instance comes to be, and how its end is noticed.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use http::{Method, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::driver::Driver;
use super::instance::{End, Instance, Standing};
use super::status::ColdStartRecord;
use crate::parts::{Child, free_address};

/// Between two looks whether the process listens yet. Short, because it is part of the measured time.
const LOOK: Duration = Duration::from_millis(1);

/// How long an instance that did not start keeps its place: without it, one that fails at once would be started again
/// at once, as often as the delivery allows.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// What `POST /initialize` came to, if not 2xx.
#[derive(Debug)]
struct NotInitialized(String);

impl std::fmt::Display for NotInitialized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "POST /initialize: {}", self.0)
    }
}

impl std::error::Error for NotInitialized {}

/// Brings an instance up and tells those who wait for it.
pub(super) async fn start(driver: Arc<Driver>, instance: Arc<Instance>) {
    let bound = driver.config.bounds.start;
    let brought_up = timeout(bound, bring_up(&driver, &instance)).await;
    match brought_up.unwrap_or_else(|_elapsed| Err(anyhow!("not ready after {bound:?}"))) {
        Ok(record) => {
            driver.became_ready(&instance, record);
            instance.stand(Standing::Ready);
        }
        Err(error) => {
            let end = if error.is::<NotInitialized>() { End::NotInitialized } else { End::Gone };
            // If the process ended by itself, whoever watches it has told why.
            if instance.stand(Standing::Ended(end)) {
                driver.failed(&error);
            }
            if instance.pid().is_some() {
                // Whoever watches the process does the rest.
                instance.signal(Signal::KILL);
            } else {
                sleep(FAILURE_PAUSE).await;
                driver.ended(&instance);
            }
        }
    }
}

async fn bring_up(driver: &Arc<Driver>, instance: &Arc<Instance>) -> anyhow::Result<ColdStartRecord> {
    let begun = Instant::now();
    let config = &driver.config;
    // A start's padding depends on the seed and its place in the run, and on nothing else.
    let padding = config.padding.sample(&mut StdRng::seed_from_u64(config.seed ^ instance.id.number()));
    if driver.stopping.load(Ordering::Relaxed) {
        bail!("the front is stopping");
    }
    let address = free_address().context("no free port")?;
    let mut arguments = config.launch.arguments.clone();
    arguments.push(format!("--listen={address}"));
    let process =
        Child::start("ingest-fn", &arguments, &config.launch.environment, &config.launch.directory)?;
    instance.begun(process, address);
    tokio::spawn(watch(driver.clone(), instance.clone()));
    let listening = listening(instance, begun).await?;
    // It may listen before it takes requests: the answer counts.
    while !answers(instance).await? {
        sleep(LOOK).await;
    }
    let answering = begun.elapsed();
    if config.initialize {
        initialize(instance).await?;
    }
    let initialized = begun.elapsed();
    sleep_until(begun + padding).await;
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    Ok(ColdStartRecord {
        listening_ms: ms(listening),
        answering_ms: ms(answering),
        initialize_ms: config.initialize.then(|| ms(initialized) - ms(answering)),
        ready_ms: ms(begun.elapsed()),
    })
}

/// Waits until its port takes connections, which is when the platform would send the first request.
async fn listening(instance: &Instance, begun: Instant) -> anyhow::Result<Duration> {
    loop {
        if let Ok(connection) = instance.connection().await {
            let took = begun.elapsed();
            instance.keep_new(connection);
            return Ok(took);
        }
        fail_if_ended(instance).await?;
        sleep(LOOK).await;
    }
}

async fn answers(instance: &Instance) -> anyhow::Result<bool> {
    fail_if_ended(instance).await?;
    let status = instance.ask(Method::GET, "/healthz").await.ok();
    Ok(status == Some(StatusCode::OK))
}

async fn fail_if_ended(instance: &Instance) -> anyhow::Result<()> {
    if instance.has_ended(Duration::ZERO).await {
        bail!("its process has ended");
    }
    Ok(())
}

async fn initialize(instance: &Instance) -> anyhow::Result<()> {
    match instance.ask(Method::POST, "/initialize").await {
        Ok(status) if status.is_success() => Ok(()),
        Ok(status) => Err(anyhow!(NotInitialized(status.to_string()))),
        Err(error) => Err(anyhow!(NotInitialized(format!("{error:?}")))),
    }
}

/// Notices the end of an instance's process.
async fn watch(driver: Arc<Driver>, instance: Arc<Instance>) {
    let how = poll_fn(|context| instance.poll_process_ended(context)).await;
    let stopping = driver.is_stopping(&instance);
    if !stopping && !instance.was_ready() {
        // Unless it was ended because it failed, which has been told.
        if instance.stand(Standing::Ended(End::Gone)) {
            driver.failed(&anyhow!(how));
        }
        sleep(FAILURE_PAUSE).await;
    } else if !stopping {
        driver.failed(&anyhow!(how));
    }
    // Before anyone hears of it: whoever does must not be given the same instance again.
    driver.ended(&instance);
    instance.stand(Standing::Ended(End::Gone));
}
