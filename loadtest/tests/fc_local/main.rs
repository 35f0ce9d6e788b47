//! fc-local as a user runs it: real processes, a real broker, real signals. No test waits for a fixed time.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

mod fixture;
#[path = "../common/front.rs"]
mod front;

use rustix::process::Signal;
use shared::testkit::eventually;

use fixture::{HeldFixture, has_ended, process_state};
use front::kill;

/// Held requests must not time out on a slow machine.
const PATIENT: &[&str] = &["--body-timeout-ms=60000"];

#[tokio::test]
async fn a_burst_fills_every_instance_then_they_freeze_thaw_and_stop_in_order() {
    let flags = ["--concurrency=4", "--instances-max=3", "--freeze-after-ms=100", "--idle-linger-ms=600000"];
    let fixture = HeldFixture::open(&flags, PATIENT).await;
    assert_eq!(fixture.instances(), [], "nothing runs before the first request");

    let mut held: Vec<_> = (0..12).map(|number| fixture.hold(&format!("held-{number}"))).collect();
    eventually("three instances have four requests each", async || {
        let phases = fixture.instances();
        phases.len() == 3
            && phases.iter().all(|(_, phase)| phase == "active")
            && fixture.requests_under_way() == 12
    })
    .await;
    let thirteenth = fixture.order("thirteenth");
    assert_eq!(thirteenth.refusal(), (429, "fc_throttled".to_owned()));
    assert!(thirteenth.header("x-fc-request-id").is_some());
    assert_eq!(thirteenth.header("x-fc-error-type"), None, "not documented for a throttle");
    assert_eq!(fixture.count("throttled_instances"), 1);

    held.iter_mut().for_each(fixture::HeldExchange::release);
    let mut request_ids = Vec::new();
    for exchange in &mut held {
        let answer = exchange.answer();
        assert_eq!(answer.status, 202, "{answer:?}");
        request_ids.push(answer.header("x-fc-request-id").expect("an id").to_owned());
    }
    request_ids.sort_unstable();
    request_ids.dedup();
    assert_eq!(request_ids.len(), 12, "each request has an id of its own");

    let pids: Vec<_> = fixture.instances().into_iter().map(|(pid, _)| pid).collect();
    eventually("all three are stopped", async || pids.iter().all(|pid| process_state(*pid) == Some('T')))
        .await;
    assert!(fixture.instances().iter().all(|(_, phase)| phase == "frozen"));
    for number in 0..3 {
        eventually("all three are frozen", async || {
            fixture.instances().iter().all(|(_, phase)| phase == "frozen")
        })
        .await;
        assert_eq!(fixture.order(&format!("thaw-{number}")).status, 202);
    }
    assert_eq!(fixture.count("thawed"), 3);
    assert_eq!(fixture.count("started"), 3, "no other instance was needed");
    assert_eq!(fixture.status()["summary"]["thaw_to_answer"]["count"], 3);

    let (status, summary) = fixture.end(Signal::TERM).await;
    assert!(status.success(), "{status}: {summary}");
    assert!(pids.iter().all(|pid| has_ended(*pid)));
    assert_eq!(summary["pre_stops"]["answered"], 3, "frozen ones are thawed for it: {summary}");
    assert_eq!(summary["killed"], 0);
    assert_eq!(summary["counts"]["lost"], 0);
    assert_eq!(summary["counts"]["ended"], 15);
    assert_eq!(summary["cold_starts"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn an_idle_instance_is_stopped_after_its_pre_stop_and_the_next_order_starts_another() {
    let fixture = HeldFixture::open(&["--freeze-after-ms=50", "--idle-linger-ms=500"], &[]).await;
    assert_eq!(fixture.order("first").status, 202);
    eventually("no instance is left", async || fixture.instances().is_empty()).await;
    let summary = fixture.status()["summary"].clone();
    assert_eq!(summary["pre_stops"]["answered"], 1, "{summary}");
    assert_eq!(summary["counts"]["stopped"], 1);
    assert_eq!(summary["counts"]["failed"], 0);
    assert_eq!(summary["killed"], 0);
    assert_eq!(fixture.order("second").status, 202);
    assert_eq!(fixture.count("started"), 2);
}

#[tokio::test]
async fn a_killed_instance_costs_its_requests_and_no_other() {
    let fixture = HeldFixture::open(&["--no-freeze"], PATIENT).await;
    let mut held = fixture.hold("held");
    eventually("the request is on its instance", async || {
        fixture.instances().first().is_some_and(|(_, phase)| phase == "active")
    })
    .await;
    let (pid, _) = fixture.instances()[0];
    kill(pid, Signal::KILL);
    assert_eq!(held.answer().refusal(), (502, "fc_process_exited".to_owned()));
    assert_eq!(fixture.order("next").status, 202);
    assert_ne!(fixture.instances()[0].0, pid, "another process responded");
    assert_eq!((fixture.count("failed"), fixture.count("started")), (1, 2));
    let failure = fixture.status()["summary"]["last_failure"].to_string();
    assert!(failure.contains("signal: 9"), "{failure}");
}

#[tokio::test]
async fn a_client_that_disconnects_frees_its_slot() {
    let fixture = HeldFixture::open(&["--concurrency=1", "--instances-max=1", "--no-freeze"], PATIENT).await;
    assert_eq!(fixture.order("warm").status, 202);
    let held = fixture.hold("held");
    eventually("it has its slot", async || fixture.requests_under_way() == 1).await;
    assert_eq!(fixture.order("refused").refusal(), (429, "fc_throttled".to_owned()));
    drop(held);
    eventually("its slot is free", async || fixture.requests_under_way() == 0).await;
    assert_eq!(fixture.order("next").status, 202);
}

#[tokio::test]
async fn provisioned_instances_start_before_the_first_request_stay_warm_and_are_replaced() {
    let fixture =
        HeldFixture::open(&["--provisioned=2", "--freeze-after-ms=0", "--idle-linger-ms=100"], &[]).await;
    let idle = || fixture.status()["summary"]["instance_counts"]["provisioned"]["idle"].as_u64();
    eventually("both are ready", async || idle() == Some(2)).await;
    assert_eq!(fixture.order("first").status, 202);
    assert_eq!((fixture.count("assigned"), fixture.count("waited")), (1, 0), "no request waited for a start");
    kill(fixture.instances()[0].0, Signal::KILL);
    eventually("it is replaced", async || fixture.count("started_provisioned") == 3 && idle() == Some(2))
        .await;
    assert_eq!((fixture.count("frozen"), fixture.count("stopped")), (0, 0));
}

#[tokio::test]
async fn a_start_is_padded_and_a_failed_initialisation_is_reported_as_on_the_platform() {
    let fixture = HeldFixture::open(&["--pad-cold-start=interpreted"], &[]).await;
    assert_eq!(fixture.order("padded").status, 202);
    let start = fixture.status()["summary"]["cold_starts"][0].clone();
    assert!(start["ready_ms"].as_f64() >= Some(120.0), "{start}");
    drop(fixture);

    let fixture = HeldFixture::open(&["--initialize"], &[]).await;
    assert_eq!(fixture.order("initialized").status, 202);
    drop(fixture);

    let fixture = HeldFixture::open(&["--initialize"], &["--orders-topic=no-such-topic"]).await;
    let answer = fixture.order("initialized");
    assert_eq!(answer.refusal(), (200, "fc_initialization_failed".to_owned()), "not a 202, and yet no error");
    assert_eq!(answer.header("x-fc-error-type"), Some("initializationerror"));
    let failure = fixture.status()["summary"]["last_failure"].to_string();
    assert!(failure.contains("POST /initialize: 500"), "{failure}");
}

#[tokio::test]
async fn an_instance_that_cannot_start_is_reported_and_not_retried_immediately() {
    let fixture = HeldFixture::open(&["--provisioned=1"], &["--requests-max=0"]).await;
    eventually("it has failed", async || fixture.count("failed") >= 1).await;
    let failure = fixture.status()["summary"]["last_failure"].to_string();
    assert!(failure.contains("requests-max"), "its log is included: {failure}");
    assert_eq!(fixture.order("lost").refusal(), (502, "fc_not_started".to_owned()));
    let (status, summary) = fixture.end(Signal::INT).await;
    assert!(status.success(), "{status}");
    let (started, uptime_ms) =
        (summary["counts"]["started_provisioned"].as_u64(), summary["uptime_ms"].as_u64());
    // Each failed start keeps its slot for a second.
    assert!(started <= uptime_ms.map(|ms| ms / 1_000 + 1), "{summary}");
}

#[tokio::test]
async fn a_killed_front_leaves_no_instance_behind_not_even_a_frozen_one() {
    let fixture = HeldFixture::open(&["--freeze-after-ms=0"], &[]).await;
    assert_eq!(fixture.order("first").status, 202);
    eventually("it is frozen", async || fixture.instances().iter().all(|(_, phase)| phase == "frozen")).await;
    let (pid, _) = fixture.instances()[0];
    let (status, _) = fixture.end(Signal::KILL).await;
    assert!(!status.success());
    eventually("the instance has ended", async || has_ended(pid)).await;
}

#[test]
fn invalid_flags_exit_with_code_2() {
    for flags in [
        ["--concurrency=0", "--vpc"],
        ["--instances-max=65", "--vpc"],
        ["--no-freeze", "--freeze-provisioned"],
    ] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_loadtest")).arg("fc-local").args(flags).output();
        assert_eq!(output.expect("it runs").status.code(), Some(2), "{flags:?}");
    }
}
