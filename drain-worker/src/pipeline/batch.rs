//! Puts messages into batches.

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{DecodedMessage, PipelineConfig, PipelineError};

/// What one writer takes at a time.
pub(super) type Batch = Vec<DecodedMessage>;

/// Forms batches until there is no more work, or it is given up.
///
/// Batches fill by themselves: one is handed over when a writer is free, and what comes meanwhile makes the next. So a
/// lone order waits for the linger at most, and under load every batch is full.
pub(super) async fn batch(
    mut work: mpsc::Receiver<DecodedMessage>,
    batches: mpsc::Sender<Batch>,
    config: PipelineConfig,
    force_shutdown: CancellationToken,
) -> Result<(), PipelineError> {
    let mut left_over = None;
    let forming = async {
        loop {
            // Closed only when the writers have failed. Waiting for a free one comes first: the batch goes on filling.
            let Ok(place) = batches.reserve().await else { return };
            let Some(gathered) = gather(&mut work, &mut left_over, config).await else { return };
            place.send(gathered);
        }
    };
    force_shutdown.run_until_cancelled(forming).await;
    Ok(())
}

/// Whole messages, up to the configured number of orders: full at once under load, and after the linger otherwise.
async fn gather(
    work: &mut mpsc::Receiver<DecodedMessage>,
    left_over: &mut Option<DecodedMessage>,
    config: PipelineConfig,
) -> Option<Batch> {
    let orders_max = config.batch_orders_max.get() as usize;
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
