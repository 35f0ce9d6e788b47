//! Orders through the whole service, signed and unsigned, as requests and as events.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use ingest_fn::gateway::Gateway;
use serde_json::{Value, json};

use super::event::event;
use super::sign::{Draft, keys};
use crate::support::{
    Answer, KEY, LIMITS, StubPublisher, TestApp, app_behind, order, order_with, post_order, router, send,
};

pub(crate) fn behind_the_gateway() -> TestApp<StubPublisher> {
    let gateway = Gateway::signed(keys(), Some(HeaderName::from_static("x-user")));
    app_behind(gateway, StubPublisher::accepting(), LIMITS)
}

/// The gateway's request with `body` for the buyer `user`.
pub(crate) fn signed(user: &str, body: &Value) -> Draft {
    Draft::order(KEY, body.to_string()).with_signed("X-User", user)
}

pub(crate) fn as_request(draft: &Draft) -> Request<Body> {
    draft.request().map(Body::from)
}

pub(crate) fn invoke(event: impl Into<Body>) -> Request<Body> {
    Request::post("/invoke")
        .header("content-type", "application/octet-stream")
        .header("x-fc-request-id", "fc-1")
        .body(event.into())
        .expect("a request")
}

/// The answer in the reply to an event.
pub(crate) async fn reply(service: &Router, event: impl Into<Body>) -> Answer {
    let outer = send(service, invoke(event)).await;
    assert_eq!(outer.status, StatusCode::OK);
    let reply = outer.json();
    assert_eq!(reply["isBase64Encoded"], false);
    let status = reply["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = StatusCode::from_u16(status.expect("a status")).expect("a status");
    let mut headers = HeaderMap::new();
    for (name, value) in reply["headers"].as_object().expect("an object") {
        let value = HeaderValue::from_str(value.as_str().expect("text")).expect("a value");
        headers.insert(HeaderName::try_from(name).expect("a name"), value);
    }
    // The platform sees only a 200, so a header reports the order's own status.
    let failed = status.is_server_error();
    assert_eq!(outer.header("x-fc-status"), failed.then_some(status.as_str()));
    for headers in [&outer.headers, &headers] {
        assert_eq!(headers["x-request-id"], "fc-1");
    }
    Answer { status, headers, text: reply["body"].as_str().expect("text").to_owned() }
}

#[tokio::test]
async fn the_buyer_is_the_one_that_the_gateway_names() {
    let app = behind_the_gateway();
    let service = router(&app);
    let without = order_with(|order| drop(order.as_object_mut().and_then(|order| order.remove("user_id"))));
    let named = send(&service, as_request(&signed("user-42", &order()))).await;
    let unnamed = send(&service, as_request(&signed("user-42", &without))).await;
    let other = send(&service, as_request(&signed("user-43", &without))).await;
    let in_development = send(
        &router(&app_behind(Gateway::InsecureDev, StubPublisher::accepting(), LIMITS)),
        post_order(&order()),
    )
    .await;
    for answer in [&named, &unnamed, &other, &in_development] {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    }
    for member in ["order_id", "digest"] {
        assert_eq!(named.member(member), unnamed.member(member), "one buyer, one order");
        assert_eq!(named.member(member), in_development.member(member), "body or gateway names the buyer");
        assert_ne!(named.member(member), other.member(member), "another buyer, another order");
    }
    let buyers: Vec<_> =
        app.publisher.published().iter().map(|order| order.user_id.as_str().to_owned()).collect();
    assert_eq!(buyers, ["user-42", "user-42", "user-43"]);
}

#[tokio::test]
async fn a_replayed_request_is_the_same_order() {
    let service = router(&behind_the_gateway());
    let draft = signed("user-42", &order());
    let first = send(&service, as_request(&draft)).await;
    let again = send(&service, as_request(&draft)).await;
    assert_eq!(first.member("order_id"), again.member("order_id"));
    assert_eq!(first.member("digest"), again.member("digest"));
}

#[tokio::test]
async fn unauthenticated_requests_are_never_published() {
    let app = behind_the_gateway();
    let service = router(&app);
    let with = |change: fn(&mut Request<Body>)| {
        let mut request = as_request(&signed("user-42", &order()));
        change(&mut request);
        request
    };
    let other_body = with(|request| {
        *request.body_mut() =
            Body::from(order_with(|order| order["items"][1]["quantity"] = json!(4)).to_string());
    });
    let cases = [
        ("not signed", post_order(&order()), (401, "signature_missing")),
        ("another body", other_body, (403, "signature_invalid")),
        (
            "another key",
            with(|request| {
                drop(request.headers_mut().insert("idempotency-key", HeaderValue::from_static("other")));
            }),
            (403, "signature_invalid"),
        ),
        (
            "another buyer",
            with(|request| drop(request.headers_mut().insert("x-user", HeaderValue::from_static("user-43")))),
            (403, "signature_invalid"),
        ),
        (
            "a query that was not signed",
            with(|request| *request.uri_mut() = "/v1/orders?a=1".parse().expect("a target")),
            (403, "signature_invalid"),
        ),
        ("another buyer's order", as_request(&signed("user-43", &order())), (403, "user_mismatch")),
        ("no buyer", as_request(&Draft::order(KEY, order().to_string())), (401, "identity_missing")),
    ];
    for (name, request, (status, code)) in cases {
        assert_eq!(send(&service, request).await.rejection(), (status, code.to_owned()), "{name}");
    }
    let mut mallory = event(&signed("user-42", &order()), false);
    mallory["headers"]["x-user"] = json!("user-43");
    let answer = reply(&service, mallory.to_string()).await;
    assert_eq!(answer.rejection(), (403, "signature_invalid".to_owned()));
    assert_eq!(app.publisher.published(), []);
}

#[tokio::test]
async fn an_event_and_its_request_are_the_same_order() {
    let service = router(&behind_the_gateway());
    let draft = signed("user-42", &order());
    let direct = send(&service, as_request(&draft)).await;
    for base64 in [false, true] {
        let answer = reply(&service, event(&draft, base64).to_string()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(answer.member("order_id"), direct.member("order_id"));
        assert_eq!(answer.member("digest"), direct.member("digest"));
        assert_eq!(answer.header("location"), direct.header("location"));
    }
}

#[tokio::test]
async fn rejections_of_every_step_are_replies() {
    let app = behind_the_gateway();
    let service = router(&app);
    let draft = signed("user-42", &order());
    let with = |change: fn(&mut Value)| {
        let mut event = event(&draft, false);
        change(&mut event);
        event.to_string()
    };
    let cases = [
        ("no event", "[]".to_owned(), (400, "malformed_event")),
        ("too large an event", " ".repeat(128 * 1024 + 1), (413, "body_too_large")),
        (
            "too large an order",
            with(|event| event["body"] = json!(" ".repeat(16 * 1024 + 1))),
            (413, "body_too_large"),
        ),
        (
            "not JSON",
            with(|event| event["headers"]["content-type"] = json!("text/plain")),
            (415, "unsupported_media_type"),
        ),
        ("another route", with(|event| event["path"] = json!("/metrics")), (404, "not_found")),
        (
            "not signed",
            with(|event| {
                event["headers"] = json!({ "content-type": "application/json", "idempotency-key": "k" });
            }),
            (401, "signature_missing"),
        ),
        (
            "another buyer's order",
            event(&signed("user-43", &order()), false).to_string(),
            (403, "user_mismatch"),
        ),
    ];
    for (name, event, (status, code)) in cases {
        assert_eq!(reply(&service, event).await.rejection(), (status, code.to_owned()), "{name}");
    }
    app.instance.stop();
    let answer = reply(&service, event(&draft, false).to_string()).await;
    assert_eq!(answer.rejection(), (503, "stopping".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(app.publisher.published(), []);
}
