//! The time that transactions wait for each other's locks on stock.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

tokio::task_local! {
    static WAITED: Cell<Duration>;
}

/// Runs `work`, which calls the store in this task, and returns how long its transactions waited for locks on stock that
/// others had.
pub async fn measure_lock_wait<T>(work: impl Future<Output = T>) -> (T, Duration) {
    WAITED
        .scope(Cell::default(), async {
            let done = work.await;
            (done, WAITED.with(Cell::get))
        })
        .await
}

/// Adds to the measurement, if there is one.
pub(super) fn record(waited: Duration) {
    let _is_measured = WAITED.try_with(|sum| sum.set(sum.get() + waited));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_are_added_within_a_measurement_alone() {
        let second = Duration::from_secs(1);
        record(second);
        let work = async {
            record(second);
            record(second);
            "done"
        };
        assert_eq!(measure_lock_wait(work).await, ("done", second * 2));
        assert_eq!(measure_lock_wait(async {}).await, ((), Duration::ZERO));
    }
}
