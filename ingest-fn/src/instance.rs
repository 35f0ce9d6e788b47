//! The state that all workers of an instance share.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::accepted_orders::AcceptedOrders;
use crate::limits::RequestBudget;
use crate::request_logger::RequestLogger;

/// Interval between two checks of the requests in flight during a drain.
const DRAIN_POLL: Duration = Duration::from_millis(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Connecting to the broker. Orders are accepted already: they wait for the connection, at most for the publish
    /// timeout.
    Starting,
    /// Every worker has reached the broker, and the topic exists.
    Ready,
    /// The start failed for this reason. The process ends.
    Failed(String),
}

#[derive(Debug)]
pub struct Instance {
    pub budget: RequestBudget,
    pub(crate) logger: RequestLogger,
    pub(crate) accepted_orders: AcceptedOrders,
    state: watch::Sender<InstanceState>,
    /// Workers that have not reached the broker yet.
    starting: AtomicUsize,
    stopping: AtomicBool,
}

impl Instance {
    /// [`InstanceState::Starting`] until [`Self::worker_started`] is called `workers` times.
    #[must_use]
    pub fn new(budget: RequestBudget, logger: RequestLogger, workers: NonZeroUsize) -> Self {
        Self {
            budget,
            logger,
            accepted_orders: AcceptedOrders::default(),
            state: watch::Sender::new(InstanceState::Starting),
            starting: AtomicUsize::new(workers.get()),
            stopping: AtomicBool::new(false),
        }
    }

    pub fn worker_started(&self) {
        if self.starting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.set_state(InstanceState::Ready);
        }
    }

    #[must_use]
    pub fn state(&self) -> InstanceState {
        self.state.borrow().clone()
    }

    /// [`InstanceState::Failed`] is final.
    pub fn set_state(&self, state: InstanceState) {
        self.state.send_if_modified(|current| {
            let changes = !matches!(current, InstanceState::Failed(_)) && *current != state;
            if changes {
                *current = state;
            }
            changes
        });
    }

    /// Waits until the start has succeeded or failed.
    ///
    /// # Errors
    /// The reason of [`InstanceState::Failed`].
    pub async fn started(&self) -> Result<(), String> {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        match state.wait_for(|state| *state != InstanceState::Starting).await.as_deref() {
            Ok(InstanceState::Failed(reason)) => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    /// Rejects orders from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Rejects orders from now on, and waits at most `bound` for the requests in flight. Returns true if all of them
    /// have their answers.
    pub async fn drain(&self, bound: Duration) -> bool {
        self.stop();
        let all_answered = async {
            // A request acquires its permit before it checks `stopping`; a drain does the reverse. So the drain counts
            // every request that was admitted.
            while self.budget.requests_in_flight() > 0 {
                sleep(DRAIN_POLL).await;
            }
        };
        timeout(bound, all_answered).await.is_ok()
    }
}
