//! Orders whose stock another transaction keeps locked.
//!
//! They wait here and are tried again once the stock is free, so that a stuck SKU delays its own orders alone. The room
//! is bounded. A message that finds no place goes back to the broker, with a delay that grows with its deliveries: the
//! group's attempts then last for hours, and no order becomes a dead letter for a lock of minutes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::order::AcceptedOrder;
use shared::retry::Backoff;
use shared::rocketmq::Message;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{CircuitBreaker, DecodedMessage};
use crate::metrics;
use crate::store::{OrderStore, SaleSku};

/// Interval of asking the database which stock is still locked. It waits for no lock then.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Time after which an order is tried again that waits for a lock on another row than stock.
const OTHER_LOCK_PAUSE: Duration = Duration::from_secs(5);

/// Interval of log lines about the same SKU.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Maximum log lines of one round.
const LINES_MAX: usize = 10;

/// Delay of a message's redelivery, by the number of its deliveries. With the broker's default of 16 redeliveries they
/// last for at least four hours.
const HAND_BACK: Backoff = Backoff::new(Duration::from_secs(20), Duration::from_secs(3_600));

#[derive(Debug, Default)]
pub(super) struct StuckOrders {
    state: Mutex<StuckState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct StuckState {
    is_closed: bool,
    locked: BTreeMap<SaleSku, LockedSku>,
    waiting: Vec<WaitingMessage>,
    /// Orders of `waiting`.
    orders: usize,
}

#[derive(Debug)]
struct LockedSku {
    since: Instant,
    logged_at: Option<Instant>,
    /// Messages that went back to the broker since the last line.
    handed_back: u64,
}

/// A message, and its orders that are not committed.
#[derive(Debug)]
struct WaitingMessage {
    work: DecodedMessage,
    retry_at: Instant,
}

impl StuckState {
    fn blocks(&self, order: &AcceptedOrder) -> bool {
        !self.locked.is_empty() && SaleSku::of(order).any(|sku| self.locked.contains_key(&sku))
    }

    /// Orders that wait for `sku`.
    fn waiting_for(&self, sku: &SaleSku) -> usize {
        let orders = self.waiting.iter().filter_map(|waiting| waiting.work.content.as_ref().ok()).flatten();
        orders.filter(|order| SaleSku::of(order).any(|of| of == *sku)).count()
    }

    fn log(&mut self, now: Instant) {
        let is_due = |locked: &LockedSku| locked.logged_at.is_none_or(|at| now - at >= LOG_EVERY);
        let due: Vec<_> =
            self.locked.iter().filter(|(_, locked)| is_due(locked)).map(|(sku, _)| sku.clone()).collect();
        for sku in due.into_iter().take(LINES_MAX) {
            let waiting = self.waiting_for(&sku);
            let Some(locked) = self.locked.get_mut(&sku) else { continue };
            locked.logged_at = Some(now);
            tracing::warn!(
                event = "stock_locked",
                sale_id = %sku.sale_id,
                sku = %sku.sku,
                locked_for_s = (now - locked.since).as_secs(),
                orders_waiting = waiting,
                messages_handed_back = std::mem::take(&mut locked.handed_back),
                "another transaction keeps a SKU's stock locked; its orders wait, the others are committed"
            );
        }
    }
}

impl StuckOrders {
    fn lock(&self) -> MutexGuard<'_, StuckState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that another transaction has locked the stock of `skus`.
    pub(super) fn record_locked(&self, skus: Vec<SaleSku>) {
        let now = Instant::now();
        let mut state = self.lock();
        for sku in skus {
            state.locked.entry(sku).or_insert(LockedSku { since: now, logged_at: None, handed_back: 0 });
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Which of `orders` need stock that is locked, as far as is known.
    pub(super) fn blocked(&self, orders: &[AcceptedOrder]) -> Vec<bool> {
        let state = self.lock();
        orders.iter().map(|order| state.blocks(order)).collect()
    }

    /// Keeps the `orders` of a message, if at most `orders_max` wait then, and returns their number. Otherwise the
    /// message goes back to the broker.
    pub(super) fn keep(&self, message: Message, orders: Vec<AcceptedOrder>, orders_max: usize) -> usize {
        let now = Instant::now();
        let mut state = self.lock();
        if state.is_closed {
            // Dropping a message nacks it.
            return 0;
        }
        let count = orders.len();
        if state.orders + count > orders_max {
            for sku in orders.iter().flat_map(SaleSku::of) {
                if let Some(locked) = state.locked.get_mut(&sku) {
                    locked.handed_back += 1;
                }
            }
            drop(state);
            hand_back(message);
            return 0;
        }
        let waits_for_stock = orders.iter().any(|order| state.blocks(order));
        let retry_at = if waits_for_stock { now } else { now + OTHER_LOCK_PAUSE };
        state.orders += count;
        state
            .waiting
            .push(WaitingMessage { work: DecodedMessage { message, content: Ok(orders) }, retry_at });
        metrics::stuck_orders(state.orders);
        drop(state);
        self.changed.notify_one();
        count
    }

    /// The locked SKUs, with a log line for each from time to time. `None`: nothing is stuck.
    fn locked(&self) -> Option<Vec<SaleSku>> {
        let mut state = self.lock();
        state.log(Instant::now());
        let is_free = state.locked.is_empty() && state.waiting.is_empty();
        (!is_free).then(|| state.locked.keys().cloned().collect())
    }

    /// Forgets the SKUs that are not in `still_locked`, and returns the messages that have an order to try again.
    fn take_due(&self, asked: &[SaleSku], still_locked: &[SaleSku]) -> Vec<DecodedMessage> {
        let now = Instant::now();
        let mut state = self.lock();
        for sku in asked.iter().filter(|sku| !still_locked.contains(sku)) {
            if let Some(locked) = state.locked.remove(sku) {
                tracing::info!(
                    event = "stock_released",
                    sale_id = %sku.sale_id,
                    sku = %sku.sku,
                    locked_for_s = (now - locked.since).as_secs(),
                    "the stock of a SKU is free again"
                );
            }
        }
        let (due, waiting) =
            std::mem::take(&mut state.waiting).into_iter().partition(|waiting: &WaitingMessage| {
                let orders = waiting.work.content.as_ref().map_or(&[][..], Vec::as_slice);
                waiting.retry_at <= now && orders.iter().any(|order| !state.blocks(order))
            });
        state.waiting = waiting;
        state.orders = state.waiting.iter().map(|waiting| waiting.work.orders()).sum();
        metrics::stuck_orders(state.orders);
        due.into_iter().map(|waiting: WaitingMessage| waiting.work).collect()
    }

    /// Nacks all waiting messages, and those that follow.
    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.orders = 0;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        metrics::stuck_orders(0);
    }
}

/// Returns a message to the broker, which delivers it again after a delay.
pub(super) fn hand_back(message: Message) {
    let delay = HAND_BACK.delay(message.delivery_attempt());
    // The call queues the nack; its answer changes nothing here.
    drop(message.nack(delay));
}

/// Returns waiting messages to the batches once their stock is free, until `shutdown`.
pub(super) async fn retry_loop<S: OrderStore>(
    stuck: Arc<StuckOrders>,
    store: Arc<S>,
    breaker: CircuitBreaker,
    received: mpsc::Sender<DecodedMessage>,
    shutdown: CancellationToken,
) {
    let retrying = async {
        loop {
            let Some(asked) = stuck.locked() else {
                stuck.changed.notified().await;
                continue;
            };
            sleep(RETRY_EVERY).await;
            breaker.until_closed().await;
            let still_locked = match store.locked_skus(asked.clone()).await {
                Ok(locked) => locked,
                Err(error) if error.is_transient() => {
                    tracing::debug!(event = "locked_stock_unknown", %error, "cannot ask for locked stock; retrying");
                    continue;
                }
                // The proxy does not know the question: a commit finds out.
                Err(_) => Vec::new(),
            };
            for work in stuck.take_due(&asked, &still_locked) {
                // Closed only when the pipeline has failed; dropping the message nacks it.
                if received.send(work).await.is_err() {
                    return;
                }
            }
        }
    };
    shutdown.run_until_cancelled(retrying).await;
    stuck.close();
}
