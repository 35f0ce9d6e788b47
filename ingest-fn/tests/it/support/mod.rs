//! Shared fixtures: a catalogue, a valid request, a service around a fake publisher.

mod body;
mod logs;
mod publishers;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, StatusCode};
use ingest_fn::app::App;
use ingest_fn::current_sales::CurrentSales;
use ingest_fn::gateway::Gateway;
use ingest_fn::instance::Instance;
use ingest_fn::limits::RequestBudget;
use ingest_fn::limits::RequestLimits;
use ingest_fn::publish::OrderPublisher;
use ingest_fn::request_logger::{RequestLogSettings, RequestLogger};
use ingest_fn::router::Dispatch;
use serde_json::{Value, json};
use shared::catalogue::Catalogue;
use shared::order::OrderIdKeys;
use shared::time::{Clock, FixedClock};
use time::OffsetDateTime;
use time::macros::datetime;
use tower::ServiceExt;

pub(crate) use body::{End, chunked};
pub(crate) use logs::Logs;
pub(crate) use publishers::{HeldSink, Sent, StubPublisher, order_id, order_ids, order_of_bytes};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-11 00:00:00 UTC);

/// At [`NOW`] the sale `open` is open, `early` has not opened, `over` has closed. All have the same key.
pub(crate) const CATALOGUE: &str = r#"
    revision = "r1"
    [[sales]]
    id = "open"
    opens_at = "2026-11-11T00:00:00Z"
    closes_at = "2036-11-11T00:00:00Z"
    currency = "CNY"
    skus = [
        { sku = "PHONE", unit_price_minor = 299900, stock = 10, per_user_limit = 2 },
        { sku = "CABLE", unit_price_minor = 1990, stock = 10 },
    ]
    [[sales]]
    id = "early"
    opens_at = "2026-11-11T00:00:09.5Z"
    closes_at = "2036-11-11T00:00:00Z"
    currency = "CNY"
    skus = [{ sku = "PHONE", unit_price_minor = 1, stock = 10 }]
    [[sales]]
    id = "over"
    opens_at = "2020-01-01T00:00:00Z"
    closes_at = "2026-11-11T00:00:00Z"
    currency = "CNY"
    skus = [{ sku = "PHONE", unit_price_minor = 1, stock = 10 }]
"#;

pub(crate) const KEYS: &str = "default=0707070707070707070707070707070707070707070707070707070707070707";

pub(crate) const KEY: &str = "a1b2c3";

/// A valid order.
pub(crate) fn order() -> Value {
    json!({
        "sale_id": "open",
        "user_id": "user-42",
        "items": [{ "sku": "PHONE", "quantity": 1 }, { "sku": "CABLE", "quantity": 3 }],
        "currency": "CNY",
        "shipping_address": {
            "recipient": "Li Lei",
            "line1": "1 Long Street",
            "line2": "Flat 7",
            "city": "Hangzhou",
            "region": "Zhejiang",
            "postal_code": "310000",
            "country": "CN",
            "phone": "+86 138 0013 8000"
        },
        "client_reference": "cart-9"
    })
}

/// The sample order, changed.
pub(crate) fn order_with(change: impl FnOnce(&mut Value)) -> Value {
    let mut order = order();
    change(&mut order);
    order
}

pub(crate) fn post(body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri("/v1/orders")
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", KEY)
        .body(body.into())
        .expect("a request")
}

pub(crate) fn post_order(order: &Value) -> Request<Body> {
    post(order.to_string())
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a request")
}

pub(crate) const LIMITS: RequestLimits = RequestLimits {
    requests_max: NonZeroUsize::new(8).unwrap(),
    bytes_max: NonZeroUsize::new(1 << 20).unwrap(),
    body_timeout: Duration::from_secs(5),
    request_timeout: Duration::from_secs(8),
    drain_timeout: Duration::from_secs(10),
};

pub(crate) type TestApp<P, C = FixedClock> = Arc<App<P, C>>;

/// The service around `publisher`, at [`NOW`].
pub(crate) fn app<P: OrderPublisher>(publisher: P, limits: RequestLimits) -> TestApp<P> {
    app_behind(Gateway::InsecureDev, publisher, limits)
}

/// The same behind a gateway.
pub(crate) fn app_behind<P: OrderPublisher>(
    gateway: Gateway,
    publisher: P,
    limits: RequestLimits,
) -> TestApp<P> {
    app_with(gateway, publisher, FixedClock(NOW), limits, RequestLogSettings::default())
}

fn app_with<P, C>(
    gateway: Gateway,
    publisher: P,
    clock: C,
    limits: RequestLimits,
    request_log: RequestLogSettings,
) -> TestApp<P, C> {
    let budget = RequestBudget::new(limits.requests_max, limits.bytes_max);
    let logger = RequestLogger::new(request_log);
    let catalogue = Catalogue::from_toml(CATALOGUE).expect("a catalogue");
    let keys: OrderIdKeys = KEYS.parse().expect("keys");
    Arc::new(App {
        instance: Arc::new(Instance::new(budget, logger, NonZeroUsize::MIN)),
        gateway: Arc::new(gateway),
        sales: Arc::new(CurrentSales::fixed(catalogue, &keys)),
        publisher,
        clock,
        limits,
    })
}

/// All routes of `app`, as the server dispatches them.
pub(crate) fn router<P: OrderPublisher, C: Clock + Clone>(app: &TestApp<P, C>) -> Router {
    Router::new().fallback_service(Dispatch::new(app))
}

/// A clock that the test advances from [`NOW`]. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SteppedClock(Arc<AtomicU64>);

impl SteppedClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> OffsetDateTime {
        NOW + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// The service at a time that the test advances, with its own log settings.
pub(crate) fn observed(
    publisher: StubPublisher,
    clock: &SteppedClock,
    settings: RequestLogSettings,
) -> TestApp<StubPublisher, SteppedClock> {
    app_with(Gateway::InsecureDev, publisher, clock.clone(), LIMITS, settings)
}

/// The service around a publisher that accepts every order.
pub(crate) fn service() -> Router {
    router(&app(StubPublisher::accepting(), LIMITS))
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Text of a member.
    pub(crate) fn member(&self, name: &str) -> String {
        let json = self.json();
        json[name].as_str().unwrap_or_else(|| panic!("{name} in {json}")).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("visible ASCII"))
    }

    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.header(RETRY_AFTER.as_str()).map(|seconds| seconds.parse().expect("seconds"))
    }

    /// Status and code, which is what clients branch on.
    pub(crate) fn rejection(&self) -> (u16, String) {
        (self.status.as_u16(), self.member("code"))
    }
}

pub(crate) async fn send(service: &Router, request: Request<Body>) -> Answer {
    let response = service.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.expect("a body");
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Answer { status: parts.status, headers: parts.headers, text }
}
