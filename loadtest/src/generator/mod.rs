//! The generator: sends the plan's requests at their times, independent of the server, and measures its own
//! punctuality.
//!
//! Each thread runs an event loop on non-blocking sockets, without an async runtime: a request costs a `write`, a
//! `read` and a share of an `epoll_wait`. Latency counts from the planned time. The *send delay* is the
//! generator's own lateness. Waiting for a connection counts as latency, because the server keeps connections busy.
//!
//! Several processes can play the shards of one scenario; each writes a part, and the parts are merged into one result.

mod accepted_body;
mod clock;
mod codes;
mod connection;
mod end_counts;
mod histogram_text;
mod in_flight;
mod latency;
mod live;
mod outcomes;
mod part;
mod phases;
mod pool;
mod record;
mod result;
mod shard;
mod surprise;
mod thread;
mod timers;
mod wake_timer;
mod worker;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use time::OffsetDateTime;

use crate::scenario::{ClientBehaviour, Scenario, SendSchedule, THREAD_RPS};
use crate::target::Target;
use crate::workload::Workload;
use clock::PlanClock;
use codes::CodeTable;
use phases::PhasePlan;
use record::SendRecord;
use worker::SendLoop;

pub(crate) use live::{LiveCounts, LiveSnapshot};
pub(crate) use part::{PartFacts, PartFile, PlayedPart, merge as merge_parts};
pub(crate) use result::quantiles;
pub(crate) use result::{PlayedPlan, RunResult};
pub(crate) use shard::Shard;
pub(crate) use shared::http::raise_open_files;

/// Time from the start of the threads to the start of the plan.
const START_DELAY: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct SendPlan {
    pub schedule: SendSchedule,
    pub phases: PhasePlan,
    pub workload: Workload,
    pub clients: ClientBehaviour,
    pub target: Target,
    pub threads: usize,
    /// The share of the requests, connections and rate that this process plays.
    pub shard: Shard,
    /// True to keep the order ids of the responses, 16 bytes each.
    pub keep_order_ids: bool,
    /// Processors to pin the threads to, in turn; empty: no pinning.
    pub pin_to: Vec<usize>,
    pub interval_ms: u32,
    pub send_delay_p999_us_max: u32,
}

impl SendPlan {
    pub(crate) fn new(scenario: &Scenario, workload: Workload, target: Target, shard: Shard) -> Self {
        let schedule = scenario.schedule();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let peak_rps = schedule.peak_rps() / f64::from(shard.count());
        let wanted = (peak_rps / f64::from(THREAD_RPS)).ceil() as usize;
        let threads = match scenario.generator.threads {
            0 => wanted.clamp(1, cpus),
            threads => threads as usize,
        };
        Self {
            phases: PhasePlan::new(scenario, &schedule),
            schedule,
            workload,
            clients: scenario.clients,
            target,
            threads,
            shard,
            keep_order_ids: false,
            pin_to: Vec::new(),
            interval_ms: scenario.generator.interval_ms,
            send_delay_p999_us_max: scenario.generator.send_delay_p999_us_max,
        }
    }
}

#[derive(Debug)]
pub(crate) struct RunningGenerator {
    plan: Arc<SendPlan>,
    live: Arc<LiveCounts>,
    threads: Vec<JoinHandle<std::io::Result<SendRecord>>>,
    clock: PlanClock,
}

/// Starts the threads. The plan starts at `start_at` by this machine's clock, or as soon as the threads are ready.
///
/// # Errors
/// If a thread cannot start, or `start_at` has passed. Nothing is sent then.
pub(crate) fn start(plan: SendPlan, start_at: Option<OffsetDateTime>) -> anyhow::Result<RunningGenerator> {
    let (plan, live) = (Arc::new(plan), Arc::new(LiveCounts::default()));
    let codes = Arc::new(CodeTable::default());
    let mut workers = Vec::with_capacity(plan.threads);
    for index in 0..plan.threads {
        let worker = SendLoop::new(plan.clone(), live.clone(), codes.clone(), index as u64)
            .context("the generator's selector")?;
        workers.push(worker);
    }
    // The workers have allocated their memory, which takes time.
    let delay = match start_at.map(|start_at| start_at - OffsetDateTime::now_utc()) {
        None => START_DELAY,
        Some(left) if left.is_positive() => left.unsigned_abs(),
        Some(late) => bail!(
            "the start passed {late:.0} ago, while this process was preparing; nothing was sent",
            late = late.abs()
        ),
    };
    let clock = PlanClock::starting_in(delay);
    let mut threads = Vec::with_capacity(plan.threads);
    for (index, worker) in workers.into_iter().enumerate() {
        let cpu = (!plan.pin_to.is_empty()).then(|| plan.pin_to[index % plan.pin_to.len()]);
        let run = move || {
            let pinned_to = cpu.filter(|cpu| thread::pin_to(*cpu));
            let mut record = worker.run(clock)?;
            record.pinned_to.extend(pinned_to);
            Ok(record)
        };
        let name = format!("send-{index}");
        threads.push(std::thread::Builder::new().name(name).spawn(run).context("a sending thread")?);
    }
    Ok(RunningGenerator { plan, live, threads, clock })
}

impl RunningGenerator {
    pub(crate) fn live(&self) -> Arc<LiveCounts> {
        self.live.clone()
    }

    pub(crate) fn until_start(&self) -> Duration {
        self.clock.until_start()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end; blocks the calling thread.
    pub(crate) fn finish(self) -> anyhow::Result<RunResult> {
        let interval_ns = u64::from(self.plan.interval_ms) * 1_000_000;
        let mut all = SendRecord::new(interval_ns, self.plan.schedule.length());
        for thread in self.threads {
            let record = thread.join().map_err(|_| anyhow::anyhow!("a sending thread panicked"))??;
            all.merge(record)?;
        }
        Ok(RunResult::new(PlayedPlan::of(&self.plan), all, Duration::from_nanos(self.clock.now_ns())))
    }
}

#[cfg(test)]
mod tests;
