//! The answer of an accepted order, and the order that is published.

use http::header::{CONTENT_TYPE, LOCATION};
use http::{Request, StatusCode};
use ingest_fn::publish::PublishError;
use serde_json::json;
use shared::order::{OrderId, PayloadDigest};

use crate::support::{
    KEY, LIMITS, NOW, StubPublisher, app, get, order, order_with, post, post_order, router, send, service,
};

#[tokio::test]
async fn an_accepted_order_is_answered_with_its_id_digest_and_location() {
    let answer = send(&service(), post_order(&order())).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert_eq!(answer.header(CONTENT_TYPE.as_str()), Some("application/json"));
    let order_id = answer.member("order_id");
    assert_eq!(answer.header(LOCATION.as_str()), Some(format!("/v1/orders/{order_id}").as_str()));
    insta::assert_json_snapshot!("accepted", answer.json());
}

#[tokio::test]
async fn the_published_order_has_the_request_fields_and_the_catalogue_prices() {
    let app = app(StubPublisher::accepting(), LIMITS);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut request = post_order(&order());
    request.headers_mut().insert("traceparent", traceparent.parse().expect("a header"));
    let answer = send(&router(&app), request).await;
    let published = app.publisher.published();
    let [order] = published.as_slice() else { panic!("one order: {published:?}") };
    assert_eq!(order.order_id.to_string(), answer.member("order_id"));
    assert_eq!(order.digest.to_string(), answer.member("digest"));
    let lines: Vec<_> = order
        .items
        .iter()
        .map(|item| (item.sku.as_str(), item.quantity.get(), item.unit_price_minor))
        .collect();
    assert_eq!(lines, [("CABLE", 3, 1_990), ("PHONE", 1, 299_900)]);
    assert_eq!(order.shipping_address.recipient.as_str(), "Li Lei");
    assert_eq!((order.accepted_at, order.catalogue_revision.as_str()), (NOW, "r1"));
    assert_eq!(order.traceparent.as_ref().map(|trace| trace.as_str()), Some(traceparent));
}

#[tokio::test]
async fn a_malformed_trace_context_is_ignored() {
    let app = app(StubPublisher::accepting(), LIMITS);
    let mut request = post_order(&order());
    request.headers_mut().insert("traceparent", "00-nonsense".parse().expect("a header"));
    assert_eq!(send(&router(&app), request).await.status, StatusCode::ACCEPTED);
    assert_eq!(app.publisher.published()[0].traceparent, None);
}

#[tokio::test]
async fn a_retry_has_the_same_id_and_any_other_order_has_another() {
    let service = service();
    let id_of = async |key: &'static str, user: &str| {
        let mut request = post_order(&order_with(|order| order["user_id"] = json!(user)));
        request.headers_mut().insert("idempotency-key", key.parse().expect("a header"));
        send(&service, request).await.member("order_id").parse::<OrderId>().expect("an id")
    };
    let first = id_of(KEY, "user-42").await;
    assert_eq!(first, id_of(KEY, "user-42").await, "a retry");
    assert_ne!(first, id_of("other", "user-42").await, "another key");
    assert_ne!(first, id_of(KEY, "user-43").await, "another buyer");
}

#[tokio::test]
async fn another_body_under_the_same_key_has_the_same_id_and_another_digest() {
    let first = send(&service(), post_order(&order())).await;
    type Change = fn(&mut serde_json::Value);
    let changes: [(&str, Change); 4] = [
        ("quantity", |order| order["items"][1]["quantity"] = json!(4)),
        ("item left out", |order| order["items"] = json!([{ "sku": "PHONE", "quantity": 1 }])),
        ("address", |order| order["shipping_address"]["city"] = json!("Shanghai")),
        ("no reference", |order| drop(order.as_object_mut().expect("an object").remove("client_reference"))),
    ];
    for (name, change) in changes {
        // Another instance does not know the first body.
        let other = send(&service(), post_order(&order_with(change))).await;
        assert_eq!(other.status, StatusCode::ACCEPTED, "{name}");
        assert_eq!(other.member("order_id"), first.member("order_id"), "{name}");
        assert_ne!(other.member("digest"), first.member("digest"), "{name}");
        other.member("digest").parse::<PayloadDigest>().expect("a digest");
    }
}

#[tokio::test]
async fn the_digest_does_not_depend_on_the_notation_of_the_body() {
    let service = service();
    let first = send(&service, post_order(&order())).await.member("digest");
    let reversed = order_with(|order| order["items"].as_array_mut().expect("items").reverse());
    let pretty = serde_json::to_string_pretty(&order()).expect("JSON");
    // Members in reverse, with an escaped letter.
    let rewritten = r#"{
        "client_reference": "cart-9",
        "shipping_address": { "phone": "+86 138 0013 8000", "country": "CN", "postal_code": "310000",
            "region": "Zhejiang", "city": "\u0048angzhou", "line2": "Flat 7", "line1": "1 Long Street",
            "recipient": "Li Lei" },
        "currency": "CNY",
        "items": [{ "quantity": 1, "sku": "PHONE" }, { "quantity": 3, "sku": "CABLE" }],
        "user_id": "user-42", "sale_id": "open" }"#;
    for body in [reversed.to_string(), pretty, rewritten.to_owned()] {
        assert_eq!(send(&service, post(body.clone())).await.member("digest"), first, "{body}");
    }
}

#[tokio::test]
async fn a_quoted_key_and_a_bare_one_are_one_order() {
    let service = service();
    let mut quoted = post_order(&order());
    quoted.headers_mut().insert("idempotency-key", format!("\"{KEY}\"").parse().expect("a header"));
    let quoted = send(&service, quoted).await;
    assert_eq!(quoted.member("order_id"), send(&service, post_order(&order())).await.member("order_id"));
}

#[tokio::test]
async fn an_address_is_published_trimmed_and_composed() {
    let app = app(StubPublisher::accepting(), LIMITS);
    let service = router(&app);
    let given = order_with(|order| {
        // "Zoe" with a combining diaeresis, as some keyboards type it.
        order["shipping_address"]["recipient"] = json!("\u{3000}Zoe\u{308} ");
        order["client_reference"] = json!(" cart-9 ");
    });
    let composed = order_with(|order| order["shipping_address"]["recipient"] = json!("Zo\u{eb}"));
    let digests =
        [given, composed].map(async |order| send(&service, post_order(&order)).await.member("digest"));
    let [given, composed] = digests;
    assert_eq!(given.await, composed.await);
    for order in app.publisher.published() {
        assert_eq!(order.shipping_address.recipient.as_str(), "Zo\u{eb}");
        assert_eq!(order.client_reference.as_ref().map(AsRef::as_ref), Some("cart-9"));
    }
}

#[tokio::test]
async fn a_null_is_the_same_as_an_absent_member() {
    let service = service();
    let null = order_with(|order| order["client_reference"] = json!(null));
    let absent =
        order_with(|order| drop(order.as_object_mut().expect("an object").remove("client_reference")));
    let digest = send(&service, post_order(&null)).await.member("digest");
    assert_eq!(digest, send(&service, post_order(&absent)).await.member("digest"));
}

#[tokio::test]
async fn every_notation_of_the_json_media_type_is_accepted() {
    for value in ["application/json", "application/json; charset=\"UTF-8\"", "Application/JSON;v=1"] {
        let mut request = post_order(&order());
        request.headers_mut().insert(CONTENT_TYPE, value.parse().expect("a header"));
        assert_eq!(send(&service(), request).await.status, StatusCode::ACCEPTED, "{value}");
    }
}

#[tokio::test]
async fn values_at_their_bounds_are_accepted() {
    let line = "界".repeat(200);
    let largest = json!({
        "sale_id": "open",
        "user_id": "~".repeat(255),
        "items": [{ "sku": "CABLE", "quantity": 10_000 }],
        "currency": "CNY",
        "shipping_address": { "recipient": line, "line1": line, "line2": line, "city": line, "region": line,
            "postal_code": line, "country": "CN", "phone": line },
        "client_reference": "界".repeat(128)
    });
    let mut request = post_order(&largest);
    request.headers_mut().insert("idempotency-key", "k".repeat(255).parse().expect("a header"));
    let answer = send(&service(), request).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
}

#[tokio::test]
async fn operators_see_liveness_readiness_and_metrics() {
    let app = app(StubPublisher::accepting(), LIMITS);
    let service = router(&app);
    shared::telemetry::metrics();
    send(&service, post_order(&order())).await;
    assert_eq!(send(&service, get("/healthz")).await.text, "ok\n");
    assert_eq!(send(&service, get("/readyz")).await.text, "connecting to the broker\n");
    app.instance.worker_started();
    assert_eq!(send(&service, get("/readyz")).await.text, "ready\n");
    let metrics = send(&service, get("/metrics")).await;
    assert_eq!(metrics.header(CONTENT_TYPE.as_str()), Some("text/plain; version=0.0.4"));
    assert!(metrics.text.contains("ingest_orders_accepted_total"), "{}", metrics.text);
    app.instance.stop();
    assert_eq!(send(&service, get("/readyz")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(send(&service, get("/healthz")).await.status, StatusCode::OK);
    let head = Request::head("/healthz").body(axum::body::Body::empty()).expect("a request");
    assert_eq!(send(&service, head).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_answer_has_the_total_and_an_expected_one_changes_neither_id_nor_digest() {
    let service = service();
    let plain = send(&service, post_order(&order())).await;
    // 1 × 2,999.00 and 3 × 19.90.
    let expecting = order_with(|order| order["expected_total_minor"] = json!(305_870));
    let expecting = send(&service, post_order(&expecting)).await;
    for answer in [&plain, &expecting] {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        let json = answer.json();
        assert_eq!((&json["total_minor"], &json["currency"]), (&json!(305_870), &json!("CNY")));
        assert_eq!(json["catalogue_revision"], "r1");
    }
    for member in ["order_id", "digest"] {
        assert_eq!(plain.member(member), expecting.member(member));
    }
}

#[tokio::test]
async fn another_total_than_expected_is_not_published() {
    let app = app(StubPublisher::accepting(), LIMITS);
    let expecting = order_with(|order| order["expected_total_minor"] = json!(305_869));
    let answer = send(&router(&app), post_order(&expecting)).await;
    assert_eq!(answer.rejection(), (409, "price_changed".to_owned()));
    assert_eq!(answer.json()["total_minor"], 305_870);
    assert_eq!(answer.member("currency"), "CNY");
    answer.member("order_id").parse::<OrderId>().expect("an id");
    assert_eq!(app.publisher.published(), []);
}

#[tokio::test]
async fn a_key_with_another_body_is_rejected_only_after_a_202() {
    let failing = app(StubPublisher::failing(PublishError::TimedOut), LIMITS);
    let other = order_with(|order| order["items"][1]["quantity"] = json!(4));
    for body in [&order(), &other] {
        let answer = send(&router(&failing), post_order(body)).await;
        assert_eq!(answer.rejection(), (503, "publish_timeout".to_owned()), "no 202 was given");
    }
    let service = service();
    let first = send(&service, post_order(&order())).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let reused = send(&service, post_order(&other)).await;
    assert_eq!(reused.rejection(), (409, "key_reused".to_owned()));
    assert_eq!(reused.member("order_id"), first.member("order_id"));
    assert_ne!(reused.member("digest"), first.member("digest"));
    let retry = send(&service, post_order(&order())).await;
    assert_eq!(retry.status, StatusCode::ACCEPTED, "a true retry is always accepted");
}
