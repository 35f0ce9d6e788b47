//! Every error response of both ports is a problem document.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use drain_worker::admin::AdminAccess;
use drain_worker::query::{self, LookupAccess};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use shared::problem::Problem;
use shared::telemetry::Capture;
use tower::ServiceExt;

use crate::admin::{GUARDED, port};
use crate::harness::WorkerFixture;

/// More than any path accepts.
const TOO_LARGE: usize = 1 << 20;

/// Returns the status and, of an error, the problem's code.
async fn answer(router: &Router, method: &Method, path: &str, body: Body) -> (StatusCode, Option<String>) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:9101")
        .header("content-type", "application/json")
        .body(body)
        .expect("a request");
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (status, None);
    }
    let kind = response.headers().get("content-type").cloned();
    let id = response.headers().get("x-request-id").cloned().expect("an id");
    let id = id.to_str().expect("text");
    assert_eq!(
        kind.as_ref().map(|kind| kind.as_bytes()),
        Some(&b"application/problem+json"[..]),
        "{method} {path}: {status}"
    );
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let problem: Problem = serde_json::from_slice(&body).expect("a problem");
    assert_eq!(problem.status, status.as_u16(), "{method} {path}");
    let instance = problem.instance.as_deref();
    assert_eq!(instance, Some(&*format!("urn:spillway:request:{id}")), "{method} {path}");
    assert!(id.len() == 32, "{id}");
    (status, Some(problem.code))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_of_the_admin_port_is_a_problem_document() {
    let fixture = WorkerFixture::new().await;
    let router = port(&fixture, AdminAccess::Loopback);
    for (method, path) in GUARDED {
        let wrong = answer(&router, &Method::PATCH, path, Body::from("{}")).await;
        assert_eq!(wrong, (StatusCode::METHOD_NOT_ALLOWED, Some("method_not_allowed".to_owned())), "{path}");
        for query in ["limit=x", "limit=-1", "%FF=%FF", "a=1&a=2"] {
            answer(&router, method, &format!("{path}?{query}"), Body::from("{}")).await;
        }
        if *method == Method::GET {
            continue;
        }
        for body in ["", "{", "[]", r#"{"unknown":1}"#, "\u{0}"] {
            answer(&router, method, path, Body::from(body)).await;
        }
        let too_large = answer(&router, method, path, Body::from(vec![b' '; TOO_LARGE])).await;
        // A change without a body reads none.
        if too_large.0 != StatusCode::OK {
            assert_eq!(
                too_large,
                (StatusCode::PAYLOAD_TOO_LARGE, Some("body_too_large".to_owned())),
                "{path}"
            );
        }
    }
    for path in ["/v1/orders/%FF", "/v1/dead-letters/%FF", "/v1/dead-letters/x", "/v1/orders?user_id=%C3%A4"]
    {
        assert_eq!(
            answer(&router, &Method::GET, path, Body::empty()).await.0,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    for path in ["/%FF", "/v1/%FF", "/console/%FF", "/v2"] {
        assert_eq!(
            answer(&router, &Method::GET, path, Body::empty()).await.0,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

/// An operator's complaint leads to its log line.
#[tokio::test]
async fn a_failure_is_logged_under_the_id_that_the_caller_got() {
    let fixture = WorkerFixture::new().await;
    let ports = [
        port(&fixture, AdminAccess::Loopback),
        query::router(fixture.store.clone(), Arc::new(LookupAccess::Open)),
    ];
    fixture.store.close().await;
    for (router, path, event) in [
        (&ports[0], "/v1/sales", "admin_request_failed"),
        (&ports[1], "/v1/orders/f535af2d-435c-88f9-8683-8ebf4a2826ab", "lookup_failed"),
    ] {
        let capture = Capture::current_thread("drain_worker=info").expect("a filter");
        let request = Request::get(path).header("host", "localhost").body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        let logged = capture.lines().into_iter().find(|line| line["event"] == event).expect("a line");
        assert_eq!(logged["requestId"], id, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_of_the_query_port_is_a_problem_document() {
    let fixture = WorkerFixture::new().await;
    let router = query::router(fixture.store.clone(), Arc::new(LookupAccess::Open));
    let id = "f535af2d-435c-88f9-8683-8ebf4a2826ab";
    let known = format!("/v1/orders/{id}");
    let odd = format!("/v1/orders/{id}?%FF=%FF&a=1&a=2");
    for (method, path, bytes, status, code) in [
        (Method::GET, "/v1/orders/%FF", 0, StatusCode::BAD_REQUEST, "invalid_order_id"),
        (Method::GET, "/v1/orders/x", 0, StatusCode::BAD_REQUEST, "invalid_order_id"),
        (Method::GET, &known, TOO_LARGE, StatusCode::NOT_FOUND, "order_not_found"),
        (Method::GET, &odd, 0, StatusCode::NOT_FOUND, "order_not_found"),
        (Method::POST, &known, TOO_LARGE, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        (Method::GET, "/%FF", 0, StatusCode::NOT_FOUND, "not_found"),
    ] {
        let found = answer(&router, &method, path, Body::from(vec![b' '; bytes])).await;
        assert_eq!(found, (status, Some(code.to_owned())), "{method} {path}");
    }
}
