//! Metrics of a run while it is played, for Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context;
use hdrhistogram::Histogram as HdrHistogram;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram, with_local_recorder,
};
use shared::http::{ServeConfig, listen, serve};
use shared::telemetry::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::window::LiveWindow;
use crate::generator::{LiveSnapshot, SendPlan, Shard};
use crate::scenario::{Scenario, SendSchedule};

/// A few collectors, and an operator.
const CONNECTIONS_MAX: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

/// Bucket bounds of the send delay, seconds: latencies are void from 0.002 by default.
const SEND_DELAY_S: &[f64] = &[0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0];

/// A counter and its value in the live counts.
type OutcomeCounter = (Counter, fn(&LiveSnapshot) -> u64);

/// Serves `/metrics` until it is dropped. A scrape renders what the last [`LiveMetrics::update`] has set, and never waits
/// for the sending threads, nor they for it.
#[derive(Debug)]
pub(super) struct LiveMetrics {
    schedule: SendSchedule,
    shard: Shard,
    /// Ends of the phases, seconds.
    phase_ends_s: Vec<f64>,
    planned: Counter,
    sent: Counter,
    ended: [OutcomeCounter; 5],
    in_flight: Gauge,
    phase: Gauge,
    latency: Histogram,
    send_delay: Histogram,
    settled: Counter,
    queued: Gauge,
    server: JoinHandle<()>,
}

impl LiveMetrics {
    /// # Errors
    /// If `address` cannot be listened on.
    pub(super) fn listen(address: SocketAddr, scenario: &Scenario, plan: &SendPlan) -> anyhow::Result<Self> {
        let listener = listen(address).with_context(|| format!("--metrics-listen {address}"))?;
        println!("Metrics: http://{}/metrics", listener.local_addr()?);
        let recorder = Arc::new(Metrics::default());
        recorder.set_buckets("loadtest_send_delay_seconds", SEND_DELAY_S);
        let served = recorder.clone();
        let respond = move |request| {
            let response = respond(&served, &request);
            async move { Ok::<_, Infallible>(response) }
        };
        let config = ServeConfig::new("metrics", CONNECTIONS_MAX);
        let server = serve(listener, service_fn(respond), config, CancellationToken::new());
        let server = tokio::spawn(server);
        Ok(with_local_recorder(&*recorder, || Self::register(scenario, plan, server)))
    }

    fn register(scenario: &Scenario, plan: &SendPlan, server: JoinHandle<()>) -> Self {
        describe_counter!("loadtest_requests_planned_total", "Requests that were due.");
        describe_counter!(
            "loadtest_requests_sent_total",
            "Requests written to a connection, retries included."
        );
        describe_counter!(
            "loadtest_requests_ended_total",
            "Requests by outcome; unsent ones got no connection."
        );
        describe_gauge!("loadtest_requests_in_flight", "Requests sent and not ended.");
        describe_gauge!("loadtest_phase", "Number of the scenario's phase, from 1; 0 after the last one.");
        describe_histogram!(
            "loadtest_latency_seconds",
            "Latency from the planned time: of accepted requests, and of those without a response until they ended."
        );
        describe_histogram!("loadtest_send_delay_seconds", "The generator's own lateness.");
        describe_counter!("loadtest_orders_settled_total", "Orders that the drain workers have settled.");
        describe_gauge!("loadtest_orders_queued", "Accepted orders that are not settled.");
        let ended = |outcome| counter!("loadtest_requests_ended_total", "outcome" => outcome);
        Self {
            schedule: plan.schedule.clone(),
            shard: plan.shard,
            phase_ends_s: scenario.phase_ends_s().collect(),
            planned: counter!("loadtest_requests_planned_total"),
            sent: counter!("loadtest_requests_sent_total"),
            ended: [
                (ended("accepted"), |counts| counts.accepted),
                (ended("shed"), |counts| counts.shed),
                (ended("refused"), |counts| counts.refused),
                (ended("unknown"), |counts| counts.unknown),
                (ended("unsent"), |counts| counts.unsent),
            ],
            in_flight: gauge!("loadtest_requests_in_flight"),
            phase: gauge!("loadtest_phase"),
            latency: histogram!("loadtest_latency_seconds"),
            send_delay: histogram!("loadtest_send_delay_seconds"),
            settled: counter!("loadtest_orders_settled_total"),
            queued: gauge!("loadtest_orders_queued"),
            server,
        }
    }

    /// `settled`: orders, if the database is watched.
    pub(super) fn update(&self, window: &LiveWindow, settled: Option<u64>) {
        let LiveWindow { total, until_s, .. } = window;
        let due = self.schedule.requests_before((until_s * 1e9) as u64);
        self.planned.absolute(self.shard.requests(due));
        self.sent.absolute(total.sent);
        for (counter, count) in &self.ended {
            counter.absolute(count(total));
        }
        let answered = total.accepted + total.shed + total.refused + total.unknown;
        self.in_flight.set(total.sent.saturating_sub(answered) as f64);
        let phase = self.phase_ends_s.iter().position(|end_s| until_s < end_s);
        self.phase.set(phase.map_or(0.0, |index| index as f64 + 1.0));
        record_all(&self.latency, &window.latency);
        record_all(&self.send_delay, &window.send_delay);
        if let Some(settled) = settled {
            self.settled.absolute(settled);
            self.queued.set(total.accepted_own.saturating_sub(settled) as f64);
        }
    }
}

impl Drop for LiveMetrics {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Adds the microseconds of a window.
fn record_all(histogram: &Histogram, window: &HdrHistogram<u64>) {
    for value in window.iter_recorded() {
        let count = usize::try_from(value.count_at_value()).unwrap_or(usize::MAX);
        histogram.record_many(value.value_iterated_to() as f64 / 1e6, count);
    }
}

fn respond(recorder: &Metrics, request: &Request<Incoming>) -> Response<String> {
    let is_known = request.uri().path() == "/metrics";
    let (status, text) = match *request.method() {
        Method::GET if is_known => (StatusCode::OK, recorder.render()),
        _ if is_known => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
