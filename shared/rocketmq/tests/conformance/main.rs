//! The client's contract, tested on the embedded broker always, and on Apache's if
//! `SPILLWAY_TEST_ROCKETMQ_ENDPOINT` and `SPILLWAY_TEST_STACK` are set (`infra/local/stack env`). The cases with the
//! official Java client need `SPILLWAY_TEST_JAVA_CLIENT`, a folder with its jars, from the same command.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

/// A test for each case on each broker.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::brokers::embedded().await).await;
            })*
        }

        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(fixture) = crate::brokers::real(stringify!($case)).await {
                    super::$case(fixture).await;
                }
            })*
        }
    };
}

mod brokers;
mod cases;
mod embedded_only;
mod java_client;
mod official;
mod real_only;
