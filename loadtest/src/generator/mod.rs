//! The generator: sends the plan's requests at their times, whatever the server does, and watches itself doing so.
//!
//! An event loop a thread, non-blocking sockets, no runtime: a request costs a `write`, a `read` and a share of an
//! `epoll_wait`. Latency counts from the planned time. *Slip* is how late the generator took a request up: its own
//! fault. Waiting for a connection is not slip but latency, since it is the server that keeps connections busy.

mod alarm;
mod answer;
mod clock;
mod connection;
mod flight;
mod live;
mod played;
mod pool;
mod record;
mod response;
mod thread;
mod timers;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use crate::scenario::{Clients, Scenario, Schedule};
use crate::workload::Workload;
use clock::Clock;
use record::Record;
use worker::Worker;

pub use live::Live;
pub use played::Played;
pub(crate) use played::quantiles;
pub(crate) use shared::http::raise_open_files;

/// Requests a second that one thread is trusted with.
const THREAD_RPS: f64 = 60_000.0;

/// Between the start of the threads and the first instant of the plan.
const START_DELAY: Duration = Duration::from_millis(100);

/// What to send, where, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When.
    pub schedule: Schedule,
    /// What.
    pub workload: Workload,
    /// How clients behave.
    pub clients: Clients,
    /// Where to.
    pub target: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// Threads, 1 or more.
    pub threads: usize,
    /// Processors to pin the threads to, in turn; empty: none.
    pub pin_to: Vec<usize>,
    /// Length of the timeline's intervals, milliseconds.
    pub interval_ms: u32,
    /// The slip's bound, microseconds.
    pub slip_p999_us_max: u32,
}

impl Plan {
    /// The plan of `scenario` against `target`.
    #[must_use]
    pub fn new(scenario: &Scenario, workload: Workload, target: SocketAddr) -> Self {
        let schedule = Schedule::new(&scenario.phases);
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let wanted = (schedule.peak_rps() / THREAD_RPS).ceil() as usize;
        let threads = match scenario.generator.threads {
            0 => wanted.clamp(1, cpus),
            threads => threads as usize,
        };
        Self {
            schedule,
            workload,
            clients: scenario.clients,
            target,
            host: target.to_string(),
            threads,
            pin_to: Vec::new(),
            interval_ms: scenario.generator.interval_ms,
            slip_p999_us_max: scenario.generator.slip_p999_us_max,
        }
    }
}

/// A plan being played.
#[derive(Debug)]
pub struct Running {
    plan: Arc<Plan>,
    live: Arc<Live>,
    threads: Vec<JoinHandle<std::io::Result<Record>>>,
    clock: Clock,
}

/// Starts the threads of `plan`.
///
/// # Errors
/// If a thread or its selector cannot be made.
pub fn start(plan: Plan) -> anyhow::Result<Running> {
    let (plan, live) = (Arc::new(plan), Arc::new(Live::default()));
    let clock = Clock::starting_in(START_DELAY);
    let count = plan.threads as u64;
    let mut threads = Vec::with_capacity(plan.threads);
    for index in 0..plan.threads {
        let worker = Worker::new(plan.clone(), live.clone(), clock, index as u64, count)
            .context("the generator's selector")?;
        let cpu = (!plan.pin_to.is_empty()).then(|| plan.pin_to[index % plan.pin_to.len()]);
        let run = move || {
            let pinned_to = cpu.filter(|cpu| thread::pin_to(*cpu));
            let mut record = worker.run()?;
            record.pinned_to.extend(pinned_to);
            Ok(record)
        };
        let name = format!("send-{index}");
        threads.push(std::thread::Builder::new().name(name).spawn(run).context("a sending thread")?);
    }
    Ok(Running { plan, live, threads, clock })
}

impl Running {
    /// What is shown meanwhile.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        self.live.clone()
    }

    /// How long until the first instant of the plan.
    #[must_use]
    pub fn until_start(&self) -> Duration {
        self.clock.until_start()
    }

    /// Whether every thread is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end. Blocks the calling thread.
    ///
    /// # Errors
    /// If a thread failed.
    pub fn finish(self) -> anyhow::Result<Played> {
        let mut all = Record::new(u64::from(self.plan.interval_ms) * 1_000_000);
        for thread in self.threads {
            let record = thread.join().map_err(|_| anyhow::anyhow!("a sending thread panicked"))??;
            all.merge(record)?;
        }
        Ok(Played::new(self.plan, all, Duration::from_nanos(self.clock.now_ns())))
    }
}

#[cfg(test)]
mod tests;
