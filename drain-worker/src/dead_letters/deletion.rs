//! Deletes the payloads of discarded dead letters once the discard can no longer be undone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// Pause between two looks. A look reads an index that has no other rows than discards that can be undone.
const PAUSE: Duration = Duration::from_secs(60);

/// Deletes until `shutdown`, on every worker: deleting twice changes nothing.
pub(crate) async fn run(store: Arc<Store>, shutdown: CancellationToken) {
    // Workers that start together do not look together.
    let pause = || sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5)));
    while shutdown.run_until_cancelled(pause()).await.is_some() {
        while let Some(deleted) = shutdown.run_until_cancelled(store.delete_discarded_payloads()).await {
            match deleted {
                Ok(0) => break,
                Ok(letters) => {
                    tracing::info!(
                        event = "discarded_payloads_deleted",
                        letters,
                        "payloads of discarded dead letters deleted"
                    );
                }
                Err(error) => {
                    tracing::warn!(event = "payload_deletion_failed", %error, "cannot delete payloads of discarded dead letters; retrying");
                    break;
                }
            }
        }
    }
}
