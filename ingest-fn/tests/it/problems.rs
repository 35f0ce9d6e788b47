//! Every rejection as clients see it: status, headers and body, in snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request};
use ingest_fn::error::ErrorCode;
use ingest_fn::limits::RequestLimits;
use ingest_fn::publish::PublishError;
use ingest_fn::router::Dispatch;
use serde_json::{Value, json};
use tower::service_fn;

use crate::gateway::orders::{as_request, behind_the_gateway, reply, signed};
use crate::gateway::sign::Draft;
use crate::support::{
    Answer, End, LIMITS, StubPublisher, app, chunked, get, order, order_with, post, post_order, router, send,
    service,
};

/// Named answers, of one family.
pub(crate) type Family = Vec<(&'static str, Answer)>;

fn with_header(name: &'static str, value: &[u8]) -> Request<Body> {
    let mut request = post_order(&order());
    request.headers_mut().insert(name, HeaderValue::from_bytes(value).expect("a header"));
    request
}

fn without_header(name: &'static str) -> Request<Body> {
    let mut request = post_order(&order());
    request.headers_mut().remove(name);
    request
}

async fn answers(requests: Vec<(&'static str, Request<Body>)>) -> Family {
    let mut family = Family::new();
    for (name, request) in requests {
        // A new service for each request, so that one rejection cannot affect the next.
        family.push((name, send(&service(), request).await));
    }
    family
}

async fn headers() -> Family {
    let mut twice = post_order(&order());
    twice.headers_mut().append("idempotency-key", HeaderValue::from_static("second"));
    answers(vec![
        ("key missing", without_header("idempotency-key")),
        ("key empty", with_header("idempotency-key", b"")),
        ("key twice", twice),
        ("key of 256 characters", with_header("idempotency-key", "k".repeat(256).as_bytes())),
        ("key with one quote", with_header("idempotency-key", b"\"abc")),
        ("key with a space", with_header("idempotency-key", b"a b")),
        ("key not ASCII", with_header("idempotency-key", "schlüssel".as_bytes())),
        ("media type missing", without_header("content-type")),
        ("media type of a form", with_header("content-type", b"application/x-www-form-urlencoded")),
        ("media type not text", with_header("content-type", b"application/json\xff")),
        ("charset of GBK", with_header("content-type", b"application/json; charset=gbk")),
        ("compressed", with_header("content-encoding", b"gzip")),
    ])
    .await
}

async fn malformed() -> Family {
    let mut family = answers(vec![
        ("empty", post("")),
        ("not JSON", post("{\"sale_id\": \"open\",\n oops}")),
        ("not UTF-8", post(b"{\"sale_id\": \"\xff\"}".to_vec())),
        ("more than an order", post(format!("{}{}", order(), order()))),
        ("broken off", post(chunked(["{\"sale_id\":"], End::Broken))),
        ("too large", post(" ".repeat(16 * 1024 + 1))),
    ])
    .await;
    family.push(("too slow", send(&service(), post(chunked(["{\"sale_id\":"], End::Silence))).await));
    family
}

/// JSON that no order has: each is judged by the rules, with all other faults.
async fn shape() -> Family {
    let quantity = |text: &str| {
        let order = order_with(|order| order["shipping_address"]["city"] = json!(" "));
        post(order.to_string().replace("\"quantity\":3", &format!("\"quantity\":{text}")))
    };
    let many = format!(r#"{{"items":[{}]}}"#, vec!["{}"; 5_400].join(","));
    answers(vec![
        ("an array", post(json!([order()]).to_string())),
        (
            "members by position",
            post(r#"["open","user-42",[["PHONE",1]],"CNY",["R","L",null,"C",null,null,"CN",null],null]"#),
        ),
        ("unknown member", post_order(&order_with(|order| order["items"][1]["price"] = json!(1)))),
        ("wrong type", post_order(&order_with(|order| order["user_id"] = json!(42)))),
        ("fraction", quantity("1.5")),
        ("negative", quantity("-1")),
        ("beyond 32 bits", quantity("4294967296")),
        ("beyond a double", quantity("1e400")),
        ("quantity as text", quantity("\"3\"")),
        ("quantity null", quantity("null")),
        ("null", post_order(&order_with(|order| order["shipping_address"]["country"] = json!(null)))),
        ("member twice", post(r#"{"sale_id":"open","sale_id":"early"}"#)),
        ("thousands of items", post(many)),
        ("nested deep", post("[".repeat(1_000))),
    ])
    .await
}

async fn invalid() -> Family {
    let everything = json!({
        "sale_id": "a sale", "user_id": "", "currency": "yuan", "client_reference": "\u{7}",
        "items": [{ "sku": "A", "quantity": 0 }, { "sku": "A", "quantity": 10_001 }, { "sku": "é", "quantity": 1 }],
        "shipping_address": { "recipient": "", "line1": "x".repeat(201), "line2": "", "city": "\n",
            "region": "\u{0}", "postal_code": "", "country": "China", "phone": "5".repeat(201) }
    });
    let unknown_skus = order_with(|order| {
        order["items"] = json!([{ "sku": "Z", "quantity": 1 }, { "sku": "CABLE", "quantity": 1 }, { "sku": "B", "quantity": 1 }]);
    });
    let several_rules = order_with(|order| {
        order["currency"] = json!("USD");
        order["items"] = json!([{ "sku": "PHONE", "quantity": 3 }, { "sku": "Z", "quantity": 1 }]);
    });
    let fields_and_rules = order_with(|order| {
        order["currency"] = json!("USD");
        order["shipping_address"]["city"] = json!("");
        order["items"] = json!([
            { "sku": "Z", "quantity": 1 },
            { "sku": "PHONE", "quantity": 3 },
            { "sku": "PHONE", "quantity": 4 },
            { "sku": "Z", "quantity": 0 },
            { "sku": "a b", "quantity": 1 },
        ]);
    });
    let not_open_and_wrong = order_with(|order| {
        order["sale_id"] = json!("early");
        order["currency"] = json!("USD");
    });
    let too_many: Vec<_> =
        (0..21).map(|number| json!({ "sku": format!("S{number}"), "quantity": 1 })).collect();
    answers(vec![
        ("every fault at once", post_order(&everything)),
        ("nothing given", post("{}")),
        ("no items", post_order(&order_with(|order| order["items"] = json!([])))),
        ("too many items", post_order(&order_with(|order| order["items"] = json!(too_many)))),
        ("sku twice", post_order(&order_with(|order| order["items"][1]["sku"] = json!("PHONE")))),
        ("unknown sale", post_order(&order_with(|order| order["sale_id"] = json!("no-such-sale")))),
        ("unknown skus", post_order(&unknown_skus)),
        ("quantity over limit", post_order(&order_with(|order| order["items"][0]["quantity"] = json!(3)))),
        ("wrong currency", post_order(&order_with(|order| order["currency"] = json!("USD")))),
        ("several rules", post_order(&several_rules)),
        ("fields and rules", post_order(&fields_and_rules)),
        ("field before sale state", post_order(&not_open_and_wrong)),
    ])
    .await
}

async fn sale_state() -> Family {
    let of = |sale: &str| {
        post_order(&order_with(|order| {
            order["sale_id"] = json!(sale);
            order["items"] = json!([{ "sku": "PHONE", "quantity": 1 }]);
        }))
    };
    answers(vec![("not open", of("early")), ("closed", of("over"))]).await
}

/// An order that is valid, and not what the client believes.
async fn expectations() -> Family {
    let cheaper = order_with(|order| order["expected_total_minor"] = json!(1));
    let mut family = answers(vec![("another total", post_order(&cheaper))]).await;
    let service = service();
    assert!(send(&service, post_order(&order())).await.status.is_success());
    let other = order_with(|order| order["items"][1]["quantity"] = json!(4));
    family.push(("key of another order", send(&service, post_order(&other)).await));
    family
}

async fn overload() -> Family {
    let mut family = Family::new();
    let limits = RequestLimits { bytes_max: NonZeroUsize::MIN, ..LIMITS };
    let full = app(StubPublisher::accepting(), limits);
    family.push(("admission full", send(&router(&full), post_order(&order())).await));
    let stopping = app(StubPublisher::accepting(), LIMITS);
    stopping.instance.stop();
    family.push(("stopping", send(&router(&stopping), post_order(&order())).await));
    let beyond = Dispatch::new(&app(StubPublisher::accepting(), LIMITS));
    let beyond = service_fn(move |request: Request<Body>| beyond.dispatch_probe(request));
    let beyond = Router::new().fallback_service(beyond);
    family.push(("connections full", send(&beyond, post_order(&order())).await));
    let panicking = router(&app(StubPublisher::panicking(), LIMITS));
    family.push(("panic", send(&panicking, post_order(&order())).await));
    for (name, error) in [
        ("queue full", PublishError::QueueFull),
        ("broker throttles", PublishError::Throttled),
        ("publish timeout", PublishError::TimedOut),
        ("publish failed", PublishError::Failed),
        ("publish rejected", PublishError::Rejected),
        ("publisher stopping", PublishError::Stopping),
    ] {
        let service = router(&app(StubPublisher::failing(error), LIMITS));
        family.push((name, send(&service, post_order(&order())).await));
    }
    family
}

async fn gateway() -> Family {
    let mut forged = as_request(&signed("user-42", &order()));
    forged.headers_mut().insert("x-user", HeaderValue::from_static("user-43"));
    let mut repeated = as_request(&signed("user-42", &order()));
    *repeated.uri_mut() = "/v1/orders?a=1&a=2".parse().expect("a target");
    let service = router(&behind_the_gateway());
    let mut family = Family::new();
    for (name, request) in [
        ("not signed", post_order(&order())),
        ("forged", forged),
        ("parameter twice", repeated),
        ("buyer of 256 characters", as_request(&signed(&"u".repeat(256), &order()))),
        ("no buyer", as_request(&Draft::order("k", order().to_string()))),
        ("another buyer", as_request(&signed("user-43", &order()))),
    ] {
        family.push((name, send(&service, request).await));
    }
    family.push(("no event", reply(&service, "{}").await));
    family
}

async fn routes() -> Family {
    let with_method = |method: Method, path: &str| {
        Request::builder().method(method).uri(path).body(Body::empty()).expect("a request")
    };
    answers(vec![
        ("no such path", get("/v2/orders")),
        ("look-up is elsewhere", get("/v1/orders/f535af2d-435c-88f9-8683-8ebf4a2826ab")),
        ("orders by GET", get("/v1/orders")),
        ("orders by PUT", with_method(Method::PUT, "/v1/orders")),
        ("health by POST", with_method(Method::POST, "/healthz")),
        ("pre-stop by POST", with_method(Method::POST, "/pre-stop")),
        ("metrics through the trigger", {
            let mut request = get("/metrics");
            request.headers_mut().insert("x-fc-control-path", HeaderValue::from_static("/http-invoke"));
            request
        }),
    ])
    .await
}

/// A rejection for every code, and for every way to it.
pub(crate) async fn families() -> [(&'static str, Family); 9] {
    [
        ("headers", headers().await),
        ("malformed", malformed().await),
        ("shape", shape().await),
        ("invalid", invalid().await),
        ("sale_state", sale_state().await),
        ("expectations", expectations().await),
        ("overload", overload().await),
        ("gateway", gateway().await),
        ("routes", routes().await),
    ]
}

/// The parts of an answer that clients rely on. A random wait is replaced by its range.
fn contract(answer: &Answer) -> Value {
    assert_eq!(answer.header(CONTENT_TYPE.as_str()), Some("application/problem+json"));
    let mut body = answer.json();
    // RFC 9457, section 3.1.5: the occurrence, by the id that the logs have.
    let id = answer.header("x-request-id").expect("an id");
    assert_eq!(body["instance"], format!("urn:spillway:request:{id}"));
    body["instance"] = json!("the request");
    let retry_after_s = body["retry_after_s"].as_u64();
    assert_eq!(answer.retry_after_s(), retry_after_s, "header and body agree");
    let with_random_wait = [
        "overloaded",
        "internal_error",
        "queue_full",
        "broker_throttled",
        "publish_timeout",
        "publish_failed",
    ];
    let code = body["code"].as_str().expect("a code").to_owned();
    if with_random_wait.contains(&code.as_str()) || (code == "stopping" && body["order_id"].is_string()) {
        assert!((1..=3).contains(&retry_after_s.expect("a wait")), "{body}");
        body["retry_after_s"] = json!("1 to 3");
    }
    let mut contract = json!({ "body": body });
    for header in [ACCEPT, ACCEPT_ENCODING, ALLOW, WWW_AUTHENTICATE] {
        if let Some(value) = answer.header(header.as_str()) {
            contract[header.as_str()] = json!(value);
        }
    }
    contract
}

#[tokio::test(start_paused = true)]
async fn rejections_match_their_snapshots_and_cover_every_code() {
    let mut seen = BTreeSet::new();
    for (family, answers) in families().await {
        for (name, answer) in &answers {
            let (status, name_of_code) = answer.rejection();
            let code = ErrorCode::ALL.iter().find(|code| code.as_str() == name_of_code);
            let code = code.unwrap_or_else(|| panic!("{family}, {name}: {name_of_code}"));
            assert_eq!(status, code.status().as_u16(), "{family}, {name}");
            let problem = answer.json();
            assert_eq!(problem["status"], status, "{family}, {name}");
            assert_eq!(problem["retryable"], code.is_retryable(), "{family}, {name}");
            assert_eq!(problem["retry_safe"], true, "{family}, {name}");
            assert_eq!(answer.retry_after_s().is_some(), code.is_retryable(), "{family}, {name}");
            seen.insert(name_of_code);
        }
        let contracts: BTreeMap<_, _> =
            answers.iter().map(|(name, answer)| (*name, contract(answer))).collect();
        insta::assert_json_snapshot!(family, contracts);
    }
    let all: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(seen, all);
}

#[tokio::test(start_paused = true)]
async fn the_state_of_a_sale_is_reported_with_the_order_id() {
    let accepted = send(&service(), post_order(&order())).await;
    for (name, answer) in sale_state().await {
        let problem = answer.json();
        assert!(problem["order_id"].is_string() && problem["digest"].is_string(), "{name}");
        assert_ne!(problem["order_id"], accepted.json()["order_id"], "another sale is another order");
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.contains("may have been accepted"), "{name}: {detail}");
    }
}

#[tokio::test]
async fn a_retry_after_the_requested_wait_is_not_early() {
    // The sale opens in 9.5 s.
    let early = order_with(|order| order["sale_id"] = json!("early"));
    let early = order_with(|order| {
        *order = early;
        order["items"] = json!([{ "sku": "PHONE", "quantity": 1 }]);
    });
    assert_eq!(send(&service(), post_order(&early)).await.retry_after_s(), Some(10));
}

#[tokio::test]
async fn a_rejected_order_is_not_published() {
    let app = app(StubPublisher::accepting(), LIMITS);
    let service = router(&app);
    for request in [
        post("{}"),
        post_order(&order_with(|order| order["sale_id"] = json!("over"))),
        post_order(&order_with(|order| order["currency"] = json!("USD"))),
        without_header("idempotency-key"),
    ] {
        assert!(send(&service, request).await.status.is_client_error());
    }
    assert_eq!(app.publisher.published(), []);
    tokio::time::timeout(Duration::from_secs(1), send(&service, post_order(&order())))
        .await
        .expect("an answer");
    assert_eq!(app.publisher.published().len(), 1);
}

/// RFC 9110, section 15.5.6: a 405 has `Allow`.
#[tokio::test]
async fn a_probe_of_the_pre_stop_hook_states_the_methods() {
    let head = Request::head("/pre-stop").body(Body::empty()).expect("a request");
    let answer = send(&service(), head).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET")));
}
