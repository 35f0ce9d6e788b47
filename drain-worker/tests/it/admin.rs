//! Authentication of the admin port.

use std::future::ready;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use drain_worker::adaptive_limit::AdaptiveLimit;
use drain_worker::admin::{Admin, AdminAccess, AdminRole, AdminToken, router};
use drain_worker::control::{GroupSettings, Rate};
use drain_worker::dead_letters::{RedriveConfig, Redriver};
use drain_worker::monitor::Monitor;
use drain_worker::pipeline::GatedWriter;
use drain_worker::pool::{Member, PoolConfig, WorkerSignals};
use drain_worker::purge::Purger;
use drain_worker::rate::RateGate;
use http::{Method, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::harness::WorkerFixture;

const TOKEN: &str = "correct-horse-battery";

/// The one POST that changes nothing.
const PREVIEW: (Method, &str) = (Method::POST, "/v1/schedule/preview");

pub(crate) const GUARDED: &[(Method, &str)] = &[
    (Method::GET, "/v1/status"),
    (Method::GET, "/v1/settings"),
    (Method::GET, "/v1/history"),
    (Method::GET, "/v1/audit"),
    (Method::GET, "/v1/access"),
    (Method::GET, "/v1/orders"),
    (Method::GET, "/v1/sales"),
    (Method::GET, "/v1/sales/sale"),
    (Method::GET, "/v1/orders/f535af2d-435c-88f9-8683-8ebf4a2826ab"),
    (Method::PUT, "/v1/rate"),
    (Method::POST, "/v1/rate/reset"),
    (Method::PUT, "/v1/ceiling"),
    (Method::POST, "/v1/ceiling/clear"),
    (Method::PUT, "/v1/pause"),
    (Method::POST, "/v1/resume"),
    (Method::PUT, "/v1/schedule"),
    (Method::POST, "/v1/schedule/clear"),
    PREVIEW,
    (Method::GET, "/v1/dead-letters"),
    (Method::GET, "/v1/dead-letters/1"),
    (Method::POST, "/v1/dead-letters/redrive"),
    (Method::POST, "/v1/dead-letters/discard"),
    (Method::POST, "/v1/dead-letters/restore"),
    (Method::POST, "/v1/purge"),
    (Method::POST, "/v1/worker/cordon"),
    (Method::POST, "/v1/worker/uncordon"),
];

/// An operator's token.
pub(crate) fn one_token() -> AdminAccess {
    AdminAccess::Tokens(vec![AdminToken::parse(TOKEN, AdminRole::Operate).expect("valid")])
}

/// Returns the admin port of a worker that has not joined.
pub(crate) fn port(fixture: &WorkerFixture, access: AdminAccess) -> Router {
    let (gate, signals) = (RateGate::closed(), WorkerSignals::default());
    let config = PoolConfig {
        group: "drain".to_owned(),
        worker: "host:1".to_owned(),
        seed: GroupSettings::new(Rate::new(1).expect("within bounds")),
        lease: Duration::from_secs(3),
        heartbeat_interval: Duration::from_secs(1),
        heartbeat_interval_fast: Duration::from_secs(1),
    };
    let member =
        Member::new(fixture.store.clone(), config, gate.clone(), signals.clone(), AdaptiveLimit::new(None));
    let writer = GatedWriter::new(gate, signals.stats.clone(), signals.breaker.clone());
    let redriver = Redriver::new(
        fixture.store.clone(),
        writer.clone(),
        Arc::new(|| Box::pin(ready(None))),
        "drain",
        RedriveConfig::default(),
    );
    let purger = Purger::new(fixture.store.clone(), writer, Arc::new(|| Box::pin(ready(None))), "drain", 72);
    let admin = Admin {
        store: fixture.store.clone(),
        group: "drain".into(),
        worker: "host:1".into(),
        monitor: Monitor::new(member.snapshot(), signals, CancellationToken::new(), NonZeroU32::MIN),
        redriver,
        purger,
    };
    router(admin, access)
}

async fn answer(router: &Router, method: &Method, path: &str, headers: &[(&str, &str)]) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from("{}")).expect("a request");
    router.clone().oneshot(request).await.expect("infallible").status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_api_route_requires_the_token_and_no_other_route_does() {
    let fixture = WorkerFixture::new().await;
    let router = port(
        &fixture,
        AdminAccess::Tokens(vec![AdminToken::parse(TOKEN, AdminRole::Operate).expect("valid")]),
    );
    let bearer = format!("Bearer {TOKEN}");
    for (method, path) in GUARDED {
        for headers in [&[][..], &[("authorization", "Bearer wrong-horse-battery")], &[("host", "localhost")]]
        {
            let status = answer(&router, method, path, headers).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} {headers:?}");
        }
        let status = answer(&router, method, path, &[("authorization", &bearer)]).await;
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    for path in ["/", "/console/main.js", "/healthz", "/metrics"] {
        assert_eq!(answer(&router, &Method::GET, path, &[]).await, StatusCode::OK, "{path}");
    }
    let ready = answer(&router, &Method::GET, "/readyz", &[]).await;
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE, "it has not joined");
    assert_eq!(answer(&router, &Method::GET, "/v2", &[]).await, StatusCode::NOT_FOUND);
    assert_eq!(answer(&router, &Method::DELETE, "/healthz", &[]).await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_everything_and_changes_nothing() {
    let fixture = WorkerFixture::new().await;
    let token = |text: &str, role| AdminToken::parse(text, role).expect("valid");
    let operator = token("ops=correct-horse-battery", AdminRole::Operate);
    let tokens = vec![operator, token("wall=staple-is-correct", AdminRole::Read)];
    let router = port(&fixture, AdminAccess::Tokens(tokens));
    let reader = ("authorization", "Bearer staple-is-correct");
    for (method, path) in GUARDED {
        let status = answer(&router, method, path, &[reader]).await;
        let changes = *method != Method::GET && (method, *path) != (&PREVIEW.0, PREVIEW.1);
        assert_eq!(status == StatusCode::FORBIDDEN, changes, "{method} {path}: {status}");
    }
    let operator = ("authorization", "Bearer correct-horse-battery");
    let cordoned = answer(&router, &Method::POST, "/v1/worker/cordon", &[operator]).await;
    assert_eq!(cordoned, StatusCode::OK);
    let audit = fixture.store.list_audit("drain", None, 1).await.expect("reads");
    assert_eq!((audit[0].action.as_str(), audit[0].actor.as_str()), ("cordon", "ops"));
}

/// The console shows controls by this answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_learns_the_name_and_role_of_its_token() {
    let fixture = WorkerFixture::new().await;
    let token = |text: &str, role| AdminToken::parse(text, role).expect("valid");
    let tokens = || {
        let operator = token("ops=correct-horse-battery", AdminRole::Operate);
        AdminAccess::Tokens(vec![operator, token("wall=staple-is-correct", AdminRole::Read)])
    };
    for (access, header, expected) in [
        (tokens(), ("authorization", "Bearer correct-horse-battery"), r#"{"name":"ops","role":"operate"}"#),
        (tokens(), ("authorization", "Bearer staple-is-correct"), r#"{"name":"wall","role":"read"}"#),
        (AdminAccess::Loopback, ("host", "localhost:9101"), r#"{"name":"","role":"operate"}"#),
    ] {
        let request = Request::builder().uri("/v1/access").header(header.0, header.1);
        let request = request.body(Body::empty()).expect("a request");
        let response = port(&fixture, access).oneshot(request).await.expect("infallible");
        let body = axum::body::to_bytes(response.into_body(), 1 << 10).await.expect("a body");
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_worker_that_has_not_joined_names_that_state() {
    let fixture = WorkerFixture::new().await;
    let router = port(&fixture, AdminAccess::Loopback);
    let request = Request::builder().uri("/v1/status").header("host", "localhost:9101");
    let response = router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
    let status: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&status["group"], &status["state"]), (&"drain".into(), &"joining".into()), "{status:#}");
    assert!(status["cap"].is_null() && status["reason"].is_string(), "{status:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_other_origins_and_hosts_are_rejected() {
    let fixture = WorkerFixture::new().await;
    let router = port(&fixture, AdminAccess::Loopback);
    let own = ("host", "localhost:9101");
    for (method, path) in GUARDED {
        let foreign = answer(&router, method, path, &[("host", "evil.example:9101")]).await;
        assert_eq!(foreign, StatusCode::FORBIDDEN, "{method} {path}");
        assert_ne!(answer(&router, method, path, &[own]).await, StatusCode::FORBIDDEN, "{method} {path}");
        if method != Method::GET {
            let other = answer(&router, method, path, &[own, ("origin", "http://evil.example")]).await;
            assert_eq!(other, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}
