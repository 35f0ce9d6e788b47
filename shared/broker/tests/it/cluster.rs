//! Several brokers in one process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use spillway_broker::{Call, Cluster, ClusterAccess, ClusterConfig, TopicConfig};
use spillway_rocketmq::TopicType;
use spillway_rocketmq::protocol::{self, Code, QueryRouteRequest, QueryRouteResponse, path};
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;

use crate::support::*;

const SOON: Duration = Duration::from_secs(5);

async fn open_with(dir: &TempDir, change: impl FnOnce(&mut ClusterConfig)) -> Cluster {
    let mut cluster = ClusterConfig::new(config(dir), 2);
    change(&mut cluster);
    Cluster::open(cluster).await.expect("the cluster opens")
}

/// A client of one broker that has sent its settings.
async fn consumer(cluster: &Cluster, broker: usize) -> Client {
    let client = Client::at(cluster.local_addr(broker));
    assert_eq!(code(client.send_settings().await.status), Code::OK);
    client
}

/// Name, id and port of each broker in the topic's route, once for each of its queues.
async fn route(client: &Client) -> Vec<(String, i32, i32)> {
    let request = QueryRouteRequest { topic: resource(TOPIC), endpoints: None };
    let route: QueryRouteResponse = client.unary(path::QUERY_ROUTE, request).await.expect("an answer");
    assert_eq!(code(route.status), Code::OK);
    let brokers = route.message_queues.into_iter().map(|queue| queue.broker.expect("named"));
    brokers
        .map(|broker| (broker.name, broker.id, broker.endpoints.expect("an endpoint").addresses[0].port))
        .collect()
}

async fn receive_from(client: &Client, broker: &str) -> Vec<protocol::Message> {
    let mut request = receive_request(32, LONG);
    if let Some(queue) = &mut request.message_queue {
        queue.broker = Some(protocol::Broker { name: broker.to_owned(), ..protocol::Broker::default() });
    }
    client.try_receive(request).await.expect("an answer").messages
}

#[tokio::test]
async fn a_route_names_every_broker_and_its_endpoint() {
    let dir = tempdir().expect("a directory");
    let cluster = open_with(&dir, |config| config.slaves = vec![0]).await;
    let port = |broker| i32::from(cluster.local_addr(broker).port());
    for broker in 0..3 {
        let mut found = route(&Client::at(cluster.local_addr(broker))).await;
        assert_eq!(found.len(), 3 * 4, "four queues each");
        found.dedup();
        let expected = [
            ("broker-0".to_owned(), 0, port(0)),
            ("broker-1".to_owned(), 0, port(1)),
            ("broker-0".to_owned(), 1, port(2)),
        ];
        assert_eq!(found, expected);
    }
    cluster.list(1, false);
    assert_eq!(route(&Client::at(cluster.local_addr(0))).await.len(), 2 * 4);
}

#[tokio::test]
async fn a_slave_delivers_for_its_master_and_refuses_sends() {
    let dir = tempdir().expect("a directory");
    let cluster = open_with(&dir, |config| config.slaves = vec![1]).await;
    let (master, slave) = (consumer(&cluster, 1).await, consumer(&cluster, 2).await);
    slave.start_group().await;
    let refused = slave.send(vec![message("1", "refused")]).await;
    assert_eq!(code(refused.status), Code::INTERNAL_SERVER_ERROR);
    master.send_bodies(["stored".to_owned()]).await;
    assert_eq!(bodies(&slave.receive(32, LONG).await), ["stored"]);
}

#[tokio::test]
async fn each_broker_has_faults_of_its_own() {
    let dir = tempdir().expect("a directory");
    let cluster = open_with(&dir, |_| ()).await;
    let (first, second) = (consumer(&cluster, 0).await, consumer(&cluster, 1).await);
    cluster.faults(0).stall_call(Call::Send);
    let held = tokio::spawn({
        let first = first.clone();
        async move { code(first.send(vec![message("1", "body")]).await.status) }
    });
    assert_eq!(first.heartbeat().await, Code::OK, "another kind of call");
    second.send_bodies(["another broker".to_owned()]).await;
    assert!(!held.is_finished());
    assert_eq!((cluster.faults(0).calls(Call::Send), cluster.faults(1).calls(Call::Send)), (1, 1));
    cluster.faults(0).resume();
    assert_eq!(timeout(SOON, held).await.expect("released").expect("answered"), Code::OK);

    cluster.faults(1).reject(Call::Heartbeat, Some(Code::PROXY_TIMEOUT));
    assert_eq!((first.heartbeat().await, second.heartbeat().await), (Code::OK, Code::PROXY_TIMEOUT));
    cluster.faults(1).reject(Call::Heartbeat, None);
    assert_eq!(second.heartbeat().await, Code::OK);
    assert_eq!((cluster.faults(0).connections(), cluster.faults(1).connections()), (1, 1));
}

#[tokio::test]
async fn scripted_ack_entries_have_statuses_of_their_own() {
    let dir = tempdir().expect("a directory");
    let cluster = open_with(&dir, |_| ()).await;
    let client = consumer(&cluster, 0).await;
    client.start_group().await;
    client.send_bodies(["1".to_owned(), "2".to_owned(), "3".to_owned()]).await;
    let receipts: Vec<_> = client.receive(32, LONG).await.iter().map(receipt).collect();
    let scripted = [Code::OK, Code::INTERNAL_SERVER_ERROR, Code::INVALID_RECEIPT_HANDLE];
    cluster.faults(0).answer_ack_entries(scripted);
    let response = client.ack(&receipts).await;
    let codes: Vec<_> = response.entries.into_iter().map(|entry| code(entry.status)).collect();
    assert_eq!((code(response.status), codes), (Code::MULTIPLE_RESULTS, scripted.to_vec()));
    let acked = async || {
        let stats = cluster.stats(0).await.expect("open");
        stats.group(TOPIC, GROUP).expect("known").acked
    };
    assert_eq!(acked().await, 1);
    assert_eq!(code(client.ack(&receipts[1..]).await.status), Code::OK, "the script is over");
    assert_eq!(acked().await, 3);
}

#[tokio::test]
async fn behind_one_endpoint_calls_reach_their_broker() {
    let dir = tempdir().expect("a directory");
    let cluster = open_with(&dir, |config| {
        config.access = ClusterAccess::OneEndpoint;
        config.slaves = vec![0];
    })
    .await;
    let client = consumer(&cluster, 0).await;
    let mut brokers = route(&client).await;
    brokers.dedup();
    let port = i32::from(cluster.local_addr(0).port());
    let expected = [("broker-0", 0, port), ("broker-1", 0, port), ("broker-0", 1, port)]
        .map(|(n, i, p)| (n.to_owned(), i, p));
    assert_eq!(brokers, expected);
    for broker in ["broker-0", "broker-1"] {
        assert!(receive_from(&client, broker).await.is_empty(), "starts the group");
    }
    client.send_bodies((0..4).map(|number| number.to_string())).await;
    let mut receipts = Vec::new();
    for broker in ["broker-0", "broker-1"] {
        let messages = receive_from(&client, broker).await;
        assert_eq!(messages.len(), 2, "sends alternate");
        receipts.extend(messages.iter().map(receipt));
    }
    // One broker fails: its entries alone have its status.
    cluster.faults(1).reject(Call::Ack, Some(Code::INTERNAL_SERVER_ERROR));
    let response = client.ack(&receipts).await;
    let codes: Vec<_> = response.entries.into_iter().map(|entry| code(entry.status)).collect();
    let failed = Code::INTERNAL_SERVER_ERROR;
    assert_eq!(
        (code(response.status), codes),
        (Code::MULTIPLE_RESULTS, vec![Code::OK, Code::OK, failed, failed])
    );
    cluster.faults(1).reject(Call::Ack, None);
    assert_eq!(code(client.ack(&receipts[2..]).await.status), Code::OK);
}

#[tokio::test]
async fn a_broker_is_killed_and_restarted_while_the_other_goes_on() {
    for access in [ClusterAccess::EndpointEach, ClusterAccess::OneEndpoint] {
        let dir = tempdir().expect("a directory");
        let mut cluster = open_with(&dir, |config| config.access = access).await;
        let (first, second) = (consumer(&cluster, 0).await, consumer(&cluster, 1).await);
        for (client, broker) in [(&first, "broker-0"), (&second, "broker-1")] {
            assert!(receive_from(client, broker).await.is_empty(), "starts the group");
        }
        // Behind one endpoint the sends alternate, so that each broker has two in both cases.
        first.send_bodies(["1".to_owned(), "2".to_owned()]).await;
        second.send_bodies(["3".to_owned(), "4".to_owned()]).await;
        cluster.abort(0).await.expect("stopped");
        assert_eq!(receive_from(&second, "broker-1").await.len(), 2);
        assert!(!route(&second).await.is_empty(), "the other one answers for the topic");
        cluster.restart(0).await.expect("opens again");
        let first = consumer(&cluster, 0).await;
        assert_eq!(receive_from(&first, "broker-0").await.len(), 2);
        cluster.shutdown().await.expect("stopped");
    }
}

#[tokio::test]
async fn a_message_group_has_one_queue_of_one_broker() {
    let dir = tempdir().expect("a directory");
    let cluster = open_with(&dir, |config| {
        config.access = ClusterAccess::OneEndpoint;
        config.broker.topics = vec![TopicConfig::new(TOPIC, 4).of_type(TopicType::Fifo)];
    })
    .await;
    let client = consumer(&cluster, 0).await;
    for broker in ["broker-0", "broker-1"] {
        assert!(receive_from(&client, broker).await.is_empty(), "the group starts");
    }
    for group in ["buyer-1", "buyer-2", "buyer-3", "buyer-4", "buyer-5", "buyer-6"] {
        for number in 0..3 {
            let mut sent = message(&format!("{group} {number}"), format!("{group} {number}"));
            sent.system_properties.get_or_insert_default().message_group = Some(group.to_owned());
            assert_eq!(code(client.send(vec![sent]).await.status), Code::OK);
        }
    }
    let mut places: BTreeMap<String, BTreeSet<(&str, i32)>> = BTreeMap::new();
    for broker in ["broker-0", "broker-1"] {
        for received in receive_from(&client, broker).await {
            let system = received.system_properties.expect("always there");
            let group = system.message_group.clone().expect("sent");
            places.entry(group).or_default().insert((broker, system.queue_id));
        }
    }
    assert!(places.len() == 6 && places.values().all(|places| places.len() == 1), "{places:?}");
    let brokers: BTreeSet<_> = places.values().flatten().map(|(broker, _)| *broker).collect();
    assert_eq!(brokers.len(), 2, "both brokers have groups: {places:?}");
}
