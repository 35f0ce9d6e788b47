//! A cluster, and clients of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_broker::{BrokerConfig, Cluster, ClusterAccess, ClusterConfig, TopicConfig};
use spillway_rocketmq::{
    ClientConfig, ClientContext, ClientError, ConsumerConfig, DefaultContext, ErrorOrigin, FutureProducer,
    FutureRecord, Message, ProducerConfig, StreamConsumer,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

pub(crate) const TOPIC: &str = "orders";
pub(crate) const GROUP: &str = "drain";

/// Maximum wait for anything that a test expects.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Both ways to reach the brokers of a cluster.
pub(crate) const EACH_ACCESS: [ClusterAccess; 2] = [ClusterAccess::EndpointEach, ClusterAccess::OneEndpoint];

/// Two masters, unless a test says otherwise.
pub(crate) struct ClusterFixture {
    pub(crate) cluster: Cluster,
    pub(crate) client: ClientConfig,
    pub(crate) directory: TempDir,
}

impl ClusterFixture {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ClusterConfig)) -> Self {
        let directory = TempDir::new().expect("a directory");
        let mut broker = BrokerConfig::at(directory.path());
        broker.topics = vec![TopicConfig::new(TOPIC, 4)];
        broker.groups = vec![GROUP.to_owned()];
        broker.invisible_min = Duration::from_secs(1);
        broker.long_polling_min = Duration::from_millis(100);
        let mut config = ClusterConfig::new(broker, 2);
        change(&mut config);
        let cluster = Cluster::open(config).await.expect("the cluster opens");
        let client = ClientConfig::new(cluster.local_addr(0).into());
        Self { cluster, client, directory }
    }

    pub(crate) fn producer(&self) -> FutureProducer {
        self.producer_with(|_| ())
    }

    pub(crate) fn producer_with(&self, change: impl FnOnce(&mut ProducerConfig)) -> FutureProducer {
        let mut config = ProducerConfig { topics: vec![TOPIC.to_owned()], ..ProducerConfig::default() };
        change(&mut config);
        FutureProducer::new(self.client.clone(), config, DefaultContext).expect("a producer")
    }

    /// A consumer whose group has an offset on every queue.
    pub(crate) async fn consumer(&self) -> StreamConsumer {
        let consumer = self.consumer_with(|_| ()).await;
        consumer.initialize_offsets().await.expect("initialized");
        consumer
    }

    pub(crate) async fn consumer_with(&self, change: impl FnOnce(&mut ConsumerConfig)) -> StreamConsumer {
        self.connect(change, DefaultContext).await.expect("a consumer")
    }

    pub(crate) async fn connect(
        &self,
        change: impl FnOnce(&mut ConsumerConfig),
        context: impl ClientContext,
    ) -> Result<StreamConsumer, ClientError> {
        let mut config = ConsumerConfig::new(GROUP, [TOPIC]);
        config.long_polling_timeout = Duration::from_millis(100);
        config.extend_max = None;
        change(&mut config);
        StreamConsumer::connect(self.client.clone(), config, context).await
    }

    /// Sends `count` messages.
    pub(crate) async fn send(&self, count: usize) {
        let producer = self.producer();
        let sends = (0..count)
            .map(|number| producer.send(FutureRecord::to(TOPIC).payload(number.to_string()), PATIENCE));
        for sent in futures_util::future::join_all(sends).await {
            sent.expect("delivered");
        }
    }

    /// Sends messages until each broker has at least `count`, and receives them. Returns those of each broker.
    pub(crate) async fn send_and_receive(
        &self,
        consumer: &StreamConsumer,
        count: usize,
    ) -> (Vec<Message>, Vec<Message>) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        while first.len() < count || second.len() < count {
            let sent = 8;
            self.send(sent).await;
            for message in receive(consumer, sent).await {
                if message.position().0 == "broker-0" { first.push(message) } else { second.push(message) }
            }
        }
        (first, second)
    }
}

/// Receives until there are `count` messages.
pub(crate) async fn receive(consumer: &StreamConsumer, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    let receiving = async {
        while messages.len() < count {
            messages.extend(consumer.receive(32).await.unwrap_or_default());
        }
    };
    let late = timeout(PATIENCE, receiving).await.is_err();
    assert!(!late, "{} of {count} messages came", messages.len());
    messages
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let polling = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, polling).await.is_ok(), "{what}: not within {PATIENCE:?}");
}

/// Records the errors that no call returns.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorRecorder {
    errors: Arc<Mutex<Vec<(ClientError, String)>>>,
}

impl ErrorRecorder {
    pub(crate) fn count(&self) -> usize {
        self.errors.lock().expect("not poisoned").len()
    }

    /// The servers that the errors concern.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.errors.lock().expect("not poisoned").iter().map(|(_, endpoints)| endpoints.clone()).collect()
    }
}

impl ClientContext for ErrorRecorder {
    fn error(&self, error: &ClientError, origin: &ErrorOrigin<'_>) {
        let endpoints = origin.endpoints.map(ToString::to_string).unwrap_or_default();
        self.errors.lock().expect("not poisoned").push((error.clone(), endpoints));
    }
}
