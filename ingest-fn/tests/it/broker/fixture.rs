//! The fixture: a broker, the service, a consumer, HTTP clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use ingest_fn::config::Settings;
use ingest_fn::current_sales::CurrentSales;
use ingest_fn::gateway::Gateway;
use ingest_fn::limits::RequestLimits;
use ingest_fn::publish::BatchLimits;
use ingest_fn::request_logger::RequestLogSettings;
use ingest_fn::server::{RunError, ServerConfig};
use serde_json::Value;
use shared::catalogue::Catalogue;
use shared::envelope::decode_batch;
use shared::order::{AcceptedOrder, OrderId};
use shared::rocketmq::{ClientConfig, ConsumerConfig, DefaultContext, ProducerConfig, StreamConsumer};
use shared::testkit::{GROUP, HttpClient, PATIENCE, TOPIC, TestBroker, order_json};
use spillway_broker::Faults;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::KEYS;

/// A sale that is open whenever the test runs.
pub(super) const CATALOGUE: &str = r#"
    revision = "r1"
    [[sales]]
    id = "sale"
    opens_at = "2020-01-01T00:00:00Z"
    closes_at = "2120-01-01T00:00:00Z"
    currency = "CNY"
    skus = [{ sku = "PHONE", unit_price_minor = 299900, stock = 10 }]
"#;

/// Order `number`, each by another buyer.
pub(super) fn order_of(number: u64) -> Value {
    order_json(&format!("buyer-{number}"), "PHONE")
}

pub(super) fn settings(broker: SocketAddr) -> Settings {
    Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        server: ServerConfig {
            sales: Arc::new(CurrentSales::fixed(
                Catalogue::from_toml(CATALOGUE).expect("a catalogue"),
                &KEYS.parse().expect("keys"),
            )),
            gateway: Arc::new(Gateway::InsecureDev),
            limits: RequestLimits {
                requests_max: NonZeroUsize::new(2_048).expect("positive"),
                bytes_max: NonZeroUsize::new(8 << 20).expect("positive"),
                body_timeout: Duration::from_secs(10),
                request_timeout: Duration::from_secs(15),
                drain_timeout: PATIENCE,
            },
            workers: NonZeroUsize::new(2).expect("positive"),
            connections_max: NonZeroUsize::new(1_024).expect("positive"),
            head_timeout: PATIENCE,
            start_timeout: Duration::from_secs(20),
            grace: PATIENCE,
            request_log: RequestLogSettings::default(),
        },
        client: ClientConfig::new(broker.into()),
        producer: ProducerConfig { topics: vec![TOPIC.to_owned()], ..ProducerConfig::default() },
        topic: TOPIC.to_owned(),
        batch: BatchLimits {
            orders_max: NonZeroUsize::new(64).expect("positive"),
            bytes_max: 4_032,
            linger: Duration::from_millis(2),
        },
    }
}

/// The whole service, running.
pub(super) struct Fixture {
    pub(super) broker: TestBroker,
    pub(super) address: SocketAddr,
    pub(super) shutdown: CancellationToken,
    pub(super) running: JoinHandle<Result<(), RunError>>,
    consumer: StreamConsumer,
}

impl Fixture {
    pub(super) async fn open() -> Self {
        Self::open_with(|_settings| {}).await
    }

    pub(super) async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let broker = TestBroker::start().await;
        let consumer = connect_consumer(&broker).await;
        let mut settings = settings(broker.broker.local_addr());
        change(&mut settings);
        let listener = TcpListener::bind(settings.listen).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(ingest_fn::run(settings, listener, shutdown.clone()));
        let ready = Request::post("/initialize").body(Full::default()).expect("a request");
        let ready = Client::connect(address).await.send(ready).await.expect("an answer");
        assert_eq!(ready.status, StatusCode::OK);
        Self { broker, address, shutdown, running, consumer }
    }

    /// Receives until there are `distinct` orders and the broker has no more. Returns every copy of each.
    pub(super) async fn receive(&self, distinct: usize) -> BTreeMap<OrderId, Vec<AcceptedOrder>> {
        let mut received: BTreeMap<OrderId, Vec<AcceptedOrder>> = BTreeMap::new();
        loop {
            let enough = received.len() >= distinct;
            let messages =
                timeout(PATIENCE, self.consumer.receive(32)).await.expect("in time").expect("messages");
            if enough && messages.is_empty() {
                return received;
            }
            for message in messages {
                let orders = decode_batch(message.payload()).expect("a batch");
                let keys: Vec<_> = orders.iter().map(|order| order.order_id.to_string()).collect();
                assert_eq!(message.keys(), keys, "the broker finds a message by its orders");
                for order in orders {
                    received.entry(order.order_id).or_default().push(order);
                }
                message.ack().await.expect("acknowledged");
            }
        }
    }

    pub(super) fn faults(&self) -> Faults {
        self.broker.broker.faults()
    }

    /// Messages that the broker has stored.
    pub(super) async fn messages(&self) -> u64 {
        self.broker.broker.stats().await.expect("stats").topic(TOPIC).expect("the topic").sent
    }

    /// Stops service, consumer and broker.
    pub(super) async fn close(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running).await.expect("in time").expect("no panic").expect("stopped in order");
        assert!(self.consumer.close(PATIENCE).await);
        self.broker.broker.shutdown().await.expect("stopped in order");
    }
}

/// A consumer whose group has an offset on every queue.
pub(super) async fn connect_consumer(broker: &TestBroker) -> StreamConsumer {
    let mut config = ConsumerConfig::new(GROUP, [TOPIC]);
    config.long_polling_timeout = Duration::from_millis(100);
    let consumer = StreamConsumer::connect(broker.client(), config, DefaultContext).await.expect("connected");
    consumer.initialize_offsets().await.expect("offsets");
    consumer
}

/// An answer over TCP.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn order_id(&self) -> OrderId {
        self.body["order_id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
    }

    pub(super) fn is_503_with_wait(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE && self.headers.contains_key(RETRY_AFTER)
    }
}

/// A connection that is reused.
pub(super) struct Client(HttpClient);

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self(HttpClient::connect(address).await)
    }

    /// `None` if the connection ended without an answer.
    pub(super) async fn post(&mut self, key: &str, order: &Value) -> Option<Answer> {
        let request = Request::post("/v1/orders")
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(Full::new(Bytes::from(order.to_string())))
            .expect("a request");
        self.send(request).await
    }

    /// Posts an order until it is accepted. Returns its id and the number of rejections before, each a 503 with a wait.
    pub(super) async fn post_until_accepted(&mut self, key: &str, order: &Value) -> (OrderId, u64) {
        let mut rejections = 0;
        loop {
            let answer = self.post(key, order).await.expect("an answer");
            if answer.status == StatusCode::ACCEPTED {
                return (answer.order_id(), rejections);
            }
            assert!(answer.is_503_with_wait(), "neither accepted nor retryable: {answer:?}");
            rejections += 1;
            assert!(rejections < 100, "{answer:?}");
        }
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let response = timeout(PATIENCE, self.0.send(request)).await.expect("an answer in time").ok()?;
        let body = serde_json::from_str(&response.text).unwrap_or(Value::Null);
        Some(Answer { status: response.status, headers: response.headers, body })
    }
}
