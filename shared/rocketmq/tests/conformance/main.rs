//! What the client promises, proven twice: against the embedded broker always, and against Apache's where
//! `SPILLWAY_TEST_ROCKETMQ_ENDPOINT` and `SPILLWAY_TEST_STACK` say where it is (`infra/local/stack env`).

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod brokers;
mod cases;
mod embedded_only;
mod real_only;
