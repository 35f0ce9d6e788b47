//! Authentication: which requests pass, as which buyer, and the rejections of the others.

use axum::body::Bytes;
use http::Request;
use ingest_fn::error::ErrorCode;
use ingest_fn::gateway::Gateway;
use shared::order::UserId;
use shared::testkit::eventually;

use super::sign::{Draft, keys};
use crate::support::Logs;

/// The buyer of an authenticated request, or status and code of the rejection.
#[derive(Debug, PartialEq, Eq)]
enum Authentication {
    Passed(Option<String>),
    Rejected(u16, String),
}

fn passed(buyer: Option<&str>) -> Authentication {
    Authentication::Passed(buyer.map(str::to_owned))
}

fn rejected(status: u16, code: &str) -> Authentication {
    Authentication::Rejected(status, code.to_owned())
}

/// The steps in the sequence of the service: signature, then identity.
fn authenticate(gateway: &Gateway, request: &Request<Bytes>) -> Authentication {
    let verified = gateway.check_signature(request);
    match verified.and_then(|verified| gateway.identify(request.headers(), verified)) {
        Ok(buyer) => passed(buyer.as_ref().map(UserId::as_str)),
        Err(error) => rejected(error.code().status().as_u16(), error.code().as_str()),
    }
}

fn signed(identity_header: Option<&'static str>) -> Gateway {
    Gateway::signed(keys(), identity_header.map(http::HeaderName::from_static))
}

fn order() -> Draft {
    Draft::order("k", "{}")
}

#[test]
fn only_a_signed_identity_counts() {
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
    let function = Gateway::Function;
    let dev = Gateway::InsecureDev;
    let cases = [
        ("a signed identity", &with, user("alice").request(), passed(Some("alice"))),
        ("no identity", &with, order().request(), rejected(401, "identity_missing")),
        ("an empty identity", &with, user("").request(), rejected(401, "identity_missing")),
        (
            "an identity that is not a user id",
            &with,
            user("two words").request(),
            rejected(403, "identity_unusable"),
        ),
        (
            "an identity that is too long",
            &with,
            user(&"u".repeat(256)).request(),
            rejected(403, "identity_unusable"),
        ),
        (
            // OpenID Connect Core 1.0, section 2: `sub` has at most 255 ASCII characters.
            "the longest identity",
            &with,
            user(&"u".repeat(255)).request(),
            passed(Some(&"u".repeat(255))),
        ),
        (
            "an identity that is not signed",
            &with,
            unsigned_user.request(),
            rejected(403, "signature_invalid"),
        ),
        ("no signature", &with, without_signature, rejected(401, "signature_missing")),
        ("another identity", &with, swapped, rejected(403, "signature_invalid")),
        ("a second identity header", &with, joined, rejected(403, "signature_invalid")),
        ("a repeated parameter", &with, repeated_parameter, rejected(400, "repeated_parameter")),
        ("signed, none wanted", &without, unsigned_user.request(), passed(None)),
        ("not signed, none wanted", &without, Request::new(Bytes::new()), rejected(401, "signature_missing")),
        ("admitted by the platform", &function, unsigned_user.request(), passed(None)),
        ("development mode", &dev, unsigned_user.request(), passed(None)),
    ];
    for (name, gateway, request, expected) in cases {
        assert_eq!(authenticate(gateway, &request), expected, "{name}");
    }
}

#[test]
fn an_identity_without_a_checked_signature_is_rejected() {
    // A mistake in the service would call the step without its proof.
    let request = order().with_signed("X-User", "alice").request();
    let error = signed(Some("x-user")).identify(request.headers(), None).expect_err("rejected");
    assert_eq!(error.code(), ErrorCode::SignatureMissing);
    assert_eq!(error.code().status().as_u16(), 401);
}

#[tokio::test]
async fn operators_learn_the_fault_and_nothing_of_the_request() {
    let logs = Logs::capture();
    let mut draft =
        Draft::order("planted-key", r#"{"planted":"body"}"#).with_signed("X-User", "planted-user");
    draft.secret = "planted-secret".to_owned();
    draft.query = vec![("planted".to_owned(), "query".to_owned())];
    let gateway = signed(Some("x-user"));
    // One line a second in this process: other tests may have it.
    eventually("the fault is logged", async || {
        assert_eq!(authenticate(&gateway, &draft.request()), rejected(403, "signature_invalid"));
        logs.text().contains(r#""requests":1,"fault":"wrong signature""#)
    })
    .await;
    gateway.warn();
    signed(None).warn();
    Gateway::Function.warn();
    Gateway::InsecureDev.warn();
    let log = logs.text();
    assert_eq!(log.matches("in any buyer's name").count(), 3, "{log}");
    assert!(log.contains("insecure: --insecure-dev"), "{log}");
    for planted in ["planted", "2026b", "first-secret", "second-secret"] {
        assert!(!log.contains(planted), "{planted} in {log}");
    }
}

#[tokio::test]
async fn operators_learn_that_an_identity_cannot_be_used() {
    let logs = Logs::capture();
    let draft = order().with_signed("X-User", &"planted".repeat(40));
    let gateway = signed(Some("x-user"));
    eventually("the fault is logged", async || {
        assert_eq!(authenticate(&gateway, &draft.request()), rejected(403, "identity_unusable"));
        logs.text().contains(r#""fault":"the buyer's name is not 1 to 255 visible ASCII characters""#)
    })
    .await;
    assert!(!logs.text().contains("planted"), "{}", logs.text());
}
