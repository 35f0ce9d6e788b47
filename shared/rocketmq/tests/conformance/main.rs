//! The client's contract, tested on the embedded broker always, and on Apache's if
//! `SPILLWAY_TEST_ROCKETMQ_ENDPOINT` and `SPILLWAY_TEST_STACK` are set (`infra/local/stack env`). The cases with the
//! official Java and Python clients need `SPILLWAY_TEST_JAVA_CLIENT` and `SPILLWAY_TEST_PYTHON_CLIENT`, the folders where
//! they are installed, from the same command.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

/// A test for each case on each broker, with a topic of a type, else NORMAL.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        on_both!(spillway_rocketmq::TopicType::Normal; $($case),*);
    };
    ($topic_type:expr; $($case:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::brokers::embedded_of_type($topic_type).await).await;
            })*
        }

        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(fixture) = crate::brokers::real_of_type(stringify!($case), $topic_type).await {
                    super::$case(fixture).await;
                }
            })*
        }
    };
}

mod brokers;
mod cases;
mod delayed;
mod embedded_only;
mod filters;
#[path = "../../../src/loopback.rs"]
#[allow(unreachable_pub, reason = "the public module of another crate")]
mod loopback;
mod official;
mod official_client;
mod ordered;
mod real_only;
