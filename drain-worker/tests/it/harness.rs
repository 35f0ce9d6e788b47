//! A broker, a database and a worker for each test.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use drain_worker::config::{Cli, Command};
use drain_worker::init::init;
use drain_worker::pipeline::{CircuitBreaker, Pipeline, PipelineConfig, PipelineError};
use drain_worker::pool::WorkerSignals;
use drain_worker::rate::RateGate;
use drain_worker::store::{
    DeadLetterSelection, DeadLetterStatus, OrderStore, PageRequest, Store, StoreConfig, StoreTotals,
    StoredDeadLetter,
};
use drain_worker::{Listeners, RunError, run};
use shared::catalogue::Catalogue;
use shared::config::DatabaseUrl;
use shared::envelope::{EncodedOrder, encode_batch};
use shared::order::{
    AcceptedOrder, AddressLine, Country, Currency, OrderId, PayloadDigest, PricedItem, Quantity, SaleId,
    ShippingAddress, Sku, UserId,
};
use shared::rocketmq::{
    ClientConfig, ConsumerConfig, DefaultContext, FutureProducer, FutureRecord, ProducerConfig,
    StreamConsumer,
};
use spillway_broker::{Broker, BrokerConfig};
use tempfile::TempDir;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const CATALOGUE: &str = r#"
    revision = "1"
    [[sales]]
    id = "sale"
    opens_at = "2026-01-01T00:00:00Z"
    closes_at = "2036-01-01T00:00:00Z"
    currency = "CNY"
    skus = [
        { sku = "PLENTY", unit_price_minor = 100, stock = 1000000 },
        { sku = "FEW", unit_price_minor = 100, stock = 10 },
        { sku = "ONE-EACH", unit_price_minor = 100, stock = 1000000, per_user_limit = 1 },
    ]
"#;

/// Bound of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct WorkerFixture {
    pub(crate) broker: Broker,
    pub(crate) client: ClientConfig,
    pub(crate) url: String,
    pub(crate) store: Arc<Store>,
    pub(crate) producer: FutureProducer,
    pub(crate) rate: u32,
    _directory: TempDir,
}

/// A running worker.
pub(crate) struct Worker {
    pub(crate) breaker: CircuitBreaker,
    shutdown: CancellationToken,
    consumer: StreamConsumer,
    running: JoinHandle<Result<(), PipelineError>>,
}

impl WorkerFixture {
    /// Prepares broker and database as `drain-worker init` does.
    pub(crate) async fn new() -> Self {
        Self::with_attempts(17).await
    }

    /// The same, with a broker that moves a message to the dead-letter queue after `attempts_max` deliveries.
    pub(crate) async fn with_attempts(attempts_max: u16) -> Self {
        let directory = TempDir::new().expect("a directory");
        let mut config = BrokerConfig::at(directory.path().join("broker"));
        config.topics = vec![("orders".to_owned(), 4)];
        config.groups = vec!["drain".to_owned(), "drain-dead-letters".to_owned()];
        config.attempts_max = attempts_max;
        config.invisible_min = Duration::from_millis(500);
        config.long_polling_min = Duration::from_millis(100);
        let broker = Broker::open(config).await.expect("the broker opens");
        let client = ClientConfig::new(broker.local_addr().into());
        let url: DatabaseUrl = format!("sqlite:{}", directory.path().join("orders.sqlite").display())
            .parse()
            .expect("an address");
        let catalogue = Catalogue::from_toml(CATALOGUE).expect("valid");
        let prepared = init(&url, &catalogue, client.clone(), "drain", "orders").await.expect("prepared");
        assert_eq!((prepared.queues, prepared.waiting), (4, 0));
        let store = Arc::new(Store::connect(&url, StoreConfig::default()).await.expect("the database opens"));
        let producer = FutureProducer::new(client.clone(), ProducerConfig::default(), DefaultContext)
            .expect("a producer");
        Self { broker, client, url: url.to_string(), store, producer, rate: 100_000, _directory: directory }
    }

    /// Returns flags for a worker of this fixture, and `more`.
    pub(crate) fn flags(&self, more: &[&str]) -> Vec<String> {
        let endpoint = self.client.endpoint.to_string();
        let own =
            ["run", "--migrate-on-start", "--database-url", &self.url, "--rocketmq-endpoint", &endpoint];
        own.iter().chain(more).map(|&text| text.to_owned()).collect()
    }

    /// Starts a worker with its ports, as the program does, with `more` flags.
    pub(crate) async fn whole_worker(&self, more: &[&str]) -> WholeWorker {
        let program = std::iter::once("drain-worker".to_owned());
        let cli = Cli::try_parse_from(program.chain(self.flags(more))).expect("flags");
        let Command::Run(args) = cli.command else { panic!("another command") };
        let listeners = Listeners {
            query: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            admin: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        };
        let [query, admin] =
            [&listeners.query, &listeners.admin].map(|listener| listener.local_addr().expect("bound"));
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(run(args.settings().expect("valid"), listeners, shutdown.clone()));
        WholeWorker { query, admin, shutdown, running }
    }

    /// Publishes `orders`, ten in each message.
    pub(crate) async fn publish(&self, orders: &[AcceptedOrder]) {
        for chunk in orders.chunks(10) {
            let encoded: Vec<_> = chunk.iter().map(EncodedOrder::new).collect();
            self.publish_raw(encode_batch(encoded.iter()).to_vec()).await;
        }
    }

    pub(crate) async fn publish_raw(&self, body: Vec<u8>) {
        self.producer.send(FutureRecord::to("orders").payload(body), PATIENCE).await.expect("published");
    }

    pub(crate) async fn worker(&self) -> Worker {
        self.worker_on(self.store.clone()).await
    }

    pub(crate) async fn worker_on<S: OrderStore>(&self, store: Arc<S>) -> Worker {
        let gate = RateGate::standalone(NonZeroU32::new(self.rate).expect("not zero"));
        self.worker_with(store, gate, WorkerSignals::default()).await
    }

    /// Starts a worker that commits what `gate` grants.
    pub(crate) async fn worker_with<S: OrderStore>(
        &self,
        store: Arc<S>,
        gate: RateGate,
        signals: WorkerSignals,
    ) -> Worker {
        let mut config = ConsumerConfig::new("drain", ["orders"]);
        config.invisible_duration = Duration::from_secs(2);
        config.long_polling_timeout = Duration::from_millis(200);
        let consumer =
            StreamConsumer::connect(self.client.clone(), config, DefaultContext).await.expect("a consumer");
        let pipeline = Pipeline {
            consumer: consumer.clone(),
            store,
            gate,
            config: PipelineConfig {
                receives_max: NonZeroUsize::new(2).expect("not zero"),
                batch_orders_max: NonZeroU32::new(50).expect("not zero"),
                batch_linger: Duration::from_millis(5),
                writers: NonZeroUsize::new(2).expect("not zero"),
                prefetch: Duration::from_secs(1),
                grace: Duration::from_secs(20),
            },
            breaker: signals.breaker.clone(),
            stats: signals.stats,
            in_flight: signals.in_flight,
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(pipeline.run(shutdown.clone()));
        Worker { breaker: signals.breaker, shutdown, consumer, running }
    }

    pub(crate) async fn counts(&self) -> StoreTotals {
        self.store.counts().await.expect("counted")
    }

    /// Waits until the database holds `orders` and the broker has no unsettled message.
    pub(crate) async fn drained(&self, orders: u64) {
        self.until("drained", async || {
            let counts = self.counts().await;
            counts.orders() + counts.dead_letters_total() >= orders && self.unsettled().await == 0
        })
        .await;
        let counts = self.counts().await;
        assert_eq!(counts.orders() + counts.dead_letters_total(), orders, "{counts:?}");
    }

    pub(crate) async fn letters(&self) -> Vec<StoredDeadLetter> {
        let page = PageRequest { after: 0, letters_max: NonZeroU32::MAX };
        let heads = self
            .store
            .list_dead_letters(&DeadLetterSelection::All, DeadLetterStatus::Any, page)
            .await
            .expect("listed");
        let ids: Vec<_> = heads.iter().map(|head| head.id).collect();
        self.store.get_dead_letters(&ids).await.expect("read")
    }

    /// Returns the number of messages that the group has not settled.
    pub(crate) async fn unsettled(&self) -> u64 {
        let stats = self.broker.stats().await.expect("stats");
        stats.group("orders", "drain").map_or(0, |group| group.ready + group.in_flight)
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            if Instant::now() >= deadline {
                let stats = self.broker.stats().await;
                panic!("not {what} in time: {:?}, {stats:?}", self.counts().await);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Worker {
    /// Requests the stop and waits for the end.
    pub(crate) async fn stop(self) -> Result<(), PipelineError> {
        self.shutdown.cancel();
        let result = timeout(PATIENCE, self.running).await.expect("stops in time").expect("does not panic");
        self.consumer.close(PATIENCE).await;
        result
    }

    /// Waits until the worker ends by itself.
    pub(crate) async fn ended(self) -> Result<(), PipelineError> {
        let result = timeout(PATIENCE, self.running).await.expect("ends in time").expect("does not panic");
        self.consumer.close(PATIENCE).await;
        result
    }

    /// Aborts the worker: it acks and nacks nothing.
    pub(crate) async fn crash(self) {
        self.running.abort();
        let _cancelled = self.running.await;
        std::mem::forget(self.consumer);
    }
}

fn line(text: &str) -> AddressLine {
    AddressLine::parse(text).expect("valid")
}

pub(crate) fn order(number: u64, sku: &str) -> AcceptedOrder {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let mut digest = [7; 32];
    digest[24..].copy_from_slice(&number.to_be_bytes());
    AcceptedOrder {
        order_id: OrderId::from_bytes(id),
        digest: PayloadDigest::from_bytes(digest),
        sale_id: SaleId::parse("sale").expect("valid"),
        user_id: UserId::parse("user").expect("valid"),
        items: vec![PricedItem {
            sku: Sku::parse(sku).expect("valid"),
            quantity: Quantity::new(1).expect("valid"),
            unit_price_minor: 100,
        }],
        currency: Currency::parse("CNY").expect("valid"),
        shipping_address: ShippingAddress {
            recipient: line("Li Lei"),
            line1: line("1 Nanjing Road"),
            line2: None,
            city: line("Shanghai"),
            region: None,
            postal_code: None,
            country: Country::parse("CN").expect("valid"),
            phone: None,
        },
        client_reference: None,
        accepted_at: datetime!(2026-11-11 00:00 UTC),
        catalogue_revision: "1".to_owned(),
        traceparent: None,
    }
}

pub(crate) fn orders(numbers: std::ops::Range<u64>, sku: &str) -> Vec<AcceptedOrder> {
    numbers.map(|number| order(number, sku)).collect()
}

/// A worker with its ports.
pub(crate) struct WholeWorker {
    pub(crate) query: SocketAddr,
    pub(crate) admin: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl WholeWorker {
    /// Stops the worker gracefully.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let ended = timeout(PATIENCE, self.running).await.expect("ends in time");
        ended.expect("does not panic").expect("stops gracefully");
    }
}
