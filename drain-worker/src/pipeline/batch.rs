//! Forms batches of messages.

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{DecodedMessage, PipelineConfig, PipelineError};

/// The messages of one commit.
pub(super) type Batch = Vec<DecodedMessage>;

/// Forms batches until its input ends or `force_shutdown` is cancelled.
///
/// A batch is sent when a writer is free; messages that arrive meanwhile form the next one. So a single order waits
/// at most for the linger, and under load every batch is full.
pub(super) async fn batch(
    mut work: mpsc::Receiver<DecodedMessage>,
    batches: mpsc::Sender<Batch>,
    config: PipelineConfig,
    force_shutdown: CancellationToken,
) -> Result<(), PipelineError> {
    let mut left_over = None;
    let forming = async {
        loop {
            // Closed only when the writers have failed. Waiting for a free writer comes first, so that the batch goes
            // on filling.
            let Ok(place) = batches.reserve().await else { return };
            let Some(gathered) = gather(&mut work, &mut left_over, config).await else { return };
            place.send(gathered);
        }
    };
    force_shutdown.run_until_cancelled(forming).await;
    Ok(())
}

/// Whole messages, up to the configured number of orders: without delay under load, else within the linger.
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
