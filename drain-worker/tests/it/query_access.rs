//! Authentication and authorization of lookups.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drain_worker::control::AuditContext;
use drain_worker::query::{self, LookupAccess};
use drain_worker::store::{DeadLetterSelection, Fence, OrderStore, PageRequest};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, Request, StatusCode};
use http_body_util::BodyExt;
use sha2::Sha256;
use shared::order::{AcceptedOrder, UserId};
use shared::problem::Problem;
use tower::ServiceExt;

use crate::harness::{WorkerFixture, order};

const SECRET: &str = "the-gateway's-secret";

const IDENTITY: &str = "X-Spillway-User";

/// Requires the gateway's signature, and a user if `identity` is set.
pub(crate) fn guarded(fixture: &WorkerFixture, identity: bool) -> Router {
    let keys = format!("2026a={SECRET}").parse().expect("keys");
    let header = identity.then(|| HeaderName::try_from(IDENTITY).expect("a name"));
    query::router(fixture.store.clone(), Arc::new(LookupAccess::gateway(keys, header)))
}

/// Signs a lookup for `user` as the gateway does: see `ingest-fn/docs/gateway.md`.
fn signed(path: &str, user: Option<&str>) -> Request<Body> {
    let headers = user.map(|user| format!("x-spillway-user:{user}\n")).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(format!("GET\n\n{headers}{path}").as_bytes());
    let mut request = Request::get(path)
        .header("X-Ca-Proxy-Signature", STANDARD.encode(mac.finalize().into_bytes()))
        .header("X-Ca-Proxy-Signature-Secret-Key", "2026a");
    if let Some(user) = user {
        request = request.header(IDENTITY, user).header("X-Ca-Proxy-Signature-Headers", IDENTITY);
    }
    request.body(Body::empty()).expect("a request")
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let code =
        serde_json::from_slice::<Problem>(&body).map_or_else(|_| String::new(), |problem| problem.code);
    (status, code)
}

fn of_user(user: &str, number: u64, sku: &str) -> AcceptedOrder {
    AcceptedOrder { user_id: UserId::parse(user).expect("valid"), ..order(number, sku) }
}

fn path(number: u64) -> String {
    format!("/v1/orders/{}", order(number, "FEW").order_id)
}

#[tokio::test]
async fn only_the_owner_finds_an_order() {
    let fixture = WorkerFixture::new().await;
    let decided = of_user("mei", 1, "FEW");
    let kept = of_user("mei", 2, "NOT-IN-THE-DATABASE");
    let given_up = of_user("mei", 3, "NOT-IN-THE-DATABASE");
    fixture.store.commit(Fence::Open, &[given_up]).await.expect("committed");
    let page = PageRequest { after: 0, letters_max: NonZeroU32::MIN };
    fixture
        .store
        .discard_dead_letters(&DeadLetterSelection::All, page, "drain", &AuditContext::default())
        .await
        .expect("discarded");
    fixture.store.commit(Fence::Open, &[decided, kept]).await.expect("committed");
    let router = guarded(&fixture, true);
    for number in [1, 2, 3] {
        let (status, _) = answer(&router, signed(&path(number), Some("mei"))).await;
        assert_eq!(status, StatusCode::OK, "order {number}");
        // The response equals that for an unknown order, so that it does not reveal the order.
        let others = answer(&router, signed(&path(number), Some("jun"))).await;
        assert_eq!(others, answer(&router, signed(&path(99), Some("jun"))).await);
        assert_eq!(others, (StatusCode::NOT_FOUND, "order_not_found".to_owned()), "order {number}");
    }
}

#[tokio::test]
async fn without_identity_the_gateway_signature_is_enough() {
    let fixture = WorkerFixture::new().await;
    fixture.store.commit(Fence::Open, &[of_user("mei", 1, "FEW")]).await.expect("committed");
    let router = guarded(&fixture, false);
    assert_eq!(answer(&router, signed(&path(1), None)).await.0, StatusCode::OK);
    let stranger = Request::get(path(1)).body(Body::empty()).expect("a request");
    assert_eq!(answer(&router, stranger).await, (StatusCode::UNAUTHORIZED, "signature_missing".to_owned()));
}

#[tokio::test]
async fn requests_without_the_gateway_signature_are_rejected_before_any_query() {
    let fixture = WorkerFixture::new().await;
    fixture.store.commit(Fence::Open, &[of_user("mei", 1, "FEW")]).await.expect("committed");
    let router = guarded(&fixture, true);
    let with = |change: &dyn Fn(&mut Request<Body>)| {
        let mut request = signed(&path(1), Some("mei"));
        change(&mut request);
        request
    };
    let cases = [
        (
            "another buyer",
            with(&|request| drop(request.headers_mut().insert(IDENTITY, value("jun")))),
            "signature_invalid",
        ),
        (
            "two buyers",
            with(&|request| assert!(request.headers_mut().append(IDENTITY, value("jun")))),
            "signature_invalid",
        ),
        (
            "an unsigned buyer",
            with(&|request| drop(request.headers_mut().remove("X-Ca-Proxy-Signature-Headers"))),
            "signature_invalid",
        ),
        (
            "another order",
            with(&|request| *request.uri_mut() = path(2).parse().expect("a path")),
            "signature_invalid",
        ),
        (
            "a parameter twice",
            with(&|request| *request.uri_mut() = format!("{}?a=1&a=2", path(1)).parse().expect("a path")),
            "repeated_parameter",
        ),
        (
            "no signature",
            with(&|request| drop(request.headers_mut().remove("X-Ca-Proxy-Signature"))),
            "signature_missing",
        ),
        ("no user", signed(&path(1), None), "identity_missing"),
        ("no user id", signed(&path(1), Some("not a user")), "identity_unusable"),
        (
            "no such path, unsigned",
            Request::get("/metrics").body(Body::empty()).expect("a request"),
            "signature_missing",
        ),
    ];
    for (what, request, code) in cases {
        assert_eq!(answer(&router, request).await.1, code, "{what}");
    }
}

fn value(text: &str) -> http::HeaderValue {
    http::HeaderValue::try_from(text).expect("a value")
}

/// The budget is the process's, and other tests use it up: any line has the count.
#[tokio::test]
async fn an_unusable_name_of_the_buyer_is_logged_without_the_name() {
    let capture = shared::telemetry::Capture::current_thread("drain_worker=info").expect("a filter");
    let fixture = WorkerFixture::new().await;
    let router = guarded(&fixture, true);
    shared::testkit::eventually("a line", async || {
        let (_, code) = answer(&router, signed(&path(1), Some("not a user"))).await;
        assert_eq!(code, "identity_unusable");
        capture.lines().iter().any(|line| line["event"] == "identity_unusable" && line["requests"].is_u64())
    })
    .await;
    assert!(!capture.text().contains("not a user"), "{}", capture.text());
}
