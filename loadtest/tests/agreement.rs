//! The simulator against fc-local: the same small sale, once in real processes and once on a virtual clock.
//!
//! Clients hold their requests open, so that an instance's slots bind and not this machine's speed. Starts, and the time
//! that a request takes its slot, are simulated with the durations that were measured.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fc_model::PlatformFacts;
use loadtest::plan::facts::PlanFacts;
use loadtest::scenario::{RatePhase, SendSchedule};
use loadtest::simulate::{
    Arrivals, ColdStarts, PublishLatency, SimulationOutcome, SimulationSetup, Spacing, simulate,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use front::FcLocalFixture;

#[path = "common/front.rs"]
#[allow(dead_code, reason = "only some tests use every item")]
mod front;

/// Maximum relative difference of fc-local from the simulator, in counts, latencies and instance time.
const TOLERANCE: f64 = 0.05;

/// Maximum send delay of a request, and maximum time that a typical one takes beyond [`HOLD`]; beyond them the machine was
/// too busy for a comparison.
const DELAY_MAX: Duration = Duration::from_millis(50);

const HOLD: Duration = Duration::from_millis(400);

/// Concurrent requests of one instance, and number of instances.
const CONCURRENCY: u16 = 4;
const INSTANCES_MAX: u32 = 3;

/// Eight requests in flight, then twenty where twelve fit, then two.
fn phases() -> Vec<RatePhase> {
    ["constant:20:2s", "constant:50:3s", "constant:5:1s"]
        .map(|phase| phase.parse().expect("a phase"))
        .to_vec()
}

/// Starts a front with the sale's number of instances.
async fn open(directory: &Path) -> FcLocalFixture {
    let (concurrency, instances) =
        (format!("--concurrency={CONCURRENCY}"), format!("--instances-max={INSTANCES_MAX}"));
    FcLocalFixture::open(directory, &["--pad-cold-start=interpreted", &concurrency, &instances], &[]).await
}

struct PlayedOrder {
    status: u16,
    latency: Duration,
    send_delay: Duration,
}

/// One request, held open for [`HOLD`].
async fn order(address: SocketAddr, number: usize, due: Instant) -> PlayedOrder {
    sleep_until(due).await;
    let send_delay = due.elapsed();
    let body = front::order(&format!("buyer-{number}"));
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-type: application/json\r\n\
         idempotency-key: {number}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (mut from, mut to) = TcpStream::connect(address).await.expect("it listens").into_split();
    to.write_all(head.as_bytes()).await.expect("sent");
    // A rejection arrives immediately, an acceptance only after the body.
    let mut answer = String::new();
    let refused = timeout(HOLD, from.read_to_string(&mut answer)).await.is_ok();
    if !refused {
        to.write_all(body.as_bytes()).await.expect("sent");
        from.read_to_string(&mut answer).await.expect("an answer");
    }
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    PlayedOrder { status, latency: due.elapsed(), send_delay }
}

#[derive(Default)]
struct PlayedSale {
    accepted_ms: Vec<f64>,
    throttled: usize,
    send_delay_max: Duration,
}

async fn play(address: SocketAddr) -> PlayedSale {
    let begin = Instant::now() + Duration::from_millis(100);
    let mut orders = JoinSet::new();
    for (number, due) in Arrivals::new(SendSchedule::new(&phases()), Spacing::Even, 0, 0).enumerate() {
        orders.spawn(order(address, number, begin + Duration::from_nanos(due)));
    }
    let mut played = PlayedSale::default();
    while let Some(ended) = orders.join_next().await {
        let PlayedOrder { status, latency, send_delay } = ended.expect("an order");
        match status {
            202 => played.accepted_ms.push(latency.as_secs_f64() * 1_000.0),
            429 => played.throttled += 1,
            other => panic!("a {other}"),
        }
        played.send_delay_max = played.send_delay_max.max(send_delay);
    }
    played
}

/// `hold_ms`: time that a request takes its slot.
fn simulated(starts_ms: Vec<f64>, hold_ms: f64, instances_max: u32) -> SimulationOutcome {
    let facts = PlanFacts::load(None, PlatformFacts::shipped().expect("the shipped platform"))
        .expect("the shipped facts");
    let quota = facts.platform.quota("large-region").expect("a quota");
    let mut rules = facts.platform.rules(quota, CONCURRENCY);
    rules.instances_max = instances_max;
    let setup = SimulationSetup {
        phases: phases(),
        spacing: Spacing::Even,
        seed: 1,
        rules,
        prewarm: None,
        vcpu: 1.0,
        memory_mb: 1024.0,
        us_per_order: facts.measured.ingest.us_per_order.value,
        publish: PublishLatency { p50_ms: hold_ms, p99_ms: hold_ms },
        cold_starts: ColdStarts::Measured(starts_ms),
        overhead_ms: 0.0,
        thaw_ms: 0.0,
        stop_ms: 100.0,
        interval: Duration::from_millis(500),
        window: Duration::from_secs(5),
    };
    simulate(&setup, &facts.prices).expect("it keeps its laws")
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn off(played: f64, simulated: f64) -> f64 {
    (played - simulated).abs() / simulated.max(1.0)
}

fn near(name: &str, played: f64, simulated: f64) {
    println!("{name:<28} fc-local {played:>9.1}   simulate {simulated:>9.1}");
    assert!(off(played, simulated) <= TOLERANCE, "{name}: {played} and {simulated} are too far apart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fc_local_and_the_simulator_agree_on_a_small_sale() {
    let directory = TempDir::new().expect("a directory");
    let mut front = open(directory.path()).await;
    let played = play(front.address).await;
    // On-demand instances linger for a minute in both.
    assert!(front.end(Signal::INT).await.success());
    // Few requests meet a start, so the median is one that met none. A slow machine holds every slot for longer than the
    // client does, by which fewer requests fit.
    let hold_ms = median(&played.accepted_ms);
    let late_ms = hold_ms - HOLD.as_secs_f64() * 1_000.0;
    if played.send_delay_max > DELAY_MAX || late_ms > DELAY_MAX.as_secs_f64() * 1_000.0 {
        println!(
            "skipped: the machine was too busy: a request was sent {:?} late, and a typical one took {late_ms:.1} ms \
             beyond {HOLD:?}",
            played.send_delay_max
        );
        return;
    }
    let summary: Value =
        serde_json::from_slice(&std::fs::read(&front.json).expect("a summary")).expect("JSON");
    let starts = summary["cold_starts"].as_array().expect("a list");
    let starts_ms: Vec<f64> = starts.iter().filter_map(|start| start["ready_ms"].as_f64()).collect();
    let outcome = simulated(starts_ms.clone(), hold_ms, INSTANCES_MAX);
    let count = |name: &str| summary["counts"][name].as_f64().expect("a count");
    let counts = &outcome.counts;
    near("requests", count("arrived"), counts.arrived as f64);
    near("cold starts", count("started"), counts.started as f64);
    near("accepted", played.accepted_ms.len() as f64, outcome.answered as f64);
    near("throttled", played.throttled as f64, outcome.throttled as f64);
    near("throttled for instances", count("throttled_instances"), counts.throttled_instances as f64);
    let active = summary["on_demand_ms"]["active"].as_f64().expect("a number");
    near("active, instance-ms", active, outcome.on_demand_ms.active as f64);
    let mean_ms = played.accepted_ms.iter().sum::<f64>() / played.accepted_ms.len() as f64;
    // A request that waits for a start is held open meanwhile here; on the virtual clock one follows the other.
    near("latency, mean, ms", mean_ms, outcome.latency.mean_us / 1_000.0);
    // The comparison can fail: another number of instances gives another result.
    for instances_max in [INSTANCES_MAX - 1, INSTANCES_MAX + 1] {
        let other = simulated(starts_ms.clone(), hold_ms, instances_max);
        assert!(off(played.throttled as f64, other.throttled as f64) > TOLERANCE, "{instances_max}");
    }
}
