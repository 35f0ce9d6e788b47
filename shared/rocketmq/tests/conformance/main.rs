//! The client's contract, tested on the embedded broker always, and on Apache's if
//! `SPILLWAY_TEST_ROCKETMQ_ENDPOINT` and `SPILLWAY_TEST_STACK` are set (`infra/local/stack env`).

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod brokers;
mod cases;
mod embedded_only;
mod real_only;
