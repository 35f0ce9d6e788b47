//! Stops one worker's receives, without a stop of the worker.

use tokio::sync::watch;

/// A worker that is cordoned finishes the orders that it holds and receives no more; a receive in flight ends first.
/// Clones share one state, which ends with the process.
#[derive(Clone, Debug, Default)]
pub struct Cordon(watch::Sender<bool>);

impl Cordon {
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns true if this is a change.
    pub fn set(&self, is_set: bool) -> bool {
        self.0.send_replace(is_set) != is_set
    }

    pub(super) async fn until_lifted(&self) {
        let mut state = self.0.subscribe();
        // The sender lives as long as `self`.
        let _lifted = state.wait_for(|is_set| !is_set).await;
    }
}
