//! Fixtures on both brokers.

use std::time::Duration;

use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use spillway_rocketmq::{
    ClientConfig, ConsumerConfig, Credentials, DefaultContext, FutureProducer, ProducerConfig,
    StreamConsumer, TopicType,
};
use tempfile::TempDir;

/// A topic and a group of a test, on a broker.
pub(crate) struct BrokerFixture {
    pub(crate) client: ClientConfig,
    pub(crate) topic: String,
    pub(crate) group: String,
    /// Minimum invisible duration of the broker.
    pub(crate) invisible: Duration,
    kind: Kind,
}

enum Kind {
    Embedded { broker: Box<Broker>, _directory: TempDir },
    Real { stack: String },
}

pub(crate) const QUEUES: usize = 4;

pub(crate) fn credentials() -> Credentials {
    Credentials { access_key: "access".to_owned(), secret_key: "secret".to_owned(), session_token: None }
}

/// Configuration of the embedded broker, with short waits.
pub(crate) fn embedded_config(directory: &TempDir) -> BrokerConfig {
    let mut config = BrokerConfig::at(directory.path());
    config.topics = vec![TopicConfig::new("orders", QUEUES)];
    config.groups = vec!["drain".to_owned()];
    config.credentials = Some(credentials());
    config.invisible_min = Duration::from_secs(1);
    config.long_polling_min = Duration::from_millis(100);
    config
}

pub(crate) async fn embedded() -> BrokerFixture {
    embedded_of_type(TopicType::Normal).await
}

/// The same with a topic of another type.
pub(crate) async fn embedded_of_type(topic_type: TopicType) -> BrokerFixture {
    let directory = TempDir::new().expect("a directory");
    let mut config = embedded_config(&directory);
    config.topics.iter_mut().for_each(|topic| topic.topic_type = topic_type);
    let broker = Broker::open(config).await.expect("the broker opens");
    let mut client = ClientConfig::new(broker.local_addr().into());
    client.credentials = Some(credentials().into());
    BrokerFixture {
        client,
        topic: "orders".to_owned(),
        group: "drain".to_owned(),
        invisible: Duration::from_secs(1),
        kind: Kind::Embedded { broker: Box::new(broker), _directory: directory },
    }
}

/// Returns `None`, and prints why, if no real broker is configured.
pub(crate) async fn real(case: &str) -> Option<BrokerFixture> {
    real_of_type(case, TopicType::Normal).await
}

/// The same with a topic of another type.
pub(crate) async fn real_of_type(case: &str, topic_type: TopicType) -> Option<BrokerFixture> {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(endpoint), Some(stack)) =
        (variable("SPILLWAY_TEST_ROCKETMQ_ENDPOINT"), variable("SPILLWAY_TEST_STACK"))
    else {
        println!("skipped: SPILLWAY_TEST_ROCKETMQ_ENDPOINT or SPILLWAY_TEST_STACK is not set");
        return None;
    };
    let mut client = ClientConfig::new(endpoint.parse().expect("an endpoint"));
    client.credentials = variable("SPILLWAY_TEST_ROCKETMQ_ACCESS_KEY")
        .zip(variable("SPILLWAY_TEST_ROCKETMQ_SECRET_KEY"))
        .map(|(access_key, secret_key)| Credentials { access_key, secret_key, session_token: None }.into());
    let run: u32 = rand::random();
    // At most 60 characters; the number distinguishes runs, the rest is for people who look at the broker.
    let case: String = case.chars().take(40).collect();
    let topic = format!("c_{case}_{run:08x}");
    let group = format!("{topic}_g");
    let queues = QUEUES.to_string();
    let arguments =
        ["topic", &topic, "--queues", &queues, "--type", &topic_type.to_string(), "--group", &group];
    stack_call(&stack, &arguments).await;
    if topic_type == TopicType::Fifo {
        stack_call(&stack, &["group", &group, "--fifo"]).await;
    }
    Some(BrokerFixture {
        client,
        topic,
        group,
        invisible: Duration::from_secs(10),
        kind: Kind::Real { stack },
    })
}

pub(crate) async fn stack_call(stack: &str, arguments: &[&str]) {
    let output =
        tokio::process::Command::new(stack).args(arguments).output().await.expect("the stack's script runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl BrokerFixture {
    pub(crate) fn producer(&self) -> FutureProducer {
        self.producer_with(|_| ())
    }

    pub(crate) fn producer_with(&self, change: impl FnOnce(&mut ProducerConfig)) -> FutureProducer {
        let mut config = ProducerConfig { topics: vec![self.topic.clone()], ..ProducerConfig::default() };
        change(&mut config);
        FutureProducer::new(self.client.clone(), config, DefaultContext).expect("a producer")
    }

    /// A consumer whose group has an offset on every queue.
    pub(crate) async fn consumer(&self) -> StreamConsumer {
        let consumer = self.new_consumer(|_| ()).await;
        consumer.initialize_offsets().await.expect("initialized");
        consumer
    }

    pub(crate) async fn new_consumer(&self, change: impl FnOnce(&mut ConsumerConfig)) -> StreamConsumer {
        let mut config = ConsumerConfig::new(&self.group, [&self.topic]);
        config.invisible_duration = self.invisible;
        config.long_polling_timeout = Duration::from_millis(500);
        config.extend_max = None;
        change(&mut config);
        StreamConsumer::connect(self.client.clone(), config, DefaultContext).await.expect("a consumer")
    }

    pub(crate) async fn extend_topic(&self, queues: usize) {
        match &self.kind {
            Kind::Embedded { broker, .. } => {
                broker.create_topic(TopicConfig::new(&self.topic, queues)).await.expect("extended");
            }
            Kind::Real { stack } => {
                stack_call(stack, &["topic", &self.topic, "--queues", &queues.to_string()]).await;
            }
        }
    }

    /// Apache's broker records an extension as a new check point, and marks the old one as done by a delayed message. On
    /// a busy machine that mark can be late (seen with three extensions in a row): then the broker redelivers an extended
    /// message. Exactly-once therefore rests on the database, not on extensions.
    pub(crate) const fn is_exact_about_extensions(&self) -> bool {
        matches!(self.kind, Kind::Embedded { .. })
    }

    pub(crate) fn embedded_broker(&self) -> &Broker {
        match &self.kind {
            Kind::Embedded { broker, .. } => broker,
            Kind::Real { .. } => panic!("a case for the embedded broker"),
        }
    }

    pub(crate) fn stack(&self) -> &str {
        match &self.kind {
            Kind::Real { stack } => stack,
            Kind::Embedded { .. } => panic!("a case for the real broker"),
        }
    }
}
