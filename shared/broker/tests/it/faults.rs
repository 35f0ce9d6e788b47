//! Scripted faults.

use std::time::Duration;

use spillway_broker::{Call, FailAt};
use spillway_rocketmq::protocol::Code;
use tempfile::tempdir;
use tokio::time::{Instant, timeout};

use crate::support::*;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn scripted_throttling_rejects_sends() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::new(&broker);
    let faults = broker.faults();
    let send = async || code(client.send(vec![message("1", "body")]).await.status);
    faults.throttle_sends(2);
    assert_eq!(
        [send().await, send().await, send().await],
        [Code::TOO_MANY_REQUESTS, Code::TOO_MANY_REQUESTS, Code::OK]
    );
    faults.throttle_all_sends(true);
    assert_eq!(send().await, Code::TOO_MANY_REQUESTS);
    faults.throttle_all_sends(false);
    assert_eq!(send().await, Code::OK);
}

#[tokio::test]
async fn a_send_fails_before_or_after_it_is_stored() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    broker.faults().fail_send(1, FailAt::Before);
    broker.faults().fail_send(2, FailAt::After);
    let before = client.send(vec![message("1", "never stored")]).await;
    assert_eq!(code(before.status), Code::INTERNAL_SERVER_ERROR);
    let after = client.try_send(vec![message("2", "stored")]).await.expect_err("the answer is lost");
    assert_eq!(after.code(), tonic::Code::Unavailable);
    assert_eq!(bodies(&client.receive(32, LONG).await), ["stored"]);
}

#[tokio::test]
async fn an_ack_fails_before_or_after_it_counts() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    client.send_bodies(["1".to_owned()]).await;
    let receipts = [receipt(&client.receive(32, LONG).await[0])];
    broker.faults().fail_ack(1, FailAt::Before);
    broker.faults().fail_ack(2, FailAt::After);
    let acked = async || broker.stats().await.expect("open").group(TOPIC, GROUP).expect("known").acked;
    assert_eq!(code(client.ack(&receipts).await.status), Code::INTERNAL_SERVER_ERROR);
    assert_eq!(acked().await, 0);
    client.try_ack(&receipts).await.expect_err("the answer is lost");
    assert_eq!(acked().await, 1);
    assert_eq!(code(client.ack(&receipts).await.status), Code::OK, "asked again");
}

#[tokio::test]
async fn responses_are_held_until_resumed() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    let faults = broker.faults();
    faults.stall();
    let held = tokio::spawn({
        let client = client.clone();
        async move { code(client.send(vec![message("1", "body")]).await.status) }
    });
    until("it is stored all the same", async || {
        let stats = broker.stats().await.expect("open");
        stats.group(TOPIC, GROUP).expect("known").ready == 1
    })
    .await;
    // An answer would come meanwhile.
    tokio::time::sleep(SHORT).await;
    assert!(!held.is_finished());
    faults.resume();
    assert_eq!(timeout(SOON, held).await.expect("released").expect("answered"), Code::OK);

    faults.stall_for(2 * SHORT);
    let began = Instant::now();
    assert_eq!(client.heartbeat().await, Code::OK);
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());

    faults.set_latency(SHORT);
    let began = Instant::now();
    assert_eq!(client.heartbeat().await, Code::OK);
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn scripted_resets_break_and_refuse_connections() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    let faults = broker.faults();
    faults.stall();
    let cut_off = tokio::spawn({
        let client = client.clone();
        async move { client.try_send(vec![message("1", "body")]).await }
    });
    until("the send", async || faults.calls(Call::Send) > 0).await;
    faults.drop_connections();
    timeout(SOON, cut_off).await.expect("at once").expect("no panic").expect_err("the connection broke");
    faults.resume();
    assert_eq!(client.heartbeat().await, Code::OK, "a new connection");

    faults.refuse_connections(true);
    assert_eq!(client.heartbeat().await, Code::OK, "the old one lives on");
    faults.drop_connections();
    let refused = timeout(SOON, client.try_send(vec![message("1", "body")])).await.expect("at once");
    refused.expect_err("no connection");
    faults.refuse_connections(false);
    assert_eq!(client.heartbeat().await, Code::OK);
}

#[tokio::test]
async fn a_scripted_redelivery_shows_hidden_messages() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    client.send_bodies(["1".to_owned(), "2".to_owned()]).await;
    let held = client.receive(32, LONG).await;
    assert_eq!(broker.faults().redeliver().await.expect("open"), 2);
    assert_eq!(code(client.ack(&[receipt(&held[0])]).await.status), Code::INVALID_RECEIPT_HANDLE);
    assert_eq!(client.receive(32, LONG).await.len(), 2);
}

#[tokio::test]
async fn a_scripted_loss_of_settings_rejects_receives() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    broker.faults().forget_settings();
    let received = client.try_receive(receive_request(1, SHORT)).await.expect("an answer");
    assert_eq!(received.code, Code::INTERNAL_SERVER_ERROR);
    client.send_settings().await;
    client.start_group().await;
}
