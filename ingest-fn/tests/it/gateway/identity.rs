//! The layers: who gets through, as whom, and what the others are told.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use http::{Request, StatusCode};
use ingest_fn::gateway::{Buyer, Gateway};
use ingest_fn::layers::identity::Identify;
use ingest_fn::layers::signature::CheckSignature;
use serde_json::Value;
use tower::{ServiceExt, service_fn};

use super::sign::{Draft, keys};
use crate::support::Logs;

/// What became of a request: whom the innermost service saw, or status and code of the refusal.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed(Option<String>),
    Refused(u16, String),
}

fn passed(buyer: Option<&str>) -> Outcome {
    Outcome::Passed(buyer.map(str::to_owned))
}

fn refused(status: u16, code: &str) -> Outcome {
    Outcome::Refused(status, code.to_owned())
}

/// An answer that tells the buyer.
async fn tell(request: Request<Bytes>) -> Result<Response, Infallible> {
    let buyer = request.extensions().get::<Buyer>().map(|buyer| buyer.user_id().as_str().to_owned());
    Ok(Response::new(Body::from(serde_json::to_vec(&buyer).expect("text"))))
}

async fn outcome(gateway: &Arc<Gateway>, request: Request<Bytes>) -> Outcome {
    let inner = Identify::new(gateway.clone(), service_fn(tell));
    let response = CheckSignature::new(gateway.clone(), inner).oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    if status == StatusCode::OK {
        Outcome::Passed(body.as_str().map(str::to_owned))
    } else {
        Outcome::Refused(status.as_u16(), body["code"].as_str().expect("a code").to_owned())
    }
}

fn signed(identity_header: Option<&'static str>) -> Arc<Gateway> {
    Arc::new(Gateway::signed(keys(), identity_header.map(http::HeaderName::from_static)))
}

fn order() -> Draft {
    Draft::order("k", "{}")
}

#[tokio::test]
async fn only_a_signed_identity_counts() {
    let user = |value: &str| order().with_signed("X-User", value);
    let unsigned_user = {
        let mut draft = order();
        draft.headers.push(("X-User".to_owned(), "mallory".to_owned()));
        draft
    };
    let without_signature = {
        let mut request = user("mallory").request();
        request.headers_mut().remove("x-ca-proxy-signature");
        request
    };
    let swapped = {
        let mut request = user("alice").request();
        request.headers_mut().insert("x-user", http::HeaderValue::from_static("mallory"));
        request
    };
    let joined = {
        let mut request = user("alice").request();
        request.headers_mut().append("x-user", http::HeaderValue::from_static("mallory"));
        request
    };
    let repeated_parameter = {
        let mut request = user("alice").request();
        *request.uri_mut() = "/v1/orders?a=1&a=2".parse().expect("a target");
        request
    };
    let with = signed(Some("x-user"));
    let without = signed(None);
    let function = Arc::new(Gateway::Function);
    let dev = Arc::new(Gateway::InsecureDev);
    let cases = [
        ("a signed identity", &with, user("alice").request(), passed(Some("alice"))),
        ("none", &with, order().request(), refused(401, "identity_missing")),
        ("an empty one", &with, user("").request(), refused(401, "identity_missing")),
        ("none that is a user id", &with, user("two words").request(), refused(401, "identity_missing")),
        ("too long a one", &with, user(&"u".repeat(65)).request(), refused(401, "identity_missing")),
        ("one that is not signed", &with, unsigned_user.request(), refused(403, "signature_invalid")),
        ("no signature", &with, without_signature, refused(401, "signature_missing")),
        ("another one", &with, swapped, refused(403, "signature_invalid")),
        ("another one besides", &with, joined, refused(403, "signature_invalid")),
        ("a repeated parameter", &with, repeated_parameter, refused(400, "repeated_parameter")),
        ("signed, none wanted", &without, unsigned_user.request(), passed(None)),
        ("not signed, none wanted", &without, Request::new(Bytes::new()), refused(401, "signature_missing")),
        ("the platform lets in", &function, unsigned_user.request(), passed(None)),
        ("anybody", &dev, unsigned_user.request(), passed(None)),
    ];
    for (name, gateway, request, expected) in cases {
        assert_eq!(outcome(gateway, request).await, expected, "{name}");
    }
}

#[tokio::test]
async fn an_identity_without_a_signature_is_never_believed() {
    // The layers in the wrong order, as a mistake would have them.
    let gateway = signed(Some("x-user"));
    let service = Identify::new(gateway, service_fn(tell));
    let response =
        service.oneshot(order().with_signed("X-User", "alice").request()).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn operators_learn_what_is_wrong_and_nothing_that_was_sent() {
    let logs = Logs::capture();
    let mut draft =
        Draft::order("planted-key", r#"{"planted":"body"}"#).with_signed("X-User", "planted-user");
    draft.secret = "planted-secret".to_owned();
    draft.query = vec![("planted".to_owned(), "query".to_owned())];
    let gateway = signed(Some("x-user"));
    assert_eq!(outcome(&gateway, draft.request()).await, refused(403, "signature_invalid"));
    gateway.warn();
    signed(None).warn();
    Gateway::Function.warn();
    Gateway::InsecureDev.warn();
    let log = logs.text();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("not the gateway's")).collect();
    let [line] = lines.as_slice() else { panic!("one line: {log}") };
    assert!(line.contains(r#""requests":1,"fault":"wrong signature""#), "{line}");
    assert_eq!(log.matches("in anybody's name").count(), 3, "{log}");
    assert!(log.contains("insecure: --insecure-dev"), "{log}");
    for planted in ["planted", "2026b", "first-secret", "second-secret"] {
        assert!(!log.contains(planted), "{planted} in {log}");
    }
}
