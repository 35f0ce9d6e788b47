//! Routes: their refresh, and the brokers that they name.

use std::time::Duration;

use spillway_broker::{Call, ClusterConfig};
use spillway_rocketmq::FutureRecord;
use tokio::time::{Instant, sleep};

use crate::fixture::{ClusterFixture, PATIENCE, TOPIC, receive, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_route_query_delays_no_send_and_costs_no_connection() {
    let mut fixture = ClusterFixture::start_with(|config: &mut ClusterConfig| config.masters = 1).await;
    fixture.client.route_ttl = Duration::from_millis(50);
    fixture.client.request_timeout = Duration::from_secs(4);
    let producer = fixture.producer();
    producer.warm_up().await.expect("warm");
    let faults = fixture.cluster.faults(0);
    faults.stall_call(Call::QueryRoute);
    let queries = faults.calls(Call::QueryRoute);
    sleep(fixture.client.route_ttl).await;
    let began = Instant::now();
    while faults.calls(Call::QueryRoute) < queries + 2 {
        let sent_at = Instant::now();
        let delivery =
            producer.send(FutureRecord::to(TOPIC).payload("x"), PATIENCE).await.expect("delivered");
        assert_eq!(delivery.attempts, 1);
        // A send that waits for the query takes the whole time-out.
        assert!(sent_at.elapsed() < fixture.client.request_timeout / 2, "{:?}", sent_at.elapsed());
        assert!(began.elapsed() < PATIENCE, "one query only");
        sleep(Duration::from_millis(5)).await;
    }
    // One at a time: the second began after the first had timed out.
    assert!(began.elapsed() >= fixture.client.request_timeout, "{:?}", began.elapsed());
    assert_eq!(faults.connections(), 1);
    // The refresh goes on by itself.
    faults.resume();
    fixture.cluster.create_topic(spillway_broker::TopicConfig::new(TOPIC, 6)).await.expect("extended");
    let queries = faults.calls(Call::QueryRoute);
    let sending = async {
        loop {
            producer.send(FutureRecord::to(TOPIC).payload("x"), PATIENCE).await.expect("delivered");
        }
    };
    tokio::select! {
        () = until("a further query", || faults.calls(Call::QueryRoute) > queries) => {}
        () = sending => {}
    }
}

#[tokio::test]
async fn any_address_of_an_access_point_that_answers_is_used() {
    let mut fixture = ClusterFixture::start_with(|config| config.masters = 1).await;
    let live = fixture.cluster.local_addr(0);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    for endpoints in
        [format!("{live};{closed}"), format!("{closed};http://{live}"), format!("{closed};{closed};{live}")]
    {
        fixture.client.endpoints = endpoints.parse().expect("valid");
        // Each starts at a random address.
        for _ in 0..8 {
            let began = Instant::now();
            let producer = fixture.producer();
            producer.warm_up().await.expect("warm");
            producer.send(FutureRecord::to(TOPIC).payload("x"), PATIENCE).await.expect("delivered");
            assert!(began.elapsed() < Duration::from_secs(2), "{endpoints}: {:?}", began.elapsed());
        }
        fixture.consumer().await.close(PATIENCE).await;
    }
    fixture.client.endpoints = format!("{closed};{closed}").parse().expect("valid");
    let error = fixture.producer().warm_up().await.expect_err("no address answers").to_string();
    assert!(error.contains(&closed.to_string()), "{error}");
}

#[tokio::test]
async fn a_slave_is_neither_written_to_nor_read_from_while_a_master_is_listed() {
    let mut fixture = ClusterFixture::start_with(|config| {
        config.masters = 1;
        config.slaves = vec![0];
    })
    .await;
    let consumer = fixture.consumer().await;
    fixture.send(32).await;
    for message in receive(&consumer, 32).await {
        message.ack().await.expect("acked");
    }
    let slave = fixture.cluster.faults(1);
    assert_eq!((slave.calls(Call::Send), slave.calls(Call::Receive)), (0, 0));

    // The master left the route: the slave delivers what is left.
    fixture.send(8).await;
    fixture.cluster.list(0, false);
    fixture.client.endpoints = fixture.cluster.local_addr(1).into();
    let consumer = fixture.consumer_with(|_| ()).await;
    assert_eq!(receive(&consumer, 8).await.len(), 8);
    assert!(slave.calls(Call::Receive) > 0);
}

#[tokio::test]
async fn an_endpoint_that_no_route_names_is_forgotten() {
    let mut fixture = ClusterFixture::start().await;
    fixture.client.route_ttl = Duration::from_millis(50);
    let consumer =
        fixture.consumer_with(|config| config.heartbeat_interval = Duration::from_millis(50)).await;
    let (listed, delisted) = (fixture.cluster.faults(0), fixture.cluster.faults(1));
    until("heartbeats to both", || delisted.calls(Call::Heartbeat) > 1 && listed.calls(Call::Heartbeat) > 1)
        .await;
    fixture.cluster.list(1, false);
    // A few rounds for the refresh of the route; then five without the other broker.
    let began = Instant::now();
    loop {
        let (before, silent) = (listed.calls(Call::Heartbeat), delisted.calls(Call::Heartbeat));
        until("heartbeats", || listed.calls(Call::Heartbeat) >= before + 5).await;
        if delisted.calls(Call::Heartbeat) == silent {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the delisted endpoint still gets heartbeats");
    }
    drop(consumer);
}
