//! The whole service over TCP, against the embedded broker.

mod connections;
mod faults;
mod fixture;
mod freeze;
mod log_samples;
mod process;
mod shutdown;

use std::collections::BTreeMap;

use http::StatusCode;
use shared::order::OrderId;
use shared::testkit::{GROUP, TOPIC};
use tokio::task::JoinSet;

use fixture::{Client, Fixture, order_of};

const CONNECTIONS: u64 = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_has_every_accepted_order_exactly_once() {
    let fixture = Fixture::open().await;
    let mut clients = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let address = fixture.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            let mut accepted = Vec::new();
            for number in [2 * connection, 2 * connection + 1] {
                let answer =
                    client.post(&format!("key-{number}"), &order_of(number)).await.expect("an answer");
                assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
                accepted.push((answer.order_id(), format!("buyer-{number}")));
            }
            accepted
        });
    }
    let accepted: BTreeMap<OrderId, String> = clients.join_all().await.into_iter().flatten().collect();
    assert_eq!(accepted.len(), 500);

    let received = fixture.receive(500).await;
    assert!(received.values().all(|orders| orders.len() == 1), "an order came twice");
    let received: BTreeMap<_, _> =
        received.into_iter().map(|(id, orders)| (id, orders[0].user_id.as_str().to_owned())).collect();
    assert_eq!(received, accepted);

    let stats = fixture.broker.broker.stats().await.expect("stats");
    let messages = stats.topic(TOPIC).expect("the topic").sent;
    assert!(messages < 500, "concurrent orders share messages: {messages} messages");
    let group = stats.group(TOPIC, GROUP).expect("the group");
    assert_eq!((group.ready, group.in_flight, group.acked), (0, 0, messages));
    fixture.close().await;
}
