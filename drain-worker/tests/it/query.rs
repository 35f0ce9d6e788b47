//! The buyers' lookup.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use drain_worker::query::{self, LookupAccess};
use drain_worker::store::{Fence, OrderStore};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use shared::lookup::OrderView;
use shared::order::PayloadDigest;
use shared::problem::Problem;
use tower::ServiceExt;

use crate::harness::{WorkerFixture, order, orders};

fn open(fixture: &WorkerFixture) -> Router {
    query::router(fixture.store.clone(), Arc::new(LookupAccess::Open))
}

async fn get(router: &Router, path: &str) -> Response<Body> {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    router.clone().oneshot(request).await.expect("infallible")
}

async fn read<T: serde::de::DeserializeOwned>(response: Response<Body>) -> T {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test]
async fn an_order_is_found_with_state_reason_digest_and_times() {
    let fixture = WorkerFixture::new().await;
    let router = open(&fixture);
    fixture.store.commit(Fence::Open, &orders(0..12, "FEW")).await.expect("committed");
    let mut changed = order(1, "FEW");
    changed.digest = PayloadDigest::from_bytes([9; 32]);
    fixture.store.commit(Fence::Open, &[changed]).await.expect("committed");
    fixture.store.commit(Fence::Open, &[order(50, "NOT-IN-THE-DATABASE")]).await.expect("committed");

    let cases = [
        (1, "confirmed", None, 1),
        (11, "rejected", Some("sold_out"), 0),
        (50, "dead_lettered", Some("unknown_sku"), 0),
    ];
    for (number, state, reason, conflicts) in cases {
        let order = order(number, "FEW");
        let response = get(&router, &format!("/v1/orders/{}", order.order_id)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let view: OrderView = read(response).await;
        assert_eq!(view.order_id, order.order_id.to_string());
        assert_eq!((view.state.as_str(), view.reason.as_deref(), view.conflicts), (state, reason, conflicts));
        assert_eq!(view.digest, Some(order.digest.to_string()), "of the first payload, not the last");
        if state != "dead_lettered" {
            assert_eq!(view.accepted_at.as_deref(), Some("2026-11-11T00:00:00.123Z"));
        }
    }
}

#[tokio::test]
async fn an_unknown_order_may_still_be_queued() {
    let fixture = WorkerFixture::new().await;
    let router = open(&fixture);
    let order_id = order(1, "FEW").order_id;
    let response = get(&router, &format!("/v1/orders/{order_id}")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["retry-after"], "2");
    let problem: Problem = read(response).await;
    assert_eq!((problem.code.as_str(), problem.retryable), ("order_not_found", true));
    assert!(problem.detail.contains("queued"), "{}", problem.detail);
    assert_eq!(problem.order_id, Some(order_id.to_string()));
}

#[tokio::test]
async fn invalid_requests_return_a_problem() {
    let fixture = WorkerFixture::new().await;
    let router = open(&fixture);
    for (path, status, code) in [
        ("/v1/orders/not-a-uuid", StatusCode::BAD_REQUEST, "invalid_order_id"),
        ("/v1/orders", StatusCode::NOT_FOUND, "not_found"),
        ("/metrics", StatusCode::NOT_FOUND, "not_found"),
    ] {
        let response = get(&router, path).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(read::<Problem>(response).await.code, code, "{path}");
    }
    let request = Request::delete("/v1/orders/x").body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(read::<Problem>(response).await.code, "method_not_allowed");
}
