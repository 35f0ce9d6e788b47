//! The rules, the instances and the records of a front, under one lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use http::{HeaderName, HeaderValue};
use rustix::process::Signal;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::FrontConfig;
use super::error::FrontErrorCounts;
use super::headers;
use super::instance::{LocalInstance, lock};
use super::status::{ColdStartRecord, FrontStatus, FrontSummary, InstanceStatus, PreStops, ThawTimes};
use crate::Nanos;
use crate::platform::{
    InstanceId, InstancePhase, InstanceUsage, PlacementDecision, Platform, PlatformAction, ThrottleReason,
};

const COLD_START_RECORDS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct FrontState {
    pub(super) config: FrontConfig,
    pub(super) common_headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) errors: FrontErrorCounts,
    pub(super) stopping: AtomicBool,
    pub(super) started: Instant,
    locked: Mutex<LockedState>,
    /// Notified when a timer becomes due before `armed`.
    pub(super) earlier_timer: Notify,
    request_ids: AtomicU64,
    run: u64,
}

#[derive(Debug)]
struct LockedState {
    platform: Platform,
    /// By [`InstanceId::index`].
    instances: Vec<Option<Arc<LocalInstance>>>,
    /// The time at which the timer loop wakes up.
    armed: Nanos,
    records: Records,
}

#[derive(Debug)]
struct Records {
    cold_starts: Vec<ColdStartRecord>,
    /// Time from arrival to response of requests that thawed their instance, microseconds.
    thaw_to_answer_us: Histogram<u64>,
    pre_stops: PreStops,
    killed: u64,
    last_failure: Option<String>,
}

/// A request's slot on an instance.
pub(super) struct PlacedRequest {
    pub(super) instance: Arc<LocalInstance>,
    pub(super) wait: bool,
    pub(super) thawed: bool,
    /// True if the caller must start the instance.
    pub(super) start: bool,
}

/// Work for the caller of [`FrontState::tick`].
#[derive(Debug, Default)]
pub(super) struct DueWork {
    pub(super) start: Vec<Arc<LocalInstance>>,
    pub(super) stop: Vec<Arc<LocalInstance>>,
    /// The time at which to tick again.
    pub(super) armed: Nanos,
}

impl LockedState {
    fn instance(&self, id: InstanceId) -> Option<Arc<LocalInstance>> {
        self.instances.get(id.index())?.clone().filter(|instance| instance.id == id)
    }

    fn add(&mut self, id: InstanceId) -> Arc<LocalInstance> {
        let instance = Arc::new(LocalInstance::new(id));
        if self.instances.len() <= id.index() {
            self.instances.resize(id.index() + 1, None);
        }
        self.instances[id.index()] = Some(instance.clone());
        instance
    }
}

impl FrontState {
    pub(super) fn new(config: FrontConfig) -> anyhow::Result<Self> {
        Ok(Self {
            common_headers: headers::common(config.memory_mb),
            locked: Mutex::new(LockedState {
                platform: Platform::new(&config.rules)?,
                instances: Vec::new(),
                armed: 0,
                records: Records {
                    cold_starts: Vec::new(),
                    thaw_to_answer_us: ThawTimes::histogram()?,
                    pre_stops: PreStops::default(),
                    killed: 0,
                    last_failure: None,
                },
            }),
            config,
            errors: FrontErrorCounts::default(),
            stopping: AtomicBool::new(false),
            started: Instant::now(),
            earlier_timer: Notify::new(),
            request_ids: AtomicU64::new(0),
            run: rand::random(),
        })
    }

    fn now(&self) -> Nanos {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns a request id that is unique in this run.
    pub(super) fn request_id(&self) -> HeaderValue {
        let number = self.request_ids.fetch_add(1, Ordering::Relaxed);
        let digits = hex(self.run).into_iter().chain(hex(number));
        let mut text = [0; 32];
        text.iter_mut().zip(digits).for_each(|(place, digit)| *place = digit);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
    }

    /// Finds an instance for a request that has just arrived.
    pub(super) fn place(&self) -> Result<PlacedRequest, ThrottleReason> {
        let mut state = lock(&self.locked);
        let (id, wait, thawed) = match state.platform.arrive(self.now()) {
            PlacementDecision::Assign(id) => (id, false, false),
            PlacementDecision::Thaw(id) => (id, false, true),
            PlacementDecision::Wait(id) => (id, true, false),
            PlacementDecision::Start(id) => {
                let instance = state.add(id);
                return Ok(PlacedRequest { instance, wait: true, thawed: false, start: true });
            }
            PlacementDecision::Throttle(reason) => return Err(reason),
        };
        // Platform and instances change under the same lock, so the instance is always found.
        let instance = state.instance(id).ok_or(ThrottleReason::Instances)?;
        if thawed {
            // Under the lock, as freezing is: SIGCONT must not overtake SIGSTOP.
            instance.signal(Signal::CONT);
        }
        Ok(PlacedRequest { instance, wait, thawed, start: false })
    }

    pub(super) fn request_done(&self, id: InstanceId) {
        let mut state = lock(&self.locked);
        state.platform.request_done(self.now(), id);
        self.rearm(&mut state);
    }

    pub(super) fn record_thaw(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // The histogram grows as needed.
        let _recorded = lock(&self.locked).records.thaw_to_answer_us.record(micros);
    }

    pub(super) fn instance_ready(&self, instance: &LocalInstance, record: ColdStartRecord) {
        let mut state = lock(&self.locked);
        state.platform.instance_ready(self.now(), instance.id);
        if state.records.cold_starts.len() < COLD_START_RECORDS_MAX {
            state.records.cold_starts.push(record);
        }
        self.rearm(&mut state);
    }

    pub(super) fn is_stopping(&self, instance: &LocalInstance) -> bool {
        lock(&self.locked).platform.phase_of(instance.id) == Some(InstancePhase::Stopping)
    }

    pub(super) fn record_failure(&self, error: &anyhow::Error) {
        tracing::warn!(
            event = "instance_failed",
            error = format!("{error:#}"),
            "instance failed; the next request starts another"
        );
        lock(&self.locked).records.last_failure = Some(format!("{error:#}"));
    }

    pub(super) fn record_pre_stop(&self, record: impl FnOnce(&mut PreStops)) {
        record(&mut lock(&self.locked).records.pre_stops);
    }

    pub(super) fn record_kill(&self) {
        lock(&self.locked).records.killed += 1;
    }

    /// Removes an instance whose process has ended, or was never started.
    pub(super) fn instance_ended(&self, instance: &LocalInstance) {
        let mut state = lock(&self.locked);
        let now = self.now();
        if state.platform.phase_of(instance.id) == Some(InstancePhase::Stopping) {
            state.platform.instance_gone(now, instance.id);
        } else {
            state.platform.instance_failed(now, instance.id);
        }
        if let Some(place) = state.instances.get_mut(instance.id.index())
            && place.as_ref().is_some_and(|there| there.id == instance.id)
        {
            *place = None;
        }
        self.rearm(&mut state);
    }

    /// Retires every instance; returns each with its phase before.
    pub(super) fn retire_all(&self) -> Vec<(Arc<LocalInstance>, InstancePhase)> {
        let now = self.now();
        let mut state = lock(&self.locked);
        let instances: Vec<_> = state.instances.iter().flatten().cloned().collect();
        let phases = instances.into_iter().filter_map(|instance| {
            let phase = state.platform.phase_of(instance.id)?;
            state.platform.retire(now, instance.id);
            Some((instance, phase))
        });
        phases.collect()
    }

    fn rearm(&self, state: &mut LockedState) {
        if let Some(due) = state.platform.next_timer()
            && due < state.armed
        {
            state.armed = due;
            self.earlier_timer.notify_one();
        }
    }

    /// Runs the due timers. Freezes instances itself, under the lock; starts and stops are left to the caller.
    pub(super) fn tick(&self, actions: &mut Vec<PlatformAction>) -> DueWork {
        let mut state = lock(&self.locked);
        let mut work = DueWork::default();
        state.platform.tick(self.now(), actions);
        for action in actions.drain(..) {
            match action {
                PlatformAction::StartProvisioned(id) => work.start.push(state.add(id)),
                PlatformAction::Freeze(id) => {
                    if let Some(instance) = state.instance(id) {
                        instance.signal(Signal::STOP);
                    }
                }
                PlatformAction::Stop { instance: id, .. } => work.stop.extend(state.instance(id)),
            }
        }
        state.armed = state.platform.next_timer().unwrap_or(Nanos::MAX);
        work.armed = state.armed;
        work
    }

    pub(super) fn summary(&self) -> FrontSummary {
        let now = self.now();
        let refused_by_code = self.errors.by_code();
        let state = lock(&self.locked);
        let InstanceUsage { provisioned, on_demand } = state.platform.usage(now);
        FrontSummary {
            uptime_ms: now / 1_000_000,
            instance_counts: *state.platform.instance_counts(),
            counts: *state.platform.event_counts(),
            provisioned_ms: provisioned.as_millis(),
            on_demand_ms: on_demand.as_millis(),
            cold_starts: state.records.cold_starts.clone(),
            thaw_to_answer: ThawTimes::from(&state.records.thaw_to_answer_us),
            pre_stops: state.records.pre_stops,
            killed: state.records.killed,
            refused_by_code,
            last_failure: state.records.last_failure.clone(),
        }
    }

    pub(super) fn status(&self) -> FrontStatus {
        let instances = {
            let state = lock(&self.locked);
            let status = |instance: &Arc<LocalInstance>| {
                Some(InstanceStatus {
                    number: instance.id.number(),
                    pid: instance.pid(),
                    address: instance.address(),
                    phase: state.platform.phase_of(instance.id)?,
                    provisioned: state.platform.is_provisioned(instance.id),
                    requests: state.platform.requests_of(instance.id)?,
                })
            };
            state.instances.iter().flatten().filter_map(status).collect()
        };
        FrontStatus { instances, summary: self.summary() }
    }
}

fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 15];
    }
    digits
}
