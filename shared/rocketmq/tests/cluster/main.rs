//! The client on clusters of embedded brokers, of which some are slow, half dead or dead.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod acks;
mod fixture;
mod half_dead;
mod lifecycle;
mod overload;
mod routes;
mod sends;
