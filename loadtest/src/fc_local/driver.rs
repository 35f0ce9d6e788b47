//! Carries out what the platform decides: signals, starts, stops, timers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use http::{HeaderName, HeaderValue, Method};
use rustix::process::Signal;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::instance::Instance;
use super::refusal::Refusals;
use super::status::{ColdStartRecord, PreStops, Times};
use super::{FrontConfig, headers, lock, start};
use crate::platform::{Action, Decision, InstanceId, Nanos, Phase, Platform, Throttle};

/// Most cold starts that are remembered one by one.
const RECORDS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Driver {
    pub(super) config: FrontConfig,
    pub(super) common_headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) refusals: Refusals,
    pub(super) stopping: AtomicBool,
    pub(super) started: Instant,
    state: Mutex<State>,
    /// A timer is due earlier than it was.
    earlier: Notify,
    request_ids: AtomicU64,
    run: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) platform: Platform,
    /// By [`InstanceId::index`].
    instances: Vec<Option<Arc<Instance>>>,
    /// When the loop will look at the timers again.
    armed: Nanos,
    pub(super) records: Records,
}

/// What is remembered for the summary.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) cold_starts: Vec<ColdStartRecord>,
    /// From a request's coming to its answer where the instance had to be thawed, microseconds.
    pub(super) thaw_to_answer_us: Histogram<u64>,
    pub(super) pre_stops: PreStops,
    pub(super) killed: u64,
    pub(super) last_failure: Option<String>,
}

/// A request's place.
pub(super) struct Placed {
    pub(super) instance: Arc<Instance>,
    /// Whether it must wait until the instance is ready.
    pub(super) wait: bool,
    pub(super) thawed: bool,
}

impl State {
    fn instance(&self, id: InstanceId) -> Option<Arc<Instance>> {
        self.instances.get(id.index())?.clone().filter(|instance| instance.id == id)
    }

    pub(super) fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.iter().flatten()
    }
}

impl Driver {
    pub(super) fn new(config: FrontConfig) -> anyhow::Result<Self> {
        Ok(Self {
            common_headers: headers::common(config.memory_mb),
            state: Mutex::new(State {
                platform: Platform::new(&config.rules)?,
                instances: Vec::new(),
                armed: 0,
                records: Records {
                    cold_starts: Vec::new(),
                    thaw_to_answer_us: Times::histogram()?,
                    pre_stops: PreStops::default(),
                    killed: 0,
                    last_failure: None,
                },
            }),
            config,
            refusals: Refusals::default(),
            stopping: AtomicBool::new(false),
            started: Instant::now(),
            earlier: Notify::new(),
            request_ids: AtomicU64::new(0),
            run: rand::random(),
        })
    }

    pub(super) fn now(&self) -> Nanos {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Does something with the state.
    pub(super) fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut lock(&self.state))
    }

    /// An id that no other request of this run has.
    pub(super) fn request_id(&self) -> HeaderValue {
        let number = self.request_ids.fetch_add(1, Ordering::Relaxed);
        let digits = hex(self.run).into_iter().chain(hex(number));
        let mut text = [0; 32];
        text.iter_mut().zip(digits).for_each(|(place, digit)| *place = digit);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
    }

    /// A place for a request that has just come.
    pub(super) fn place(self: &Arc<Self>) -> Result<Placed, Throttle> {
        let mut state = lock(&self.state);
        let (id, wait, thawed) = match state.platform.arrive(self.now()) {
            Decision::Assign(id) => (id, false, false),
            Decision::Thaw(id) => (id, false, true),
            Decision::Wait(id) => (id, true, false),
            Decision::Start(id) => {
                let instance = self.launch(&mut state, id);
                return Ok(Placed { instance, wait: true, thawed: false });
            }
            Decision::Throttle(why) => return Err(why),
        };
        // Every instance that the platform knows is here: both change under the same lock.
        let instance = state.instance(id).ok_or(Throttle::Instances)?;
        if thawed {
            // Under the lock, as freezing is: a signal must not overtake another.
            instance.signal(Signal::CONT);
        }
        Ok(Placed { instance, wait, thawed })
    }

    /// A request has ended.
    pub(super) fn done(&self, id: InstanceId) {
        let mut state = lock(&self.state);
        state.platform.request_done(self.now(), id);
        self.rearm(&mut state);
    }

    pub(super) fn thaw_answered(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // It grows as needed.
        let _recorded = lock(&self.state).records.thaw_to_answer_us.record(micros);
    }

    pub(super) fn became_ready(&self, instance: &Instance, record: ColdStartRecord) {
        let mut state = lock(&self.state);
        state.platform.instance_ready(self.now(), instance.id);
        if state.records.cold_starts.len() < RECORDS_MAX {
            state.records.cold_starts.push(record);
        }
        self.rearm(&mut state);
    }

    /// Whether an instance is meant to end.
    pub(super) fn is_stopping(&self, instance: &Instance) -> bool {
        self.with(|state| state.platform.phase_of(instance.id) == Some(Phase::Stopping))
    }

    /// An instance did not start, or died.
    pub(super) fn failed(&self, error: &anyhow::Error) {
        tracing::warn!(error = format!("{error:#}"), "an instance failed");
        self.with(|state| state.records.last_failure = Some(format!("{error:#}")));
    }

    /// An instance's process has ended, or never came to be.
    pub(super) fn ended(&self, instance: &Instance) {
        let mut state = lock(&self.state);
        let now = self.now();
        if state.platform.phase_of(instance.id) == Some(Phase::Stopping) {
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

    /// Has the loop look earlier if something is due earlier.
    fn rearm(&self, state: &mut State) {
        if let Some(due) = state.platform.next_timer()
            && due < state.armed
        {
            state.armed = due;
            self.earlier.notify_one();
        }
    }

    fn launch(self: &Arc<Self>, state: &mut State, id: InstanceId) -> Arc<Instance> {
        let instance = Arc::new(Instance::new(id));
        if state.instances.len() <= id.index() {
            state.instances.resize(id.index() + 1, None);
        }
        state.instances[id.index()] = Some(instance.clone());
        tokio::spawn(start::start(self.clone(), instance.clone()));
        instance
    }

    /// Does what is due, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        let mut actions = Vec::new();
        loop {
            let armed = self.tick(&mut actions);
            let far = Duration::from_secs(3_600);
            let until = self.started + Duration::from_nanos(armed).min(self.started.elapsed() + far);
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    fn tick(self: &Arc<Self>, actions: &mut Vec<Action>) -> Nanos {
        let mut state = lock(&self.state);
        state.platform.tick(self.now(), actions);
        for action in actions.drain(..) {
            match action {
                Action::StartProvisioned(id) => {
                    self.launch(&mut state, id);
                }
                Action::Freeze(id) => {
                    if let Some(instance) = state.instance(id) {
                        instance.signal(Signal::STOP);
                    }
                }
                Action::Stop { instance: id, .. } => {
                    if let Some(instance) = state.instance(id) {
                        tokio::spawn(self.clone().stop(instance));
                    }
                }
            }
        }
        state.armed = state.platform.next_timer().unwrap_or(Nanos::MAX);
        state.armed
    }

    /// Stops an instance that the platform counts as stopping: thaw, pre-stop, SIGTERM, and if need be SIGKILL.
    pub(super) async fn stop(self: Arc<Self>, instance: Arc<Instance>) {
        let bounds = self.config.bounds;
        // One that is not frozen takes no notice.
        instance.signal(Signal::CONT);
        let answer = timeout(bounds.pre_stop, instance.ask(Method::GET, "/pre-stop")).await;
        self.with(|state| match answer {
            Ok(Ok(status)) if status.is_success() => state.records.pre_stops.answered += 1,
            // Whatever it says, it is stopped.
            Ok(Ok(_)) => state.records.pre_stops.refused += 1,
            Ok(Err(_)) | Err(_) => state.records.pre_stops.unanswered += 1,
        });
        self.terminate(&instance).await;
    }

    /// Ends an instance's process without asking it first.
    pub(super) async fn terminate(&self, instance: &Instance) {
        instance.signal(Signal::TERM);
        if !instance.has_ended(self.config.bounds.stop).await {
            self.with(|state| state.records.killed += 1);
            instance.signal(Signal::KILL);
            // Nothing holds a process up that is killed.
            let _ended = instance.has_ended(self.config.bounds.stop).await;
        }
    }
}

fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 15];
    }
    digits
}
