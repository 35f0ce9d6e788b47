//! Lag in Prometheus' text format, under the names and labels of Apache's broker (certain: seen on 5.5.0).
//!
//! Unsigned, like Apache's: it exposes names of topics and groups, and numbers.

use std::fmt::Write as _;
use std::time::SystemTime;

use http::{HeaderValue, Response, StatusCode, header};
use tonic::body::Body;

use super::node::Nodes;
use super::stats::{BrokerStats, GroupStats};

/// Path of the metrics.
pub(crate) const PATH: &str = "/metrics";

/// Responds to a scrape with the figures of the server's first running broker.
pub(crate) async fn metrics(nodes: &Nodes) -> Response<Body> {
    let (status, text) = match nodes.ask(|store| async move { store.stats().await }).await {
        Ok(stats) => (StatusCode::OK, render(&stats, SystemTime::now())),
        Err(refusal) => (StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n")),
    };
    let mut response = Response::new(Body::new(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A value of a group on a topic.
type Figure = fn(&GroupStats, SystemTime) -> u128;

const GAUGES: [(&str, Figure); 4] = [
    ("rocketmq_consumer_ready_messages", |group, _| group.ready.into()),
    ("rocketmq_consumer_inflight_messages", |group, _| group.in_flight.into()),
    ("rocketmq_consumer_lag_messages", |group, _| (group.ready + group.in_flight).into()),
    ("rocketmq_consumer_lag_latency_milliseconds", |group, now| {
        let waits = group.oldest_unacked.and_then(|stored| now.duration_since(stored).ok());
        waits.map_or(0, |age| age.as_millis())
    }),
];

fn render(stats: &BrokerStats, now: SystemTime) -> String {
    let mut text = String::new();
    for (name, figure) in GAUGES {
        // Writing to a String cannot fail.
        let _written = writeln!(text, "# TYPE {name} gauge");
        for topic in &stats.topics {
            for group in &topic.groups {
                // Legal names need no escapes.
                let _written = writeln!(
                    text,
                    "{name}{{consumer_group=\"{}\",is_retry=\"false\",node_type=\"embedded\",topic=\"{}\"}} {}",
                    group.name,
                    topic.name,
                    figure(group, now)
                );
            }
        }
    }
    text
}
