//! No rejection and no log line contains personal data.

use axum::body::Body;
use http::{HeaderValue, Method, Request};
use ingest_fn::instance::InstanceState;
use ingest_fn::publish::PublishError;
use serde_json::{Value, json};

use crate::support::{LIMITS, Logs, StubPublisher, TestApp, app, order_with, post, post_order, router, send};

const KEY: &str = "planted-key-4711";

const CREDENTIAL: &str = "planted-credential-0815";

/// Values that identify a person, each planted where the API takes such a value.
const PLANTED: [&str; 9] = [
    "planted.user@example.com",
    "Planted Recipient",
    "Planted Street 1",
    "Planted Floor",
    "Planted Town",
    "Planted Region",
    "PLANTED-310000",
    "+86 138 5551234",
    "planted reference",
];

fn planted() -> Value {
    order_with(|order| {
        order["user_id"] = json!(PLANTED[0]);
        order["shipping_address"] = json!({
            "recipient": PLANTED[1], "line1": PLANTED[2], "line2": PLANTED[3], "city": PLANTED[4],
            "region": PLANTED[5], "postal_code": PLANTED[6], "country": "CN", "phone": PLANTED[7]
        });
        order["client_reference"] = json!(PLANTED[8]);
    })
}

fn planted_with(change: impl FnOnce(&mut Value)) -> String {
    let mut order = planted();
    change(&mut order);
    order.to_string()
}

/// One request for each way in which an order is rejected before it is published.
fn rejected() -> Vec<Request<Body>> {
    // Every value is invalid and still contains the planted text.
    let every_field_wrong = planted_with(|order| {
        let wrong = |value: &Value| json!(format!("{}\u{7}", value.as_str().expect("text")));
        order["user_id"] = wrong(&order["user_id"]);
        order["client_reference"] = wrong(&order["client_reference"]);
        for value in order["shipping_address"].as_object_mut().expect("an object").values_mut() {
            *value = wrong(value);
        }
    });
    let too_long = planted_with(|order| {
        order["user_id"] = json!(PLANTED[0].repeat(10));
        order["shipping_address"]["phone"] = json!(PLANTED[7].repeat(20));
    });
    let wrong_types = PLANTED.map(|value| planted_with(|order| order["items"] = json!(value)));
    let names = PLANTED.map(|value| planted_with(|order| order["shipping_address"][value] = json!(value)));
    let cut = PLANTED.map(|value| {
        let text = planted().to_string();
        let end = text.find(value).expect("planted") + value.len();
        text[..end].to_owned()
    });
    let rest = [
        every_field_wrong,
        too_long,
        planted_with(|order| order["sale_id"] = json!("over")),
        planted_with(|order| order["sale_id"] = json!("no-such-sale")),
        planted_with(|order| order["currency"] = json!("USD")),
        planted_with(|order| order["shipping_address"]["phone"] = json!([PLANTED[7]])),
        planted_with(|order| order["user_id"] = json!({ PLANTED[0]: PLANTED[0] })),
        format!("{}{}", planted(), planted()),
    ];
    let bodies = wrong_types.into_iter().chain(names).chain(cut).chain(rest);
    let mut requests: Vec<_> = bodies.map(post).collect();
    let mut bad_key = post_order(&planted());
    let value = HeaderValue::from_str(&format!("{KEY} {KEY}")).expect("a header");
    bad_key.headers_mut().insert("idempotency-key", value);
    requests.push(bad_key);
    requests
}

/// Headers that contain credentials.
fn plant_credentials(request: &mut Request<Body>) {
    for name in [
        "x-fc-access-key-id",
        "x-fc-access-key-secret",
        "x-fc-security-token",
        "x-fc-account-id",
        "authorization",
        "cookie",
        "x-ca-proxy-signature",
        "x-ca-proxy-signature-secret-key",
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(CREDENTIAL));
    }
}

fn failed_instance() -> TestApp<StubPublisher> {
    let app = app(StubPublisher::accepting(), LIMITS);
    app.instance.set_state(InstanceState::Failed("the broker cannot be reached".to_owned()));
    app
}

#[track_caller]
fn assert_nothing_planted(place: &str, text: &str) {
    for planted in PLANTED.into_iter().chain([KEY, CREDENTIAL]) {
        assert!(!text.contains(planted), "{planted:?} shows in {place}: {text}");
    }
}

#[tokio::test]
async fn no_rejection_and_no_log_line_contains_personal_data() {
    let logs = Logs::capture();
    // Proves that the capture works.
    tracing::trace!(target: "ingest_fn", "the capture listens");
    let mut rejections = 0;
    let accepting = router(&app(StubPublisher::accepting(), LIMITS));
    for mut request in rejected() {
        request.headers_mut().entry("idempotency-key").or_insert(HeaderValue::from_static(KEY));
        plant_credentials(&mut request);
        let answer = send(&accepting, request).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert_nothing_planted("a rejection", &format!("{answer:?}"));
        rejections += 1;
    }
    for error in [
        PublishError::QueueFull,
        PublishError::Throttled,
        PublishError::TimedOut,
        PublishError::Failed,
        PublishError::Rejected,
        PublishError::Stopping,
    ] {
        let failing = router(&app(StubPublisher::failing(error), LIMITS));
        let mut request = post_order(&planted());
        request.headers_mut().insert("idempotency-key", HeaderValue::from_static(KEY));
        plant_credentials(&mut request);
        let answer = send(&failing, request).await;
        assert!(answer.status.is_server_error(), "{answer:?}");
        assert_nothing_planted("a failure", &format!("{answer:?}"));
        rejections += 1;
    }
    assert_eq!(rejections, 42);
    for path in ["/initialize", "/pre-stop", "/healthz", "/readyz", "/metrics", "/openapi.json", "/nowhere"] {
        // There is no broker here, so the instance would never become ready: its start is set to failed.
        let service = router(&failed_instance());
        for method in [Method::GET, Method::POST] {
            let mut request =
                Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
            plant_credentials(&mut request);
            // With them the request would be one from outside.
            request.headers_mut().remove("x-ca-proxy-signature");
            request.headers_mut().remove("x-ca-proxy-signature-secret-key");
            assert_nothing_planted(path, &format!("{:?}", send(&service, request).await));
        }
    }
    let log = logs.text();
    for message in ["the capture listens", "request failed", "initialize failed", "pre-stop", "metrics"] {
        assert!(log.contains(message), "{message} in {log}");
    }
    assert_nothing_planted("the log", &log);
}

#[tokio::test]
async fn the_answer_of_an_accepted_order_contains_no_personal_data() {
    let answer = send(&router(&app(StubPublisher::accepting(), LIMITS)), post_order(&planted())).await;
    assert!(answer.status.is_success());
    assert_nothing_planted("a 202", &format!("{answer:?}"));
}
