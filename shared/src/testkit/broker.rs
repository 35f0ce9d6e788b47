//! An embedded broker on a directory of its own.

use std::time::Duration;

use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use spillway_rocketmq::{ClientConfig, ConsumerConfig, DefaultContext, StreamConsumer};
use tempfile::TempDir;

/// The topic of orders.
pub const TOPIC: &str = "orders";

/// The drain's consumer group.
pub const GROUP: &str = "drain";

/// An embedded broker with [`TOPIC`] (four queues) and [`GROUP`]. Dropping it stops the broker and removes its data.
#[derive(Debug)]
pub struct TestBroker {
    /// The broker.
    pub broker: Broker,
    _directory: TempDir,
}

impl TestBroker {
    /// Starts a broker on a free port.
    pub async fn start() -> Self {
        Self::start_with(|_config| {}).await
    }

    /// Starts a broker with a changed configuration.
    pub async fn start_with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = Self::config(&directory);
        change(&mut config);
        let broker = Broker::open(config).await.expect("the broker opens");
        Self { broker, _directory: directory }
    }

    /// Settings of a client of this broker.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        ClientConfig::new(self.broker.local_addr().into())
    }

    /// Connects a consumer of [`GROUP`] to [`TOPIC`].
    pub async fn consumer(&self) -> StreamConsumer {
        let config = ConsumerConfig::new(GROUP, [TOPIC]);
        StreamConsumer::connect(self.client(), config, DefaultContext).await.expect("the consumer connects")
    }

    /// Messages that [`GROUP`] has not acked: ready ones and those in flight.
    pub async fn unacked(&self) -> u64 {
        let stats = self.broker.stats().await.expect("the broker runs");
        stats.group(TOPIC, GROUP).map_or(0, |group| group.ready + group.in_flight)
    }

    fn config(directory: &TempDir) -> BrokerConfig {
        let mut config = BrokerConfig::at(directory.path().join("broker"));
        config.topics = vec![TopicConfig::new(TOPIC, 4)];
        config.groups = vec![GROUP.to_owned(), format!("{GROUP}-dead-letters")];
        config.long_polling_min = Duration::from_millis(100);
        config
    }
}
