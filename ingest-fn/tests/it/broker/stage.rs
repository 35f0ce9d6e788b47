//! A broker, the service, a consumer, and HTTP clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use ingest_fn::config::Settings;
use ingest_fn::gateway::Gateway;
use ingest_fn::limits::RequestLimits;
use ingest_fn::publish::BatchLimits;
use ingest_fn::request_logger::RequestLogSettings;
use ingest_fn::server::{RunError, ServerConfig};
use serde_json::{Value, json};
use shared::catalogue::Catalogue;
use shared::envelope::decode_batch;
use shared::order::{AcceptedOrder, OrderId};
use shared::rocketmq::{ClientConfig, ConsumerConfig, DefaultContext, ProducerConfig, StreamConsumer};
use spillway_broker::{Broker, BrokerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::KEYS;

pub(super) const TOPIC: &str = "orders";
pub(super) const GROUP: &str = "drain";

/// Long enough for a slow machine; nothing waits for it unless something is wrong.
pub(super) const BOUND: Duration = Duration::from_secs(60);

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

/// Order `number`: each its own buyer.
pub(super) fn order_of(number: u64) -> Value {
    json!({
        "sale_id": "sale",
        "user_id": format!("buyer-{number}"),
        "items": [{ "sku": "PHONE", "quantity": 1 }],
        "currency": "CNY",
        "shipping_address": { "recipient": "R", "line1": "L", "city": "C", "country": "CN" }
    })
}

pub(super) async fn open_broker(directory: &TempDir) -> Broker {
    open_broker_with(directory, |_config| {}).await
}

pub(super) async fn open_broker_with(directory: &TempDir, change: impl FnOnce(&mut BrokerConfig)) -> Broker {
    let mut config = BrokerConfig::at(directory.path().join("broker"));
    config.topics = vec![(TOPIC.to_owned(), 4)];
    config.groups = vec![GROUP.to_owned()];
    config.long_polling_min = Duration::from_millis(100);
    change(&mut config);
    Broker::open(config).await.expect("the broker opens")
}

pub(super) fn settings(broker: SocketAddr) -> Settings {
    Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        server: ServerConfig {
            catalogue: Catalogue::from_toml(CATALOGUE).expect("a catalogue"),
            order_id_keys: KEYS.parse().expect("keys"),
            gateway: Arc::new(Gateway::InsecureDev),
            limits: RequestLimits {
                requests_max: NonZeroUsize::new(2_048).expect("positive"),
                bytes_max: NonZeroUsize::new(8 << 20).expect("positive"),
                body_timeout: Duration::from_secs(10),
                request_timeout: Duration::from_secs(15),
                drain_timeout: BOUND,
            },
            workers: NonZeroUsize::new(2).expect("positive"),
            connections_max: NonZeroUsize::new(1_024).expect("positive"),
            start_timeout: Duration::from_secs(20),
            grace: BOUND,
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

/// Everything, running.
pub(super) struct Stage {
    pub(super) broker: Broker,
    pub(super) address: SocketAddr,
    pub(super) shutdown: CancellationToken,
    pub(super) running: JoinHandle<Result<(), RunError>>,
    consumer: StreamConsumer,
    _directory: TempDir,
}

impl Stage {
    pub(super) async fn open() -> Self {
        Self::open_with(|_settings| {}).await
    }

    pub(super) async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let broker = open_broker(&directory).await;
        let consumer = connect_consumer(broker.local_addr()).await;
        let mut settings = settings(broker.local_addr());
        change(&mut settings);
        let listener = TcpListener::bind(settings.listen).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(ingest_fn::run(settings, listener, shutdown.clone()));
        let ready = Request::post("/initialize").body(Full::default()).expect("a request");
        let ready = Client::connect(address).await.send(ready).await.expect("an answer");
        assert_eq!(ready.status, StatusCode::OK);
        Self { broker, address, shutdown, running, consumer, _directory: directory }
    }

    /// Receives until `distinct` orders are there and the broker has no more. Every copy of each is kept.
    pub(super) async fn receive(&self, distinct: usize) -> BTreeMap<OrderId, Vec<AcceptedOrder>> {
        let mut received: BTreeMap<OrderId, Vec<AcceptedOrder>> = BTreeMap::new();
        loop {
            let enough = received.len() >= distinct;
            let messages =
                timeout(BOUND, self.consumer.receive(32)).await.expect("in time").expect("messages");
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

    /// Messages that the broker has taken.
    pub(super) async fn messages(&self) -> u64 {
        self.broker.stats().await.expect("stats").topic(TOPIC).expect("the topic").sent
    }

    /// Stops all of it, in order.
    pub(super) async fn close(self) {
        self.shutdown.cancel();
        timeout(BOUND, self.running).await.expect("in time").expect("no panic").expect("stopped in order");
        assert!(self.consumer.close(BOUND).await);
        self.broker.shutdown().await.expect("stopped in order");
    }
}

/// A consumer whose group has its place on every queue.
pub(super) async fn connect_consumer(broker: SocketAddr) -> StreamConsumer {
    let mut config = ConsumerConfig::new(GROUP, [TOPIC]);
    config.long_polling_timeout = Duration::from_millis(100);
    let consumer = StreamConsumer::connect(ClientConfig::new(broker.into()), config, DefaultContext)
        .await
        .expect("connected");
    consumer.initialize_offsets().await.expect("subscribed");
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

/// One kept-alive connection.
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        Self { sender, address }
    }

    /// `None` if the connection ended without an answer.
    pub(super) async fn post(&mut self, key: &str, order: &Value) -> Option<Answer> {
        let request = Request::post("/v1/orders")
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(Full::new(Bytes::from(order.to_string())))
            .expect("a request");
        self.send(request).await
    }

    /// Posts one order until it is accepted. Its id, and how many refusals came before, each a 503 with a wait.
    pub(super) async fn post_until_accepted(&mut self, key: &str, order: &Value) -> (OrderId, u64) {
        let mut refusals = 0;
        loop {
            let answer = self.post(key, order).await.expect("an answer");
            if answer.status == StatusCode::ACCEPTED {
                return (answer.order_id(), refusals);
            }
            assert!(answer.is_503_with_wait(), "neither accepted nor to be retried: {answer:?}");
            refusals += 1;
            assert!(refusals < 100, "{answer:?}");
        }
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let exchange = async {
            self.sender.ready().await.ok()?;
            let (parts, body) = self.sender.send_request(request).await.ok()?.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            Some(Answer { status: parts.status, headers: parts.headers, body })
        };
        timeout(BOUND, exchange).await.expect("an answer in time")
    }
}
