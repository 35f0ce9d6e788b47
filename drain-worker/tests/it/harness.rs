//! A broker, a database and a worker for each test.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use drain_worker::config::{Cli, Command};
use drain_worker::control::AuditContext;
use drain_worker::init::init;
use drain_worker::pipeline::{CircuitBreaker, Pipeline, PipelineConfig, PipelineError};
use drain_worker::pool::WorkerSignals;
use drain_worker::rate::RateGate;
use drain_worker::store::{
    DeadLetterSelection, DeadLetterStatus, OrderStore, PageRequest, Store, StoreConfig, StoreTotals,
    StoredDeadLetter,
};
use drain_worker::{Listeners, RunError, run};
use shared::envelope::{EncodedOrder, encode_batch};
use shared::order::AcceptedOrder;
use shared::rocketmq::{
    ClientConfig, ConsumerConfig, DefaultContext, FutureProducer, FutureRecord, ProducerConfig,
    StreamConsumer,
};
use shared::testkit::{
    GROUP, PATIENCE, TOPIC, TestBroker, TestDatabase, accepted_order, catalogue, eventually,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) const SKUS: [(&str, u32, Option<u32>); 3] =
    [("PLENTY", 1_000_000, None), ("FEW", 10, None), ("ONE-EACH", 1_000_000, Some(1))];

pub(crate) struct WorkerFixture {
    pub(crate) broker: TestBroker,
    pub(crate) client: ClientConfig,
    pub(crate) database: TestDatabase,
    pub(crate) store: Arc<Store>,
    pub(crate) producer: FutureProducer,
    pub(crate) rate: u32,
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
        let broker = TestBroker::start_with(|config| {
            config.attempts_max = attempts_max;
            config.invisible_min = Duration::from_millis(500);
        })
        .await;
        let client = broker.client();
        let database = TestDatabase::sqlite();
        let prepared =
            init(&database.url, &catalogue(&SKUS), client.clone(), GROUP, TOPIC, &AuditContext::default())
                .await
                .expect("prepared");
        assert_eq!((prepared.queues, prepared.waiting), (4, 0));
        let store = Arc::new(
            Store::connect(&database.url, StoreConfig::default()).await.expect("the database opens"),
        );
        // Ten orders are compressed, as by other clients; one is not.
        let compressing = ProducerConfig { compress_above_bytes: Some(1_024), ..ProducerConfig::default() };
        let producer = FutureProducer::new(client.clone(), compressing, DefaultContext).expect("a producer");
        Self { broker, client, database, store, producer, rate: 100_000 }
    }

    /// Returns flags for a worker of this fixture, and `more`.
    pub(crate) fn flags(&self, more: &[&str]) -> Vec<String> {
        let endpoint = self.client.endpoints.to_string();
        let url = self.database.url.expose();
        let own = ["run", "--migrate-on-start", "--database-url", url, "--rocketmq-endpoint", &endpoint];
        own.iter().chain(more).map(|&text| text.to_owned()).collect()
    }

    /// Starts a worker with its ports, as the program does, with `more` flags.
    pub(crate) async fn whole_worker(&self, more: &[&str]) -> WholeWorker {
        WholeWorker::start(self.flags(more)).await
    }

    /// Publishes `orders`, ten in each message.
    pub(crate) async fn publish(&self, orders: &[AcceptedOrder]) {
        for chunk in orders.chunks(10) {
            let encoded: Vec<_> = chunk.iter().map(EncodedOrder::new).collect();
            self.publish_raw(encode_batch(encoded.iter()).to_vec()).await;
        }
    }

    pub(crate) async fn publish_raw(&self, body: Vec<u8>) {
        self.producer.send(FutureRecord::to(TOPIC).payload(body), PATIENCE).await.expect("published");
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
        let mut config = ConsumerConfig::new(GROUP, [TOPIC]);
        config.invisible_duration = Duration::from_secs(2);
        config.long_polling_timeout = Duration::from_millis(200);
        let consumer =
            StreamConsumer::connect(self.client.clone(), config, DefaultContext).await.expect("a consumer");
        let pipeline = Pipeline {
            consumer: consumer.clone(),
            store,
            gate,
            config: PipelineConfig {
                receive_pause: Duration::from_millis(20),
                receives_max: NonZeroUsize::new(2).expect("not zero"),
                batch_orders_max: NonZeroU32::new(50).expect("not zero"),
                batch_linger: Duration::from_millis(5),
                writers: NonZeroUsize::new(2).expect("not zero"),
                prefetch: Duration::from_secs(1),
                grace: Duration::from_secs(20),
            },
            breaker: signals.breaker.clone(),
            broker: signals.broker,
            cordon: signals.cordon,
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
        eventually("drained", async || {
            let counts = self.counts().await;
            counts.orders() + counts.dead_letters_total() >= orders && self.broker.unacked().await == 0
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

pub(crate) fn order(number: u64, sku: &str) -> AcceptedOrder {
    AcceptedOrder { traceparent: None, ..accepted_order(number).line(sku, 1).build() }
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
    /// Starts a worker with these flags.
    pub(crate) async fn start(flags: Vec<String>) -> Self {
        let program = std::iter::once("drain-worker".to_owned());
        let cli = Cli::try_parse_from(program.chain(flags)).expect("flags");
        let Command::Run(args) = cli.command else { panic!("another command") };
        let listeners = Listeners {
            query: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            admin: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        };
        let [query, admin] =
            [&listeners.query, &listeners.admin].map(|listener| listener.local_addr().expect("bound"));
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(run(args.settings().expect("valid"), listeners, shutdown.clone()));
        Self { query, admin, shutdown, running }
    }

    /// Requests the stop, and does not wait for it.
    pub(crate) fn request_stop(&self) {
        self.shutdown.cancel();
    }

    /// Stops the worker gracefully.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let ended = timeout(PATIENCE, self.running).await.expect("ends in time");
        ended.expect("does not panic").expect("stops gracefully");
    }
}
