//! What every worker of an instance shares: how much is under way, and where the instance stands in its life.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::layers::admission::RequestBudget;
use crate::observer::RequestLogger;

/// Between two looks at the requests under way while they are waited for.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// Where the instance stands with the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Connecting. Orders are taken already: they wait for the connection as long as a send may take.
    Starting,
    /// The broker has answered, and has the topic.
    Ready,
    /// It cannot work. The process ends.
    Failed(String),
}

/// One instance, however many workers it has.
#[derive(Debug)]
pub struct Instance {
    /// What is under way.
    pub admission: RequestBudget,
    /// What is told of its requests.
    pub observer: RequestLogger,
    phase: watch::Sender<InstanceState>,
    /// Workers that have not reached the broker yet.
    starting: AtomicUsize,
    stopping: AtomicBool,
}

impl Instance {
    /// A new one, in [`InstanceState::Starting`] until `workers` of them have started.
    #[must_use]
    pub fn new(admission: RequestBudget, workers: NonZeroUsize) -> Self {
        Self {
            admission,
            observer: RequestLogger::default(),
            phase: watch::Sender::new(InstanceState::Starting),
            starting: AtomicUsize::new(workers.get()),
            stopping: AtomicBool::new(false),
        }
    }

    /// With an observer of its own.
    #[must_use]
    pub fn with_request_logger(mut self, observer: RequestLogger) -> Self {
        self.observer = observer;
        self
    }

    /// One more worker has reached the broker.
    pub fn worker_started(&self) {
        if self.starting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.enter(InstanceState::Ready);
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> InstanceState {
        self.phase.borrow().clone()
    }

    /// Moves on. What has failed stays so.
    pub fn enter(&self, phase: InstanceState) {
        self.phase.send_if_modified(|current| {
            let moves = !matches!(current, InstanceState::Failed(_)) && *current != phase;
            if moves {
                *current = phase;
            }
            moves
        });
    }

    /// Waits until it has started, or has failed to.
    ///
    /// # Errors
    /// Why it cannot work.
    pub async fn started(&self) -> Result<(), String> {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as this.
        match phase.wait_for(|phase| *phase != InstanceState::Starting).await.as_deref() {
            Ok(InstanceState::Failed(reason)) => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    /// Takes no more orders.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether it takes no more orders.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Takes no more orders and waits until those under way have their answers, at most `bound`. Whether they have.
    pub async fn drain(&self, bound: Duration) -> bool {
        self.stop();
        let all_answered = async {
            // A request is counted before it looks whether the instance stops, and this looks in the other order: it
            // cannot miss one that was let in.
            while self.admission.requests_in_flight() > 0 {
                sleep(DRAIN_POLL).await;
            }
        };
        timeout(bound, all_answered).await.is_ok()
    }
}
