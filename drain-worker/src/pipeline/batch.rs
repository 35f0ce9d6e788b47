//! Puts messages into batches and waits for permission to write each.

use std::num::NonZeroU32;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{DrainError, PipelineConfig, Work};
use crate::rate::{Grant, RateGate};

/// What one transaction writes, and the permission to do so.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) work: Vec<Work>,
    pub(super) grant: Grant,
}

/// Forms batches until there is no more work, or it is given up.
pub(super) async fn batch(
    mut work: mpsc::Receiver<Work>,
    batches: mpsc::Sender<Batch>,
    gate: RateGate,
    config: PipelineConfig,
    give_up: CancellationToken,
) -> Result<(), DrainError> {
    let mut left_over = None;
    let forming = async {
        loop {
            let orders_max = config.batch_orders_max.min(gate.batch_max()).get() as usize;
            let Some(gathered) = gather(&mut work, &mut left_over, orders_max, config).await else { return };
            let orders: usize = gathered.iter().map(Work::orders).sum();
            let orders = u32::try_from(orders).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
            let grant = gate.acquire(orders).await;
            // Closed only when the writers have failed.
            if batches.send(Batch { work: gathered, grant }).await.is_err() {
                return;
            }
        }
    };
    give_up.run_until_cancelled(forming).await;
    Ok(())
}

/// Whole messages, up to `orders_max` orders: full at once under load, and after the linger otherwise.
async fn gather(
    work: &mut mpsc::Receiver<Work>,
    left_over: &mut Option<Work>,
    orders_max: usize,
    config: PipelineConfig,
) -> Option<Vec<Work>> {
    let first = match left_over.take() {
        Some(work) => work,
        None => work.recv().await?,
    };
    let deadline = Instant::now() + config.batch_linger;
    let mut orders = first.orders();
    let mut gathered = vec![first];
    while orders < orders_max {
        let Ok(Some(next)) = timeout_at(deadline, work.recv()).await else { break };
        if orders + next.orders() > orders_max {
            *left_over = Some(next);
            break;
        }
        orders += next.orders();
        gathered.push(next);
    }
    Some(gathered)
}
