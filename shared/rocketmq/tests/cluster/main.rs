//! The client on clusters of embedded brokers, of which some are slow, half dead or dead; the cases of [`outages`] run on two
//! real brokers too.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod acks;
mod fixture;
mod half_dead;
mod lifecycle;
mod outages;
mod overload;
mod pair;
mod routes;
mod sends;
