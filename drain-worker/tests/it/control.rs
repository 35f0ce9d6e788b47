//! Changes of the settings over HTTP: revisions, holds, refusals.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use drain_worker::admin::AdminAccess;
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::store::{JoinRequest, LeaseId, PoolStore};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use shared::testkit::GROUP;
use tower::ServiceExt;

use crate::admin::port;
use crate::harness::WorkerFixture;

struct ControlFixture {
    router: Router,
    _worker: WorkerFixture,
}

impl ControlFixture {
    /// The admin port of a worker whose group has a cap of 2,000.
    async fn new() -> Self {
        let worker = WorkerFixture::new().await;
        let seed = GroupSettings::new(Rate::new(2_000).expect("within bounds"));
        let ttl = Duration::from_secs(60);
        let request =
            JoinRequest { group: GROUP, lease: LeaseId::random(), worker: "host:1", seed: &seed, ttl };
        worker.store.join(&request).await.expect("joins");
        Self { router: port(&worker, AdminAccess::Loopback), _worker: worker }
    }

    /// Returns status, `ETag` and body.
    async fn call(
        &self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: &Value,
    ) -> (StatusCode, Option<String>, Value) {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = if_match.iter().fold(request, |request, tag| request.header("if-match", *tag));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.expect("a request")).await.expect("infallible");
        let status = response.status();
        let tag = response.headers().get("etag").map(|tag| tag.to_str().expect("text").to_owned());
        let is_problem = response.headers()["content-type"] == "application/problem+json";
        assert_eq!(is_problem, !status.is_success(), "{path}");
        let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        (status, tag, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn settings(&self) -> Value {
        self.call(Method::GET, "/v1/settings", None, &json!({})).await.2
    }
}

/// A lowers the cap in an emergency; B, who has not seen it, does not raise it by accident.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_settings_that_are_no_longer_in_force_is_a_conflict_that_says_what_differs() {
    let fixture = ControlFixture::new().await;
    let (status, tag, _) = fixture.call(Method::GET, "/v1/settings", None, &json!({})).await;
    assert_eq!((status, tag.as_deref()), (StatusCode::OK, Some("\"0\"")));
    let lower = json!({"rate": 500, "who": "ann", "reason": "emergency"});
    let (status, tag, _) = fixture.call(Method::PUT, "/v1/rate", Some("\"0\""), &lower).await;
    assert_eq!((status, tag.as_deref()), (StatusCode::OK, Some("\"1\"")));

    let night = json!({"time_zone": "UTC", "entries": [{"from": "02:00", "rate": 3000}]});
    for (method, path, body) in [
        (Method::PUT, "/v1/rate", json!({"rate": 3000, "confirm": true})),
        (Method::POST, "/v1/rate/reset", json!({})),
        (Method::PUT, "/v1/ceiling", json!({"rate": 3000})),
        (Method::POST, "/v1/ceiling/clear", json!({})),
        (Method::PUT, "/v1/schedule", night),
        (Method::POST, "/v1/schedule/clear", json!({})),
        (Method::POST, "/v1/resume", json!({"all": true})),
    ] {
        let (status, tag, problem) = fixture.call(method.clone(), path, Some("\"0\""), &body).await;
        assert_eq!((status, tag.as_deref()), (StatusCode::CONFLICT, Some("\"1\"")), "{path}");
        assert_eq!(
            (&problem["code"], &problem["revision"]),
            (&json!("settings_changed"), &json!(1)),
            "{path}"
        );
        let change = &problem["changes"][0];
        assert_eq!((&change["who"], &change["reason"]), (&json!("ann"), &json!("emergency")), "{path}");
        assert_eq!(
            (&change["before"]["cap"], &change["after"]["cap"]),
            (&json!(2_000), &json!(500)),
            "{path}"
        );
        assert_eq!(problem["cap"]["orders_per_second"], 500, "{path}");
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.contains("Revision 1: rate_set, 500/s, by ann"), "{detail}");

        let (status, _, problem) = fixture.call(method, path, None, &body).await;
        assert_eq!(status, StatusCode::PRECONDITION_REQUIRED, "{path}");
        assert_eq!(problem["code"], "revision_required", "{path}");
    }
    assert_eq!(fixture.settings().await["settings"]["revision"], 1, "nothing was done");
    for (tag, expected) in
        [("\"1\"", StatusCode::OK), ("*", StatusCode::OK), ("seven", StatusCode::BAD_REQUEST)]
    {
        let (status, ..) = fixture.call(Method::PUT, "/v1/rate", Some(tag), &json!({"rate": 900})).await;
        assert_eq!(status, expected, "{tag}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_needs_no_revision_and_ends_by_its_id() {
    let fixture = ControlFixture::new().await;
    let open = json!({"who": "ann", "reason": "maintenance"});
    let (_, _, first) = fixture.call(Method::PUT, "/v1/pause", None, &open).await;
    let (_, _, second) =
        fixture.call(Method::PUT, "/v1/pause", None, &json!({"for_s": 600, "who": "bob"})).await;
    assert_eq!((&first["hold"], &second["hold"]), (&json!(1), &json!(2)));
    let holds = &second["settings"]["holds"];
    assert_eq!((&holds[0]["owner"], &holds[0]["reason"]), (&json!("ann"), &json!("maintenance")));
    assert_eq!((&holds[0]["until"], &second["cap"]["paused_until"]), (&Value::Null, &Value::Null));
    let end = json!({"hold": 1, "who": "bob"});
    let (status, _, left) = fixture.call(Method::POST, "/v1/resume", None, &end).await;
    assert_eq!((status, &left["cap"]["source"]), (StatusCode::OK, &json!("paused")));
    assert_eq!(left["cap"]["paused_until"], holds[1]["until"]);
    let (status, _, problem) = fixture.call(Method::POST, "/v1/resume", None, &end).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("hold_not_found")));
    let (_, _, resumed) =
        fixture.call(Method::POST, "/v1/resume", Some("\"3\""), &json!({"all": true})).await;
    assert_eq!((&resumed["cap"]["source"], &resumed["settings"]["holds"]), (&json!("default"), &json!([])));
    for body in [json!({}), json!({"all": true, "hold": 1}), json!({"all": false})] {
        let (status, ..) = fixture.call(Method::POST, "/v1/resume", Some("*"), &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
}

/// 20,000 for 2,000 is a digit too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_within_the_ceiling_and_confirmed_above_twice_the_cap() {
    let fixture = ControlFixture::new().await;
    let set = async |body: Value| {
        let (status, _, answer) = fixture.call(Method::PUT, "/v1/rate", Some("*"), &body).await;
        (status, answer)
    };
    let (status, problem) = set(json!({"rate": 20_000})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("confirmation_required")));
    let (status, ..) = fixture.call(Method::PUT, "/v1/ceiling", Some("*"), &json!({"rate": 9_000})).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = set(json!({"rate": 20_000, "confirm": true})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("above_ceiling")));
    let detail = problem["detail"].as_str().expect("text");
    assert!(
        detail.contains("above the ceiling of 9000/s") && detail.contains("rate ceiling 20000"),
        "{detail}"
    );
    let (status, answer) = set(json!({"rate": 9_000, "confirm": true})).await;
    assert_eq!((status, &answer["settings"]["ceiling"]), (StatusCode::OK, &json!(9_000)));
    let (_, _, audit) = fixture.call(Method::GET, "/v1/audit", None, &json!({})).await;
    assert_eq!(
        (&audit["entries"][1]["action"], &audit["entries"][1]["after"]["ceiling"]),
        (&json!("ceiling_set"), &json!(9_000))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_changes_are_problem_documents() {
    let fixture = ControlFixture::new().await;
    for (path, body, says) in [
        ("/v1/pause", json!({"for_s": 0}), "must be more than 0"),
        ("/v1/pause", json!({"for_s": -1}), "for_s: must be a number of seconds"),
        ("/v1/pause", json!({"for_s": 1e300}), "for_s: must be a number of seconds"),
        ("/v1/pause", json!({"until": "2020-01-01T00:00:00Z"}), "lies in the past"),
        ("/v1/rate", json!({"rate": 500, "ramp_s": 1e6}), "at most 24 hours"),
        ("/v1/rate", json!({"rate": 500, "who": "ann\u{1b}[2J"}), "who must be one line without control"),
        (
            "/v1/rate",
            json!({"rate": 500, "reason": "x\n2026 bob"}),
            "reason must be one line without control",
        ),
        ("/v1/pause", json!({"reason": "\u{202e}gnp.exe"}), "reason must be one line without control"),
        ("/v1/pause", json!({"who": "a".repeat(65)}), "who has at most 64 characters"),
    ] {
        let (status, _, problem) = fixture.call(Method::PUT, path, Some("*"), &body).await;
        let detail = problem["detail"].as_str().expect("text");
        assert_eq!((status, detail.contains(says)), (StatusCode::BAD_REQUEST, true), "{body}: {detail}");
    }
    assert_eq!(fixture.settings().await["settings"]["revision"], 0);
    let (status, ..) = fixture.call(Method::PUT, "/v1/pause", None, &json!({"for_s": 0.9})).await;
    assert_eq!(status, StatusCode::OK, "less than a second");
}
