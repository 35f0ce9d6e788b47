//! ingest-fn from outside: its HTTP contract in process, the coalescer under a paused clock, and the whole of it
//! against the embedded broker.

#![allow(clippy::expect_used, reason = "a test states its expectations")]

mod acceptance;
mod acknowledgement;
mod admission;
mod bodies;
mod body_cost;
mod broker;
mod catalogue;
mod client_examples;
mod coalescer;
mod coalescer_properties;
mod config;
mod gateway;
mod lifecycle;
mod logs;
mod metrics;
mod openapi;
mod privacy;
mod problems;
mod readme;
mod sockets;
mod support;
