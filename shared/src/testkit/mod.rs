//! Fixtures that the crates' tests share: orders, a catalogue, a broker, a database, an HTTP client, samples of log lines.
//!
//! With the feature `testkit` only. Fixtures panic instead of returning errors: a fixture that fails fails the test.

#![allow(clippy::expect_used, clippy::panic, reason = "a fixture that fails fails the test")]

mod broker;
mod database;
mod http_client;
mod log_samples;
mod orders;

use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use broker::{GROUP, TOPIC, TestBroker};
pub use database::{TestDatabase, test_variable};
pub use http_client::{HttpClient, HttpResponse};
pub use log_samples::assert_lines_match;
pub use orders::{AcceptedOrderBuilder, SALE, accepted_order, accepted_orders, catalogue, order_json};

/// Maximum wait for anything that a test expects: enough for a busy machine, reached only by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls `holds` every 10 ms until it returns true.
///
/// # Panics
/// With `what` after [`PATIENCE`].
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
