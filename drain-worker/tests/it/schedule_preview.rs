//! `POST /v1/schedule/preview`: caps of the next day, faults, and what overrides the schedule.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use drain_worker::admin::AdminAccess;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::store::{JoinRequest, LeaseId, PoolStore};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use shared::testkit::GROUP;
use tower::ServiceExt;

use crate::admin::port;
use crate::harness::WorkerFixture;

async fn joined(worker: &WorkerFixture) -> Router {
    let seed = GroupSettings::new(Rate::new(2_000).expect("within bounds"));
    let ttl = Duration::from_secs(60);
    let request = JoinRequest { group: GROUP, lease: LeaseId::random(), worker: "host:1", seed: &seed, ttl };
    worker.store.join(&request).await.expect("joins");
    port(worker, AdminAccess::Loopback)
}

async fn call(router: &Router, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("if-match", "*").header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).expect("a request");
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

type Steps = [(&'static str, u32); 4];

/// Zone, begin, and the steps of `00:00 500, 02:15 3000, 08:00 1000`. Source: Python 3.11's `zoneinfo` with tzdata
/// 2025b: a walk over every minute, at which the entries apply that the wall clock has reached or passed since the
/// minute before.
const DAYS: &[(&str, &str, Steps)] = &[
    (
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        [
            ("2026-03-28T12:00:00.000Z", 1_000),
            ("2026-03-28T23:00:00.000Z", 500),
            ("2026-03-29T01:00:00.000Z", 3_000),
            ("2026-03-29T06:00:00.000Z", 1_000),
        ],
    ),
    (
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        [
            ("2026-10-24T12:00:00.000Z", 1_000),
            ("2026-10-24T22:00:00.000Z", 500),
            ("2026-10-25T00:15:00.000Z", 3_000),
            ("2026-10-25T07:00:00.000Z", 1_000),
        ],
    ),
    (
        "America/New_York",
        "2026-03-07T17:00:00Z",
        [
            ("2026-03-07T17:00:00.000Z", 1_000),
            ("2026-03-08T05:00:00.000Z", 500),
            ("2026-03-08T07:00:00.000Z", 3_000),
            ("2026-03-08T12:00:00.000Z", 1_000),
        ],
    ),
    (
        "Australia/Lord_Howe",
        "2026-10-03T03:00:00Z",
        [
            ("2026-10-03T03:00:00.000Z", 1_000),
            ("2026-10-03T13:30:00.000Z", 500),
            ("2026-10-03T15:30:00.000Z", 3_000),
            ("2026-10-03T21:00:00.000Z", 1_000),
        ],
    ),
    (
        "Asia/Shanghai",
        "2026-11-10T12:00:00Z",
        [
            ("2026-11-10T12:00:00.000Z", 1_000),
            ("2026-11-10T16:00:00.000Z", 500),
            ("2026-11-10T18:15:00.000Z", 3_000),
            ("2026-11-11T00:00:00.000Z", 1_000),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preview_has_the_caps_of_a_day_on_days_when_the_clock_changes() {
    let worker = WorkerFixture::new().await;
    let router = joined(&worker).await;
    let entries = json!([
        { "from": "08:00", "rate": 1_000 }, { "from": "00:00", "rate": 500 }, { "from": "02:15", "rate": 3_000 },
    ]);
    for (time_zone, from, expected) in DAYS {
        let body = json!({ "time_zone": time_zone, "entries": entries });
        let (status, view) = call(&router, "POST", &format!("/v1/schedule/preview?from={from}"), &body).await;
        assert_eq!(status, StatusCode::OK, "{view}");
        let steps: Vec<_> =
            expected.iter().map(|(at, cap)| json!({ "at": at, "orders_per_second": cap })).collect();
        assert_eq!(view["steps"], json!(steps), "{time_zone} {from}");
    }
    let (_, settings) = call(&router, "GET", "/v1/settings", &json!({})).await;
    assert_eq!(settings["settings"]["schedule"], Value::Null, "a preview changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preview_says_what_overrides_the_schedule_and_is_of_the_next_24_hours() {
    let worker = WorkerFixture::new().await;
    let router = joined(&worker).await;
    call(&router, "PUT", "/v1/rate", &json!({ "rate": 700 })).await;
    call(&router, "PUT", "/v1/pause", &json!({ "who": "ann", "reason": "failover" })).await;
    let body = json!({ "time_zone": "UTC", "entries": [{ "from": "02:00", "rate": 3_000 }] });
    let (status, view) = call(&router, "POST", "/v1/schedule/preview", &body).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    assert_eq!(view["steps"].as_array().expect("steps").len(), 1, "one rate all day: {view}");
    assert_eq!((&view["cap"]["source"], &view["cap"]["orders_per_second"]), (&json!("paused"), &json!(0)));
    assert_eq!(view["settings"]["holds"][0]["reason"], "failover");
    assert_eq!(view["settings"]["manual"]["to"], 700);
    let instant =
        |name: &str| -> jiff::Timestamp { view[name].as_str().expect("text").parse().expect("one") };
    assert_eq!(instant("until").duration_since(instant("from")).as_hours(), 24);
    let age = jiff::Timestamp::now().duration_since(instant("from")).as_secs().abs();
    assert!(age < 60, "by the database's clock, which is this machine's: {age} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_have_the_place_of_their_entry() {
    let worker = WorkerFixture::new().await;
    let router = joined(&worker).await;
    call(&router, "PUT", "/v1/ceiling", &json!({ "rate": 2_500 })).await;
    let entry = |from: &str, rate: i64| json!({ "from": from, "rate": rate });
    let at_two = || vec![entry("02:00", 1)];
    let (bad, taken) = (StatusCode::BAD_REQUEST, StatusCode::CONFLICT);
    for (zone, entries, status, code, faults) in [
        ("Mars/Olympus", at_two(), bad, "invalid_schedule", vec![("unknown_time_zone", "/time_zone")]),
        ("UTC", vec![], bad, "invalid_schedule", vec![("entry_count", "/entries")]),
        ("UTC", vec![entry("2:00", 1)], bad, "invalid_schedule", vec![("invalid_time", "/entries/0")]),
        (
            "UTC",
            vec![entry("02:00", 0), entry("03:00", 5), entry("04:00", 1_000_001)],
            bad,
            "invalid_schedule",
            vec![("invalid_entry", "/entries/0"), ("invalid_entry", "/entries/2")],
        ),
        (
            "UTC",
            vec![entry("02:00", 1), entry("02:00", 2)],
            bad,
            "invalid_schedule",
            vec![("same_time_twice", "/entries/1")],
        ),
        (
            "UTC",
            vec![entry("02:00", 2_501), entry("03:00", 2_500)],
            taken,
            "above_ceiling",
            vec![("above_ceiling", "/entries/0")],
        ),
    ] {
        let body = json!({ "time_zone": zone, "entries": entries });
        let (found, problem) = call(&router, "POST", "/v1/schedule/preview", &body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{problem}");
        let places: Vec<_> = problem["errors"].as_array().expect("faults").iter().collect();
        let places: Vec<_> = places.iter().map(|fault| (&fault["code"], &fault["pointer"])).collect();
        let expected: Vec<_> = faults.iter().map(|(code, place)| (json!(code), json!(place))).collect();
        assert_eq!(
            places,
            expected.iter().map(|(code, place)| (code, place)).collect::<Vec<_>>(),
            "{problem}"
        );
    }
    let (status, problem) = call(
        &router,
        "POST",
        "/v1/schedule/preview?from=noon",
        &json!({ "time_zone": "UTC", "entries": [] }),
    )
    .await;
    assert_eq!((status, &problem["code"]), (bad, &json!("invalid_request")));
}
