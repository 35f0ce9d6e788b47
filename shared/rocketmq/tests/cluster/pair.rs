//! Two brokers, embedded or Apache's, reached at an endpoint each or at one for both.

use std::time::Duration;

use spillway_broker::{Cluster, ClusterAccess};
use spillway_rocketmq::{
    ClientConfig, ConsumerConfig, Credentials, DefaultContext, FutureProducer, ProducerConfig, StreamConsumer,
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::fixture::{ClusterFixture, GROUP, TOPIC};

/// The broker that fails; the other goes on.
pub(crate) const FAILING: &str = "broker-1";

/// A way in which a broker is out of reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outage {
    /// The process is gone.
    Killed,
    /// The process holds its connections and answers nothing (SIGSTOP).
    Paused,
}

pub(crate) struct BrokerPair {
    client: ClientConfig,
    topic: String,
    group: String,
    invisible: Duration,
    brokers: Brokers,
}

enum Brokers {
    Embedded { cluster: Box<Cluster>, _directory: TempDir },
    Real { stack: String },
}

impl BrokerPair {
    pub(crate) async fn embedded(access: ClusterAccess) -> Self {
        let ClusterFixture { cluster, client, directory } =
            ClusterFixture::start_with(|config| config.access = access).await;
        Self {
            client,
            topic: TOPIC.to_owned(),
            group: GROUP.to_owned(),
            invisible: Duration::from_secs(2),
            brokers: Brokers::Embedded { cluster: Box::new(cluster), _directory: directory },
        }
    }

    /// Starts the stack's second broker, and the proxy before both if they share an endpoint. Returns `None`, and prints why,
    /// where tests may not disturb the stack.
    pub(crate) async fn real(access: ClusterAccess) -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let (Some(stack), Some(endpoint), Some(shared)) = (
            variable("SPILLWAY_TEST_STACK"),
            variable("SPILLWAY_TEST_ROCKETMQ_ENDPOINT"),
            variable("SPILLWAY_TEST_ROCKETMQ_CLUSTER_ENDPOINT"),
        ) else {
            println!("skipped: SPILLWAY_TEST_STACK or SPILLWAY_TEST_ROCKETMQ_ENDPOINT is not set");
            return None;
        };
        if std::env::var_os("SPILLWAY_TEST_DISRUPTIVE").is_none() {
            println!("skipped: SPILLWAY_TEST_DISRUPTIVE is not set");
            return None;
        }
        call(&stack, &["start", "broker2"]).await;
        let endpoint = match access {
            ClusterAccess::EndpointEach => endpoint,
            ClusterAccess::OneEndpoint => {
                call(&stack, &["start", "clusterproxy"]).await;
                shared
            }
        };
        let mut client = ClientConfig::new(endpoint.parse().expect("an endpoint"));
        client.credentials = variable("SPILLWAY_TEST_ROCKETMQ_ACCESS_KEY")
            .zip(variable("SPILLWAY_TEST_ROCKETMQ_SECRET_KEY"))
            .map(|(access_key, secret_key)| {
                Credentials { access_key, secret_key, session_token: None }.into()
            });
        let topic = format!("pair_{:08x}", rand::random::<u32>());
        let group = format!("{topic}_g");
        call(&stack, &["topic", &topic, "--queues", "4", "--group", &group, "--both-brokers"]).await;
        Some(Self {
            client,
            topic,
            group,
            invisible: Duration::from_secs(10),
            brokers: Brokers::Real { stack },
        })
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn producer(&self, delivery_timeout: Duration) -> FutureProducer {
        let config = ProducerConfig {
            topics: vec![self.topic.clone()],
            delivery_timeout,
            ..ProducerConfig::default()
        };
        FutureProducer::new(self.client.clone(), config, DefaultContext).expect("a producer")
    }

    /// A consumer whose group has an offset on every queue.
    pub(crate) async fn consumer(&self) -> StreamConsumer {
        let mut config = ConsumerConfig::new(&self.group, [&self.topic]);
        config.invisible_duration = self.invisible;
        config.long_polling_timeout = Duration::from_millis(500);
        config.extend_max = None;
        let consumer =
            StreamConsumer::connect(self.client.clone(), config, DefaultContext).await.expect("a consumer");
        consumer.initialize_offsets().await.expect("initialized");
        consumer
    }

    pub(crate) async fn begin(&mut self, outage: Outage) {
        match (&mut self.brokers, outage) {
            (Brokers::Embedded { cluster, .. }, Outage::Killed) => {
                cluster.abort(1).await.expect("aborted");
            }
            (Brokers::Embedded { cluster, .. }, Outage::Paused) => cluster.faults(1).stall(),
            (Brokers::Real { stack }, Outage::Killed) => call(stack, &["kill", "broker2"]).await,
            (Brokers::Real { stack }, Outage::Paused) => call(stack, &["pause", "broker2"]).await,
        }
    }

    pub(crate) async fn end(&mut self, outage: Outage) {
        match (&mut self.brokers, outage) {
            (Brokers::Embedded { cluster, .. }, Outage::Killed) => {
                cluster.restart(1).await.expect("restarted");
            }
            (Brokers::Embedded { cluster, .. }, Outage::Paused) => cluster.faults(1).resume(),
            (Brokers::Real { stack }, Outage::Killed) => call(stack, &["start", "broker2"]).await,
            (Brokers::Real { stack }, Outage::Paused) => call(stack, &["resume", "broker2"]).await,
        }
    }
}

async fn call(stack: &str, arguments: &[&str]) {
    let output = Command::new(stack).args(arguments).output().await.expect("the stack's script runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
