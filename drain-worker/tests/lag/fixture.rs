//! The embedded and the real broker behind one interface.

use std::time::Duration;

use drain_worker::lag::{LagArgs, LagQuery, MetricsLag};
use shared::rocketmq::{
    ClientConfig, ConsumerConfig, Credentials, DefaultContext, FutureProducer, FutureRecord, ProducerConfig,
    StreamConsumer,
};
use shared::testkit::{GROUP, PATIENCE, TOPIC, TestBroker};

pub(crate) struct LagFixture {
    client: ClientConfig,
    query: LagQuery,
    args: LagArgs,
    endpoint: String,
    /// The broker's minimum.
    invisible: Duration,
    _embedded: Option<TestBroker>,
}

pub(crate) async fn embedded() -> LagFixture {
    let broker = TestBroker::start_with(|config| config.invisible_min = Duration::from_secs(1)).await;
    LagFixture {
        client: broker.client(),
        query: LagQuery { topic: TOPIC.to_owned(), group: GROUP.to_owned() },
        args: LagArgs::default(),
        endpoint: broker.broker.local_addr().to_string(),
        invisible: Duration::from_secs(6),
        _embedded: Some(broker),
    }
}

/// Prints a line and returns `None` if no real broker is named.
pub(crate) async fn real(case: &str) -> Option<LagFixture> {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(endpoint), Some(metrics), Some(stack)) = (
        variable("SPILLWAY_TEST_ROCKETMQ_ENDPOINT"),
        variable("SPILLWAY_TEST_ROCKETMQ_METRICS_URL"),
        variable("SPILLWAY_TEST_STACK"),
    ) else {
        println!("skipped: SPILLWAY_TEST_ROCKETMQ_ENDPOINT, …_METRICS_URL or SPILLWAY_TEST_STACK is not set");
        return None;
    };
    let mut client = ClientConfig::new(endpoint.parse().expect("an endpoint"));
    client.credentials = variable("SPILLWAY_TEST_ROCKETMQ_ACCESS_KEY")
        .zip(variable("SPILLWAY_TEST_ROCKETMQ_SECRET_KEY"))
        .map(|(access_key, secret_key)| Credentials { access_key, secret_key, session_token: None }.into());
    let run: u32 = rand::random();
    let topic = format!("l_{case}_{run:08x}");
    let group = format!("{topic}_g");
    let output = tokio::process::Command::new(&stack)
        .args(["topic", &topic, "--queues", "4", "--group", &group])
        .output()
        .await
        .expect("the stack's script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(LagFixture {
        client,
        query: LagQuery { topic, group },
        args: LagArgs { lag_metrics_url: vec![metrics.parse().expect("an address")], ..LagArgs::default() },
        endpoint,
        invisible: Duration::from_secs(10),
        _embedded: None,
    })
}

impl LagFixture {
    pub(crate) fn source(&self) -> MetricsLag {
        MetricsLag::new(&self.args, &self.endpoint, self.query.clone())
    }

    pub(crate) async fn consumer(&self) -> StreamConsumer {
        let mut config = ConsumerConfig::new(&self.query.group, [&self.query.topic]);
        config.invisible_duration = self.invisible;
        config.long_polling_timeout = Duration::from_millis(500);
        config.extend_max = None;
        let consumer =
            StreamConsumer::connect(self.client.clone(), config, DefaultContext).await.expect("a consumer");
        consumer.initialize_offsets().await.expect("subscribed");
        consumer
    }

    pub(crate) async fn publish(&self, messages: usize) {
        let config = ProducerConfig { topics: vec![self.query.topic.clone()], ..ProducerConfig::default() };
        let producer = FutureProducer::new(self.client.clone(), config, DefaultContext).expect("a producer");
        for number in 0..messages {
            let record = FutureRecord::to(&self.query.topic).payload(number.to_string());
            producer.send(record, PATIENCE).await.expect("delivered");
        }
        producer.close(PATIENCE).await;
    }
}
